"""From what was written to what is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pendulum
import pytest

from piper.model.errors import InvalidSpec
from piper.model.spec import (
    EdgeLabel,
    Isolation,
    RetrySpec,
    SensorSpec,
    SourceLocation,
    decode_spec,
    encode_spec,
)
from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.operators.latest_only import LatestOnlyOperator
from piper.operators.python import BranchPythonOperator, PythonOperator
from piper.sdk.assets import Asset
from piper.sdk.dags import DAG
from piper.sdk.edges import Label
from piper.sdk.operator import BaseOperator
from piper.sdk.place import line_of
from piper.sdk.retry_policy import ExceptionRetryPolicy
from piper.sdk.sensor import BaseSensorOperator
from piper.sdk.specs import operator_schemas, spec_of
from piper.sdk.trigger import StartTriggerArgs
from tests.unit.sdk.operators import Loud, Shell, shell, spec, task_of


def stored(**arguments: Any) -> Any:
    with DAG("d") as dag:
        shell("a", **arguments)
    return task_of(dag, "a")


def test_a_plain_task_is_stored_in_few_words() -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="a")
    line = spec(dag).source.line
    assert encode_spec(spec(dag)) == (
        b'{"workflow_id":"d","source":{"file":"dags/test.py","line":%d},"tasks":[{"task_id":"a",'
        b'"operator":"piper.operators.empty.EmptyOperator","source":{"file":"dags/test.py","line":%d},'
        b'"code":false,"inert":true}]}' % (line, line + 1)
    )


def test_all_common_arguments_are_stored() -> None:
    task = stored(
        owner="ann",
        retries=2,
        retry_delay=timedelta(minutes=1),
        retry_exponential_backoff=3,
        max_retry_delay=600,
        depends_on_past=True,
        ignore_first_depends_on_past=True,
        wait_for_past_depends_before_skipping=True,
        wait_for_downstream=True,
        priority_weight=5,
        queue="big",
        pool="db",
        pool_slots=2,
        execution_timeout=timedelta(hours=1),
        trigger_rule="all_done",
        run_as_user="etl",
        max_active_tis_per_dag=3,
        max_active_tis_per_dagrun=1,
        executor="celery",
        multiple_outputs=True,
        task_display_name="A!",
        doc_md="# Words",
        map_index_template="{{ x }}",
        isolation="warm",
        memory_limit=1 << 30,
        outputs={"table": "warehouse.orders"},
        metrics=["rows"],
        on_execute_callback=print,
        on_skipped_callback=[print],
    )
    assert task.retry == RetrySpec(2, timedelta(minutes=1), 3.0, timedelta(minutes=10))
    assert (task.depends_on_past, task.wait_for_downstream, task.ignore_first_depends_on_past) == (True, True, True)
    assert task.wait_for_past_depends_before_skipping
    assert (task.owner, task.queue, task.pool, task.pool_slots, task.run_as_user) == ("ann", "big", "db", 2, "etl")
    assert (task.priority_weight, task.priority, task.executor) == (5, 5, "celery")
    assert task.execution_timeout == timedelta(hours=1)
    assert (task.max_active_per_workflow, task.max_active_per_run) == (3, 1)
    assert (task.display_name, task.doc, task.map_index_template) == ("A!", "# Words", "{{ x }}")
    assert (task.isolation, task.memory_limit, task.multiple_outputs) == (Isolation.WARM, 1 << 30, True)
    assert (task.outputs, task.metrics) == ({"table": "warehouse.orders"}, ("rows",))
    assert task.callbacks == ("execute", "skipped")


def test_a_task_that_was_not_there_before_waits_unless_that_is_said() -> None:
    assert stored(depends_on_past=True).ignore_first_depends_on_past is False
    assert stored().ignore_first_depends_on_past is True


def test_what_only_the_running_task_needs_is_among_its_arguments() -> None:
    task = stored(do_xcom_push=False, executor_config={"image": "x"}, email="ann@example.org")
    assert task.arguments["do_xcom_push"] is False
    assert task.arguments["executor_config"] == {"image": "x"}
    assert task.arguments["email"] == "ann@example.org"


def test_a_spec_survives_its_json() -> None:
    with DAG("d", schedule="@daily", start_date=datetime(2026, 1, 1), params={"x": 1}) as dag:
        a = shell("a", outlets=[Asset("x")], retries=1)
        Shell.partial(task_id="m").expand(command=a.output.zip(a.output))
        a >> Label("go") >> shell("b", command="{{ ds }}")
    made = spec(dag)
    assert decode_spec(encode_spec(made)) == made
    assert made.edge_labels == (EdgeLabel("a", "b", "go"),)


def test_the_same_file_gives_the_same_spec() -> None:
    def made() -> bytes:
        with DAG("d", tags=["c", "a", "b"]) as dag:
            tasks = [shell(name, env={"x": {"b", "a"}}) for name in "abcde"]
            tasks[0] >> tasks[1:]
            tasks[1:4] >> tasks[4]
        return encode_spec(spec(dag))

    assert made() == made()


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ([1, 2.5, None, True], [1, 2.5, None, True]),
        ({"a": {"b": []}}, {"a": {"b": []}}),
        ((1, "x"), {"__tuple__": [1, "x"]}),
        ({"b", "a"}, {"__set__": ["a", "b"]}),
        (timedelta(minutes=1), {"__timedelta__": 60.0}),
        (datetime(2026, 1, 1, tzinfo=UTC), {"__datetime__": "2026-01-01T00:00:00+00:00"}),
        (date(2026, 1, 1), {"__date__": "2026-01-01"}),
        (time(6, 30), {"__time__": "06:30:00"}),
        (Path("a/b"), {"__path__": "a/b"}),
        ({1: "x"}, {"__dict__": [[1, "x"]]}),
        ({"__xcom__": "mine"}, {"__dict__": [["__xcom__", "mine"]]}),
    ],
)
def test_arguments_that_are_data_are_stored(value: Any, expected: Any) -> None:
    assert stored(env=value).arguments["env"] == expected


@pytest.mark.parametrize("value", [print, lambda: 1, object(), {"x": [len]}, Path, float("nan"), threading])
def test_arguments_that_are_code_stay_in_the_file(value: Any) -> None:
    task = stored(callback=value, command="ls")
    assert task.arguments == {"command": "ls"}
    assert task.code


@pytest.mark.parametrize(
    "make",
    [
        lambda: (n for n in [1]),
        threading.Lock,
        lambda: [open(__file__, encoding="utf-8")],  # noqa: SIM115
        lambda: {"x": iter([1].__iter__, 1)},
    ],
    ids=["generator", "lock", "file", "nested"],
)
def test_arguments_that_belong_to_this_process_are_refused(make: Callable[[], Any]) -> None:
    value = make()
    if isinstance(value, dict):
        value = {"x": threading.Lock()}
    with DAG("d") as dag:
        shell("a", callback=value)
    with pytest.raises(
        InvalidSpec, match=r"task 'a' of 'd': argument 'callback' holds a .* cannot be in another process"
    ) as caught:
        spec(dag)
    assert caught.value.file == "dags/test.py"
    assert caught.value.line
    if isinstance(value, list):
        value[0].close()


def test_what_a_class_computes_for_its_templates_is_shown() -> None:
    class Greeting(Shell):
        def __init__(self, *, name: str, **kwargs: Any) -> None:
            super().__init__(command=f"echo {name}", **kwargs)

    with DAG("d") as dag:
        Greeting(task_id="a", name="Ann")
    assert task_of(dag, "a").arguments == {"name": "Ann", "command": "echo Ann"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"outputs": {"x": print}}, "outputs must be data"),
        ({"executor_config": {"x": object()}}, "executor_config must be data"),
        ({"inlets": ["table"]}, "'table' among its inlets or outlets is no asset"),
        ({"weight_rule": "downstrem"}, "no weight rule 'downstrem' \\(did you mean 'downstream'"),
        ({"params": {"x": object()}}, "json-serializable"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as caught:
        stored(**arguments)
    assert (caught.value.file, bool(caught.value.line)) == ("dags/test.py", True)


# --- does it need its file? ---------------------------------------------------------------------


def bash(dag: DAG | None = None, **arguments: Any) -> Any:
    with dag or DAG("d") as made:
        BashOperator(task_id="a", **{"bash_command": "echo {{ ds }}", **arguments})
    return task_of(made, "a")


def test_a_task_of_data_and_an_installed_operator_needs_no_file() -> None:
    assert not bash().code
    with DAG("d", schedule="@daily") as dag:
        latest = LatestOnlyOperator(task_id="latest")  # asks its DAG what is below it, and when it runs
    assert task_of(dag, latest.task_id).code
    assert not bash(retries=3, env={"x": "y"}, pool="db", outlets=[Asset("x")]).code


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_failure_callback": print},
        {"pre_execute": print},
        {"retry_policy": ExceptionRetryPolicy([])},
        {"bash_command": "run.sh"},
        {"env": {"x": "run.sh"}},
        {"output_processor": len},
    ],
)
def test_callbacks_hooks_and_template_files_need_the_file(arguments: dict[str, Any]) -> None:
    assert bash(**arguments).code


@pytest.mark.parametrize(
    "arguments",
    [
        {"user_defined_macros": {"x": 1}},
        {"user_defined_filters": {"x": len}},
        {"template_searchpath": "/templates"},
        {"jinja_environment_kwargs": {"keep_trailing_newline": True}},
    ],
)
def test_templates_that_mean_something_in_the_dag_only_need_the_file(arguments: dict[str, Any]) -> None:
    dag = DAG("d", **arguments)
    assert bash(dag).code
    with dag:
        EmptyOperator(task_id="b")
    assert not task_of(dag, "b").code


def test_a_function_needs_the_file() -> None:
    with DAG("d") as dag:
        PythonOperator(task_id="a", python_callable=print, op_kwargs={"x": 1})
    assert task_of(dag, "a").code
    assert task_of(dag, "a").arguments == {"op_kwargs": {"x": 1}}


def test_params_and_native_rendering_travel_with_a_task_that_needs_no_file() -> None:
    task = bash(DAG("d", params={"x": 1, "y": 1}, render_template_as_native_obj=True), params={"y": 2})
    assert {name: param["value"] for name, param in task.params.items()} == {"x": 1, "y": 2}
    assert task.arguments["render_template_as_native_obj"] is True


def test_a_mapped_task_of_data_needs_no_file_unless_its_list_is_there() -> None:
    with DAG("d") as dag:
        first = BashOperator(task_id="first", bash_command="true")
        BashOperator.partial(task_id="m").expand(bash_command=first.output)
        BashOperator.partial(task_id="n").expand(bash_command=["a"])
        BashOperator.partial(task_id="o").expand_kwargs(first.output)
    assert not task_of(dag, "m").code
    assert task_of(dag, "n").code
    assert task_of(dag, "o").arguments == {"__expand_kwargs__": {"__xcom__": ["first", "return_value"]}}


# --- nature -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_execute_callback": print},
        {"on_success_callback": print},
        {"inlets": [Asset("x")]},
        {"outlets": [Asset("x")]},
        {"pre_execute": print},
    ],
)
def test_an_empty_task_with_something_to_do_is_not_inert(arguments: dict[str, Any]) -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="a", **arguments)
        EmptyOperator(task_id="b", on_failure_callback=print)
    assert not task_of(dag, "a").inert
    assert task_of(dag, "b").inert


class Watch(BaseSensorOperator):
    """A sensor that can defer."""

    def __init__(self, *, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable


class StartsByTrigger(Shell):
    """Begins with a trigger."""

    start_from_trigger = True
    start_trigger_args = StartTriggerArgs("pkg.Trigger", "done", {"x": 1}, timeout=timedelta(seconds=5))


class Calls(Shell):
    """Starts another workflow."""

    @property
    def triggers_workflow(self) -> str:  # type: ignore[override]
        return self.command


def test_what_a_server_may_know_of_a_class_is_stored() -> None:
    with DAG("d") as dag:
        BranchPythonOperator(task_id="branch", python_callable=print)
        Watch(task_id="watch", poke_interval=5, timeout=60, mode="reschedule", soft_fail=True, deferrable=True)
        StartsByTrigger(task_id="start")
        Calls(task_id="calls", command="other")
        Calls(task_id="templated", command="{{ params.other }}")
    made = spec(dag)
    assert made.task("branch").branches
    assert made.task("watch").sensor == SensorSpec("reschedule", timedelta(seconds=5), timedelta(seconds=60), True)
    assert made.task("watch").deferrable
    assert made.task("start").start_from_trigger == {
        "trigger": "pkg.Trigger",
        "arguments": {"x": 1},
        "method": "done",
        "method_arguments": {},
        "timeout": 5.0,
    }
    assert made.task("calls").triggers_workflow == "other"
    assert made.task("templated").triggers_workflow == ""


# --- what is wrong with a workflow --------------------------------------------------------------


def test_a_cycle_is_refused_by_name_at_the_last_task_in_it() -> None:
    with DAG("d") as dag:
        a = shell("a")
        b = shell("b")
        shell("c")
        a >> b >> a
    with pytest.raises(InvalidSpec, match=r"wait for each other in a cycle: .*a.* → ") as caught:
        spec(dag)
    assert caught.value.file == "dags/test.py"
    assert caught.value.line == line_of(b._task_place)


def test_an_unknown_upstream_is_refused_with_the_nearest_known_one() -> None:
    with DAG("d") as dag:
        shell("extract")
        shell("load").upstream_task_ids.add("extrakt")
    with pytest.raises(InvalidSpec, match="'load' waits for 'extrakt' \\(did you mean 'extract'") as caught:
        spec(dag)
    assert caught.value.line


def test_a_result_of_a_task_elsewhere_is_refused() -> None:
    with DAG("other"):
        elsewhere = shell("x")
    with DAG("d"), pytest.raises(RuntimeError, match="more than one Dag"):
        shell("a", command=elsewhere.output)


def test_a_run_has_one_result() -> None:
    with DAG("d") as dag:
        dag.add_result(shell("a").output)
        dag.add_result(shell("b").output)
        with pytest.raises(ValueError, match="only a task's return value"):
            dag.add_result(shell("c").output["k"])
    with pytest.raises(InvalidSpec, match="has one result, not several: 'a', 'b'"):
        spec(dag)


def test_any_error_while_storing_says_which_workflow() -> None:
    with DAG("d", freshness={"sales": "2h"}) as dag:  # type: ignore[dict-item]
        shell("a")
    dag.freshness = 5  # type: ignore[assignment]
    with pytest.raises(InvalidSpec, match="workflow 'd'") as caught:
        spec(dag)
    assert (caught.value.file, bool(caught.value.line)) == ("dags/test.py", True)


def test_places_are_those_of_the_authors_calls() -> None:
    with DAG("d") as dag:
        shell("helper")
        Shell(task_id="direct")
    made = spec(dag)
    direct = made.task("direct").source
    assert isinstance(direct, SourceLocation)
    assert direct.line == made.source.line + 2


def test_operators_are_described() -> None:
    with DAG("d") as dag:
        shell("a")
        Loud.partial(task_id="m").expand(command=["x"])
        BashOperator(task_id="b", bash_command="true")
    schemas = operator_schemas([dag])
    assert list(schemas) == [
        "piper.operators.bash.BashOperator",
        "tests.unit.sdk.operators.Loud",
        "tests.unit.sdk.operators.Shell",
    ]


def test_a_large_dag_is_stored_in_linear_time() -> None:
    with DAG("d") as dag:
        tasks = [shell(f"t{n}") for n in range(2000)]
        for before, after in pairwise(tasks):
            before >> after
    made = spec_of(dag, file="d.py")
    assert made.tasks[0].priority == 2000
    assert made.tasks[-1].priority == 1


def test_values_of_subclasses_are_stored_as_their_bases() -> None:
    class Text(str):
        """As numpy's and others' texts are."""

    with DAG(Text("d"), schedule=pendulum.duration(hours=1), tags=[Text("t")]) as dag:
        BashOperator(task_id=Text("a"), bash_command="true", execution_timeout=pendulum.duration(minutes=5))
    stored = decode_spec(encode_spec(spec_of(dag, file="x.py")))
    assert stored.tasks[0].execution_timeout == timedelta(minutes=5)
    assert type(stored.tasks[0].task_id) is str
    assert stored.tags == ("t",)


@pytest.mark.parametrize(
    "name",
    [
        "_start_date",
        "_end_date",
        "_params",
        "_place",
        "_run",
        "_poke",
        "isolation",
        "memory_limit",
        "metrics",
        "outputs",
    ],
)
def test_operators_may_keep_what_they_like_under_names_that_airflow_leaves_free(name: str) -> None:
    class Fetch(BaseOperator):
        def __init__(self, what: Any, **arguments: Any) -> None:
            super().__init__(**arguments)
            setattr(self, name, what)

    with DAG("d", start_date=datetime(2026, 1, 1)) as dag:
        Fetch(task_id="a", what="{{ ds }}", memory_limit=7)
    stored = spec(dag)
    assert stored.tasks[0].memory_limit == 7
    assert (stored.tasks[0].start, stored.tasks[0].metrics, stored.tasks[0].outputs) == (None, (), {})
