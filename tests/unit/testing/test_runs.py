"""Runs that a test plays: results, given values, waiting, what is handed from run to run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piper.model.states import RunType
from piper.operators.empty import EmptyOperator
from piper.operators.python import PythonOperator
from piper.operators.sensors.external_task import ExternalTaskSensor
from piper.operators.sensors.python import PythonSensor
from piper.operators.sensors.time_delta import TimeDeltaSensor
from piper.operators.trigger_dagrun import TriggerDagRunOperator
from piper.sdk import DAG, Asset, Connection, Param, Variable, XComArg, get_current_context, task
from piper.sdk.exceptions import ParamValidationError, TaskNotFound
from piper.sdk.timezone import utcnow
from piper.sdk.trigger import BaseTrigger, TriggerEvent
from piper.testing import RunResult, run_dag, run_task

MONDAY = datetime(2026, 5, 4, 12, tzinfo=UTC)


def a_dag(dag_id: str = "flow", **arguments: Any) -> DAG:
    return DAG(dag_id, **arguments)


def orders_dag() -> DAG:
    """Fetches orders, reports those that are late."""
    with a_dag("orders", params={"city": Param("Geneva", type="string")}) as dag:

        @task
        def fetch() -> list[dict[str, Any]]:
            raise ConnectionError("the shop is not reachable from a test")

        @task
        def late(orders: list[dict[str, Any]]) -> list[int]:
            return [order["id"] for order in orders if order["late"]]

        @task
        def report(ids: list[int], params: Any = None) -> str:
            return f"{len(ids)} late in {params['city']}"

        report(late(fetch()))
    return dag


# --- a run ----------------------------------------------------------------------------------------------


def test_a_task_whose_result_is_given_is_not_run() -> None:
    result = run_dag(orders_dag(), xcoms={"fetch": [{"id": 7, "late": True}, {"id": 8, "late": False}]})
    assert result.state == "success"
    assert result["late"].result == [7]
    assert result["report"].result == "1 late in Geneva"
    assert result["fetch"].attempts == 1


def test_that_a_run_fails_is_a_result() -> None:
    result = run_dag(orders_dag())
    assert (result.state, result.reason) == ("failed", "task_failure")
    assert result.states == {"fetch": "failed", "late": "upstream_failed", "report": "upstream_failed"}
    assert result["fetch"].error == "ConnectionError: the shop is not reachable from a test"
    assert result.attempts == {"fetch": 1, "late": 0, "report": 0}


def test_params_are_checked_before_anything_runs() -> None:
    assert run_dag(orders_dag(), params={"city": "Bern"}, xcoms={"fetch": []})["report"].result == "0 late in Bern"
    with pytest.raises(ParamValidationError, match="city"):
        run_dag(orders_dag(), params={"city": 7})


def test_a_result_that_is_printed_tells_what_became_of_each_task() -> None:
    shown = repr(run_dag(orders_dag(), xcoms={"fetch": [{"id": 1}]}, clock=MONDAY))
    assert shown == (
        "<RunResult orders/manual__2026-05-04T12:00:00+00:00: failed "
        "(fetch: success, late: failed, report: upstream_failed)>"
    )


def test_a_result_for_a_task_that_there_is_not_is_refused_with_the_nearest_id() -> None:
    with pytest.raises(TaskNotFound, match="did you mean 'fetch'"):
        run_dag(orders_dag(), xcoms={"fetsh": []})


def test_asking_for_a_task_that_there_is_not_names_the_nearest() -> None:
    result = run_dag(orders_dag(), xcoms={"fetch": []})
    with pytest.raises(KeyError, match="did you mean 'report'"):
        result["raport"]


def test_mapped_tasks_have_a_result_each_and_can_be_given_one_each() -> None:
    with a_dag() as dag:

        @task
        def double(n: int) -> int:
            return 2 * n

        @task
        def total(ns: Any) -> int:
            return sum(ns)

        total(double.expand(n=[1, 2, 3]))
    result = run_dag(dag)
    assert [result[f"double[{i}]"].result for i in range(3)] == [2, 4, 6]
    assert result["total"].result == 12
    assert run_dag(dag, xcoms={"double": [1, None, 5]})["total"].result == 6


def test_a_branch_that_is_given_follows_that() -> None:
    with a_dag() as dag:

        @task.branch
        def choose() -> str:
            raise AssertionError("not run")

        choose() >> [EmptyOperator(task_id="left"), EmptyOperator(task_id="right")]
    assert run_dag(dag, xcoms={"choose": "right"}).states == {
        "choose": "success",
        "left": "skipped",
        "right": "success",
    }


def test_connections_and_variables_are_those_that_the_test_gives() -> None:
    with a_dag() as dag:

        @task
        def read() -> str:
            return f"{Connection.get('db').host} {Variable.get('limit', deserialize_json=True) + 1}"

        read()
    given: dict[str, Any] = {"connections": {"db": "postgres://u:p@there/x"}, "variables": {"limit": 9}}
    assert run_dag(dag, **given)["read"].result == "there 10"
    given["connections"] = {"db": {"conn_type": "postgres", "host": "here"}}
    assert run_dag(dag, **given)["read"].result == "here 10"
    assert "isn't defined" in run_dag(dag)["read"].error


def test_variables_that_a_run_sets_are_gone_with_it() -> None:
    with a_dag() as dag:
        PythonOperator(task_id="set", python_callable=lambda: Variable.set("x", "1"))
    assert run_dag(dag).state == "success"
    with a_dag() as other:
        PythonOperator(task_id="get", python_callable=lambda: Variable.get("x", "none"))
    assert run_dag(other)["get"].result == "none"


def test_the_result_of_a_dag_is_that_of_the_task_that_its_author_named() -> None:
    with a_dag() as dag:

        @task
        def answer() -> int:
            return 42

        dag.add_result(XComArg(answer().operator))
    assert run_dag(dag).result == 42
    assert run_dag(orders_dag()).result is None


def test_a_run_without_a_date_has_none() -> None:
    with a_dag() as dag:
        PythonOperator(task_id="date", python_callable=lambda **context: "logical_date" in context)
    assert run_dag(dag, logical_date=None)["date"].result is False
    assert run_dag(dag, logical_date=MONDAY)["date"].result is True


# --- time -----------------------------------------------------------------------------------------------


def test_with_a_clock_retries_take_no_time_and_happen_later() -> None:
    with a_dag() as dag:

        @task(retries=2, retry_delay=timedelta(hours=6))
        def moody() -> str:
            if get_current_context()["ti"].try_number < 3:
                raise ValueError("not yet")
            return utcnow().isoformat()

        moody()
    result = run_dag(dag, clock=MONDAY)
    assert result["moody"].attempts == 3
    assert result["moody"].result == "2026-05-05T00:00:00+00:00"
    assert result.logical_date == MONDAY


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_with_a_clock_a_sensor_asks_again_at_once_and_its_timeout_comes(mode: str) -> None:
    asked: list[datetime] = []

    def is_time() -> bool:
        asked.append(utcnow())
        return utcnow() >= MONDAY + timedelta(minutes=3)

    with a_dag() as dag:
        PythonSensor(task_id="wait", python_callable=is_time, poke_interval=60, timeout=3600, mode=mode)
    assert run_dag(dag, clock=MONDAY).state == "success"
    assert [moment.minute for moment in asked] == [0, 1, 2, 3]
    with a_dag() as late:
        PythonSensor(task_id="wait", python_callable=lambda: False, poke_interval=60, timeout=3600, mode=mode)
    assert "timed out" in run_dag(late, clock=MONDAY)["wait"].error


def test_a_deferred_task_waits_for_its_trigger() -> None:
    with a_dag() as dag:
        TimeDeltaSensor(task_id="wait", delta=timedelta(days=2), deferrable=True) >> PythonOperator(
            task_id="after", python_callable=lambda: utcnow().isoformat()
        )
    result = run_dag(dag, logical_date=MONDAY, clock=MONDAY)
    assert result.state == "success"
    assert result["after"].result.startswith("2026-05-06T12:00:0")


def test_what_waits_beside_each_other_goes_on_in_the_order_of_its_moments() -> None:
    with a_dag() as dag:

        @task
        def now() -> str:
            return utcnow().isoformat()

        for name, hours in (("late", 48), ("soon", 1)):
            wait = TimeDeltaSensor(task_id=name, delta=timedelta(hours=hours), deferrable=True)
            wait >> now.override(task_id=f"after_{name}")()
        asking = PythonSensor(
            task_id="ask",
            python_callable=lambda: utcnow() >= MONDAY + timedelta(hours=2),
            poke_interval=600,
            timeout=2.5 * 3600,
            mode="reschedule",
        )
        asking >> now.override(task_id="after_ask")()
    result = run_dag(dag, clock=MONDAY)
    assert {name: result[f"after_{name}"].result for name in ("soon", "ask", "late")} == {
        "soon": "2026-05-04T13:00:00+00:00",
        "ask": "2026-05-04T14:00:00+00:00",
        "late": "2026-05-06T12:00:00+00:00",
    }


def test_a_run_that_may_take_longer_than_there_are_dates_never_takes_too_long() -> None:
    with a_dag(dagrun_timeout=timedelta.max) as dag:
        TimeDeltaSensor(task_id="wait", delta=timedelta(days=2), deferrable=True)
    assert run_dag(dag, clock=MONDAY).state == "success"


class Patient(BaseTrigger):
    """Waits for ever, with a thread now and then; and says goodbye."""

    cleaned: list[datetime] = []  # noqa: RUF012, looked at by the test

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.Patient", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            await asyncio.to_thread(utcnow)
            await asyncio.sleep(60)
        yield TriggerEvent(None)

    async def cleanup(self) -> None:
        self.cleaned.append(utcnow())


def test_a_trigger_is_told_to_clean_up_when_its_run_takes_too_long() -> None:
    def wait(ti: Any) -> None:
        ti.task.defer(trigger=Patient(), method_name="execute")

    Patient.cleaned.clear()
    with a_dag(dagrun_timeout=timedelta(hours=1)) as dag:
        PythonOperator(task_id="wait", python_callable=wait)
    result = run_dag(dag, clock=MONDAY)
    assert (result.state, result["wait"].state) == ("failed", "skipped")
    assert Patient.cleaned == [MONDAY + timedelta(hours=1)]


def test_a_thread_that_was_there_before_does_not_set_the_clock_forward() -> None:
    over = threading.Event()

    def naps() -> None:
        while not over.is_set():
            asyncio.run(asyncio.sleep(0.001))

    stranger = threading.Thread(target=naps)
    stranger.start()
    try:
        with a_dag() as dag:
            PythonOperator(task_id="now", python_callable=lambda: (over.wait(0.05), utcnow().isoformat())[1])
        assert run_dag(dag, clock=MONDAY)["now"].result == MONDAY.isoformat()
    finally:
        over.set()
        stranger.join()


def test_a_run_that_takes_too_long_fails() -> None:
    with a_dag(dagrun_timeout=timedelta(hours=1)) as dag:
        PythonSensor(task_id="wait", python_callable=lambda: False, poke_interval=600, mode="reschedule")
    result = run_dag(dag, clock=MONDAY)
    assert (result.state, result.reason) == ("failed", "timed_out")


def test_a_clock_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        run_dag(orders_dag(), clock=datetime(2026, 5, 4))


# --- from run to run ------------------------------------------------------------------------------------


def test_a_sensor_sees_the_runs_that_were_before() -> None:
    with a_dag("parent") as parent:
        EmptyOperator(task_id="done")
    with a_dag("child") as child:
        ExternalTaskSensor(
            task_id="wait", external_dag_id="parent", external_task_id="done", timeout=0, poke_interval=1
        )
    before = run_dag(parent, logical_date=MONDAY)
    assert run_dag(child, logical_date=MONDAY, earlier=[before], clock=MONDAY).state == "success"
    assert run_dag(child, logical_date=MONDAY, clock=MONDAY).state == "failed"


def test_what_depends_on_the_past_looks_at_the_run_before() -> None:
    with a_dag() as dag:
        PythonOperator(task_id="step", python_callable=lambda params: 1 / params["n"], depends_on_past=True)
    dag.params = {"n": 1}  # type: ignore[assignment]
    good = run_dag(dag, logical_date=MONDAY)
    bad = run_dag(dag, logical_date=MONDAY, params={"n": 0})
    assert run_dag(dag, logical_date=MONDAY + timedelta(days=1), earlier=[good]).state == "success"
    held_up = run_dag(dag, logical_date=MONDAY + timedelta(days=1), earlier=[bad])
    assert (held_up.state, held_up.states) == ("running", {"step": "none"})


def test_asset_events_of_earlier_runs_can_be_read() -> None:
    orders = Asset("orders")
    with a_dag("producer") as producer:

        @task(outlets=[orders])
        def make(outlet_events: Any = None) -> None:
            outlet_events[orders].extra = {"rows": 3}

        make()
    with a_dag("consumer", schedule=[orders]) as consumer:

        @task(inlets=[orders])
        def use(inlet_events: Any = None, triggering_asset_events: Any = None) -> list[int]:
            return [inlet_events[orders][-1].extra["rows"], len(triggering_asset_events[orders])]

        use()
    produced = run_dag(producer)
    consumed = run_dag(consumer, logical_date=None, run_type=RunType.ASSET_TRIGGERED, earlier=[produced])
    assert consumed["use"].result == [3, 1]


def a_controller(**options: Any) -> tuple[DAG, DAG]:
    with a_dag("target") as target:
        PythonOperator(task_id="say", python_callable=lambda **context: context["dag_run"].conf["word"])
    with a_dag("controller") as controller:
        TriggerDagRunOperator(task_id="start", trigger_dag_id="target", conf={"word": "hello"}, **options)
    return controller, target


@pytest.mark.parametrize("waits", [False, True])
def test_a_triggered_dag_is_played_too(waits: bool) -> None:
    controller, target = a_controller(wait_for_completion=waits, poke_interval=1)
    result = run_dag(controller, dags=[target], clock=MONDAY)
    assert result.state == "success"
    (triggered,) = result.triggered
    assert isinstance(triggered, RunResult)
    assert (triggered.dag_id, triggered["say"].result) == ("target", "hello")


def test_a_dag_that_the_test_does_not_have_cannot_be_triggered() -> None:
    controller, _ = a_controller()
    assert "there is no DAG 'target' here" in run_dag(controller)["start"].error


# --- one task -------------------------------------------------------------------------------------------


def test_one_task_is_run_alone_with_what_others_have_left() -> None:
    dag = orders_dag()
    result = run_task(dag.get_task("late"), xcoms={"fetch": [{"id": 7, "late": True}]})
    assert (result.state, result.result, result.attempts) == ("success", [7], 1)
    assert run_task(dag.get_task("fetch")).state == "failed"


def test_a_failure_that_is_tried_again_says_so() -> None:
    with a_dag():
        moody = PythonOperator(task_id="moody", python_callable=lambda: 1 / 0, retries=1)
    first, second = run_task(moody), run_task(moody, try_number=2)
    assert (first.state, second.state) == ("up_for_retry", "failed")
    assert first.error == "ZeroDivisionError: division by zero"


def test_one_instance_of_a_mapped_task_is_run_alone() -> None:
    with a_dag():

        @task
        def numbers() -> list[int]:
            return []

        @task
        def double(n: int) -> int:
            return 2 * n

        mapped = double.expand(n=numbers())
    assert run_task(mapped, map_index=1, xcoms={"numbers": [5, 6]}).result == 12


def test_a_task_without_a_dag_can_be_run() -> None:
    assert run_task(PythonOperator(task_id="alone", python_callable=lambda ds: ds), logical_date=MONDAY).result == (
        "2026-05-04"
    )


def test_one_sensor_is_asked_until_it_is_done() -> None:
    answers = iter([False, False, True])
    sensor = PythonSensor(task_id="wait", python_callable=lambda: next(answers), mode="reschedule")
    assert run_task(sensor, clock=MONDAY).state == "success"
    deferred = TimeDeltaSensor(task_id="wait", delta=timedelta(hours=1), deferrable=True)
    assert run_task(deferred, clock=MONDAY).state == "success"


# --- dag.test() -----------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Any) -> Iterator[dict[str, str]]:
    (tmp_path / "variables.json").write_text('{"limit": "3"}')
    (tmp_path / "connections.json").write_text('{"db": "sqlite://there"}')
    return {
        "variable_file_path": str(tmp_path / "variables.json"),
        "conn_file_path": str(tmp_path / "connections.json"),
    }


def test_a_dag_tests_itself_with_airflows_arguments(files: dict[str, str]) -> None:
    with a_dag() as dag:
        PythonOperator(task_id="slow", python_callable=lambda: 1 / 0)

        @task
        def read(params: Any = None) -> str:
            return f"{Variable.get('limit')} {Connection.get('db').host} {params['word']}"

        read()
    result = dag.test(run_conf={"word": "yes"}, mark_success_pattern="slow", **files)
    assert result.state == "success"
    assert [each.task_id for each in result.get_task_instances()] == ["slow", "read"]
    assert result["read"].result == "3 there yes"
