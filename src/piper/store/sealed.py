"""All secrets at rest, whatever table they are in: proof that the keys fit, and rotation (security.md §2 row 14)."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Table, select

from piper.secrets import Keys, context_of
from piper.store.schema import connection as connection_table
from piper.store.schema import variable


class _Sealed(NamedTuple):
    """Where secrets of one kind are: their context is (name of the kind, id, team)."""

    kind: str
    table: Table
    identifier: Column[Any]
    secret: Column[Any]


_PLACES = (
    _Sealed("variable", variable, variable.c.key, variable.c.value),
    _Sealed("connection", connection_table, connection_table.c.conn_id, connection_table.c.secret),
)


def check_keys(connection: Connection, keys: Keys) -> None:
    """Return if the keys open what is stored: asked when a process starts, before anything is written with them.

    Raises:
        Unreadable: they are not the keys of this database.
    """
    for place in _PLACES:
        statement = select(place.identifier, place.table.c.team, place.secret).where(place.secret.is_not(None)).limit(1)
        for identifier, team, secret in connection.execute(statement):
            keys.open(secret, context_of(place.kind, identifier, team))


def rewrap_all(connection: Connection, keys: Keys) -> int:
    """Put every secret under the current master key, after a new one was added. Returns how many there are.

    Raises:
        Unreadable: one is sealed with a key that is not there any more; nothing was changed.
    """
    count = 0
    for place in _PLACES:
        team = place.table.c.team
        statement = select(place.identifier, team, place.secret).where(place.secret.is_not(None)).with_for_update()
        for identifier, owner, secret in connection.execute(statement).all():
            where = (place.identifier == identifier) & (team == owner)
            connection.execute(place.table.update().where(where).values({place.secret: keys.rewrap(secret)}))
            count += 1
    return count
