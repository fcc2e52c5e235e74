"""Replies that are remembered by the caller's `Idempotency-Key`: a repeated write has one effect (I24).

The key is claimed by the first statement of the write's transaction and the reply stored by one of its
last, so that key, effect and reply become visible together or not at all. A repetition that arrives while
the first is still at work waits: for the write lock on SQLite, for the key's row on PostgreSQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from piper.model.errors import Invalid
from piper.store.schema import idempotency


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered the first time."""

    status: int
    body: bytes


def claim(connection: Connection, principal: str, key: str, request: str, now: datetime) -> Reply | None:
    """The reply that was given to this key before, or None when it is ours to answer now.

    Arguments:
        request: a hash of what is asked; the same key with another request is refused.

    Raises:
        Invalid: the key was used for another request.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(idempotency).values(
        principal=principal, key=key, request=request, status=0, body=b"", created_at=now
    )
    claimed = connection.execute(statement.on_conflict_do_nothing().returning(idempotency.c.key)).one_or_none()
    if claimed is not None:
        return None
    row = connection.execute(
        select(idempotency).where(idempotency.c.principal == principal, idempotency.c.key == key)
    ).one()
    if row.request != request:
        raise Invalid(f"the Idempotency-Key {key!r} was used for another request: make a new one for each write")
    return Reply(row.status, row.body)


def remember(connection: Connection, principal: str, key: str, reply: Reply) -> None:
    """Store the reply to a claimed key, in the transaction that claimed it."""
    connection.execute(
        idempotency.update()
        .where(idempotency.c.principal == principal, idempotency.c.key == key)
        .values(status=reply.status, body=reply.body)
    )


def forget(connection: Connection, before: datetime) -> int:
    """Remove the replies that are older than `before`; returns how many."""
    return connection.execute(idempotency.delete().where(idempotency.c.created_at < before)).rowcount
