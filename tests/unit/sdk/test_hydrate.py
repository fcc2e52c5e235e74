"""Tasks made again from their specs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from piper.model.errors import InvalidSpec
from piper.model.spec import TaskSpec, decode_spec, encode_spec
from piper.operators.bash import BashOperator
from piper.sdk.assets import Asset, AssetAlias
from piper.sdk.dags import DAG
from piper.sdk.data import from_data, to_data
from piper.sdk.hydrate import hydrate
from piper.sdk.loader import hydrate as hydrate_of_the_loader
from piper.sdk.mapping import MappedOperator
from piper.sdk.xcom_arg import PlainXComArg
from tests.unit.sdk.operators import shell, spec, task_of


def again(make: Callable[[], Any], task_id: str = "a", **dag_arguments: Any) -> Any:
    """A task from the JSON of its spec."""
    with DAG("d", **dag_arguments) as dag:
        make()
    return hydrate(decode_spec(encode_spec(spec(dag))).task(task_id), "d")


def test_a_task_comes_back_with_its_arguments() -> None:
    made = again(
        lambda: BashOperator(
            task_id="a",
            bash_command="echo {{ ds }}",
            env={"x": "y"},
            append_env=True,
            retries=3,
            execution_timeout=timedelta(minutes=1),
            do_xcom_push=False,
            trigger_rule="all_done",
            owner="ann",
        )
    )
    assert isinstance(made, BashOperator)
    assert (made.bash_command, made.env, made.append_env) == ("echo {{ ds }}", {"x": "y"}, True)
    assert (made.retries, made.execution_timeout, made.do_xcom_push) == (3, timedelta(minutes=1), False)
    assert (made.trigger_rule, made.owner, made.dag_id) == ("all_done", "ann", "d")


def test_inlets_and_outlets_come_back() -> None:
    orders, alias = Asset("orders", "s3://bucket/orders", group="g", extra={"k": 1}), AssetAlias("latest")
    by_name, by_uri = Asset.ref(name="a"), Asset.ref(uri="s3://b/b")
    made = again(lambda: BashOperator(task_id="a", bash_command=":", inlets=[by_name, by_uri], outlets=[orders, alias]))
    assert (made.inlets, made.outlets) == ([by_name, by_uri], [orders, alias])


def test_references_to_results_come_back() -> None:
    def make() -> None:
        one = BashOperator(task_id="one", bash_command="true")
        many = BashOperator.partial(task_id="many").expand(bash_command=one.output)
        BashOperator(task_id="a", bash_command=one.output["k"], env={"all": many.output})

    made = again(make)
    assert isinstance(made.bash_command, PlainXComArg)
    assert (made.bash_command.operator.task_id, made.bash_command.key) == ("one", "k")
    assert not made.bash_command.operator.is_mapped
    assert made.env["all"].operator.is_mapped
    assert made.upstream_task_ids == {"one", "many"}


def test_a_mapped_task_comes_back() -> None:
    def make() -> None:
        one = BashOperator(task_id="one", bash_command="true")
        BashOperator.partial(task_id="a", env={"x": "y"}).expand(bash_command=one.output)
        BashOperator.partial(task_id="b").expand_kwargs(one.output)

    made = again(make)
    assert isinstance(made, MappedOperator)
    assert made.unmap({"bash_command": "ls"}).env == {"x": "y"}  # type: ignore[attr-defined]
    assert isinstance(again(make, "b"), MappedOperator)


def test_params_of_the_dag_and_the_task_come_back_together() -> None:
    made = again(
        lambda: BashOperator(task_id="a", bash_command="{{ params.x }}", params={"y": 2}), params={"x": 1, "y": 1}
    )
    assert made.params.dump() == {"x": 1, "y": 2}


def test_a_param_of_the_run_comes_back() -> None:
    dag = DAG("d", params={"x": 1})
    with dag:
        BashOperator(task_id="a", bash_command=dag.param("x"))
    made = hydrate(task_of(dag, "a"))
    context = {"dag_run": type("Run", (), {"conf": {"x": "now"}})}
    assert made.bash_command.resolve(context) == "now"  # type: ignore[attr-defined]


def test_a_task_in_a_group_keeps_its_full_id() -> None:
    from piper.sdk.group import TaskGroup

    def make() -> None:
        with TaskGroup("g"):
            BashOperator(task_id="a", bash_command="true").as_setup()

    made = again(make, "g.a")
    assert made.task_id == "g.a"
    assert made.is_setup


def test_what_cannot_be_made_again_is_refused() -> None:
    with DAG("d") as dag:
        shell("a")
    with pytest.raises(InvalidSpec, match="its file must be loaded"):
        hydrate_of_the_loader(task_of(dag, "a"))
    with pytest.raises(InvalidSpec, match=r"not one of piper.operators"):
        hydrate(TaskSpec("a", "os.path.join", code=False))
    with pytest.raises(InvalidSpec, match=r"no operator 'piper.operators.bash.Nothing'"):
        hydrate(TaskSpec("a", "piper.operators.bash.Nothing", code=False))
    with pytest.raises(InvalidSpec, match="is not an operator"):
        hydrate(TaskSpec("a", "piper.operators.bash.annotations", code=False))
    with pytest.raises(InvalidSpec, match=r"'enw' .did you mean 'env'"):
        hydrate(
            TaskSpec("a", "piper.operators.bash.BashOperator", arguments={"bash_command": "x", "enw": {}}, code=False)
        )


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, {"b": True}]},
        (1, ("x", [])),
        {1, 2},
        {"__xcom__": 1},
        {1: {"__tuple__": 2}},
        timedelta(days=1, microseconds=5),
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        date(2026, 1, 1),
        time(12, 30),
        Path("a/b"),
    ],
)
def test_data_goes_there_and_back(value: Any) -> None:
    def refer(task_id: str, key: str, mapped: bool) -> Any:
        raise AssertionError

    assert from_data(to_data(value), refer) == value
