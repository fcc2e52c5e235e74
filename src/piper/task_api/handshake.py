"""May this execution begin, speak, end? Judged from its row; nothing here reads or writes.

An execution is *current* while its instance has its try number and leg. It is *open* from its granted start until its
one accepted report, or until it is declared lost: the attempt's row says which. So user code is entered once (I6), and
whatever comes from an execution that is not open changes nothing (I10).
"""

from __future__ import annotations

from enum import Enum, auto

from piper.model.events import (
    Deferred,
    Failed,
    Lost,
    Rescheduled,
    Skipped,
    Succeeded,
    TaskEvent,
    TriggerFired,
)
from piper.model.run import Identity
from piper.model.states import TaskState
from piper.store.executions import Execution


class Verdict(Enum):
    """What is done with a call."""

    GRANT = auto()
    """Do it."""
    REPEAT = auto()
    """It was done before: answer as then and change nothing."""
    WAIT = auto()
    """Not yet: an earlier try of the instance has not ended (I7). To be asked again."""
    STALE = auto()
    """Refuse it: the execution is over, or another's, and its worker must end it."""


OUTCOMES: dict[type, TaskState] = {
    Succeeded: TaskState.SUCCESS,
    Failed: TaskState.FAILED,
    Skipped: TaskState.SKIPPED,
    Rescheduled: TaskState.UP_FOR_RESCHEDULE,
    Deferred: TaskState.DEFERRED,
    Lost: TaskState.FAILED,
}
"""The state that a report leaves its attempt in; the instance's is for its owner to decide."""

PAUSES = frozenset({TaskState.UP_FOR_RESCHEDULE, TaskState.DEFERRED})
"""Outcomes after which the attempt goes on with another leg."""


def judge_start(execution: Execution | None, identity: Identity, nonce: str) -> Verdict:
    """May user code of this execution be entered by the holder of this nonce?

    A start that is said again with its nonce gets the same answer, since the first answer may have been lost; so does
    not one with another nonce, which is a duplicate of the dispatch.
    """
    if execution is None or execution.identity != identity:
        return Verdict.STALE
    if execution.state is TaskState.QUEUED:
        return Verdict.WAIT if execution.predecessor_is_open else Verdict.GRANT
    if is_open(execution, identity) and execution.start_nonce == nonce:
        return Verdict.REPEAT
    return Verdict.STALE


def judge_report(execution: Execution | None, event: TaskEvent) -> Verdict:
    """Is this what became of the current execution?"""
    if execution is None or execution.identity != event.identity:
        return Verdict.STALE
    if isinstance(event, TriggerFired):
        if execution.state is not TaskState.DEFERRED:
            return Verdict.STALE
        # A trigger that ran twice may say two things: the end that was said first stands.
        ended = execution.attempt_state not in (None, TaskState.DEFERRED)
        return Verdict.REPEAT if ended else Verdict.GRANT
    if is_open(execution, event.identity):
        return Verdict.GRANT
    if isinstance(event, Lost) and execution.state is TaskState.QUEUED:
        return Verdict.GRANT
    said_before = execution.attempt_legs == event.identity.leg + 1
    if said_before and execution.attempt_state is OUTCOMES[type(event)]:
        return Verdict.REPEAT
    return Verdict.STALE


def may_be_held(execution: Execution | None, identity: Identity, worker: str) -> bool:
    """Whether this worker may go on with this execution: it waits for its start, or runs there."""
    if execution is None or execution.identity != identity:
        return False
    return execution.state is TaskState.QUEUED or (is_open(execution, identity) and execution.worker == worker)


def may_ask(execution: Execution | None, identity: Identity) -> bool:
    """Whether this execution may ask and command: it runs, or its trigger does."""
    if is_open(execution, identity):
        return True
    return execution is not None and execution.identity == identity and execution.state is TaskState.DEFERRED


def is_open(execution: Execution | None, identity: Identity) -> bool:
    """Whether this execution has begun and has not ended: it may ask, and push its XComs."""
    return (
        execution is not None
        and execution.identity == identity
        and execution.state is TaskState.RUNNING
        and execution.is_unreported
    )
