"""Pools: how much of something there is for tasks to use at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from piper.model.errors import Conflict, NotFound
from piper.store import inventory
from piper.store import pools as store
from piper.store.audit import Entry
from piper.store.listings import AnyRow
from piper.store.migrations import DEFAULT_POOL
from piper.store.pools import UNLIMITED, Pool
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.routing import Call, CurrentCall, Resource
from piper.web.teams import Team, team_of
from piper.web.writes import Effect, write

READ = Permission(Action.READ, Kind.POOL)
EDIT = Permission(Action.EDIT, Kind.POOL)

resource = Resource("pools")

PoolName = Annotated[str, Path(max_length=250, description="Name of the pool.")]


class PoolView(BaseModel):
    """A pool, and how much of it is in use."""

    name: str
    team: str
    slots: int = Field(description="-1: no limit.")
    include_deferred: bool
    description: str
    used: int = Field(description="Slots held by tasks that are queued, running or, where they count, deferred.")
    free: int | None = Field(description="Null: no limit.")


class PoolSettings(BaseModel):
    """A pool as it shall be."""

    model_config = ConfigDict(extra="forbid")

    slots: int = Field(ge=UNLIMITED, le=1 << 30, description="-1: no limit.")
    include_deferred: bool = Field(default=False, description="A deferred task goes on holding its slots.")
    description: str = Field(default="", max_length=10_000)


@resource.get("/pools", READ)
def list_pools(call: CurrentCall, paging: CurrentPaging) -> Items[PoolView]:
    """List pools, with what is in use."""
    order = inventory.POOL_ORDER
    with call.parts.database.read() as connection:
        found = inventory.list_pools(connection, call.teams(), paging.window(order))
        used = _used(connection, [_pool(row) for row in found.rows])
    return paging.page(found, order, lambda row: _view(_pool(row), used.get(row.name, 0)))


@resource.get("/pools/{name}", READ)
def show_pool(call: CurrentCall, name: PoolName) -> PoolView:
    """Show a pool."""
    with call.parts.database.read() as connection:
        pool = _load(call, connection, name)
        return _view(pool, _used(connection, [pool]).get(name, 0))


@resource.put("/pools/{name}", EDIT, response_model=PoolView, responses={201: {"model": PoolView}})
def set_pool(call: CurrentCall, name: PoolName, body: PoolSettings, team: Team = None) -> Response:
    """Create a pool, or change it."""

    def save(connection: Connection) -> Effect:
        before = _find(connection, name)
        wanted = Pool(
            name=name,
            team=before.team if before else team_of(call, team),
            slots=body.slots,
            include_deferred=body.include_deferred,
            description=body.description,
        )
        if before is None:
            call.authorise_new(Kind.POOL, name, wanted.team)
            store.create_pool(connection, wanted)
        else:
            call.authorise(Kind.POOL, name, before.team)
            store.change_pool(connection, wanted)
        entry = Entry(
            team=wanted.team, action="pool.set", object_type="pool", object_id=name, detail={"slots": body.slots}
        )
        view = _view(wanted, _used(connection, [wanted]).get(name, 0))
        return Effect(status=200 if before else 201, reply=view, entries=(entry,), wake=("executor",))

    return write(call, save).response()


@resource.delete("/pools/{name}", EDIT, status_code=204)
def delete_pool(call: CurrentCall, name: PoolName) -> Response:
    """Delete a pool. Tasks that want it wait until there is one again."""

    def delete(connection: Connection) -> Effect:
        pool = _load(call, connection, name)
        if name == DEFAULT_POOL:
            raise Conflict(f"{DEFAULT_POOL!r} stays: tasks that name no pool run in it; change its slots instead")
        store.delete_pool(connection, name)
        entry = Entry(team=pool.team, action="pool.delete", object_type="pool", object_id=name)
        return Effect(status=204, reply=None, entries=(entry,), wake=("executor",))

    return write(call, delete).response()


def _find(connection: Connection, name: str) -> Pool | None:
    try:
        return store.find_pool(connection, name)
    except NotFound:
        return None


def _load(call: Call, connection: Connection, name: str) -> Pool:
    pool = _find(connection, name)
    call.authorise(Kind.POOL, name, pool.team if pool else None, NotFound(f"there is no pool {name!r}"))
    assert pool is not None
    return pool


def _used(connection: Connection, pools: list[Pool]) -> dict[str, int]:
    used: dict[str, int] = {}
    for holding in store.holdings(connection, pools):
        used[holding.pool] = used.get(holding.pool, 0) + holding.slots
    return used


def _pool(row: AnyRow) -> Pool:
    return Pool(**row._mapping)


def _view(pool: Pool, used: int) -> PoolView:
    return PoolView(
        name=pool.name,
        team=pool.team,
        slots=pool.slots,
        include_deferred=pool.include_deferred,
        description=pool.description,
        used=used,
        free=None if pool.slots == UNLIMITED else max(0, pool.slots - used),
    )
