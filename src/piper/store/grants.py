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
from piper.store.schema import run, task_instance

_instance = task_instance.c
_SCHEDULED: ColumnElement[str] = sqlalchemy.literal_column("'scheduled'")
_QUEUED: ColumnElement[str] = sqlalchemy.literal_column("'queued'")
_HOLDS_A_SLOT = sqlalchemy.text("task_instance.state IN ('queued', 'running')")
"""The condition of the partial index, word for word (see `executions`)."""


class Dispatchable(NamedTuple):
    """A queued execution and what a worker must know to prepare for it."""

    identity: Identity
    code: CodeRef
    isolation: Isolation


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
    .values(state=_QUEUED, queued_at=bindparam("now"), worker=None, start_nonce=None)
    .returning(_instance.id)
)
_QUEUED_EXECUTIONS = (
    select(
        _instance.id,
        _instance.try_number,
        _instance.leg,
        _instance.code,
        _instance.isolation,
        run.c.bundle,
        run.c.snapshot,
        run.c.file,
    )
    .join_from(task_instance, run, run.c.id == _instance.run)
    .where(_instance.state == _QUEUED)
)
_QUEUED_BY_NUMBER = _QUEUED_EXECUTIONS.where(_instance.id.in_(bindparam("instances", expanding=True)))
_QUEUED_IN_ORDER = _QUEUED_EXECUTIONS.where(_HOLDS_A_SLOT).order_by(_instance.queued_at, _instance.id)


def grant(connection: Connection, instances: Sequence[int], now: datetime) -> list[Dispatchable]:
    """Move those of these instances that are still scheduled to queued; returns them in the order given."""
    granted = connection.execute(_GRANT, {"instances": instances, "now": now}).scalars().all()
    if not granted:
        return []
    rows = connection.execute(_QUEUED_BY_NUMBER, {"instances": granted})
    found = {row.id: _dispatchable(row) for row in rows}
    return [found[instance] for instance in instances if instance in found]


def queued(connection: Connection) -> list[Dispatchable]:
    """Every queued execution, the one that was granted first at the head. There are as many as slots at most."""
    return [_dispatchable(row) for row in connection.execute(_QUEUED_IN_ORDER)]


def _dispatchable(row: Row[*tuple[Any, ...]]) -> Dispatchable:
    code = CodeRef(row.bundle, row.snapshot, row.file) if row.code else CodeRef()
    return Dispatchable(Identity(row.id, row.try_number, row.leg), code, Isolation(row.isolation))
