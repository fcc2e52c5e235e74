"""A task can start a run of another workflow, and wait for its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from piper.model import wire
from piper.model.errors import Conflict
from piper.model.events import Deferred, Failed, Skipped, Succeeded
from piper.model.states import RunState
from piper.operators.trigger_dagrun import TriggerDagRunOperator
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, a_run, error_of, facts, perform, pushed

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def starting(channel: MemoryChannel | None = None, **arguments: Any) -> tuple[wire.Report, wire.TriggerRun | None]:
    """The report of a task that starts a run, and what it asked for."""
    channel = channel or started()
    with a_dag():
        operator = TriggerDagRunOperator(task_id="task", trigger_dag_id="other", **arguments)
    report = perform(operator, channel=channel)
    asked = channel.requests(wire.TriggerRun)
    return report, asked[0] if asked else None


def started(*states: str, **more: Any) -> MemoryChannel:
    """A server that starts runs, each of which goes through these states."""
    left = [RunState(state) for state in states]
    answers = {
        wire.TriggerRun: lambda asked: asked.run_id or "manual__made",
        wire.GetRun: lambda asked: a_run(state=left.pop(0)),
    }
    return MemoryChannel(answers=answers | more)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    sleeps: list[float] = []
    monkeypatch.setattr(time, "sleep", sleeps.append)
    return sleeps


def test_a_run_is_started_and_its_id_left() -> None:
    report, asked = starting(conf={"day": "{{ ds }}"}, note="n", reset_dag_run=True, logical_date="{{ ds }}")
    assert isinstance(report.event, Succeeded)
    assert pushed(report) == {
        "trigger_run_id": "manual__made",
        "_link_TriggerDagRunLink": "/workflows/other/runs/manual__made",
    }
    assert asked == wire.TriggerRun(
        "other", logical_date=datetime(2024, 5, 6, tzinfo=UTC), conf={"day": "2024-05-06"}, reset=True, note="n"
    )


@pytest.mark.parametrize(
    ("arguments", "logical_date", "run_after"),
    [
        ({"logical_date": DAY}, DAY, None),
        ({"logical_date": "2024-01-01"}, DAY, None),
        ({"logical_date": None}, None, None),
        ({"run_after": DAY}, None, DAY),
        ({"run_after": DAY, "logical_date": DAY}, DAY, DAY),
    ],
    ids=str,
)
def test_the_dates_of_the_run_are_those_given(arguments: Any, logical_date: Any, run_after: Any) -> None:
    _, asked = starting(**arguments)
    assert asked is not None
    assert (asked.logical_date, asked.run_after) == (logical_date, run_after)


def test_without_a_date_the_logical_date_is_now() -> None:
    before = datetime.now(UTC)
    _, asked = starting()
    assert asked is not None
    assert asked.logical_date is not None
    assert before <= asked.logical_date <= datetime.now(UTC)


def test_a_given_run_id_is_used() -> None:
    report, asked = starting(trigger_run_id="mine__{{ ds }}")
    assert asked is not None
    assert asked.run_id == "mine__2024-05-06"
    assert pushed(report)["trigger_run_id"] == "mine__2024-05-06"


@pytest.mark.parametrize(
    ("conf", "message"),
    [({"x": object()}, "JSON Serializable"), ("{", "JSON Serializable"), ("[1]", "conf must be a dict, not list")],
    ids=str,
)
def test_a_conf_that_is_no_json_object_fails_the_task(conf: Any, message: str) -> None:
    assert message in error_of(starting(conf=conf)[0])


def test_a_conf_may_be_json_text() -> None:
    _, asked = starting(conf='{"a": "{{ ds }}"}')
    assert asked is not None
    assert asked.conf == {"a": "2024-05-06"}


def exists(asked: wire.TriggerRun) -> Any:
    raise Conflict("workflow 'other' has the run already")


def test_a_run_that_exists_fails_the_task_for_good_or_skips_it() -> None:
    there = MemoryChannel(answers={wire.TriggerRun: exists})
    report, _ = starting(there)
    assert isinstance(report.event, Failed)
    assert not report.event.retry
    report, _ = starting(there, skip_when_already_exists=True)
    assert isinstance(report.event, Skipped)


def test_a_paused_workflow_fails_the_task_when_that_is_asked_for() -> None:
    paused = started()
    paused.answers[wire.FindWorkflow] = lambda asked: wire.WorkflowFound("other", True, (), ())
    report, asked = starting(paused, fail_when_dag_is_paused=True)
    assert "DagIsPaused: Dag other is paused" in error_of(report)
    assert asked is None
    assert isinstance(starting(paused)[0].event, Succeeded)


# --- waiting ------------------------------------------------------------------------------------


def test_the_task_waits_until_the_run_has_ended_well(slept: list[float]) -> None:
    report, _ = starting(started("queued", "running", "success"), wait_for_completion=True, poke_interval=5)
    assert isinstance(report.event, Succeeded)
    assert slept == [5, 5, 5]


def test_a_run_that_fails_fails_the_task_which_may_be_tried_again(slept: list[float]) -> None:
    report, _ = starting(started("failed"), wait_for_completion=True)
    assert isinstance(report.event, Failed)
    assert report.event.retry
    assert "other failed with failed state failed" in report.error


def test_which_states_end_the_wait_can_be_said(slept: list[float]) -> None:
    report, _ = starting(started("failed"), wait_for_completion=True, allowed_states=["failed"], failed_states=[])
    assert isinstance(report.event, Succeeded)
    with pytest.raises(ValueError, match="is not a valid RunState"):
        starting(allowed_states=["skipped"])


def test_the_wait_can_be_without_a_worker() -> None:
    report, _ = starting(wait_for_completion=True, deferrable=True, poke_interval=5)
    event = report.event
    assert isinstance(event, Deferred)
    assert event.trigger == "piper.operators.triggers.external_task.DagStateTrigger"
    assert event.arguments == {
        "dag_id": "other",
        "states": ["success", "failed"],
        "run_ids": ["manual__made"],
        "execution_dates": None,
        "poll_interval": 5,
    }


@pytest.mark.parametrize(("state", "ends"), [("success", Succeeded), ("failed", Failed)])
def test_after_the_wait_the_state_of_the_run_decides(state: str, ends: type) -> None:
    with a_dag():
        operator = TriggerDagRunOperator(task_id="task", trigger_dag_id="other")
    event = ["path", {"run_ids": ["r"], "r": state}]
    report = perform(operator, facts(resume={"method": "execute_complete", "arguments": {}, "event": event}))
    assert isinstance(report.event, ends)


@pytest.mark.parametrize("name", ["logical_date", "run_after"])
def test_a_date_of_another_type_is_refused(name: str) -> None:
    try:
        report, _ = starting(**{name: 5})
    except TypeError as error:
        message = str(error)
    else:
        message = error_of(report)
    assert f"Expected str, datetime.datetime, or None for parameter '{name}'. Got int" in message
