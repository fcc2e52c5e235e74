"""Variables: text that people set and tasks read. Values are written here and never shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from piper.model.errors import NotFound
from piper.store import inventory
from piper.store import variables as store
from piper.store.audit import Entry
from piper.store.listings import AnyRow
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.routing import Call, CurrentCall, Resource
from piper.web.teams import Team, team_of
from piper.web.writes import Effect, write

READ = Permission(Action.READ, Kind.VARIABLE)
EDIT = Permission(Action.EDIT, Kind.VARIABLE)

resource = Resource("variables")

VariableKey = Annotated[str, Path(min_length=1, max_length=250, description="Key of the variable.")]


class VariableView(BaseModel):
    """A variable, without its value."""

    key: str
    team: str
    description: str
    updated_at: datetime


class VariableSettings(BaseModel):
    """A variable as it shall be."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(description="Stored encrypted; only tasks can read it.")
    description: str | None = Field(default=None, max_length=10_000, description="Stays as it is if it is left out.")


@resource.get("/variables", READ)
def list_variables(
    call: CurrentCall, paging: CurrentPaging, search: Annotated[str | None, Query(max_length=250)] = None
) -> Items[VariableView]:
    """List variables, without their values."""
    order = inventory.VARIABLE_ORDER
    with call.parts.database.read() as connection:
        found = inventory.list_variables(connection, call.teams(), search, paging.window(order))
    return paging.page(found, order, _view)


@resource.get("/variables/{key:path}", READ)
def show_variable(call: CurrentCall, key: VariableKey, team: Team = None) -> VariableView:
    """Show a variable, without its value."""
    with call.parts.database.read() as connection:
        return _view(_load(call, connection, key, team_of(call, team)))


@resource.put("/variables/{key:path}", EDIT, response_model=VariableView, responses={201: {"model": VariableView}})
def set_variable(call: CurrentCall, key: VariableKey, body: VariableSettings, team: Team = None) -> Response:
    """Create a variable, or change it."""
    owner = team_of(call, team)

    def save(connection: Connection) -> Effect:
        call.authorise_new(Kind.VARIABLE, key, owner)
        before = inventory.find_variable(connection, owner, key)
        now = call.parts.clock.now()
        store.write_variable(connection, call.parts.keys, owner, key, body.value, body.description, now)
        after = inventory.find_variable(connection, owner, key)
        assert after is not None
        changed = sorted(body.model_fields_set)
        entry = Entry(
            team=owner, action="variable.set", object_type="variable", object_id=key, detail={"changed": changed}
        )
        return Effect(status=200 if before else 201, reply=_view(after), entries=(entry,))

    return write(call, save).response()


@resource.delete("/variables/{key:path}", EDIT, status_code=204)
def delete_variable(call: CurrentCall, key: VariableKey, team: Team = None) -> Response:
    """Delete a variable."""
    owner = team_of(call, team)

    def delete(connection: Connection) -> Effect:
        _load(call, connection, key, owner)
        store.delete_variable(connection, owner, key)
        entry = Entry(team=owner, action="variable.delete", object_type="variable", object_id=key)
        return Effect(status=204, reply=None, entries=(entry,))

    return write(call, delete).response()


def _load(call: Call, connection: Connection, key: str, team: str) -> AnyRow:
    row = inventory.find_variable(connection, team, key)
    missing = NotFound(f"team {team!r} has no variable {key!r}")
    call.authorise(Kind.VARIABLE, key, row.team if row else None, missing)
    assert row is not None
    return row


def _view(row: AnyRow) -> VariableView:
    return VariableView.model_validate(row, from_attributes=True)
