"""Connections: where tasks reach other systems, and as whom. Password and extra are encrypted together at rest.

A connection belongs to a team; those of `SHARED` may be used by every team, and a team's own comes first.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from piper.model.errors import NotFound
from piper.secrets import Keys, context_of
from piper.store.schema import connection as table
from piper.store.variables import SHARED


class ConnectionSettings(Struct, frozen=True, kw_only=True):
    """What a list shows of a connection: everything but its secrets."""

    team: str
    conn_id: str
    conn_type: str
    description: str = ""
    host: str | None = None
    login: str | None = None
    schema: str | None = None
    port: int | None = None
    has_secret: bool = False
    """Whether a password or an extra is set."""


class ConnectionSecret(Struct, frozen=True, omit_defaults=True):
    """What is encrypted of a connection."""

    password: str | None = None
    extra: str | None = None
    """JSON text, as Airflow keeps it."""


_decoder = msgspec.json.Decoder(ConnectionSecret)
_SHOWN = ("team", "conn_id", "conn_type", "description", "host", "login", "schema", "port")
_SETTINGS = [table.c[name] for name in _SHOWN]
_VISIBLE = (
    select(*_SETTINGS, table.c.secret)
    .where(table.c.conn_id == bindparam("conn_id"), table.c.team.in_([bindparam("team"), SHARED]))
    .order_by(table.c.team.desc())  # a team's own name is greater than that of SHARED
    .limit(1)
)


def read_connection(
    connection: Connection, keys: Keys, team: str, conn_id: str
) -> tuple[ConnectionSettings, ConnectionSecret]:
    """A connection that `team` may use, with its secrets.

    Raises:
        NotFound: there is none of that id for this team.
        Unreadable: it cannot be decrypted.
    """
    row = connection.execute(_VISIBLE, {"team": team, "conn_id": conn_id}).mappings().one_or_none()
    if row is None:
        raise NotFound(f"connection {conn_id!r} does not exist in team {team!r}")
    sealed = row["secret"]
    settings = ConnectionSettings(**{name: row[name] for name in _SHOWN}, has_secret=sealed is not None)
    if sealed is None:
        return settings, ConnectionSecret()
    return settings, _decoder.decode(keys.open(sealed, context_of("connection", conn_id, settings.team)))


def list_connections(connection: Connection, teams: list[str]) -> list[ConnectionSettings]:
    """The connections of these teams, without their secrets."""
    statement = select(*_SETTINGS, table.c.secret.is_not(None).label("has_secret")).where(table.c.team.in_(teams))
    rows = connection.execute(statement.order_by(table.c.conn_id, table.c.team)).mappings()
    return [ConnectionSettings(**{**row, "has_secret": bool(row["has_secret"])}) for row in rows]


def write_connection(
    connection: Connection, keys: Keys, settings: ConnectionSettings, secret: ConnectionSecret | None, now: datetime
) -> None:
    """Create or change a connection; without a secret the one that an existing connection has is kept."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values: dict[str, object] = {name: getattr(settings, name) for name in _SHOWN} | {"updated_at": now}
    if secret is not None:
        context = context_of("connection", settings.conn_id, settings.team)
        values["secret"] = None if secret == ConnectionSecret() else keys.seal(msgspec.json.encode(secret), context)
    statement = insert(table).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["team", "conn_id"], set_=values))


def delete_connection(connection: Connection, team: str, conn_id: str) -> None:
    """Remove a team's connection. Raises NotFound."""
    statement = delete(table).where(table.c.team == team, table.c.conn_id == conn_id)
    if connection.execute(statement).rowcount == 0:
        raise NotFound(f"connection {conn_id!r} does not exist in team {team!r}")
