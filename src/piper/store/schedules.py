"""The schedule cursor of workflows: what is due, and where each stands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, text, update

from piper.model.ids import SHARDS
from piper.model.workflow import ScheduledWorkflow
from piper.store.database import guarded
from piper.store.schema import spec as spec_table
from piper.store.schema import workflow as table

_COLUMNS = tuple(table.c[name] for name in ScheduledWorkflow.__struct_fields__)


def _from_row(row: Row[Any]) -> ScheduledWorkflow:
    return ScheduledWorkflow(**row._mapping)


def due_workflows(
    connection: Connection, shards: Collection[int], now: datetime, limit: int, except_ids: Collection[str] = ()
) -> list[ScheduledWorkflow]:
    """Unpaused workflows whose next run's moment has come, the longest overdue first.

    Arguments:
        except_ids: workflows in quarantine, which must not fill the batch for ever.
    """
    rows = connection.execute(_of_shards(_DUE, shards, except_ids), {"now": now, "limit": limit})
    return [w for w in map(_from_row, rows) if w.shard in shards]


def _of_shards(statement: Select[Any], shards: Collection[int], except_ids: Collection[str]) -> Select[Any]:
    """Only of these shards, before the limit: what another owner is behind with must not fill it and hide ours."""
    if len(shards) < SHARDS:
        statement = statement.where(table.c.shard.in_(sorted(shards)))
    if except_ids:
        statement = statement.where(table.c.workflow_id.not_in(sorted(except_ids)))
    return statement


_DUE = (
    select(*_COLUMNS)
    .where(table.c.next_run_after <= bindparam("now", type_=table.c.next_run_after.type))
    .order_by(table.c.next_run_after)
    .limit(bindparam("limit"))
)


def next_moment(connection: Connection, shards: Collection[int], except_ids: Collection[str] = ()) -> datetime | None:
    """When the next scheduled run of any workflow of these shards is due."""
    return connection.execute(_of_shards(_NEXT, shards, except_ids)).scalar()


_NEXT = select(func.min(table.c.next_run_after))


def workflows_by_id(connection: Connection, ids: Collection[str]) -> dict[str, ScheduledWorkflow]:
    """These workflows, by id."""
    found: dict[str, ScheduledWorkflow] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):
        rows = connection.execute(select(*_COLUMNS).where(table.c.workflow_id.in_(wanted[start : start + 500])))
        found |= {row.workflow_id: _from_row(row) for row in rows}
    return found


def unplanned_workflows(
    connection: Connection, shards: Collection[int], limit: int, except_ids: Collection[str] = ()
) -> list[ScheduledWorkflow]:
    """Workflows whose cursor must be computed anew: a new version, a pause, a run that made room.

    Arguments:
        except_ids: workflows in quarantine.
    """
    rows = connection.execute(_of_shards(_UNPLANNED, shards, except_ids), {"limit": limit})
    return [w for w in map(_from_row, rows) if w.shard in shards]


_UNPLANNED = select(*_COLUMNS).where(text("planned_spec <> spec_hash")).limit(bindparam("limit"))


_MOVE = (
    update(table)
    .where(
        table.c.workflow_id == bindparam("guard_id"),
        table.c.planned_spec == bindparam("guard_planned"),
    )
    .values(
        last_dates=bindparam("new_last"),
        next_dates=bindparam("new_next"),
        next_run_after=bindparam("new_run_after"),
        planned_spec=bindparam("new_planned"),
    )
)


def move_cursors(connection: Connection, moves: Sequence[tuple[ScheduledWorkflow, ScheduledWorkflow]]) -> None:
    """Write cursors: pairs of (before, after).

    Raises:
        GuardFailed: a cursor is not where it was when that was decided.
    """
    guarded(
        connection,
        _MOVE,
        [
            {
                "guard_id": before.workflow_id,
                "guard_planned": before.planned_spec,
                "new_last": after.last_dates,
                "new_next": after.next_dates,
                "new_run_after": after.next_run_after,
                "new_planned": after.planned_spec,
            }
            for before, after in moves
        ],
        "schedule cursors",
    )


_FLAGS = (
    update(table)
    .where(table.c.workflow_id == bindparam("guard_id"))
    .values(
        paused=bindparam("new_paused"),
        stale=bindparam("new_stale"),
        consecutive_failures=bindparam("new_failures"),
        planned_spec=bindparam("new_planned"),
    )
)


def set_flags(connection: Connection, workflows: Sequence[ScheduledWorkflow]) -> None:
    """Write pause, staleness, the count of failures in a row, and whether the cursor must be computed anew."""
    guarded(
        connection,
        _FLAGS,
        [
            {
                "guard_id": w.workflow_id,
                "new_paused": w.paused,
                "new_stale": w.stale,
                "new_failures": w.consecutive_failures,
                "new_planned": w.planned_spec,
            }
            for w in workflows
        ],
        "workflows",
    )


def spec_bodies(connection: Connection, hashes: Collection[str]) -> dict[str, str]:
    """The JSON of specs, by hash."""
    rows = connection.execute(select(spec_table).where(spec_table.c.hash.in_(sorted(hashes))))
    return {row.hash: row.body for row in rows}
