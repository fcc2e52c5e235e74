"""Connections: where tasks reach other systems, and as whom. Passwords and extras are written, never shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from piper.model.errors import NotFound
from piper.store import connections as store
from piper.store import inventory
from piper.store.audit import Entry
from piper.store.connections import ConnectionSecret
from piper.store.listings import AnyRow
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.routing import Call, CurrentCall, Resource
from piper.web.teams import Team, team_of
from piper.web.writes import Effect, write

READ = Permission(Action.READ, Kind.CONNECTION)
EDIT = Permission(Action.EDIT, Kind.CONNECTION)

resource = Resource("connections")

ConnectionId = Annotated[str, Path(min_length=1, max_length=250, description="Id of the connection.")]


class ConnectionView(BaseModel):
    """A connection, without its secrets."""

    conn_id: str
    team: str
    conn_type: str
    description: str
    host: str | None
    login: str | None
    schema_: str | None = Field(serialization_alias="schema")
    port: int | None
    has_secret: bool = Field(description="A password or an extra is set.")
    updated_at: datetime


class ConnectionChange(BaseModel):
    """A connection as it shall be."""

    model_config = ConfigDict(extra="forbid")

    conn_type: str = Field(min_length=1, max_length=250)
    description: str = Field(default="", max_length=10_000)
    host: str | None = Field(default=None, max_length=2000)
    login: str | None = Field(default=None, max_length=2000)
    schema_: str | None = Field(default=None, max_length=2000, alias="schema")
    port: int | None = Field(default=None, ge=0, le=65535)
    password: str | None = Field(
        default=None, max_length=100_000, description="Password and extra stay as they are if both are left out."
    )
    extra: dict[str, Any] | None = Field(default=None, description="Whatever else the connection's type asks for.")


@resource.get("/connections", READ)
def list_connections(
    call: CurrentCall, paging: CurrentPaging, conn_type: Annotated[str | None, Query(max_length=250)] = None
) -> Items[ConnectionView]:
    """List connections, without their secrets."""
    order = inventory.CONNECTION_ORDER
    with call.parts.database.read() as connection:
        found = inventory.list_connections(connection, call.teams(), conn_type, paging.window(order))
    return paging.page(found, order, _view)


@resource.get("/connections/{conn_id:path}", READ)
def show_connection(call: CurrentCall, conn_id: ConnectionId, team: Team = None) -> ConnectionView:
    """Show a connection, without its secrets."""
    with call.parts.database.read() as connection:
        return _view(_load(call, connection, conn_id, team_of(call, team)))


@resource.put(
    "/connections/{conn_id:path}", EDIT, response_model=ConnectionView, responses={201: {"model": ConnectionView}}
)
def set_connection(call: CurrentCall, conn_id: ConnectionId, body: ConnectionChange, team: Team = None) -> Response:
    """Create a connection, or change it.

    Password and extra are one secret: give both, or neither to keep what is stored.
    """
    owner = team_of(call, team)

    def save(connection: Connection) -> Effect:
        call.authorise_new(Kind.CONNECTION, conn_id, owner)
        before = inventory.find_connection(connection, owner, conn_id)
        settings = store.ConnectionSettings(
            team=owner,
            conn_id=conn_id,
            conn_type=body.conn_type,
            description=body.description,
            host=body.host,
            login=body.login,
            schema=body.schema_,
            port=body.port,
        )
        store.write_connection(connection, call.parts.keys, settings, _secret(body), call.parts.clock.now())
        after = inventory.find_connection(connection, owner, conn_id)
        assert after is not None
        changed = sorted(name.removesuffix("_") for name in body.model_fields_set)
        entry = Entry(
            team=owner,
            action="connection.set",
            object_type="connection",
            object_id=conn_id,
            detail={"changed": changed},
        )
        return Effect(status=200 if before else 201, reply=_view(after), entries=(entry,))

    return write(call, save).response()


@resource.delete("/connections/{conn_id:path}", EDIT, status_code=204)
def delete_connection(call: CurrentCall, conn_id: ConnectionId, team: Team = None) -> Response:
    """Delete a connection."""
    owner = team_of(call, team)

    def delete(connection: Connection) -> Effect:
        _load(call, connection, conn_id, owner)
        store.delete_connection(connection, owner, conn_id)
        entry = Entry(team=owner, action="connection.delete", object_type="connection", object_id=conn_id)
        return Effect(status=204, reply=None, entries=(entry,))

    return write(call, delete).response()


def _secret(body: ConnectionChange) -> ConnectionSecret | None:
    """The new secret; None keeps the stored one."""
    if not body.model_fields_set & {"password", "extra"}:
        return None
    extra = None if body.extra is None else msgspec.json.encode(body.extra).decode()
    return ConnectionSecret(password=body.password, extra=extra)


def _load(call: Call, connection: Connection, conn_id: str, team: str) -> AnyRow:
    row = inventory.find_connection(connection, team, conn_id)
    missing = NotFound(f"team {team!r} has no connection {conn_id!r}")
    call.authorise(Kind.CONNECTION, conn_id, row.team if row else None, missing)
    assert row is not None
    return row


def _view(row: AnyRow) -> ConnectionView:
    return ConnectionView(
        conn_id=row.conn_id,
        team=row.team,
        conn_type=row.conn_type,
        description=row.description,
        host=row.host,
        login=row.login,
        schema_=row.schema,
        port=row.port,
        has_secret=bool(row.has_secret),
        updated_at=row.updated_at,
    )
