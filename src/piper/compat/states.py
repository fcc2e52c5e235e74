"""`State`: states and sets of them as class attributes, the way code before Airflow 2.2 names them."""

from __future__ import annotations

from enum import StrEnum

from piper.model.states import FINISHED, RunState, TaskState


class TerminalTIState(StrEnum):
    """States in which a task instance has ended."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    REMOVED = "removed"


class IntermediateTIState(StrEnum):
    """States on the way there."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RESTARTING = "restarting"
    UP_FOR_RETRY = "up_for_retry"
    UP_FOR_RESCHEDULE = "up_for_reschedule"
    DEFERRED = "deferred"
    AWAITING_INPUT = "awaiting_input"


_BEGUN = frozenset(TaskState) - {TaskState.NONE}


class State:
    """States of task instances and runs. `None` stands for a task instance that nothing has been decided about."""

    SUCCESS = TaskState.SUCCESS
    RUNNING = TaskState.RUNNING
    FAILED = TaskState.FAILED
    NONE = None
    REMOVED = TaskState.REMOVED
    SCHEDULED = TaskState.SCHEDULED
    QUEUED = TaskState.QUEUED
    RESTARTING = TaskState.RESTARTING
    UP_FOR_RETRY = TaskState.UP_FOR_RETRY
    UP_FOR_RESCHEDULE = TaskState.UP_FOR_RESCHEDULE
    UPSTREAM_FAILED = TaskState.UPSTREAM_FAILED
    SKIPPED = TaskState.SKIPPED
    DEFERRED = TaskState.DEFERRED
    AWAITING_INPUT = TaskState.AWAITING_INPUT

    finished: frozenset[TaskState] = FINISHED
    unfinished: frozenset[TaskState | None] = (_BEGUN - FINISHED) | {None}
    failed_states: frozenset[TaskState] = frozenset({TaskState.FAILED, TaskState.UPSTREAM_FAILED})
    success_states: frozenset[TaskState] = frozenset({TaskState.SUCCESS, TaskState.SKIPPED})
    task_states: tuple[TaskState | None, ...] = (None, *sorted(_BEGUN))
    dag_states: tuple[RunState, ...] = tuple(RunState)
    finished_dr_states: frozenset[RunState] = frozenset({RunState.SUCCESS, RunState.FAILED})
    unfinished_dr_states: frozenset[RunState] = frozenset({RunState.QUEUED, RunState.RUNNING})
