"""Events: appended by whoever knows something, consumed by the owner of their shard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select

from piper.model.events import Event
from piper.model.ids import SHARDS
from piper.store.schema import event as table

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class StoredEvent(NamedTuple):
    """An event that waits to be applied."""

    id: int
    shard: int
    run: int | None
    event: Event


def event_row(shard: int, run: int | None, event: Event, now: datetime) -> dict[str, Any]:
    """The row of an event."""
    return {"shard": shard, "run": run, "body": _encoder.encode(event), "created_at": now}


def append_events(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Append events made by `event_row`."""
    if rows:
        connection.execute(insert(table), rows)


def pending_events(
    connection: Connection,
    shards: Collection[int],
    limit: int,
    *,
    except_runs: Iterable[int] = (),
    except_ids: Iterable[int] = (),
    unreadable: Callable[[int, int | None, msgspec.MsgspecError], None] | None = None,
) -> list[StoredEvent]:
    """The oldest events of these shards that nobody has applied yet, at most `limit`.

    Arguments:
        except_runs: runs in quarantine, whose events must not fill the batch for ever.
        except_ids: events in quarantine.
        unreadable: told the number and the run of an event that this version of Piper cannot read, and why.

    Raises:
        MsgspecError: an event cannot be read, and nobody wants to be told.
    """
    every = len(shards) >= SHARDS
    statement = _PENDING_ANYWHERE if every else _PENDING
    left_out = sorted(except_runs)
    if left_out:
        statement = statement.where(table.c.run.is_(None) | table.c.run.not_in(left_out))
    aside = sorted(except_ids)
    if aside:
        statement = statement.where(table.c.id.not_in(aside))
    parameters: dict[str, Any] = {"limit": limit}
    if not every:
        parameters["shards"] = sorted(shards)
    found = []
    for row in connection.execute(statement, parameters):
        if row.shard not in shards:
            continue
        try:
            found.append(StoredEvent(row.id, row.shard, row.run, _decoder.decode(row.body)))
        except msgspec.MsgspecError as error:
            if unreadable is None:
                raise
            unreadable(row.id, row.run, error)
    return found


_PENDING_ANYWHERE = (
    select(table.c.id, table.c.shard, table.c.run, table.c.body).order_by(table.c.id).limit(bindparam("limit"))
)
_PENDING = _PENDING_ANYWHERE.where(table.c.shard.in_(bindparam("shards", expanding=True)))

_DELETE = delete(table).where(table.c.id == bindparam("event_id"))


def delete_events(connection: Connection, ids: Sequence[int]) -> None:
    """Consume events, in the transaction that applies them."""
    if ids:
        connection.execute(_DELETE, [{"event_id": i} for i in ids])
