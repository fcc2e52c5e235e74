"""Whether an execution may begin, speak, end: every case by value."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.world import NOW

from piper.model.events import Deferred, Failed, Lost, Rescheduled, Skipped, Succeeded, TaskEvent, TriggerFired
from piper.model.run import Identity
from piper.model.states import TaskState
from piper.store.executions import Execution
from piper.task_api.handshake import OUTCOMES, Verdict, is_open, judge_report, judge_start, may_be_held

ME = Identity(7, 2, 1)
OTHERS = [Identity(7, 1, 1), Identity(7, 2, 0), Identity(7, 3, 0), Identity(7, 2, 2)]


def execution(
    state: TaskState, attempt: TaskState | None = None, legs: int | None = None, **values: object
) -> Execution:
    row = Execution(
        instance=7,
        run=1,
        task_id="t",
        map_index=-1,
        team="red",
        state=state,
        try_number=2,
        leg=1,
        max_tries=0,
        resume=None,
        code=True,
        queued_at=NOW,
        started_at=NOW,
        start_nonce=None,
        worker=None,
        attempt_state=attempt,
        attempt_legs=legs,
        run_clears=0,
        predecessor_is_open=False,
    )
    return row._replace(**values)


QUEUED = execution(TaskState.QUEUED, TaskState.UP_FOR_RESCHEDULE, 1)
RUNNING = execution(TaskState.RUNNING, TaskState.RUNNING, 2, start_nonce="mine", worker="w")
REPORTED = RUNNING._replace(attempt_state=TaskState.SUCCESS)
LOST = RUNNING._replace(attempt_state=TaskState.FAILED)
NOT_HELD = [s for s in TaskState if s not in (TaskState.QUEUED, TaskState.RUNNING)]


def test_a_queued_execution_may_start() -> None:
    assert judge_start(QUEUED, ME, "mine") is Verdict.GRANT


def test_it_waits_while_an_earlier_try_may_still_run() -> None:
    assert judge_start(QUEUED._replace(predecessor_is_open=True), ME, "mine") is Verdict.WAIT


def test_a_start_said_again_gets_its_answer_again() -> None:
    assert judge_start(RUNNING, ME, "mine") is Verdict.REPEAT


def test_another_holder_is_not_let_in() -> None:
    assert judge_start(RUNNING, ME, "other") is Verdict.STALE


@pytest.mark.parametrize("over", [REPORTED, LOST])
def test_a_start_is_not_repeated_once_the_execution_is_over(over: Execution) -> None:
    assert judge_start(over, ME, "mine") is Verdict.STALE


@pytest.mark.parametrize("state", NOT_HELD)
def test_what_is_not_queued_does_not_start(state: TaskState) -> None:
    assert judge_start(execution(state), ME, "mine") is Verdict.STALE


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("row", [QUEUED, RUNNING])
def test_another_try_or_leg_is_stale(row: Execution, other: Identity) -> None:
    assert judge_start(row, other, "mine") is Verdict.STALE
    assert judge_report(row, Succeeded(other)) is Verdict.STALE
    assert not is_open(row, other)
    assert not may_be_held(row, other, "w")


def test_an_instance_that_is_not_there_is_stale() -> None:
    assert judge_start(None, ME, "mine") is Verdict.STALE
    assert judge_report(None, Succeeded(ME)) is Verdict.STALE
    assert not is_open(None, ME)


REPORTS: list[TaskEvent] = [
    Succeeded(ME),
    Failed(ME),
    Skipped(ME),
    Rescheduled(ME, NOW),
    Deferred(ME, "a.Trigger", timeout=timedelta(1)),
    Lost(ME),
]


@pytest.mark.parametrize("report", REPORTS)
def test_a_running_execution_is_reported_on_once(report: TaskEvent) -> None:
    assert judge_report(RUNNING, report) is Verdict.GRANT
    closed = RUNNING._replace(attempt_state=OUTCOMES[type(report)])
    assert judge_report(closed, report) is Verdict.REPEAT


def test_a_different_report_after_the_first_is_stale() -> None:
    assert judge_report(REPORTED, Failed(ME)) is Verdict.STALE
    assert judge_report(LOST, Succeeded(ME)) is Verdict.STALE


def test_a_report_of_the_leg_before_is_not_taken_for_one_of_this() -> None:
    before = execution(TaskState.QUEUED, TaskState.UP_FOR_RESCHEDULE, 1)
    assert judge_report(before, Rescheduled(ME, NOW)) is Verdict.STALE


def test_only_a_loss_can_be_reported_before_the_start() -> None:
    assert judge_report(QUEUED, Lost(ME)) is Verdict.GRANT
    assert judge_report(QUEUED, Succeeded(ME)) is Verdict.STALE


def test_a_trigger_fires_for_what_is_deferred() -> None:
    assert judge_report(execution(TaskState.DEFERRED), TriggerFired(ME)) is Verdict.GRANT
    assert judge_report(RUNNING, TriggerFired(ME)) is Verdict.STALE


def test_a_worker_may_hold_what_is_queued_and_what_runs_there() -> None:
    assert may_be_held(QUEUED, ME, "anybody")
    assert may_be_held(RUNNING, ME, "w")
    assert not may_be_held(RUNNING, ME, "another")
    assert not may_be_held(LOST, ME, "w")
    assert not may_be_held(execution(TaskState.SUCCESS), ME, "w")
