"""States of runs and task instances, with Airflow's names, and the sets that rules are made of.

Which state may follow which is not said here but in one table, `piper.core.task.TRANSITIONS`.
"""

from __future__ import annotations

from enum import StrEnum


class TaskState(StrEnum):
    """State of one task instance. `NONE` is Airflow's `None`: nothing has been decided yet."""

    NONE = "none"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RESTARTING = "restarting"
    DEFERRED = "deferred"
    UP_FOR_RESCHEDULE = "up_for_reschedule"
    UP_FOR_RETRY = "up_for_retry"
    AWAITING_INPUT = "awaiting_input"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    REMOVED = "removed"

    @property
    def shown(self) -> str | None:
        """The name outside Piper (API, CLI, context): Airflow says null for `none`."""
        return None if self is TaskState.NONE else self.value


IN_FLIGHT = frozenset({TaskState.SCHEDULED, TaskState.QUEUED, TaskState.RUNNING})
"""One thing to the owner of a run: it decided `scheduled`, others move it on (architecture §5)."""

WAITING = frozenset(
    {
        TaskState.DEFERRED,
        TaskState.UP_FOR_RESCHEDULE,
        TaskState.UP_FOR_RETRY,
        TaskState.AWAITING_INPUT,
    }
)
"""Between two entries of user code: a timer, a trigger or a person ends the wait."""

FINISHED = frozenset(
    {
        TaskState.SUCCESS,
        TaskState.FAILED,
        TaskState.SKIPPED,
        TaskState.UPSTREAM_FAILED,
        TaskState.REMOVED,
    }
)

UNFINISHED = frozenset(TaskState) - FINISHED

HOLDS_A_SLOT = frozenset({TaskState.QUEUED, TaskState.RUNNING})
"""States that count against the slots of a pool."""


class RunState(StrEnum):
    """State of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether the run has reached an end (a clear may still take it back)."""
        return self in (RunState.SUCCESS, RunState.FAILED)


class RunType(StrEnum):
    """Why a run exists."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"
    OPERATOR_TRIGGERED = "operator_triggered"
    ASSET_TRIGGERED = "asset_triggered"
    ASSET_MATERIALIZATION = "asset_materialization"


class TriggerRule(StrEnum):
    """When a task may run, given the states of its upstream instances."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ALL_DONE_SETUP_SUCCESS = "all_done_setup_success"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"
    ALL_SKIPPED = "all_skipped"


class CallbackKind(StrEnum):
    """Which callbacks: `on_<kind>_callback` of a task or of a workflow."""

    SUCCESS = "success"
    FAILURE = "failure"
    RETRY = "retry"
    SKIPPED = "skipped"


class WeightRule(StrEnum):
    """How the effective priority of a task follows from the weights around it."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    ABSOLUTE = "absolute"
