"""Granting: from scheduled to queued, and what a worker must be told of that is queued."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Row, bindparam, select

from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import CodeRef
from piper.store.pools import UNLIMITED, Lane
from piper.store.schema import run, task_instance

_instance = task_instance.c
_SCHEDULED: ColumnElement[str] = sqlalchemy.literal_column("'scheduled'")
_QUEUED: ColumnElement[str] = sqlalchemy.literal_column("'queued'")
_HOLDS_A_SLOT = sqlalchemy.text("task_instance.state IN ('queued', 'running')")
"""The condition of the partial index, word for word (see `executions`)."""


_IS_SCHEDULED = sqlalchemy.text("task_instance.state = 'scheduled'")


class Dispatchable(NamedTuple):
    """A queued execution and what a worker must know to prepare for it."""

    identity: Identity
    code: CodeRef
    isolation: Isolation


class Waiting(NamedTuple):
    """A scheduled instance, as far as granting is concerned."""

    instance: int
    slots: int
    priority: int
    backfill: bool


_DISPATCHED = (
    _instance.id,
    _instance.try_number,
    _instance.leg,
    _instance.code,
    _instance.isolation,
    run.c.bundle,
    run.c.snapshot,
    run.c.file,
)
_WAITING = (
    select(_instance.id, _instance.pool_slots, _instance.priority, _instance.backfill)
    .where(
        _IS_SCHEDULED,
        _instance.pool == bindparam("pool"),
        _instance.team == bindparam("team"),
        # One that can never fit would stand at the head for ever and hide what is behind it.
        _instance.pool_slots <= bindparam("slots"),
    )
    .order_by(_instance.backfill, _instance.priority.desc(), _instance.id)
    .limit(bindparam("limit"))
)
_NO_LIMIT = (1 << 31) - 1


def waiting(connection: Connection, lane: Lane, slots: int, limit: int) -> list[Waiting]:
    """The first `limit` executions of a lane of those that the pool's `slots` can ever hold.

    By priority and age, those of backfills after all others.
    """
    bounds = {"slots": _NO_LIMIT if slots == UNLIMITED else slots, "limit": limit}
    rows = connection.execute(_WAITING, {**lane._asdict(), **bounds})
    return [Waiting._make(row) for row in rows]


_GRANT = (
    task_instance.update()
    .where(
        # In the order of their numbers, as everybody locks instances; SQLite has no row locks and needs none.
        _instance.id.in_(
            select(_instance.id)
            .where(
                _instance.id.in_(bindparam("instances", expanding=True)),
                _instance.state == _SCHEDULED,
            )
            .order_by(_instance.id)
            .with_for_update()
        ),
        _instance.state == _SCHEDULED,
    )
    .values(state=_QUEUED, queued_at=bindparam("now"), worker=None)
    .returning(_instance.id)
)
_GRANTED = (
    select(*_DISPATCHED)
    .join_from(task_instance, run, run.c.id == _instance.run)
    .where(_instance.id.in_(bindparam("instances", expanding=True)))
)


def grant(connection: Connection, wanted: Sequence[int], now: datetime) -> list[Dispatchable]:
    """Move those of these instances that are still scheduled to queued; returns them in the order given.

    What a worker is told of them is read here, and not before: a clear since then may have scheduled one anew, or
    given the run another version, as whose code nothing may be prepared any more. What is cleared after this cannot
    start.
    """
    granted = connection.execute(_GRANT, {"instances": wanted, "now": now}).scalars().all()
    if not granted:
        return []
    found = {row.id: _dispatchable(row) for row in connection.execute(_GRANTED, {"instances": granted})}
    return [found[instance] for instance in wanted if instance in found]


_QUEUED_IN_ORDER = (
    select(*_DISPATCHED)
    .join_from(task_instance, run, run.c.id == _instance.run)
    .where(_instance.state == _QUEUED, _HOLDS_A_SLOT)
    .order_by(_instance.queued_at, _instance.id)
)


def queued(connection: Connection) -> list[Dispatchable]:
    """Every queued execution, the one that was granted first at the head. There are as many as slots at most."""
    return [_dispatchable(row) for row in connection.execute(_QUEUED_IN_ORDER)]


def _dispatchable(row: Row[*tuple[Any, ...]]) -> Dispatchable:
    code = CodeRef(row.bundle, row.snapshot, row.file) if row.code else CodeRef()
    return Dispatchable(Identity(row.id, row.try_number, row.leg), code, Isolation(row.isolation))
