"""The context has exactly Airflow's keys, computed when they are looked at."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest

from piper.model import wire
from piper.model.states import RunState
from piper.operators.empty import EmptyOperator
from piper.sdk.assets import Asset
from piper.sdk.execution import context as contexts
from piper.sdk.execution.context import Context, accept_former_keys
from piper.sdk.execution.current import (
    Execution,
    answer_outside_of_tasks,
    current_channel,
    executing,
    get_current_context,
)
from piper.sdk.execution.lazy import Lazy
from piper.sdk.execution.lookups import get_variable
from piper.sdk.execution.runner import begin
from tests.unit.sdk.execution.stage import NOON, MemoryChannel, a_dag, a_run, facts

ALWAYS = {
    *("conn", "dag", "dag_run", "inlet_events", "inlets", "macros", "map_index_template", "outlet_events", "outlets"),
    *("params", "partition_date", "partition_key", "prev_end_date_success", "prev_start_date_success", "run_id"),
    *("task", "task_instance", "task_instance_key_str", "task_reschedule_count", "task_state_store", "ti"),
    *("triggering_asset_events", "var"),
}
DATED = {
    *("data_interval_end", "data_interval_start", "ds", "ds_nodash", "logical_date"),
    *("prev_data_interval_end_success", "prev_data_interval_start_success", "ts", "ts_nodash", "ts_nodash_with_tz"),
}


def an_execution(channel: MemoryChannel | None = None, run: wire.RunContext | None = None, **task: Any) -> Execution:
    with a_dag():
        operator = EmptyOperator(task_id="task", **task)
    return begin(operator, facts(run=run), channel or MemoryChannel())


@pytest.fixture
def context() -> Context:
    return an_execution().context


def test_a_run_with_a_logical_date_has_all_keys(context: Context) -> None:
    assert set(context) == ALWAYS | DATED


def test_a_run_without_a_logical_date_has_no_key_that_is_derived_from_it() -> None:
    context = an_execution(run=a_run(logical_date=None, interval=None, run_id="manual__x")).context
    assert set(context) == ALWAYS
    assert "ds" not in context
    with pytest.raises(KeyError):
        _ = context["logical_date"]
    assert context["task_instance_key_str"] == "flow__task__manual__x"


def test_a_task_with_assets_has_a_store_for_them_which_says_that_it_is_missing() -> None:
    context = an_execution(outlets=[Asset("orders")]).context
    assert "asset_state_store" in context
    with pytest.raises(NotImplementedError, match="Piper has no asset state store"):
        context["asset_state_store"][Asset("orders")].get("k")
    with pytest.raises(NotImplementedError, match="Piper has no task state store"):
        context["task_state_store"].set("k", 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ds", "2024-05-06"),
        ("ds_nodash", "20240506"),
        ("ts", "2024-05-06T12:30:15+00:00"),
        ("ts_nodash", "20240506T123015"),
        ("ts_nodash_with_tz", "20240506T123015+0000"),
        ("run_id", "scheduled__2024-05-06"),
        ("task_instance_key_str", "flow__task__20240506"),
        ("task_reschedule_count", 0),
        ("params", {}),
        ("map_index_template", None),
        ("partition_key", None),
    ],
)
def test_values_are_those_of_airflow(context: Context, key: str, value: Any) -> None:
    assert context[key] == value


def test_dates_are_pendulum_datetimes_in_utc(context: Context) -> None:
    for key, date in (
        ("logical_date", NOON),
        ("data_interval_start", NOON - timedelta(days=1)),
        ("data_interval_end", NOON),
    ):
        assert isinstance(context[key], pendulum.DateTime)
        assert context[key] == date
        assert context[key].timezone_name == "UTC"
    assert str(context["logical_date"]) == "2024-05-06 12:30:15+00:00"


def test_the_run_is_shown_with_airflows_types(context: Context) -> None:
    run = context["dag_run"]
    assert (run.dag_id, run.run_id, run.conf) == ("flow", "scheduled__2024-05-06", {})
    assert str(run.run_type) == "DagRunType.SCHEDULED"
    assert run.run_type == "scheduled"
    assert run.data_interval_end == NOON


def test_what_is_asked_twice_is_the_same_object(context: Context) -> None:
    assert context["ti"] is context["task_instance"]
    assert context["outlet_events"] is context["outlet_events"]
    assert context["dag_run"] is context["dag_run"]


def test_unpacking_the_context_asks_the_server_nothing() -> None:
    channel = MemoryChannel()
    execution = an_execution(channel)

    def everything(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    assert set(everything(**execution.context)) == ALWAYS | DATED
    assert channel.asked == []


def test_the_previous_success_is_asked_for_once_and_only_when_it_is_looked_at() -> None:
    before = a_run(ended_at=NOON - timedelta(hours=1), started_at=NOON - timedelta(hours=2))
    channel = MemoryChannel(answers={wire.GetPreviousRun: lambda asked: before})
    context = an_execution(channel).context
    assert type(context["prev_start_date_success"]) is Lazy
    assert channel.asked == []
    assert context["prev_start_date_success"] == NOON - timedelta(hours=2)
    assert isinstance(context["prev_end_date_success"], pendulum.DateTime)
    assert context["prev_data_interval_end_success"] == NOON
    assert channel.asked == [wire.GetPreviousRun(RunState.SUCCESS)]


def test_without_an_earlier_success_its_dates_are_false(context: Context) -> None:
    assert not context["prev_start_date_success"]
    assert context["prev_data_interval_start_success"] == None  # noqa: E711, a stand-in


# --- it is a dict -------------------------------------------------------------------------------


def test_it_behaves_like_a_dict(context: Context) -> None:
    assert isinstance(context, dict)
    assert context.get("ds") == "2024-05-06"
    assert context.get("nothing", 5) == 5
    assert "ds" in context
    assert len(context) == len(ALWAYS | DATED)
    assert dict(context.items())["ds"] == "2024-05-06"
    assert "2024-05-06" in context.values()
    assert {**context}["ds"] == "2024-05-06"
    assert (context | {"x": 1})["x"] == 1
    assert ({"x": 1} | context)["ds"] == "2024-05-06"


def test_what_is_set_is_kept_and_wins(context: Context) -> None:
    context["mine"] = 1
    context.update({"ds": "other"}, yours=2)
    assert (context["mine"], context["yours"], context["ds"]) == (1, 2, "other")
    assert {"mine", "yours"} <= set(context)
    assert context.setdefault("mine", 5) == 1
    assert context.setdefault("new", 5) == 5


def test_what_is_deleted_is_gone(context: Context) -> None:
    del context["ds"]
    assert "ds" not in context
    assert context.pop("ts") == "2024-05-06T12:30:15+00:00"
    assert context.pop("ts", None) is None
    with pytest.raises(KeyError):
        del context["ds"]
    with pytest.raises(KeyError):
        context.pop("ds")


def test_a_copy_is_of_the_same_execution_and_keeps_what_is_set_to_itself(context: Context) -> None:
    other = copy.copy(context)
    other["mine"] = 1
    assert "mine" not in context
    assert other["ti"] is context["ti"]
    assert other["ds"] == context["ds"]


def test_it_cannot_be_pickled_and_says_so(context: Context) -> None:
    with pytest.raises(TypeError, match="context cannot be pickled"):
        pickle.dumps(context)


# --- keys of earlier versions -------------------------------------------------------------------


@pytest.fixture
def lenient() -> Iterator[None]:
    accept_former_keys({"execution_date": lambda execution: execution.facts.run.logical_date})
    yield
    contexts._FORMER.clear()


@pytest.mark.usefixtures("lenient")
def test_keys_of_earlier_versions_can_be_asked_for_and_are_not_listed(context: Context) -> None:
    assert context["execution_date"] == NOON
    assert "execution_date" in context
    assert "execution_date" not in set(context)


def test_keys_of_earlier_versions_are_absent_by_default(context: Context) -> None:
    assert "execution_date" not in context
    assert context.get("execution_date") is None


# --- params -------------------------------------------------------------------------------------


def test_params_are_those_of_the_dag_under_those_of_the_task_under_the_conf() -> None:
    with a_dag(params={"a": 1, "b": 2, "c": 3}):
        operator = EmptyOperator(task_id="task", params={"b": 20, "c": 30})
    execution = begin(operator, facts(run=a_run(conf={"c": 300, "d": 400})), MemoryChannel())
    assert execution.context["params"] == {"a": 1, "b": 20, "c": 300, "d": 400}


# --- from anywhere ------------------------------------------------------------------------------


def test_the_context_can_be_had_from_anywhere_in_a_running_task(context: Context) -> None:
    execution = an_execution()
    with executing(execution):
        assert get_current_context() is execution.context
    with pytest.raises(RuntimeError, match="Current context was requested but no context was found"):
        get_current_context()


def test_threads_that_a_task_starts_see_its_context() -> None:
    from threading import Thread

    seen: list[Any] = []
    execution = an_execution()
    with executing(execution):
        thread = Thread(target=lambda: seen.append(get_current_context()))
        thread.start()
        thread.join()
    assert seen == [execution.context]


def test_outside_of_a_task_there_is_nobody_to_ask_unless_somebody_is_named() -> None:
    with pytest.raises(RuntimeError, match="nobody to ask here"):
        current_channel().ask(wire.GetXCom("t", "k"))
    with pytest.raises(KeyError, match="AIRFLOW_VAR_K"):
        get_variable("k")
    answer_outside_of_tasks(MemoryChannel(variables={"k": "v"}))
    try:
        assert get_variable("k") == "v"
    finally:
        answer_outside_of_tasks(None)


def test_an_executions_start_is_known(context: Context) -> None:
    assert context["ti"].start_date == datetime(2024, 5, 6, 12, 30, 15, tzinfo=UTC)
