"""What is said to the owner of a run. Each is a row until the owner applies it, in the transaction
that deletes it (architecture §5).

Workers' reports carry the identity they speak for; a report of an execution that is no longer
current is a row of the transition table that does nothing. Commands come from people and programs,
through the web server, which has authorised and audited them.

Every event is a tagged msgspec struct; `kind` in the store is the tag.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, field

from piper.model.run import Decision, Identity
from piper.model.spec import AssetRef, Json
from piper.model.states import RunState, TaskState

# --- reports of executions ----------------------------------------------------------------------


class AssetEventOut(Struct, frozen=True, omit_defaults=True):
    """An asset that a successful execution has changed."""

    asset: AssetRef
    extra: dict[str, Json] = field(default_factory=dict)
    alias: str = ""
    partition_key: str = ""


class Succeeded(Struct, frozen=True, tag="succeeded", omit_defaults=True):
    """User code ended well."""

    identity: Identity
    result_length: int | None = None
    decision: Decision | None = None
    assets: tuple[AssetEventOut, ...] = ()


class Failed(Struct, frozen=True, tag="failed", omit_defaults=True):
    """User code raised, was killed, timed out, or ended without a result."""

    identity: Identity
    error: str = ""
    retry: bool = True
    """False for AirflowFailException, a sensor's timeout, a policy's FAIL: no further try."""
    delay: timedelta | None = None
    """A retry policy's own delay."""
    outside: bool = False
    """Its process was killed, or ended without a word: it has not called the task's callbacks."""


class Skipped(Struct, frozen=True, tag="skipped", omit_defaults=True):
    """User code raised AirflowSkipException."""

    identity: Identity
    error: str = ""


class Rescheduled(Struct, frozen=True, tag="rescheduled"):
    """A sensor gave back its slot until `due`."""

    identity: Identity
    due: datetime


class Deferred(Struct, frozen=True, tag="deferred", omit_defaults=True):
    """The task waits for a trigger."""

    identity: Identity
    trigger: str
    """Dotted path of the trigger's class."""
    arguments: Json = None
    method: str = ""
    """The method to enter when it fires."""
    method_arguments: Json = None
    timeout: timedelta | None = None


class TriggerFired(Struct, frozen=True, tag="trigger_fired", omit_defaults=True):
    """The trigger that an instance waits for has fired, or failed."""

    identity: Identity
    payload: Json = None
    error: str = ""
    end_state: TaskState | None = None
    """The trigger ends the task itself (end_from_trigger)."""


class Lost(Struct, frozen=True, tag="lost", omit_defaults=True):
    """The execution's worker is gone, or it was queued and nothing ever started it."""

    identity: Identity
    error: str = ""


TaskEvent = Succeeded | Failed | Skipped | Rescheduled | Deferred | TriggerFired | Lost


# --- commands and news of a run -----------------------------------------------------------------


class RunQueued(Struct, frozen=True, tag="run_queued"):
    """A run was made by hand, by a program or by another task, and waits to be started."""

    run: int


class InstanceRef(Struct, frozen=True, array_like=True):
    """One task of a run, or all its mapped instances when `map_index` is None."""

    task_id: str
    map_index: int | None = None


class Clear(Struct, frozen=True, tag="clear", omit_defaults=True):
    """Run these again, as if they had not run; the run goes on or begins again.

    The web server has resolved upstream, downstream and the like into the list.
    """

    run: int
    tasks: tuple[InstanceRef, ...]
    only_failed: bool = False
    only_running: bool = False
    spec_hash: str = ""
    """Pin the run to this version from now on; empty keeps its own."""
    snapshot: str = ""


class Mark(Struct, frozen=True, tag="mark", omit_defaults=True):
    """Set these instances to a terminal state, by order of a person."""

    run: int
    tasks: tuple[InstanceRef, ...]
    state: TaskState


class MarkRun(Struct, frozen=True, tag="mark_run", omit_defaults=True):
    """Set a run to success or failed, by order of a person; what is unfinished ends."""

    run: int
    state: RunState
    reason: str = "marked"


RunCommand = RunQueued | Clear | Mark | MarkRun


# --- news of a workflow -------------------------------------------------------------------------


class SpecPublished(Struct, frozen=True, tag="spec_published"):
    """The serializer stored a new version, or found the workflow gone (`stale`)."""

    workflow_id: str
    spec_hash: str = ""
    stale: bool = False


class PauseChanged(Struct, frozen=True, tag="pause_changed"):
    """A person paused or unpaused the workflow."""

    workflow_id: str
    paused: bool


class AssetChanged(Struct, frozen=True, tag="asset_changed"):
    """An event of an asset that the workflow is scheduled by; said once to each such workflow."""

    workflow_id: str
    event: int
    """Number of the asset's event."""
    asset: int
    """Number of the asset."""
    at: datetime


class ForgetAssets(Struct, frozen=True, tag="forget_assets", omit_defaults=True):
    """A person wants no run to come of what a workflow has heard of assets until now."""

    workflow_id: str
    asset: int | None = None
    """Number of the asset that this is about; None: every one."""


WorkflowEvent = SpecPublished | PauseChanged | AssetChanged | ForgetAssets


# --- commands to a backfill ---------------------------------------------------------------------


class BackfillQueued(Struct, frozen=True, tag="backfill_queued"):
    """A person has asked for a backfill: its runs are to be made."""

    backfill: int


class BackfillPauseChanged(Struct, frozen=True, tag="backfill_pause_changed"):
    """A person paused or resumed a backfill."""

    backfill: int
    paused: bool


class BackfillCancelled(Struct, frozen=True, tag="backfill_cancelled"):
    """A person wants no more of a backfill: nothing more is made or started."""

    backfill: int


BackfillCommand = BackfillQueued | BackfillPauseChanged | BackfillCancelled

Event = TaskEvent | RunCommand | WorkflowEvent | BackfillCommand
