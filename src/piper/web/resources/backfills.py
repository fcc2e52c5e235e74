"""Backfills: filling a range of dates with runs, and steering that."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from piper.core.backfill import Wish, all_dates, fate_of, refuse
from piper.model.backfill import Backfill, BackfillState, Fate, Reprocess
from piper.model.errors import Conflict, Invalid, NotFound
from piper.model.events import BackfillCancelled, BackfillPauseChanged, BackfillQueued, Event
from piper.model.schedule import RunDates
from piper.model.spec import WorkflowSpec
from piper.model.states import RunState
from piper.store import backfills, commands, listings
from piper.store.audit import Entry
from piper.store.backfills import BackfillFilter
from piper.store.listings import AnyRow
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import BackfillNumber, WorkflowId, load_backfill, load_spec, load_workflow
from piper.web.routing import PREFIX, Call, CurrentCall, Resource
from piper.web.writes import Effect, Receipt, command, write

READ = Permission(Action.READ, Kind.BACKFILL)
STEER = Permission(Action.RUN, Kind.BACKFILL)
RUN = Permission(Action.RUN, Kind.WORKFLOW)

resource = Resource("backfills")

DEFAULT_ACTIVE_RUNS = 10
_LARGEST_INTEGER = 2**31 - 1


class BackfillRequest(BaseModel):
    """A range of dates to be filled with runs."""

    model_config = ConfigDict(extra="forbid")

    from_date: AwareDatetime
    to_date: AwareDatetime = Field(description="Inclusive. Dates that are not due yet are left out.")
    reprocess: Reprocess = Field(
        default=Reprocess.NONE,
        description="Which runs that have ended are cleared and run again: none, failed, or all.",
    )
    backwards: bool = Field(default=False, description="The latest date first.")
    max_active_runs: int = Field(
        default=DEFAULT_ACTIVE_RUNS,
        ge=1,
        le=_LARGEST_INTEGER,
        description="How many of its runs may be running at a time; the workflow's own limit does not count.",
    )
    conf: dict[str, Any] = Field(default={}, description="Values of params, for every run of it.")
    version: int | None = Field(
        default=None, ge=1, le=_LARGEST_INTEGER, description="Which version all its runs run from; the active one."
    )
    note: str = Field(default="", max_length=10_000)


class Progress(BaseModel):
    """How far a backfill has come."""

    total: int = Field(description="Dates that it is about.")
    created: int = Field(description="Dates for which a run was made.")
    rerun: int = Field(description="Dates whose run was cleared, to run again.")
    existed: int = Field(description="Dates left alone: they have a run that has ended.")
    in_flight: int = Field(description="Dates left alone: they had a run that had not ended.")
    queued: int = Field(description="Of its runs: how many wait.")
    running: int
    success: int
    failed: int


class BackfillView(BaseModel):
    """A backfill as it is at present."""

    id: int = Field(description="Its number, by which it is addressed.")
    workflow_id: str
    team: str
    state: BackfillState
    paused: bool = Field(description="No run of it is made or started meanwhile.")
    from_date: datetime
    to_date: datetime
    reprocess: Reprocess
    backwards: bool
    max_active_runs: int
    conf: dict[str, Any]
    version: int
    spec_hash: str
    note: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    progress: Progress


class PlannedDate(BaseModel):
    """What a backfill would do about one date."""

    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    action: Fate = Field(description="create or rerun; exists or in flight: it would be left alone.")
    run_id: str | None = Field(description="The run that the date has, if it has one.")


class DryRun(Items[PlannedDate]):
    """A page of what a backfill would do."""

    total: int = Field(description="Dates in all.")
    version: int = Field(description="The version that its runs would run from.")


@resource.post("/workflows/{workflow_id}/backfills", RUN, response_model=BackfillView, status_code=201)
def create_backfill(call: CurrentCall, workflow_id: WorkflowId, body: BackfillRequest) -> Response:
    """Fill a range of dates with runs.

    They are made in the background and start as far as `max_active_runs` allows; their tasks get slots of pools after
    all tasks that do not belong to a backfill. A workflow has one backfill at a time. That of a paused workflow gets
    its runs, which wait until the workflow is unpaused.
    """
    now = call.parts.clock.now()

    def make(connection: Connection) -> Effect:
        row = load_workflow(call, connection, workflow_id)
        version, spec_hash, snapshot, spec = _version(connection, row, body)
        dates = _dates(call, spec, body, now)
        made = backfills.create_backfill(
            connection,
            Backfill(
                id=0,
                workflow_id=workflow_id,
                shard=row.shard,
                team=row.team,
                state=BackfillState.CREATING,
                from_date=body.from_date,
                to_date=body.to_date,
                reprocess=body.reprocess,
                backwards=body.backwards,
                max_active_runs=body.max_active_runs,
                conf=body.conf,
                version=version,
                spec_hash=spec_hash,
                snapshot=snapshot,
                bundle=row.bundle,
                file=row.file,
                first_date=dates[0].logical_date,
                total=len(dates),
                created_at=now,
                created_by=call.principal.name,
                note=body.note,
            ),
        )
        commands.send(connection, workflow_id, None, BackfillQueued(made.id), now)
        detail = body.model_dump(mode="json", exclude_defaults=True, exclude={"conf", "note"})
        entry = Entry(
            team=row.team,
            action="backfill.create",
            object_type="backfill",
            object_id=f"{workflow_id}/{made.id}",
            detail=detail | {"params": sorted(body.conf), "dates": made.total},
        )
        reply = backfill_view(made, {})
        return Effect(
            status=201, reply=reply, entries=(entry,), wake=("scheduler",), location=f"{PREFIX}/backfills/{made.id}"
        )

    return write(call, make).response()


@resource.post("/workflows/{workflow_id}/backfills/dry-run", RUN, status_code=200)
def preview_backfill(
    call: CurrentCall, paging: CurrentPaging, workflow_id: WorkflowId, body: BackfillRequest
) -> DryRun:
    """Tell what a backfill would do with each date, in its order, and change nothing."""
    now = call.parts.clock.now()
    with call.parts.database.read() as connection:
        row = load_workflow(call, connection, workflow_id)
        version, _, _, spec = _version(connection, row, body)
        dates = _dates(call, spec, body, now)
        begin = paging.offset()
        shown = dates[begin : begin + paging.limit]
        existing = backfills.runs_of_dates(connection, workflow_id, [each.logical_date for each in shown])
    items = []
    for each in shown:
        run = existing.get(each.logical_date)
        items.append(
            PlannedDate(
                logical_date=each.logical_date,
                data_interval_start=each.interval.start,
                data_interval_end=each.interval.end,
                action=fate_of(run.state if run else None, body.reprocess),
                run_id=run.run_id if run else None,
            )
        )
    end = begin + len(shown)
    cursor = paging.cursor_at(end) if end < len(dates) else None
    return DryRun(items=items, next_cursor=cursor, total=len(dates), version=version)


States = Annotated[list[BackfillState], Query(description="Only backfills in one of these states.")]


@resource.get("/backfills", READ)
def list_backfills(
    call: CurrentCall,
    paging: CurrentPaging,
    workflow_id: Annotated[str | None, Query(max_length=250)] = None,
    state: States = [],  # noqa: B006, FastAPI copies it
) -> Items[BackfillView]:
    """List backfills, the latest first."""
    order = backfills.BACKFILL_ORDER
    wanted = BackfillFilter(workflow_id=workflow_id, states=tuple(state))
    with call.parts.database.read() as connection:
        found = backfills.list_backfills(connection, call.teams(), wanted, paging.window(order))
        counts = backfills.count_runs(connection, [row.id for row in found.rows])
    return paging.page(found, order, lambda row: backfill_view(row, counts[row.id]))


@resource.get("/backfills/{backfill}", READ)
def show_backfill(call: CurrentCall, backfill: BackfillNumber) -> BackfillView:
    """Show a backfill, and how far it has come."""
    with call.parts.database.read() as connection:
        row = load_backfill(call, connection, backfill)
        return backfill_view(row, backfills.count_runs(connection, [row.id])[row.id])


@resource.post("/backfills/{backfill}/pause", STEER, response_model=Receipt, status_code=200)
async def pause_backfill(call: CurrentCall, backfill: BackfillNumber) -> Response:
    """Make and start no more runs of a backfill until it is resumed; those that run go on."""
    return await _steer(call, backfill, "pause", BackfillPauseChanged(backfill, paused=True))


@resource.post("/backfills/{backfill}/resume", STEER, response_model=Receipt, status_code=200)
async def resume_backfill(call: CurrentCall, backfill: BackfillNumber) -> Response:
    """Let a paused backfill go on."""
    return await _steer(call, backfill, "resume", BackfillPauseChanged(backfill, paused=False))


@resource.post("/backfills/{backfill}/cancel", STEER, response_model=Receipt, status_code=200)
async def cancel_backfill(call: CurrentCall, backfill: BackfillNumber) -> Response:
    """End a backfill: no more runs are made, those that wait end as failed, those that run go on to their end."""
    return await _steer(call, backfill, "cancel", BackfillCancelled(backfill))


async def _steer(call: Call, number: int, verb: str, what: Event) -> Response:
    def send(connection: Connection) -> Effect:
        row = load_backfill(call, connection, number)
        if row.state not in (BackfillState.CREATING, BackfillState.RUNNING):
            raise Conflict(f"backfill {number} cannot be {_DONE_TO[verb]}: it is {row.state}")
        sent = commands.send(connection, row.workflow_id, None, what, call.parts.clock.now())
        entry = Entry(
            team=row.team,
            action=f"backfill.{verb}",
            object_type="backfill",
            object_id=f"{row.workflow_id}/{number}",
        )
        receipt = Receipt(workflow_id=row.workflow_id, command=verb)
        return Effect(status=200, reply=receipt, entries=(entry,), wake=("scheduler",), sent=(sent,))

    return await command(call, send)


_DONE_TO = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}


def _version(connection: Connection, row: AnyRow, body: BackfillRequest) -> tuple[int, str, str, WorkflowSpec]:
    """(number, spec hash, snapshot, spec) of the version that is asked for. Raises Conflict, NotFound."""
    if row.stale:
        raise Conflict(f"workflow {row.workflow_id!r} is no longer defined by {row.file!r}: bring its file back first")
    version, spec_hash, snapshot = row.version, row.spec_hash, row.snapshot
    if body.version is not None and body.version != row.version:
        found = listings.find_version(connection, row.workflow_id, body.version)
        if found is None:
            raise NotFound(f"workflow {row.workflow_id!r} has no version {body.version}: the newest is {row.version}")
        version, spec_hash, snapshot = found.version, found.spec_hash, found.snapshot
    return version, spec_hash, snapshot, load_spec(connection, spec_hash)


def _dates(call: Call, spec: WorkflowSpec, body: BackfillRequest, now: datetime) -> list[RunDates]:
    """The dates to fill, in order. Raises Conflict or Invalid if the backfill cannot be."""
    wish = Wish(
        from_date=body.from_date,
        to_date=body.to_date,
        reprocess=body.reprocess,
        backwards=body.backwards,
        conf=body.conf,
    )
    refuse(spec, wish, now)
    if spec.params:
        from piper.core.params import check_params  # lazy: JSON Schema is 0.1 s that a start need not wait for

        problems = check_params(spec.params, body.conf)
        if problems:
            raise Invalid("; ".join(problems))
    return all_dates(spec.schedule, wish, now, call.parts.settings.core.backfill_limit)


def backfill_view(row: AnyRow | Backfill, counts: dict[RunState, int]) -> BackfillView:
    """What is sent of a backfill.

    Arguments:
        counts: how many of its runs are in each state.
    """
    values = {name: getattr(row, name) for name in BackfillView.model_fields if name != "progress"}
    done = {name: getattr(row, name) for name in ("total", "created", "rerun", "existed", "in_flight")}
    by_state = {str(state): counts.get(state, 0) for state in RunState}
    return BackfillView(**values, progress=Progress(**done, **by_state))
