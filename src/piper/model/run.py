"""What is happening: runs, task instances, attempts."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

from piper.model.ids import UNMAPPED
from piper.model.schedule import DataInterval
from piper.model.spec import Json
from piper.model.states import CallbackKind, RunState, RunType, TaskState


class Run(Struct, frozen=True, kw_only=True):
    """One run of a workflow, pinned to one spec version and one snapshot of its bundle."""

    id: int
    workflow_id: str
    run_id: str
    shard: int
    team: str
    run_type: RunType
    state: RunState
    logical_date: datetime | None
    interval: DataInterval | None
    run_after: datetime
    spec_hash: str
    snapshot: str
    """Hash of the bundle snapshot it runs from; empty when no code is needed."""
    bundle: str = ""
    conf: dict[str, Json] = field(default_factory=dict)
    backfill: int | None = None
    next_ordinal: int = 0
    """Ordinal of the next task instance to be made (see `ids.instance_id`)."""
    clears: int = 0
    """How often it, or a task of it, has been cleared: the generation of its state."""
    created_at: datetime
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""
    """Why it ended as it did: success, task_failure, timed_out, all_tasks_deadlocked, marked …"""
    triggered_by: str = ""
    note: str = ""


class Identity(Struct, frozen=True, array_like=True):
    """One execution: (task instance, try_number, leg) (architecture §5).

    `try_number` rises with each retry or clear and is never used again; `leg` rises each time user
    code is entered again within a try: a sensor's next poke in reschedule mode, a resume.
    """

    instance: int
    try_number: int
    leg: int


class Callback(Struct, frozen=True, omit_defaults=True):
    """Something to be called on a worker, since something has happened that no task's own process saw.

    A work item of a run, which is no task and changes no state of one. It is a row beside those of the run's task
    instances, so that it is granted, started, reported and declared lost as they are.
    """

    kind: CallbackKind
    at: datetime
    """When that happened which it is about."""
    task_id: str = ""
    """The task that it is about; of a workflow's callback, the last one that mattered, empty if it has none."""
    map_index: int = UNMAPPED
    subject: Identity | None = None
    """The execution of that task."""
    max_tries: int = 0
    of_run: RunState | None = None
    """Of a workflow's callback: how its run has ended."""
    reason: str = ""
    """Of a workflow's callback: why, as `Run.reason`."""
    error: str = ""
    """What went wrong, for people."""

    @property
    def name(self) -> str:
        """What authors call it."""
        return f"on_{self.kind}_callback"


class Decision(Struct, frozen=True, omit_defaults=True):
    """What a brancher or a short circuit decided about the tasks below it.

    Kept with its instance, since a task that is cleared later must obey it again
    (airflow-semantics §3.4, NotPreviouslySkippedDep).
    """

    followed: tuple[str, ...] | None = None
    """Of a brancher: the task ids to follow; other direct downstream tasks are skipped."""
    skipped: tuple[str, ...] = ()
    """Tasks to skip by name (`SkipMixin.skip`)."""
    skip_descendants: bool = False
    """Of a short circuit: skip everything below, teardowns excepted, whatever the rules say."""


class TaskInstance(Struct, frozen=True, kw_only=True):
    """One task of one run: what its owner must know of it to decide what comes next."""

    id: int
    task_id: str
    map_index: int = UNMAPPED
    state: TaskState = TaskState.NONE
    try_number: int = 0
    """0 until it is first scheduled."""
    leg: int = 0
    max_tries: int = 0
    """It is tried again after a failure while try_number ≤ max_tries."""
    losses: int = 0
    """Tries lost to the infrastructure since the last clear (they do not count as retries, I12)."""
    due: datetime | None = None
    """When a wait ends: the retry, the next poke, the timeout of a deferral."""
    result_length: int | None = None
    """Of the pushed return value: its length if it is a list or dict, NOT_SIZED if not, None if none."""
    decision: Decision | None = None
    resume: Json = None
    """Of a deferred or resumed instance: the method to enter and what to hand it."""
    started_at: datetime | None = None
    """First entry of user code in this try."""
    ended_at: datetime | None = None
    callback: Callback | None = None
    """This is no instance of a task, but of a callback (`core.callbacks`)."""

    @property
    def identity(self) -> Identity:
        """The current execution of this instance."""
        return Identity(self.id, self.try_number, self.leg)


NOT_SIZED = -1
"""`result_length` of a return value that is neither a list nor a dict."""


class Attempt(Struct, frozen=True, kw_only=True):
    """One try of a task instance, as history and as the audited execution (requirements A120)."""

    instance: int
    try_number: int
    state: TaskState
    legs: int = 1
    worker: str = ""
    pid: int | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: str = ""
    """The last line of what went wrong, for people; the traceback is in the log."""
    inputs: Json = None
    outputs: Json = None
    parameters: Json = None
    metrics: Json = None
    environment: Json = None
    rendered: Json = None
    """The template fields as user code saw them, secrets masked."""
