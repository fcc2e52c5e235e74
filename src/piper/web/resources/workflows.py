"""Workflows: what is defined, by which version, and whether it is paused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from piper.model.errors import Conflict, NotFound
from piper.model.events import PauseChanged, SpecPublished
from piper.model.schedule import RunDates
from piper.model.states import RunState
from piper.store import commands, listings
from piper.store.audit import Entry
from piper.store.listings import AnyRow, WorkflowFilter
from piper.web.paging import CurrentPaging, Items, chosen_order
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import WorkflowId, load_workflow
from piper.web.routing import CurrentCall, Resource
from piper.web.writes import Effect, Receipt, command, write

READ = Permission(Action.READ, Kind.WORKFLOW)
RUN = Permission(Action.RUN, Kind.WORKFLOW)
EDIT = Permission(Action.EDIT, Kind.WORKFLOW)

resource = Resource("workflows")

_LONGEST_SOURCE = 16 << 20


class DatesView(BaseModel):
    """The dates of a scheduled run."""

    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    run_after: datetime = Field(description="It begins at this moment or after.")


class LastRunView(BaseModel):
    """The latest run, in short."""

    id: int
    run_id: str
    state: RunState
    started_at: datetime | None
    ended_at: datetime | None


class WorkflowView(BaseModel):
    """A workflow as it is at present."""

    workflow_id: str
    display_name: str
    description: str
    owner: str
    team: str
    tags: list[str]
    bundle: str
    file: str
    version: int
    spec_hash: str
    paused: bool
    stale: bool = Field(description="Its file is gone, or no longer defines it.")
    schedule: str
    next_run: DatesView | None = Field(description="Null when nothing is planned; a paused workflow waits with it.")
    last_run: LastRunView | None
    consecutive_failures: int
    created_at: datetime
    updated_at: datetime


class VersionView(BaseModel):
    """A published version of a workflow."""

    workflow_id: str
    version: int
    spec_hash: str
    snapshot: str
    created_at: datetime


class WorkflowChange(BaseModel):
    """What to change of a workflow."""

    model_config = ConfigDict(extra="forbid")

    paused: bool


@resource.get("/workflows", READ)
def list_workflows(
    call: CurrentCall,
    paging: CurrentPaging,
    search: Annotated[str | None, Query(max_length=250, description="Part of id, display name or description.")] = None,
    paused: bool | None = None,
    tag: Annotated[str | None, Query(max_length=250)] = None,
    owner: Annotated[str | None, Query(max_length=250)] = None,
    bundle: Annotated[str | None, Query(max_length=250)] = None,
    include_stale: Annotated[bool, Query(description="Also those whose file is gone.")] = False,
    order: Annotated[str, Query(description="workflow_id or next_run, with - before it from the other end.")] = (
        "workflow_id"
    ),
) -> Items[WorkflowView]:
    """List workflows."""
    chosen = chosen_order(listings.WORKFLOW_ORDERS, order)
    wanted = WorkflowFilter(
        search=search,
        paused=paused,
        stale=None if include_stale else False,
        tag=tag,
        owner=owner,
        bundle=bundle,
    )
    with call.parts.database.read() as connection:
        found = listings.list_workflows(connection, call.teams(), wanted, chosen, paging.window(chosen, order))
    return paging.page(found, chosen, workflow_view, order)


@resource.get("/workflows/{workflow_id}", READ)
def show_workflow(call: CurrentCall, workflow_id: WorkflowId) -> WorkflowView:
    """Show a workflow."""
    with call.parts.database.read() as connection:
        return workflow_view(load_workflow(call, connection, workflow_id))


@resource.patch("/workflows/{workflow_id}", RUN, response_model=Receipt, status_code=200)
async def change_workflow(call: CurrentCall, workflow_id: WorkflowId, body: WorkflowChange) -> Response:
    """Pause or unpause a workflow.

    A paused workflow gets no runs by schedule and starts none of those that wait; tasks that run go on.
    """
    verb = "pause" if body.paused else "unpause"

    def send(connection: Connection) -> Effect:
        row = load_workflow(call, connection, workflow_id)
        now = call.parts.clock.now()
        sent = commands.send(connection, workflow_id, None, PauseChanged(workflow_id, body.paused), now)
        return Effect(
            status=200,
            reply=Receipt(workflow_id=workflow_id, command=verb),
            entries=(Entry(team=row.team, action=f"workflow.{verb}", object_type="workflow", object_id=workflow_id),),
            wake=("scheduler",),
            sent=(sent,),
        )

    return await command(call, send)


@resource.delete("/workflows/{workflow_id}", EDIT, status_code=204)
def delete_workflow(call: CurrentCall, workflow_id: WorkflowId) -> Response:
    """Delete a workflow with all its history.

    It must be paused, or its file gone, and have no unfinished run. A file that still defines it makes it anew.
    """

    def delete(connection: Connection) -> Effect:
        row = load_workflow(call, connection, workflow_id)
        if not (row.paused or row.stale):
            raise Conflict(f"workflow {workflow_id!r} is active: pause it first")
        commands.hold_workflow(connection, workflow_id)
        unfinished = commands.count_unfinished_runs(connection, workflow_id)
        if unfinished:
            raise Conflict(f"workflow {workflow_id!r} has {unfinished} unfinished runs: cancel them, or wait")
        filling = commands.find_unended_backfill(connection, workflow_id)
        if filling is not None:
            raise Conflict(f"backfill {filling} of workflow {workflow_id!r} has not ended: cancel it, or wait")
        now = call.parts.clock.now()
        runs = commands.delete_workflow(connection, workflow_id, now)
        commands.send(connection, workflow_id, None, SpecPublished(workflow_id, stale=True), now)
        if not row.stale:
            commands.request_reload(connection, row.bundle, row.file, now)
        return Effect(
            status=204,
            reply=None,
            entries=(
                Entry(
                    team=row.team,
                    action="workflow.delete",
                    object_type="workflow",
                    object_id=workflow_id,
                    detail={"runs": runs},
                ),
            ),
            wake=("scheduler", "serializer"),
        )

    return write(call, delete).response()


@resource.get("/workflows/{workflow_id}/versions", READ)
def list_versions(call: CurrentCall, paging: CurrentPaging, workflow_id: WorkflowId) -> Items[VersionView]:
    """List the versions of a workflow, newest first."""
    order = listings.VERSION_ORDER
    with call.parts.database.read() as connection:
        load_workflow(call, connection, workflow_id)
        found = listings.list_versions(connection, workflow_id, order, paging.window(order))
    return paging.page(found, order, version_view)


Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Which version; the active one without.")]


@resource.get("/workflows/{workflow_id}/spec", READ, response_class=Response, responses={304: {}})
def show_spec(call: CurrentCall, request: Request, workflow_id: WorkflowId, version: Version = None) -> Response:
    """Show the definition of a workflow, as data.

    Its ETag is its hash: a version never changes.
    """
    with call.parts.database.read() as connection:
        row = load_workflow(call, connection, workflow_id)
        spec_hash, _ = _pinned(connection, row, version)
        if _has(request, spec_hash):
            return Response(status_code=304, headers={"ETag": f'"{spec_hash}"'})
        body = listings.spec_body(connection, spec_hash)
    if body is None:
        raise NotFound(f"the definition {spec_hash} of workflow {workflow_id!r} is no longer stored")
    return Response(body, headers=_cacheable(spec_hash), media_type="application/json")


@resource.get("/workflows/{workflow_id}/source", READ, response_class=Response, responses={304: {}})
def show_source(call: CurrentCall, request: Request, workflow_id: WorkflowId, version: Version = None) -> Response:
    """Show the file that defines a workflow, as it was in the version's snapshot."""
    with call.parts.database.read() as connection:
        row = load_workflow(call, connection, workflow_id)
        _, snapshot = _pinned(connection, row, version)
    if _has(request, snapshot):
        return Response(status_code=304, headers={"ETag": f'"{snapshot}"'})
    source = _read_source(call.parts.snapshots, snapshot, row.file)
    return Response(source, headers=_cacheable(snapshot), media_type="text/plain; charset=utf-8")


def _read_source(root: Path, snapshot: str, file: str) -> bytes:
    """The file of a snapshot. What a row says never leads out of its tree. Raises NotFound."""
    tree = root / snapshot
    try:
        path = (tree / file).resolve(strict=True)
        if snapshot and path.is_relative_to(tree.resolve()) and path.stat().st_size <= _LONGEST_SOURCE:
            return path.read_bytes()
    except OSError:
        pass
    raise NotFound(f"the source {file!r} is no longer stored in snapshot {snapshot or 'none'}")


def _pinned(connection: Connection, row: AnyRow, version: int | None) -> tuple[str, str]:
    """(spec hash, snapshot) of a version, of the active one if none is asked for."""
    if version is None or version == row.version:
        return row.spec_hash, row.snapshot
    found = listings.find_version(connection, row.workflow_id, version)
    if found is None:
        raise NotFound(f"workflow {row.workflow_id!r} has no version {version}: the newest is {row.version}")
    return found.spec_hash, found.snapshot


def _has(request: Request, tag: str) -> bool:
    """Whether the caller holds that content already."""
    held = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return f'"{tag}"' in held


def _cacheable(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}


def workflow_view(row: AnyRow) -> WorkflowView:
    """What is sent of a workflow."""
    return WorkflowView(
        workflow_id=row.workflow_id,
        display_name=row.display_name or row.workflow_id,
        description=row.description,
        owner=row.owner,
        team=row.team,
        tags=row.tags,
        bundle=row.bundle,
        file=row.file,
        version=row.version,
        spec_hash=row.spec_hash,
        paused=row.paused,
        stale=row.stale,
        schedule=row.schedule_summary,
        next_run=_dates_view(row.next_dates),
        last_run=None
        if row.last_id is None
        else LastRunView(
            id=row.last_id,
            run_id=row.last_run_id,
            state=row.last_state,
            started_at=row.last_started_at,
            ended_at=row.last_ended_at,
        ),
        consecutive_failures=row.consecutive_failures,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def version_view(row: AnyRow) -> VersionView:
    """What is sent of a version."""
    return VersionView.model_validate(row, from_attributes=True)


def _dates_view(dates: RunDates | None) -> DatesView | None:
    if dates is None:
        return None
    return DatesView(
        logical_date=dates.logical_date,
        data_interval_start=dates.interval.start,
        data_interval_end=dates.interval.end,
        run_after=dates.run_after,
    )
