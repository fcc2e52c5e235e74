"""Variables and connections, as the code of a team may read them: in its tasks, and while its files are loaded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from piper.model import wire
from piper.secrets import Keys
from piper.store.connections import read_connection
from piper.store.variables import read_variable


def look_up(connection: Connection, keys: Keys, team: str, lookup: wire.Lookup) -> Any:
    """The text of a variable, or the fields of a connection with its secrets.

    Raises:
        NotFound: there is none for this team.
        Unreadable: it cannot be decrypted.
    """
    if isinstance(lookup, wire.GetVariable):
        return read_variable(connection, keys, team, lookup.key)
    settings, secret = read_connection(connection, keys, team, lookup.conn_id)
    return {
        "conn_id": settings.conn_id,
        "conn_type": settings.conn_type,
        "description": settings.description,
        "host": settings.host,
        "login": settings.login,
        "password": secret.password,
        "schema": settings.schema,
        "port": settings.port,
        "extra": secret.extra,
    }
