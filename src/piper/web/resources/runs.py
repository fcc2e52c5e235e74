"""Runs: starting one, looking at them, waiting for one."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

import anyio
from fastapi import Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from piper import timetables
from piper.model.errors import Conflict, Invalid
from piper.model.events import RunQueued
from piper.model.ids import check_run_id
from piper.model.run import Run
from piper.model.schedule import DataInterval
from piper.model.spec import WorkflowSpec
from piper.model.states import RunState, RunType
from piper.store import commands, listings
from piper.store.audit import Entry
from piper.store.listings import AnyRow, RunFilter
from piper.store.runs import create_run, run_from_row
from piper.web.paging import CurrentPaging, Items, Paging, chosen_order
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import RunNumber, WorkflowId, load_run, load_run_by_name, load_spec, load_workflow
from piper.web.routing import PREFIX, Call, CurrentCall, Resource
from piper.web.streams import Streams
from piper.web.writes import Effect, write

READ = Permission(Action.READ, Kind.RUN)
RUN = Permission(Action.RUN, Kind.WORKFLOW)

resource = Resource("runs")

_LONGEST_WAIT = 60.0
_FIRST_LOOK, _LONGEST_LOOK = 0.02, 0.5


class RunView(BaseModel):
    """A run as it is at present."""

    id: int = Field(description="Its number, by which it is addressed.")
    workflow_id: str
    run_id: str
    team: str
    run_type: RunType
    state: RunState
    reason: str = Field(description="Why it ended as it did.")
    logical_date: datetime | None
    data_interval_start: datetime | None
    data_interval_end: datetime | None
    run_after: datetime
    spec_hash: str
    snapshot: str
    conf: dict[str, Any]
    note: str
    triggered_by: str
    backfill: int | None = Field(description="The backfill that it belongs to, if it does.")
    clears: int
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


class RunDetails(RunView):
    """A run, with how far it has come."""

    tasks: dict[str, int] = Field(description="How many task instances are in each state; `none` is not yet decided.")


class Trigger(BaseModel):
    """A run to be started."""

    model_config = ConfigDict(extra="forbid")

    run_id: str | None = Field(default=None, description="Made of the logical date if it is left out.")
    logical_date: AwareDatetime | None = Field(
        default=None, description="The present moment if it is left out; null for a run without one."
    )
    run_after: AwareDatetime | None = Field(default=None, description="Not before this moment.")
    data_interval_start: AwareDatetime | None = None
    data_interval_end: AwareDatetime | None = None
    conf: dict[str, Any] = Field(default={}, description="Values of params, and whatever else tasks shall see.")
    note: str = Field(default="", max_length=10_000)


AnyBackfill = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Only runs of this backfill.")]
States = Annotated[list[RunState], Query(description="Only runs in one of these states.")]


@resource.post("/workflows/{workflow_id}/runs", RUN, response_model=RunView, status_code=201)
def trigger_run(call: CurrentCall, workflow_id: WorkflowId, body: Trigger) -> Response:
    """Start a run of a workflow.

    The run is made in `queued`; the scheduler starts it at once, or when the workflow's limits allow. That of a
    paused workflow waits until it is unpaused.
    """
    now = call.parts.clock.now()

    def make(connection: Connection) -> Effect:
        row = load_workflow(call, connection, workflow_id)
        if row.stale:
            raise Conflict(f"workflow {workflow_id!r} is no longer defined by {row.file!r}: bring its file back first")
        spec = load_spec(connection, row.spec_hash)
        _check_trigger(spec, body)
        logical_date = body.logical_date if "logical_date" in body.model_fields_set else now
        run = create_run(
            connection,
            workflow_id=workflow_id,
            run_type=RunType.MANUAL,
            now=now,
            run_id=check_run_id(body.run_id) if body.run_id is not None else "",
            logical_date=logical_date,
            interval=_interval(spec, body, logical_date),
            run_after=body.run_after,
            conf=body.conf,
            triggered_by=call.principal.name,
            note=body.note,
            suffix=secrets.token_hex(4),
        )
        commands.send(connection, workflow_id, run.id, RunQueued(run.id), now)
        return Effect(
            status=201,
            reply=run_view(run),
            entries=(
                Entry(
                    team=run.team,
                    action="run.trigger",
                    object_type="run",
                    object_id=f"{workflow_id}/{run.run_id}",
                    detail={"params": sorted(body.conf)},
                ),
            ),
            wake=("scheduler",),
            location=f"{PREFIX}/runs/{run.id}",
        )

    return write(call, make).response()


@resource.get("/workflows/{workflow_id}/runs", READ)
def list_runs_of_workflow(
    call: CurrentCall,
    paging: CurrentPaging,
    workflow_id: WorkflowId,
    state: States = [],  # noqa: B006, FastAPI copies it
    run_type: RunType | None = None,
    logical_date_from: AwareDatetime | None = None,
    logical_date_to: Annotated[AwareDatetime | None, Query(description="Inclusive.")] = None,
    backfill: AnyBackfill = None,
    order: str = "-run_after",
) -> Items[RunView]:
    """List the runs of a workflow, latest first."""
    wanted = RunFilter(
        workflow_id=workflow_id,
        states=tuple(state),
        run_type=run_type,
        logical_date_from=logical_date_from,
        logical_date_to=logical_date_to,
        backfill=backfill,
    )
    with call.parts.database.read() as connection:
        load_workflow(call, connection, workflow_id)
        return _page(call, connection, paging, wanted, order)


@resource.get("/workflows/{workflow_id}/runs/{run_id}", READ)
def show_run_of_workflow(call: CurrentCall, workflow_id: WorkflowId, run_id: str) -> RunDetails:
    """Show a run by the id that it has within its workflow."""
    with call.parts.database.read() as connection:
        return _details(connection, load_run_by_name(call, connection, workflow_id, run_id))


@resource.get("/runs", READ)
def list_runs(
    call: CurrentCall,
    paging: CurrentPaging,
    state: States = [],  # noqa: B006, FastAPI copies it
    run_type: RunType | None = None,
    logical_date_from: AwareDatetime | None = None,
    logical_date_to: Annotated[AwareDatetime | None, Query(description="Inclusive.")] = None,
    created_from: AwareDatetime | None = None,
    backfill: AnyBackfill = None,
    order: Annotated[str, Query(description="id or run_after, with - before it from the other end.")] = "-id",
) -> Items[RunView]:
    """List the runs of all workflows, latest first."""
    wanted = RunFilter(
        states=tuple(state),
        run_type=run_type,
        logical_date_from=logical_date_from,
        logical_date_to=logical_date_to,
        created_from=created_from,
        backfill=backfill,
    )
    with call.parts.database.read() as connection:
        return _page(call, connection, paging, wanted, order)


@resource.get("/runs/{run}", READ)
def show_run(call: CurrentCall, run: RunNumber) -> RunDetails:
    """Show a run."""
    with call.parts.database.read() as connection:
        return _details(connection, load_run(call, connection, run))


@resource.get("/runs/{run}/wait", READ)
async def wait_for_run(
    call: CurrentCall,
    request: Request,
    run: RunNumber,
    timeout: Annotated[float, Query(ge=0, le=_LONGEST_WAIT, description="Seconds.")] = 30.0,
) -> RunDetails:
    """Answer when a run has ended, or after a time with the run as it then is; also when the server stops."""
    clock = call.parts.clock
    streams: Streams = request.app.state.streams
    deadline = clock.monotonic() + timeout
    pause = _FIRST_LOOK
    while True:
        details = await run_in_threadpool(show_run, call, run)
        left = deadline - clock.monotonic()
        if details.state.finished or left <= 0 or streams.closing:
            return details
        await anyio.sleep(min(pause, left))
        pause = min(1.5 * pause, _LONGEST_LOOK)


def _page(call: Call, connection: Connection, paging: Paging, wanted: RunFilter, order: str) -> Items[RunView]:
    chosen = chosen_order(listings.RUN_ORDERS, order)
    found = listings.list_runs(connection, call.teams(), wanted, chosen, paging.window(chosen, order))
    return paging.page(found, chosen, row_view, order)


def _details(connection: Connection, row: AnyRow) -> RunDetails:
    states = listings.count_by_state(connection, row.id)
    view = row_view(row)
    return RunDetails(**dict(view), tasks={str(state): count for state, count in sorted(states.items())})


def _check_trigger(spec: WorkflowSpec, body: Trigger) -> None:
    """Raise Conflict or Invalid if the workflow takes no such run."""
    if spec.allowed_run_types and RunType.MANUAL not in spec.allowed_run_types:
        allowed = ", ".join(spec.allowed_run_types)
        raise Conflict(f"workflow {spec.workflow_id!r} is not started by hand: its author allows {allowed} runs")
    if (body.data_interval_start is None) != (body.data_interval_end is None):
        raise Invalid("data_interval_start and data_interval_end go together: give both, or none")
    if not spec.params:
        return
    from piper.core.params import check_params  # lazy: JSON Schema is 0.1 s that a start need not wait for

    problems = check_params(spec.params, body.conf)
    if problems:
        raise Invalid("; ".join(problems))


def _interval(spec: WorkflowSpec, body: Trigger, logical_date: datetime | None) -> DataInterval | None:
    if body.data_interval_start is not None and body.data_interval_end is not None:
        if body.data_interval_end < body.data_interval_start:
            raise Invalid("the data interval ends before it starts")
        return DataInterval(body.data_interval_start, body.data_interval_end)
    if logical_date is None:
        return None
    return timetables.manual_interval(spec.schedule.timetable, logical_date)


def row_view(row: AnyRow) -> RunView:
    """What is sent of a run's row."""
    return run_view(run_from_row(row))


def run_view(run: Run) -> RunView:
    """What is sent of a run."""
    return RunView(
        id=run.id,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        team=run.team,
        run_type=run.run_type,
        state=run.state,
        reason=run.reason,
        logical_date=run.logical_date,
        data_interval_start=run.interval.start if run.interval else None,
        data_interval_end=run.interval.end if run.interval else None,
        run_after=run.run_after,
        spec_hash=run.spec_hash,
        snapshot=run.snapshot,
        conf=run.conf,
        note=run.note,
        triggered_by=run.triggered_by,
        backfill=run.backfill,
        clears=run.clears,
        created_at=run.created_at,
        queued_at=run.queued_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
    )
