"""Functions that become tasks and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import pytest

from piper.model.states import TriggerRule
from piper.sdk.dags import DAG
from piper.sdk.decorators import (
    DecoratedOperator,
    get_unique_task_id,
    is_decorated_task,
    register_decorator,
    result,
    setup,
    task,
    task_decorator_factory,
    task_group,
    teardown,
)
from piper.sdk.exceptions import AirflowException, AirflowSkipException
from piper.sdk.group import TaskGroup
from piper.sdk.xcom_arg import PlainXComArg
from tests.unit.sdk.operators import shell, spec, task_of, upstream


def test_calling_a_function_makes_a_task_and_gives_its_result() -> None:
    @task
    def add(x: int, y: int) -> int:
        """Adds."""
        return x + y

    with DAG("d") as dag:
        first = add(1, y=2)
        second = add(first, 3)
    assert isinstance(second, PlainXComArg)
    assert dag.task_ids == ["add", "add__1"]
    assert upstream(dag)["add__1"] == ("add",)
    stored = task_of(dag, "add")
    assert stored.operator == "piper.operators.python.PythonDecoratedOperator"
    assert stored.doc == "Adds."
    assert stored.code
    assert stored.arguments == {"op_args": {"__tuple__": [1]}, "op_kwargs": {"y": 2}}
    assert task_of(dag, "add__1").reads == (("add", "return_value"),)


def test_a_decorator_takes_the_operators_arguments() -> None:
    @task(task_id="other", retries=3, doc_md="Given.")
    def work() -> None:
        """Not this."""

    with DAG("d") as dag:
        work()
        work.override(task_id="third", retries=5)()
    assert task_of(dag, "other").retry.retries == 3
    assert task_of(dag, "other").doc == "Given."
    assert task_of(dag, "third").retry.retries == 5


def test_the_function_itself_stays_within_reach() -> None:
    @task
    def work(x: int) -> int:
        return x + 1

    assert work.function(1) == work.__wrapped__(1) == 2
    assert work.__name__ == "work"
    assert is_decorated_task(work)
    assert not is_decorated_task(work.function)


def test_ids_get_the_next_suffix() -> None:
    @task
    def work() -> None: ...

    with DAG("d") as dag:
        for _ in range(3):
            work()
        work.override(task_id="work__7")()
        work()
        with TaskGroup("g"):
            work()
            work()
    assert dag.task_ids == ["work", "work__1", "work__2", "work__7", "work__8", "g.work", "g.work__1"]
    assert get_unique_task_id("free", dag) == "free"
    assert get_unique_task_id("work", dag) == "work__9"
    assert get_unique_task_id("anything") == "anything"


class Both(TypedDict):
    a: int


def plain() -> int: ...  # type: ignore[empty-body]
def as_dict() -> dict[str, int]: ...  # type: ignore[empty-body]
def as_mapping() -> Mapping[str, int]: ...  # type: ignore[empty-body]
def as_typed_dict() -> Both: ...  # type: ignore[empty-body]
def as_unknown() -> Nowhere: ...  # type: ignore[empty-body,name-defined] # noqa: F821
def as_none() -> None: ...
def unannotated(): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, False),
        (as_dict, True),
        (as_mapping, True),
        (as_typed_dict, True),
        (as_unknown, False),
        (as_none, False),
        (unannotated, False),
    ],
)
def test_multiple_outputs_follow_from_the_annotation(function: Any, expected: bool) -> None:
    with DAG("d") as dag:
        task(function)()
        task(multiple_outputs=not expected, task_id="given")(function)()
    assert task_of(dag, function.__name__).multiple_outputs is expected
    assert task_of(dag, "given").multiple_outputs is not expected


def test_parameters_named_like_context_keys_need_not_be_given() -> None:
    @task
    def work(ti, x, ds=None, *, y=1, **context):  # type: ignore[no-untyped-def]
        return x

    with DAG("d"):
        work(x=1)
        with pytest.raises(TypeError, match=r"missing required argument\(s\): x"):
            work()

    with pytest.raises(ValueError, match="Context key parameter ds can't have a default other than None"):

        @task
        def wrong(ds: str = "2026-01-01") -> None: ...


def test_wrong_calls_are_refused_when_the_file_is_loaded() -> None:
    @task
    def work(x: int) -> None: ...

    with DAG("d"):
        with pytest.raises(TypeError, match="missing a required argument: 'x'"):
            work()
        with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
            work(x=1, z=2)

    with pytest.raises(TypeError, match="does not support methods"):

        class Holder:
            @task
            def method(self) -> None: ...

    with pytest.raises(TypeError, match="retries"):
        task(retries="many")(plain)
    with pytest.raises(TypeError, match="use named arguments"):
        task("name")


def test_default_args_fill_parameters_of_the_function() -> None:
    @task
    def work(table: str, mode: str = "full") -> None: ...

    with DAG("d", default_args={"table": "orders", "mode": "delta", "retries": 2}) as dag:
        work()
        work.override(task_id="given")(table="customers")
    assert task_of(dag, "work").arguments["op_kwargs"] == {"table": "orders", "mode": "delta"}
    assert task_of(dag, "given").arguments["op_kwargs"] == {"table": "customers", "mode": "delta"}
    assert task_of(dag, "given").retry.retries == 2


def test_one_function_may_be_in_many_dags() -> None:
    @task
    def work() -> None: ...

    for name in ("one", "two"):
        with DAG(name) as dag:
            work()
        assert dag.task_ids == ["work"]


# --- the collection -----------------------------------------------------------------------------


def test_an_unknown_decorator_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(AttributeError, match="task decorator 'bsh' \\(did you mean 'bash'\\?\\) not found"):
        task.bsh  # noqa: B018
    assert {"python", "bash", "branch", "short_circuit", "sensor"} <= set(dir(task))


class Custom(DecoratedOperator):
    """An operator of a plugin."""

    custom_operator_name = "@task.custom"


def custom_task(python_callable: Any = None, **kwargs: Any) -> Any:
    return task_decorator_factory(python_callable, decorated_operator_class=Custom, **kwargs)


def test_a_plugin_adds_decorators_by_path() -> None:
    register_decorator("custom", f"{__name__}.custom_task")
    register_decorator("custom_class", f"{__name__}.Custom")

    @task.custom
    def one() -> None: ...

    @task.custom_class(retries=2)
    def two() -> None: ...

    with DAG("d") as dag:
        one()
        two()
    assert isinstance(dag.get_task("one"), Custom)
    assert dag.get_task("two").retries == 2
    assert dag.get_task("one").operator_name == "@task.custom"


def test_conditions_skip_before_the_function_runs() -> None:
    @task.run_if(lambda context: context["go"], "not today")
    @task.skip_if(lambda context: (context["stop"], "told to stop"))
    @task
    def work() -> None: ...

    with DAG("d"):
        hook = work().operator._pre_execute_hook
    assert hook is not None
    hook({"go": True, "stop": False})
    with pytest.raises(AirflowSkipException, match="not today"):
        hook({"go": False, "stop": False})
    with pytest.raises(AirflowSkipException, match="told to stop"):
        hook({"go": True, "stop": True})
    with pytest.raises(TypeError, match="decorate with @task before @skip_if"):
        task.skip_if(lambda context: True)(plain)


# --- setup, teardown, result --------------------------------------------------------------------


def test_functions_become_setups_and_teardowns() -> None:
    @setup
    def create() -> None: ...

    @teardown(on_failure_fail_dagrun=True)
    @task
    def delete() -> None: ...

    @teardown
    def drop() -> None: ...

    with DAG("d") as dag:
        create() >> shell("work") >> delete()
        drop()
        drop()
    stored = spec(dag)
    assert stored.task("create").setup
    assert stored.task("delete").teardown
    assert stored.task("delete").on_failure_fail_run
    assert stored.task("delete").trigger_rule is TriggerRule.ALL_DONE_SETUP_SUCCESS
    assert stored.task("drop__1").teardown
    assert not stored.task("drop").on_failure_fail_run


def test_what_cannot_be_a_setup_or_teardown_is_refused() -> None:
    @task_group
    def group() -> None: ...

    for mark in (setup, teardown):
        with pytest.raises(AirflowException, match="Task groups cannot be marked"):
            mark(group)
        with pytest.raises(TypeError, match="only a function"):
            mark(5)

    @teardown
    @task(trigger_rule="all_done")
    def delete() -> None: ...

    with DAG("d"), pytest.raises(ValueError, match="Trigger rule not configurable for teardown"):
        delete()


def test_a_result_is_marked_on_the_function() -> None:
    @result
    @task
    def total() -> int:
        return 1

    with DAG("d") as dag:
        total()
    assert spec(dag).result_task == "total"
    with pytest.raises(TypeError, match="on top of a @task"):
        result(plain)


# --- groups -------------------------------------------------------------------------------------


def test_a_function_makes_a_group_of_its_name() -> None:
    @task_group
    def load(table: str) -> Any:
        """Loads a table."""
        first = shell("first", command=table)
        last = shell("last")
        first >> last
        return last

    @task_group(group_id="check", tooltip="Checks.", default_args={"retries": 4})
    def verify() -> None:
        shell("a")

    with DAG("d") as dag:
        start = shell("start")
        returned = load("x")
        group = verify()
        start >> returned >> group
        load("y")
        load.override(group_id="reload")("z")
    assert dag.task_ids == [
        "start",
        "load.first",
        "load.last",
        "check.a",
        "load__1.first",
        "load__1.last",
        "reload.first",
        "reload.last",
    ]
    assert isinstance(group, TaskGroup)
    assert upstream(dag)["load.last"] == ("load.first", "start")
    assert upstream(dag)["check.a"] == ("load.last",)
    groups = {one.group_id: one for one in spec(dag).groups}
    assert groups["load"].tooltip == "Loads a table."
    assert groups["check"].tooltip == "Checks."
    assert task_of(dag, "check.a").retry.retries == 4


def test_wrong_arguments_of_a_group_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'color'"):
        task_group(color="red")(plain)
    with pytest.raises(TypeError, match="decorates functions"):
        task_group(5)  # type: ignore[call-overload]
