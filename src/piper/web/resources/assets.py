"""Assets: which there are, who uses them, what has changed them, and which workflows have heard of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from piper.model.assets import AssetKind, AssetRole, Emission, problem_of_extra
from piper.model.errors import Conflict, Invalid, NotFound
from piper.model.events import ForgetAssets
from piper.model.spec import AssetRef
from piper.store import asset_history, commands
from piper.store.asset_events import emit
from piper.store.audit import Entry
from piper.store.listings import AnyRow
from piper.web.paging import CurrentPaging, Items, Paging
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import RunNumber, WorkflowId, load_run, load_workflow
from piper.web.routing import PREFIX, Call, CurrentCall, Resource
from piper.web.writes import Effect, Receipt, command, write

READ = Permission(Action.READ, Kind.ASSET)
RUN = Permission(Action.RUN, Kind.ASSET)
READ_WORKFLOW = Permission(Action.READ, Kind.WORKFLOW)
RUN_WORKFLOW = Permission(Action.RUN, Kind.WORKFLOW)
READ_RUN = Permission(Action.READ, Kind.RUN)

resource = Resource("assets")

AssetNumber = Annotated[int, Path(ge=1, le=2**63 - 1, description="Number of the asset: its `id`.")]


class AssetView(BaseModel):
    """An asset."""

    id: int = Field(description="Its number, by which it is addressed.")
    name: str
    uri: str
    group: str
    team: str
    extra: dict[str, Any]
    active: bool = Field(description="A workflow names it, and no other active asset has its name or URI.")
    created_at: datetime
    last_event_at: datetime | None


class AssetUseView(BaseModel):
    """That a workflow names an asset."""

    workflow_id: str
    role: AssetRole = Field(description="`schedule`: it is scheduled by it; or its task reads or changes it.")
    task_id: str = Field(description="Empty in a schedule.")
    alias: str | None = Field(description="The alias by which it is named, if it is.")


class AssetDetails(AssetView):
    """An asset, with who uses it."""

    uses: Sequence[AssetUseView]


class RunName(BaseModel):
    """A run, by the name that people know it by."""

    workflow_id: str
    run_id: str


class AssetEventView(BaseModel):
    """An event of an asset."""

    id: int
    asset: int
    name: str
    uri: str
    at: datetime
    extra: dict[str, Any]
    aliases: Sequence[str] = Field(description="Aliases by way of which it was made.")
    workflow_id: str | None = Field(description="Whose task caused it; null, as what follows, if a person made it.")
    run_id: str | None
    task_id: str | None
    map_index: int
    runs: Sequence[RunName] = Field(description="The runs that it caused.")


class NewAssetEvent(BaseModel):
    """An event to be made by hand."""

    model_config = ConfigDict(extra="forbid")

    extra: dict[str, Any] = Field(default={}, description="Facts for the tasks of the runs that it causes.")


class WaitingEventView(BaseModel):
    """An event that a workflow has heard of, and that no run has taken yet."""

    event: int
    asset: int
    name: str
    uri: str
    at: datetime
    queued: bool = Field(description="It calls for a run. One that came while the workflow was paused does not.")


@resource.get("/assets", READ)
def list_assets(
    call: CurrentCall,
    paging: CurrentPaging,
    search: Annotated[str | None, Query(max_length=1000, description="Part of the name or URI.")] = None,
    named: Annotated[str | None, Query(max_length=1000, description="Exactly this name, URI or number.")] = None,
    active: bool | None = None,
) -> Items[AssetView]:
    """List assets by name."""
    order = asset_history.ASSET_ORDER
    with call.parts.database.read() as connection:
        if named is not None:
            found = asset_history.assets_named(connection, named, call.teams())
            return Items(items=[_view(row) for row in found if active is None or row.active is active])
        page = asset_history.list_assets(connection, call.teams(), search, active, paging.window(order))
    return paging.page(page, order, _view)


@resource.get("/assets/{asset}", READ)
def show_asset(call: CurrentCall, asset: AssetNumber) -> AssetDetails:
    """Show an asset, and which workflows name it."""
    with call.parts.database.read() as connection:
        row = _load(call, connection, asset)
        uses = [
            AssetUseView(
                workflow_id=use.workflow_id,
                role=use.role,
                task_id=use.task_id,
                alias=use.name if use.kind is AssetKind.ALIAS else None,
            )
            for use in asset_history.uses_of_asset(connection, row)
        ]
        return AssetDetails(**dict(_view(row)), uses=uses)


@resource.get("/assets/{asset}/events", READ)
def list_events_of_asset(call: CurrentCall, paging: CurrentPaging, asset: AssetNumber) -> Items[AssetEventView]:
    """List the events of an asset, latest first."""
    with call.parts.database.read() as connection:
        _load(call, connection, asset)
        return _events(call, connection, paging, asset_number=asset)


@resource.post("/assets/{asset}/events", RUN, response_model=AssetEventView, status_code=201)
def create_asset_event(call: CurrentCall, asset: AssetNumber, body: NewAssetEvent) -> Response:
    """Make an event of an asset, as if a task had changed it.

    Workflows that are scheduled by the asset hear of it.
    """
    if problem := problem_of_extra(body.extra):
        raise Invalid(f"extra {problem}")

    def make(connection: Connection) -> Effect:
        row = _load(call, connection, asset)
        if not row.active:
            raise Conflict(
                f"asset {row.name!r} is not active: no workflow names it, or another asset has its name or URI"
            )
        emission = Emission(team=row.team, asset=AssetRef(row.name, row.uri), extra=body.extra)
        (number,) = emit(connection, [emission], call.parts.clock.now())
        assert number is not None
        made = asset_history.find_event(connection, number)
        entry = Entry(
            team=row.team,
            action="asset.emit",
            object_type="asset",
            object_id=row.name,
            detail={"event": number, "extra": sorted(body.extra)},
        )
        return Effect(
            status=201,
            reply=_event_view(made, (), ()),
            entries=(entry,),
            wake=("scheduler",),
            location=f"{PREFIX}/assets/{asset}/events",
        )

    return write(call, make).response()


@resource.get("/asset-events", READ)
def list_asset_events(
    call: CurrentCall,
    paging: CurrentPaging,
    workflow_id: Annotated[str | None, Query(max_length=250, description="Only those that its tasks caused.")] = None,
) -> Items[AssetEventView]:
    """List the events of all assets, latest first."""
    with call.parts.database.read() as connection:
        return _events(call, connection, paging, workflow_id=workflow_id)


@resource.get("/runs/{run}/asset-events", READ_RUN)
def list_events_of_run(call: CurrentCall, paging: CurrentPaging, run: RunNumber) -> Items[AssetEventView]:
    """List the events that caused a run, latest first."""
    with call.parts.database.read() as connection:
        load_run(call, connection, run)
        return _events(call, connection, paging, run_number=run)


@resource.get("/workflows/{workflow_id}/waiting-events", READ_WORKFLOW)
def list_waiting_events(call: CurrentCall, paging: CurrentPaging, workflow_id: WorkflowId) -> Items[WaitingEventView]:
    """List the events that a workflow has heard of and no run has taken, oldest first."""
    order = asset_history.QUEUE_ORDER
    with call.parts.database.read() as connection:
        load_workflow(call, connection, workflow_id)
        page = asset_history.list_waiting(connection, workflow_id, paging.window(order))
    return paging.page(page, order, lambda row: WaitingEventView(**row._mapping))


@resource.delete("/workflows/{workflow_id}/waiting-events", RUN_WORKFLOW, response_model=Receipt, status_code=200)
async def forget_waiting_events(
    call: CurrentCall,
    workflow_id: WorkflowId,
    asset: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only those of this asset.")] = None,
) -> Response:
    """Let no run come of the events that a workflow has heard of until now."""

    def send(connection: Connection) -> Effect:
        row = load_workflow(call, connection, workflow_id)
        if asset is not None:
            found = asset_history.find_asset(connection, asset)
            if found is None or found.team != row.team:
                raise NotFound(f"there is no asset number {asset}")
        sent = commands.send(connection, workflow_id, None, ForgetAssets(workflow_id, asset), call.parts.clock.now())
        entry = Entry(
            team=row.team,
            action="workflow.forget",
            object_type="workflow",
            object_id=workflow_id,
            detail={"asset": asset},
        )
        reply = Receipt(workflow_id=workflow_id, command="forget")
        return Effect(status=200, reply=reply, entries=(entry,), wake=("scheduler",), sent=(sent,))

    return await command(call, send)


# --- inside ---------------------------------------------------------------------------------------


def _load(call: Call, connection: Connection, number: int) -> AnyRow:
    row = asset_history.find_asset(connection, number)
    missing = NotFound(f"there is no asset number {number}")
    call.authorise(Kind.ASSET, str(number), row.team if row else None, missing)
    assert row is not None
    return row


def _events(call: Call, connection: Connection, paging: Paging, **wanted: Any) -> Items[AssetEventView]:
    order = asset_history.EVENT_ORDER
    page = asset_history.list_events(connection, call.teams(), paging.window(order), **wanted)
    numbers = [row.id for row in page.rows]
    aliases = asset_history.aliases_of(connection, numbers)
    runs = asset_history.runs_by_events(connection, numbers, call.teams()) if numbers else {}
    return paging.page(page, order, lambda row: _event_view(row, aliases.get(row.id, ()), runs.get(row.id, ())))


def _view(row: AnyRow) -> AssetView:
    return AssetView(
        id=row.id,
        name=row.name,
        uri=row.uri,
        group=row.group,
        team=row.team,
        extra=row.extra,
        active=row.active,
        created_at=row.created_at,
        last_event_at=row.last_event_at,
    )


def _event_view(row: AnyRow, aliases: Sequence[str], runs: Sequence[tuple[str, str]]) -> AssetEventView:
    return AssetEventView(
        id=row.id,
        asset=row.asset,
        name=row.name,
        uri=row.uri,
        at=row.at,
        extra=row.extra,
        aliases=aliases,
        workflow_id=row.workflow_id or None,
        run_id=row.run_id or None,
        task_id=row.task_id or None,
        map_index=row.map_index,
        runs=[RunName(workflow_id=workflow_id, run_id=run_id) for workflow_id, run_id in runs],
    )
