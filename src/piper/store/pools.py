"""Pools: how many slots there are, who holds them, who waits for them.

What is free is counted from the rows that hold slots, each time, and never kept (correctness I15). What waits is read
along the index of scheduled instances, one lane of (pool, team) after the other and only as far as could be granted,
so that a backlog of a million costs what a backlog of ten does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy
from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.exc import IntegrityError

from piper.model.errors import Conflict, Invalid, NotFound
from piper.store.schema import pool, task_instance

UNLIMITED = -1
"""`slots` of a pool without a limit, as in Airflow."""

_instance = task_instance.c
# The conditions of the partial indexes, word for word: SQLite takes such an index only where it finds that.
_SCHEDULED = sqlalchemy.text("task_instance.state = 'scheduled'")
_HOLDS_A_SLOT = sqlalchemy.text("task_instance.state IN ('queued', 'running')")
_DEFERRED = sqlalchemy.text("task_instance.state = 'deferred'")


class Pool(Struct, frozen=True, kw_only=True):
    """A pool as people administer it."""

    name: str
    team: str
    slots: int
    """At least 0, or UNLIMITED."""
    include_deferred: bool = False
    """Whether a deferred instance goes on holding its slots."""
    description: str = ""


def list_pools(connection: Connection) -> list[Pool]:
    """All pools, by name."""
    return [Pool(**row) for row in connection.execute(select(pool).order_by(pool.c.name)).mappings()]


def find_pool(connection: Connection, name: str) -> Pool:
    """The pool of that name. Raises NotFound."""
    row = connection.execute(select(pool).where(pool.c.name == name)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no pool {name!r}")
    return Pool(**row)


def create_pool(connection: Connection, new: Pool) -> None:
    """Add a pool.

    Raises:
        Invalid: its slots are neither a count nor UNLIMITED.
        Conflict: there is one of that name.
    """
    _check(new)
    try:
        connection.execute(pool.insert(), _row(new))
    except IntegrityError as error:
        raise Conflict(f"there is a pool {new.name!r} already") from error


def change_pool(connection: Connection, changed: Pool) -> None:
    """Give the pool of that name these values. Raises Invalid as `create_pool`, or NotFound."""
    _check(changed)
    if connection.execute(pool.update().where(pool.c.name == changed.name).values(_row(changed))).rowcount == 0:
        raise NotFound(f"there is no pool {changed.name!r}")


def delete_pool(connection: Connection, name: str) -> None:
    """Remove a pool; instances that want it are not granted until there is one again. Raises NotFound."""
    if connection.execute(pool.delete().where(pool.c.name == name)).rowcount == 0:
        raise NotFound(f"there is no pool {name!r}")


def _check(value: Pool) -> None:
    if value.slots < UNLIMITED:
        raise Invalid(
            f"pool {value.name!r} cannot have {value.slots} slots: use 0 or more, or {UNLIMITED} for no limit"
        )


def _row(value: Pool) -> dict[str, object]:
    return {name: getattr(value, name) for name in Pool.__struct_fields__}


# --- what is held -------------------------------------------------------------------------------


class Holding(NamedTuple):
    """What one team holds of one pool."""

    pool: str
    team: str
    executions: int
    """Queued and running ones."""
    slots: int
    """Theirs, and those of deferred instances where the pool counts these."""


_HELD = (
    select(_instance.pool, _instance.team, func.count(), func.sum(_instance.pool_slots))
    .where(_HOLDS_A_SLOT)
    .group_by(_instance.pool, _instance.team)
)
_LENT_TO_DEFERRED = (
    select(_instance.pool, _instance.team, sqlalchemy.literal_column("0"), func.sum(_instance.pool_slots))
    .where(_DEFERRED, _instance.pool.in_(bindparam("pools", expanding=True)))
    .group_by(_instance.pool, _instance.team)
)


def holdings(connection: Connection, pools: Iterable[Pool]) -> list[Holding]:
    """What the teams hold of every pool; `pools` says which of them count deferred instances."""
    held = [Holding._make(row) for row in connection.execute(_HELD)]
    counting = [one.name for one in pools if one.include_deferred]
    if counting:
        held += [Holding._make(row) for row in connection.execute(_LENT_TO_DEFERRED, {"pools": counting})]
    return held


# --- what waits ---------------------------------------------------------------------------------


class Lane(NamedTuple):
    """The scheduled instances of one team in one pool."""

    pool: str
    team: str


# A loose index scan: each step seeks the next value in the index, so that its cost is the number of lanes and not of
# instances. Neither database does that for SELECT DISTINCT by itself.
_LANES = sqlalchemy.text(
    """
    WITH RECURSIVE
    pools(name) AS (
      SELECT min(pool) FROM task_instance WHERE task_instance.state = 'scheduled'
      UNION ALL
      SELECT (SELECT min(pool) FROM task_instance WHERE task_instance.state = 'scheduled' AND pool > pools.name)
      FROM pools WHERE pools.name IS NOT NULL
    ),
    lanes(pool, team) AS (
      SELECT name,
        (SELECT min(team) FROM task_instance WHERE task_instance.state = 'scheduled' AND pool = pools.name)
      FROM pools WHERE name IS NOT NULL
      UNION ALL
      SELECT lanes.pool,
        (SELECT min(team) FROM task_instance
         WHERE task_instance.state = 'scheduled' AND pool = lanes.pool AND team > lanes.team)
      FROM lanes WHERE lanes.team IS NOT NULL
    )
    SELECT pool, team FROM lanes WHERE team IS NOT NULL ORDER BY pool, team
    """
)


def lanes(connection: Connection) -> list[Lane]:
    """The (pool, team) pairs that have scheduled instances."""
    return [Lane._make(row) for row in connection.execute(_LANES)]


class Misfit(NamedTuple):
    """A scheduled task that no grant can ever reach, and why."""

    run: int
    task_id: str
    pool: str
    wanted: int
    slots: int | None
    """The pool's; None when there is no such pool."""


_MISFITS = (
    select(_instance.run, _instance.task_id, _instance.pool, _instance.pool_slots, pool.c.slots)
    .distinct()
    .join_from(task_instance, pool, pool.c.name == _instance.pool, isouter=True)
    .where(
        _SCHEDULED,
        pool.c.slots.is_(None) | ((pool.c.slots != UNLIMITED) & (_instance.pool_slots > pool.c.slots)),
    )
    .limit(bindparam("limit"))
)


def misfits(connection: Connection, limit: int) -> list[Misfit]:
    """Up to `limit` scheduled tasks that want more slots than their pool has, or a pool that is not there."""
    return [Misfit._make(row) for row in connection.execute(_MISFITS, {"limit": limit})]
