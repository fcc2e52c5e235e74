"""Variables: text that people set and tasks read, encrypted at rest (`piper.secrets`).

A variable belongs to a team; those of `SHARED` may be read by every team, and a team's own comes first. A value moved
to another row does not open there: its key and team are sealed with it.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from piper.model.errors import NotFound
from piper.secrets import Keys, context_of
from piper.store.schema import variable

SHARED = ""
"""The team of what every team may read."""


class Variable(Struct, frozen=True, kw_only=True):
    """A variable without its value: what a list shows."""

    team: str
    key: str
    description: str
    updated_at: datetime


_of = variable.c
_VISIBLE = (
    select(_of.team, _of.value)
    .where(_of.key == bindparam("key"), _of.team.in_([bindparam("team"), SHARED]))
    .order_by(_of.team.desc())  # a team's own name is greater than that of SHARED
    .limit(1)
)


def read_variable(connection: Connection, keys: Keys, team: str, key: str) -> str:
    """The value of a variable that `team` may read.

    Raises:
        NotFound: there is none of that key for this team.
        Unreadable: it cannot be decrypted.
    """
    row = connection.execute(_VISIBLE, {"team": team, "key": key}).one_or_none()
    if row is None:
        raise NotFound(f"variable {key!r} does not exist in team {team!r}")
    return keys.open(row.value, context_of("variable", key, row.team)).decode()


def list_variables(connection: Connection, teams: list[str]) -> list[Variable]:
    """The variables of these teams, without their values."""
    statement = select(_of.team, _of.key, _of.description, _of.updated_at).where(_of.team.in_(teams))
    return [Variable(**row) for row in connection.execute(statement.order_by(_of.key, _of.team)).mappings()]


def write_variable(
    connection: Connection, keys: Keys, team: str, key: str, value: str, description: str | None, now: datetime
) -> None:
    """Create or change a variable of a team; without a description an existing one is kept."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    sealed = keys.seal(value.encode(), context_of("variable", key, team))
    values = {"team": team, "key": key, "value": sealed, "description": description or "", "updated_at": now}
    replaced = {name: values[name] for name in ("value", "updated_at")}
    if description is not None:
        replaced["description"] = description
    statement = insert(variable).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["team", "key"], set_=replaced))


def delete_variable(connection: Connection, team: str, key: str) -> None:
    """Remove a team's variable. Raises NotFound."""
    statement = delete(variable).where(_of.team == team, _of.key == key)
    if connection.execute(statement).rowcount == 0:
        raise NotFound(f"variable {key!r} does not exist in team {team!r}")
