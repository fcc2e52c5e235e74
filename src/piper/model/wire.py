"""What a worker and the Task API say to each other (architecture §8), as MessagePack frames.

Three parties: the *child* that runs one task, its *supervisor* on the same host, and the *Task API*
in front of the store. A child's socket stands for its execution: the child never learns its token.
The supervisor adds (identity, token) to what the child says and forwards it, many at a time.

    executor   → supervisor   Dispatch, Cancel                   pushes: no reply
    supervisor → Task API     [Call, …]  → [Reply, …]            batched, in any order, matched by id
    child      → supervisor   Ask                                one Answer each; none when its id is TELL
    supervisor → child        TaskContext, then the Answers

A frame is a 4-byte big-endian length and that many bytes of MessagePack. XCom values are JSON text
that no server ever decodes (security.md §2, row 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from piper.model.events import TaskEvent
from piper.model.ids import UNMAPPED
from piper.model.run import Callback, Identity
from piper.model.schedule import DataInterval
from piper.model.spec import AssetRef, Isolation, Json, TaskSpec
from piper.model.states import RunState, RunType, TaskState

MAX_FRAME = 32 << 20
"""Bytes; a longer frame is refused and its sender closed."""

MAX_XCOM = 16 << 20
"""Bytes of JSON of one XCom value: it passes through the memory of every process on its way, in one frame."""

INLINE_XCOM = 64 << 10
"""Bytes of JSON up to which an XCom value lives in its row; longer ones in the artifact store."""

MAX_WAIT = 1 << 20
"""Bytes of JSON of what a trigger is made with and its task is resumed with, and of what a trigger says when it fires:
they are kept in the rows of the instance and of its trigger, and in its owner's memory."""


# --- executor → worker --------------------------------------------------------------------------


class CodeRef(Struct, frozen=True, array_like=True):
    """The file that defines a task: which zygote can run it. All empty when the spec says everything."""

    bundle: str = ""
    snapshot: str = ""
    file: str = ""
    """Relative to the snapshot's root."""


class Dispatch(Struct, frozen=True, tag="dispatch", omit_defaults=True):
    """Run this: ask `Start` for it, and enter user code only if that is granted."""

    identity: Identity
    token: str
    code: CodeRef
    isolation: Isolation = Isolation.FORK


class Cancel(Struct, frozen=True, tag="cancel", omit_defaults=True):
    """End this execution if it is here: it is no longer wanted. Nothing need be reported."""

    identity: Identity
    reason: str = ""


# --- supervisor ↔ Task API ----------------------------------------------------------------------


class RunContext(Struct, frozen=True, omit_defaults=True):
    """The run, as user code may see it."""

    workflow_id: str
    run_id: str
    run_type: RunType
    logical_date: datetime | None
    interval: DataInterval | None
    run_after: datetime
    conf: dict[str, Json] = field(default_factory=dict)
    started_at: datetime | None = None
    queued_at: datetime | None = None
    ended_at: datetime | None = None
    """Of an earlier run that was asked for."""
    state: RunState = RunState.RUNNING
    clears: int = 0
    triggered_by: str = ""
    note: str = ""


class TaskContext(Struct, frozen=True, omit_defaults=True):
    """All that an execution needs to begin: the answer to a granted `Start`."""

    identity: Identity
    task: TaskSpec
    map_index: int
    max_tries: int
    run: RunContext
    team: str
    code: CodeRef
    started_at: datetime
    """First entry of user code in this try."""
    resume: Json = None
    """After a deferral: `{"method":…, "arguments":…, "event":… | "error":…}`."""
    reschedules: int = 0
    element: XComFound | None = None
    """Of a mapped instance whose one source is the result of one unmapped task: its own element.
    None: not one of those, or too long to be handed over here: ask `GetXCom`."""
    xcoms: dict[str, bytes] = field(default_factory=dict)
    """Small upstream values that the arguments refer to, `"task_id/key"` → JSON text."""
    log: str = ""
    """Where its log goes, relative to the log store's root."""
    assets: tuple[AssetRef, ...] = ()
    """What the references by name or URI alone, among its inlets and outlets, stand for."""
    inactive_assets: tuple[AssetRef, ...] = ()
    """Those of its inlets and outlets that are not active: user code may not be entered."""
    callback: Callback | None = None
    """This is not the execution of a task, but of something that is to be called about it, or about its run."""


class Start(Struct, frozen=True, tag="start"):
    """May this execution begin? Granted once; the nonce makes a lost answer repeatable."""

    nonce: str
    worker: str


class GiveUp(Struct, frozen=True, tag="give_up"):
    """A start was refused for good, and this execution never begins. If it had been granted, unheard, it has ended."""

    nonce: str
    """That of the start."""


class XComPush(Struct, frozen=True, array_like=True):
    """One value for later tasks; `value` is JSON text."""

    key: str
    value: bytes
    length: int | None = None
    """Elements, when it is a list or dict; None otherwise."""


class Report(Struct, frozen=True, tag="report", omit_defaults=True):
    """How an execution ended or paused, with all that it leaves behind: one call, one transaction.

    When an XCom is `too_large` or `invalid`, nothing of the report is stored: the execution has to be reported
    failed instead, with that problem as its error.
    """

    event: TaskEvent
    xcoms: tuple[XComPush, ...] = ()
    exit_code: int | None = None
    signal: int | None = None
    pid: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str = ""
    inputs: Json = None
    outputs: Json = None
    parameters: Json = None
    metrics: Json = None
    environment: Json = None
    """Where it ran: host, versions of Python and Piper."""
    rendered: Json = None
    label: str = ""
    """Of a mapped instance: its name for people, what `map_index_template` gave."""


class Heartbeat(Struct, frozen=True, tag="heartbeat"):
    """The worker lives and holds these; the answer lists those it must end (all, when it was declared dead).

    `worker` is a name that no other process has or had: a supervisor makes a new one whenever it starts.
    """

    worker: str
    held: tuple[Identity, ...]


# What a running task may ask through its supervisor.


class GetXCom(Struct, frozen=True, tag="get_xcom", omit_defaults=True):
    """One value, or an element of it. The answer is `XComFound`."""

    task_id: str
    key: str
    map_index: int | None = None
    """None: of an unmapped task its value, of a mapped one nothing (ask GetXComs)."""
    element: int | None = None
    """Only this element of the stored JSON array, or this entry of the stored object. A tuple is stored as
    `{"__classname__": "builtins.tuple", "__version__": 1, "__data__": […]}` and counts as its array."""
    workflow_id: str = ""
    run_id: str = ""
    include_prior_dates: bool = False


class XComFound(Struct, frozen=True, array_like=True):
    """JSON text, or None when there is no such value or element."""

    value: bytes | None
    length: int | None = None
    """Elements of the whole stored value when it is a list or dict, also when only one was asked for."""
    key: str | None = None
    """Of an entry of a stored dict: its key; `value` is then what it maps to."""


class GetXComs(Struct, frozen=True, tag="get_xcoms", omit_defaults=True):
    """Values of a task's instances, ordered by map index, `start ≤ position < stop` among those pushed.

    An unmapped task has one, with the map index `ids.UNMAPPED`.
    """

    task_id: str
    key: str
    start: int = 0
    stop: int | None = None
    workflow_id: str = ""
    run_id: str = ""


class XComsFound(Struct, frozen=True, array_like=True):
    """How many there are in all, and (map_index, JSON text) of those asked for: at least one where there is one,
    but fewer than asked when they are long. Whoever wants more asks again from where these end."""

    total: int
    values: tuple[tuple[int, bytes], ...]


SHORTEST_SECRET = 5
"""Characters, as in Airflow. Shorter values are masked nowhere: they would hit innocent text everywhere."""


class Mask(Struct, frozen=True, tag="mask"):
    """From now on no log line or error of this execution may show these values.

    The supervisor answers this itself, and nothing of it reaches the Task API. The answer means that it
    is in force: what the child writes after it is masked.
    """

    values: tuple[str, ...]


class Entered(Struct, frozen=True, tag="entered"):
    """The file is loaded and the task begins: its `execution_timeout` counts from now. For the supervisor alone."""


class PushXCom(Struct, frozen=True, tag="push_xcom"):
    """Store a value now, while the task goes on."""

    xcom: XComPush


class GetVariable(Struct, frozen=True, tag="get_variable"):
    """A variable's value (text), or NotFound."""

    key: str


class SetVariable(Struct, frozen=True, tag="set_variable", omit_defaults=True):
    """Create or change a variable."""

    key: str
    value: str
    description: str | None = None


class DeleteVariable(Struct, frozen=True, tag="delete_variable"):
    """Remove a variable."""

    key: str


class GetConnection(Struct, frozen=True, tag="get_connection"):
    """A connection with its secrets, as a dict of Airflow's fields, or NotFound."""

    conn_id: str


Lookup = GetVariable | GetConnection
"""What code may ask that runs in no task: the top level of a file, while it is loaded."""


class TriggerRun(Struct, frozen=True, tag="trigger_run", omit_defaults=True):
    """Make a run of another workflow (`trigger_dagrun`). Answers its run id; Conflict if it exists."""

    workflow_id: str
    run_id: str = ""
    logical_date: datetime | None = None
    run_after: datetime | None = None
    conf: dict[str, Json] = field(default_factory=dict)
    reset: bool = False
    """If it exists, clear it instead."""
    fail_when_paused: bool = False
    note: str = ""


class GetRun(Struct, frozen=True, tag="get_run", omit_defaults=True):
    """A run's context by run id or by logical date, or None."""

    workflow_id: str
    run_id: str = ""
    logical_date: datetime | None = None


class CountRuns(Struct, frozen=True, tag="count_runs", omit_defaults=True):
    """How many runs of a workflow have one of these dates and states."""

    workflow_id: str
    logical_dates: tuple[datetime, ...] = ()
    run_ids: tuple[str, ...] = ()
    states: tuple[RunState, ...] = ()


class CountInstances(Struct, frozen=True, tag="count_instances", omit_defaults=True):
    """How many task instances match (what an ExternalTaskSensor asks); NotFound for an unknown group."""

    workflow_id: str
    task_ids: tuple[str, ...] = ()
    group_id: str = ""
    logical_dates: tuple[datetime, ...] = ()
    run_ids: tuple[str, ...] = ()
    states: tuple[TaskState, ...] = ()


class FindWorkflow(Struct, frozen=True, tag="find_workflow"):
    """Whether a workflow exists, and its task ids and pause: `WorkflowFound` or None."""

    workflow_id: str


class WorkflowFound(Struct, frozen=True):
    """What a task may know of another workflow."""

    workflow_id: str
    paused: bool
    task_ids: tuple[str, ...]
    group_ids: tuple[str, ...]


class GetPreviousRun(Struct, frozen=True, tag="get_previous_run", omit_defaults=True):
    """The run before this one by logical date, if `state` is given the last one with it; or None."""

    state: RunState | None = None


class GetInstanceStates(Struct, frozen=True, tag="get_instance_states", omit_defaults=True):
    """States of this run's instances of these tasks: {task_id: {map_index: state}}."""

    task_ids: tuple[str, ...]


class GetAssetEvents(Struct, frozen=True, tag="get_asset_events", omit_defaults=True):
    """Events of an asset or alias, oldest first; or, with `triggering`, those that caused this run.

    The answer is a list of `AssetEventFound`. If it `fills_an_answer` there may be more, which are asked for with the
    number of its last one.
    """

    name: str = ""
    uri: str = ""
    alias: str = ""
    triggering: bool = False
    after: datetime | None = None
    before: datetime | None = None
    ascending: bool = True
    limit: int | None = None
    extra: dict[str, str] = field(default_factory=dict)
    partition_key: str = ""
    beyond: int | None = None
    """Only those that come after the event of this number, in the order asked for."""


class AssetEventFound(Struct, frozen=True, omit_defaults=True):
    """An event of an asset: which execution changed it when, and what was said with it."""

    id: int
    asset: AssetRef
    timestamp: datetime
    extra: dict[str, Json] = field(default_factory=dict)
    workflow_id: str = ""
    """Empty, as what follows, when a person or a program made the event."""
    run_id: str = ""
    task_id: str = ""
    map_index: int = UNMAPPED
    aliases: tuple[str, ...] = ()
    """Aliases by way of which it was made."""
    partition_key: str = ""


EVENTS_PER_ANSWER = 1_000
EVENT_BYTES_PER_ANSWER = 4 << 20


def fills_an_answer(events: Sequence[AssetEventFound]) -> bool:
    """Whether an answer to `GetAssetEvents` ends here although there may be more."""
    return (
        len(events) >= EVENTS_PER_ANSWER
        or sum(len(msgspec.json.encode(event.extra)) for event in events) >= EVENT_BYTES_PER_ANSWER
    )


Request = (
    Start
    | GiveUp
    | Report
    | Heartbeat
    | GetXCom
    | GetXComs
    | PushXCom
    | Mask
    | Entered
    | GetVariable
    | SetVariable
    | DeleteVariable
    | GetConnection
    | TriggerRun
    | GetRun
    | CountRuns
    | CountInstances
    | FindWorkflow
    | GetPreviousRun
    | GetInstanceStates
    | GetAssetEvents
)
"""Everything that may be said in the name of one execution: all but `Mask` and `Entered` to the Task API."""


class Call(Struct, frozen=True, array_like=True):
    """A request in the name of an execution. `Heartbeat` speaks for the worker: identity is None."""

    id: int
    identity: Identity | None
    token: str
    request: Request


class Problem(Struct, frozen=True, array_like=True):
    """Why a call was not done: `stale` (409: end the execution), `not_found`, `conflict`, `invalid`,
    `refused`, `too_large`, `unavailable` (try again)."""

    kind: str
    message: str


class Reply(Struct, frozen=True, array_like=True):
    """The answer to the call of that id: a result, or a problem."""

    id: int
    result: Any = None
    problem: Problem | None = None


# --- child ↔ supervisor -------------------------------------------------------------------------

TELL = 0
"""The id of an Ask that wants no answer, as the Report that ends an execution."""


class Ask(Struct, frozen=True, array_like=True):
    """A child's question."""

    id: int
    request: Request


class Answer(Struct, frozen=True, array_like=True):
    """Its answer."""

    id: int
    result: Any = None
    problem: Problem | None = None
