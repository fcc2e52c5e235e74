"""One task in the file, many instances."""

from __future__ import annotations

from typing import Any

import pytest

from piper.model.spec import LiteralLength, ProductLength, ResultLength, SensorSpec, ZipLength
from piper.model.states import TriggerRule
from piper.sdk.dags import DAG
from piper.sdk.decorators import task, task_group
from piper.sdk.mapping import MappedOperator
from tests.unit.sdk.operators import Loud, Shell, shell, spec, task_of, upstream


def numbers() -> Any:
    return shell("numbers").output


def test_a_literal_list_is_stored_as_its_length_only() -> None:
    with DAG("d") as dag:
        Shell.partial(task_id="m").expand(command=["a", "b", "c"])
    stored = task_of(dag, "m")
    assert stored.mapped == LiteralLength(3)
    assert stored.code
    assert "command" not in stored.arguments


def test_a_result_is_stored_as_a_reference() -> None:
    with DAG("d") as dag:
        Shell.partial(task_id="m", env={"x": "y"}).expand(command=numbers())
    stored = task_of(dag, "m")
    assert stored.mapped == ResultLength("numbers")
    assert stored.reads == (("numbers", "return_value"),)
    assert stored.upstream == ("numbers",)
    assert stored.arguments == {"env": {"x": "y"}, "__expand__": {"command": {"__xcom__": ["numbers", "return_value"]}}}


def test_several_names_are_every_combination_in_order() -> None:
    with DAG("d") as dag:
        Shell.partial(task_id="m").expand(env=[{}, {}], command=numbers())
    assert task_of(dag, "m").mapped == ProductLength((LiteralLength(2), ResultLength("numbers")))


def test_sets_of_arguments_are_one_list() -> None:
    with DAG("d") as dag:
        Shell.partial(task_id="m").expand_kwargs([{"command": "a"}, {"command": numbers()}])
        Shell.partial(task_id="n").expand_kwargs(dag.get_task("numbers").output)
        Shell.partial(task_id="o").expand_kwargs(dag.get_task("numbers").output.zip(dag.get_task("numbers").output))
    assert task_of(dag, "m").mapped == LiteralLength(2)
    assert task_of(dag, "m").upstream == ("numbers",)
    assert task_of(dag, "n").mapped == ResultLength("numbers")
    assert isinstance(task_of(dag, "o").mapped, ZipLength)


def test_common_arguments_and_defaults_hold_for_all_instances() -> None:
    with DAG("d", default_args={"owner": "ann", "pool": "small"}) as dag:
        mapped = Loud.partial(
            task_id="m", pool_slots=2, trigger_rule="all_done", params={"x": 1}, on_failure_callback=print
        ).expand(command=["a"])
    stored = task_of(dag, "m")
    assert (stored.owner, stored.pool, stored.pool_slots) == ("ann", "small", 2)
    assert stored.retry.retries == 3
    assert stored.trigger_rule is TriggerRule.ALL_DONE
    assert stored.params["x"]["value"] == 1
    assert stored.callbacks == ("failure",)
    assert mapped.task_type == "Loud"


def test_a_mapped_task_can_be_changed_after_it_was_made() -> None:
    with DAG("d") as dag:
        mapped = Shell.partial(task_id="m").expand(command=["a"])
        mapped.trigger_rule = "all_done"
        mapped.as_setup()
    assert task_of(dag, "m").trigger_rule is TriggerRule.ALL_DONE
    assert task_of(dag, "m").setup


@pytest.mark.parametrize("value", ["text", b"bytes", 5, {1, 2}, None, (n for n in [1])])
def test_only_lists_and_dicts_can_be_mapped_over(value: Any) -> None:
    with DAG("d"), pytest.raises(ValueError, match=r"expand\(\) got an unexpected type .* 'command'"):
        Shell.partial(task_id="m").expand(command=value)


def test_mistakes_with_names_are_refused() -> None:
    with DAG("d"):
        with pytest.raises(TypeError, match=r"Shell.partial\(\): 'comand' \(did you mean 'command'"):
            Shell.partial(task_id="m", comand="a")
        with pytest.raises(TypeError, match=r"Shell.expand\(\): 'comand'"):
            Shell.partial(task_id="m").expand(comand=["a"])
        with pytest.raises(TypeError, match="unmappable or already specified argument: command"):
            Shell.partial(task_id="m", command="a").expand(command=["a"])
        with pytest.raises(TypeError, match="no arguments to expand against"):
            Shell.partial(task_id="m").expand()
        with pytest.raises(TypeError, match=r"expected XComArg or list\[dict\], not dict"):
            Shell.partial(task_id="m").expand_kwargs({"command": "a"})
        with pytest.raises(TypeError, match="not a list with a int"):
            Shell.partial(task_id="m").expand_kwargs([1])


def test_only_return_values_can_be_mapped_over() -> None:
    with DAG("d"), pytest.raises(ValueError, match="custom key 'k'"):
        Shell.partial(task_id="m").expand(command=numbers()["k"])


def test_rule_always_cannot_wait_for_a_list() -> None:
    with DAG("d"), pytest.raises(ValueError, match="not allowed with trigger rule 'always'"):
        Shell.partial(task_id="m", trigger_rule="always").expand(command=numbers())
    with DAG("e"):
        Shell.partial(task_id="m", trigger_rule="always").expand(command=["a"])


def test_a_partial_that_is_never_expanded_is_no_task() -> None:
    with DAG("d") as dag, pytest.raises(TypeError, match="no task yet"):
        Shell.partial(task_id="m") >> shell("a")
    assert dag.task_ids == ["a"]


def test_an_instance_is_made_of_shared_and_own_arguments() -> None:
    with DAG("d"):
        mapped = Shell.partial(task_id="m", env={"x": "y"}, retries=2).expand(command=["a", "b"])
        mapped.on_failure_callback.append(print)
    one = mapped.unmap({"command": "b"})
    assert (one.task_id, one.command, one.env, one.retries) == ("m", "b", {"x": "y"}, 2)  # type: ignore[attr-defined]
    assert one.dag is mapped.dag
    assert one.on_failure_callback == [print]
    assert not one.is_mapped


def test_a_strict_set_may_not_name_what_is_shared() -> None:
    with DAG("d"):
        strict = Shell.partial(task_id="m", command="a").expand_kwargs([{"command": "b"}])
        lenient = Shell.partial(task_id="n", command="a").expand_kwargs([{"command": "b"}], strict=False)
    with pytest.raises(TypeError, match="already specified argument: command"):
        strict.unmap({"command": "b"})
    assert lenient.unmap({"command": "b"}).command == "b"  # type: ignore[attr-defined]


def test_a_mapped_sensor_says_what_a_server_may_know() -> None:
    from datetime import timedelta

    from piper.sdk.sensor import BaseSensorOperator

    class Wait(BaseSensorOperator):
        def __init__(self, *, what: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.what = what

    with DAG("d") as dag:
        Wait.partial(task_id="m", mode="reschedule", timeout=60, poke_interval=timedelta(seconds=5)).expand(what=["a"])
    assert task_of(dag, "m").sensor == SensorSpec(
        mode="reschedule", poke_interval=timedelta(seconds=5), timeout=timedelta(seconds=60)
    )


# --- functions ----------------------------------------------------------------------------------


def test_a_function_is_mapped_over_its_parameters() -> None:
    @task
    def add(x: int, y: int = 1) -> int:
        return x + y

    with DAG("d") as dag:
        total = add.partial(y=2).expand(x=[1, 2, 3])
        add.expand_kwargs(total.map(lambda n: {"x": n}))
    assert task_of(dag, "add").mapped == LiteralLength(3)
    assert task_of(dag, "add").arguments["op_kwargs"] == {"y": 2}
    assert task_of(dag, "add__1").mapped == ResultLength("add")
    assert upstream(dag)["add__1"] == ("add",)
    mapped = dag.get_task("add")
    assert isinstance(mapped, MappedOperator)
    one = mapped.unmap({"x": 5})
    assert one.op_kwargs == {"y": 2, "x": 5}  # type: ignore[attr-defined]


def test_mistakes_with_parameters_are_refused() -> None:
    @task
    def add(x: int, y: int = 1, *, ti: Any = None) -> int:
        return x + y

    with DAG("d"):
        with pytest.raises(TypeError, match=r"expand\(\) got unexpected keyword argument 'z'"):
            add.expand(z=[1])
        with pytest.raises(TypeError, match=r"partial\(\) got unexpected keyword arguments"):
            add.partial(z=1, w=2)
        with pytest.raises(ValueError, match="task context variable 'ti'"):
            add.expand(ti=[1])
        with pytest.raises(TypeError, match="mapping already partial argument: x"):
            add.partial(x=1).expand(x=[1])
        with pytest.raises(TypeError, match="duplicate partial argument: x"):
            add.partial(x=1).partial(x=2)
        with pytest.raises(ValueError, match="unexpected type 'int'"):
            add.expand(x=1)


# --- groups -------------------------------------------------------------------------------------


def test_a_mapped_group_gives_all_its_tasks_the_same_instances() -> None:
    @task
    def load(table: str, mode: str) -> str:
        return table

    @task
    def check(table: str) -> None: ...

    @task_group
    def ingest(table: str, mode: str) -> Any:
        loaded = load(table, mode)
        check(loaded)
        return loaded

    with DAG("d") as dag:
        result = ingest.partial(mode="full").expand(table=numbers())
        check(result)
    stored = spec(dag)
    (group,) = stored.groups
    assert (group.group_id, group.mapped) == ("ingest", ResultLength("numbers"))
    assert stored.task("ingest.load").mapped is None
    assert stored.task("ingest.load").upstream == ("numbers",)
    assert stored.task("ingest.load").reads == (("numbers", "return_value"),)
    assert stored.task("check").upstream == ("ingest.load",)
    assert dag.get_task("ingest.load").get_needs_expansion()
    assert dag.mapped_over == {"numbers"}


def test_a_group_can_be_mapped_over_sets_of_arguments() -> None:
    @task_group
    def ingest(table: str, mode: str = "full") -> None:
        shell("a", command=table, env={"mode": mode})  # type: ignore[dict-item]

    with DAG("d") as dag:
        ingest.expand_kwargs([{"table": "a"}, {"table": "b"}])
        ingest.expand_kwargs(numbers())
    assert [group.mapped for group in spec(dag).groups] == [LiteralLength(2), ResultLength("numbers")]
    assert dag.task_ids == ["ingest.a", "numbers", "ingest__1.a"]


def test_what_a_mapped_group_cannot_do_is_refused() -> None:
    @task
    def load(table: str) -> None: ...

    @task_group
    def maps_inside(table: str) -> None:
        load.expand(table=[table])

    @task_group
    def always(table: str) -> None:
        shell("a", trigger_rule="always")

    @task_group
    def inner(table: str) -> None:
        load(table)

    @task_group
    def outer(table: str) -> None:
        inner.expand(table=[1, 2])

    @task_group
    def stars(**tables: str) -> None: ...

    with DAG("a"), pytest.raises(NotImplementedError, match="operator expansion in an expanded task group"):
        maps_inside.expand(table=[1])
    with DAG("b"), pytest.raises(ValueError, match="not allowed with trigger rule 'always'"):
        always.expand(table=[1])
    with DAG("c"), pytest.raises(ValueError, match="Nested Mapped TaskGroups"):
        outer.expand(table=[1])
    with DAG("e"), pytest.raises(TypeError, match="with \\* or \\*\\*"):
        stars.expand_kwargs([{}])
