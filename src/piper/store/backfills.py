"""Backfills: asking for one, moving it on with its runs, finding it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or

from piper.model.backfill import ACTIVE, Backfill, BackfillState
from piper.model.errors import Conflict
from piper.model.ids import instances_of
from piper.model.run import Run
from piper.model.states import FINISHED, IN_FLIGHT, RunState, RunType, TaskState
from piper.store.database import among, guarded
from piper.store.listings import AnyRow, Order, Page, Teams, Window, read_page, readable
from piper.store.runs import run_from_row
from piper.store.schema import backfill as table
from piper.store.schema import run, task_instance

_DECIDED_BY_THE_DATABASE = ("id",)
MOST_DATES = 500
"""Dates in one list of a statement."""

BACKFILL_ORDER = Order((table.c.id,), descending=True)


def create_backfill(connection: Connection, wanted: Backfill) -> Backfill:
    """Store a backfill (its number is the database's to give).

    Raises:
        Conflict: the workflow has one that is not done.
    """
    values = {
        name: getattr(wanted, name) for name in Backfill.__struct_fields__ if name not in _DECIDED_BY_THE_DATABASE
    }
    made = connection.execute(insert_or(table).values(values).on_conflict_do_nothing().returning(table)).one_or_none()
    if made is not None:
        return _from_row(made)
    other = connection.execute(
        select(table.c.id).where(table.c.workflow_id == wanted.workflow_id, among(table.c.state, ACTIVE))
    ).scalar()
    raise Conflict(
        f"workflow {wanted.workflow_id!r} has backfill {other} already, which is not done: wait for it, or cancel it"
    )


def unended_backfills(connection: Connection, shards: Collection[int]) -> list[Backfill]:
    """The backfills of these shards of which more may come."""
    found = (each for each in map(_from_row, connection.execute(_UNENDED)) if each.shard in shards)
    return sorted(found, key=lambda each: each.id)


_UNENDED = select(table).where(table.c.ended_at.is_(None))


def backfills_by_number(connection: Connection, numbers: Collection[int]) -> dict[int, Backfill]:
    """Those of these backfills that there are, by number."""
    rows = connection.execute(select(table).where(table.c.id.in_(sorted(numbers))))
    return {row.id: _from_row(row) for row in rows}


_MOVE = (
    update(table)
    .where(
        table.c.id == bindparam("guard_id"),
        table.c.state == bindparam("guard_state", type_=table.c.state.type),
        table.c.cursor.is_not_distinct_from(bindparam("guard_cursor", type_=table.c.cursor.type)),
    )
    .values(
        state=bindparam("new_state"),
        paused=bindparam("new_paused"),
        cursor=bindparam("new_cursor"),
        created=bindparam("new_created"),
        rerun=bindparam("new_rerun"),
        existed=bindparam("new_existed"),
        in_flight=bindparam("new_in_flight"),
        ended_at=bindparam("new_ended_at"),
    )
)
_MOVED = ("state", "paused", "cursor", "created", "rerun", "existed", "in_flight", "ended_at")


def move_backfills(connection: Connection, moves: Sequence[tuple[Backfill, Backfill]]) -> None:
    """Write what owners decided about backfills: pairs of (before, after).

    Raises:
        GuardFailed: a state or a cursor is not as it was when that was decided.
    """
    guarded(
        connection,
        _MOVE,
        [
            {"guard_id": before.id, "guard_state": before.state, "guard_cursor": before.cursor}
            | {f"new_{name}": getattr(after, name) for name in _MOVED}
            for before, after in moves
        ],
        "backfills",
    )


# --- their runs ---------------------------------------------------------------------------------


def runs_of_dates(connection: Connection, workflow_id: str, dates: Sequence[datetime]) -> dict[datetime, Run]:
    """The runs that a workflow has for these logical dates, by date."""
    found: dict[datetime, Run] = {}
    for start in range(0, len(dates), MOST_DATES):
        part = dates[start : start + MOST_DATES]
        rows = connection.execute(_RUNS_OF_DATES, {"workflow_id": workflow_id, "dates": part})
        found |= {row.logical_date: run_from_row(row) for row in rows}
    return found


_RUNS_OF_DATES = select(run).where(
    run.c.workflow_id == bindparam("workflow_id"),
    run.c.logical_date.in_(bindparam("dates", expanding=True, type_=run.c.logical_date.type)),
)


def adopt_runs(connection: Connection, backfill: Backfill, runs: Sequence[Run]) -> None:
    """Make existing runs those of a backfill: they wait and count in its lane, and their tasks come after others'."""
    if not runs:
        return
    values: dict[str, Any] = {"backfill": backfill.id, "run_type": RunType.BACKFILL, "triggered_by": "backfill"}
    if backfill.conf:
        values["conf"] = backfill.conf
    connection.execute(update(run).where(run.c.id.in_([each.id for each in runs])).values(values))
    for each in runs:
        first, last = instances_of(each.id)
        connection.execute(update(task_instance).where(task_instance.c.id.between(first, last)).values(backfill=True))


def end_queued_runs(connection: Connection, number: int, limit: int, now: datetime) -> list[int]:
    """End runs of a backfill that have not been started, at most `limit`; returns their numbers.

    Not by a step each: nothing of them has happened, nobody is called back, and no failure is counted.
    """
    ended = list(connection.execute(_END_QUEUED, {"number": number, "limit": limit, "now": now}).scalars())
    for each in ended:  # of runs that were cleared and wait to be begun again
        first, last = instances_of(each)
        connection.execute(_SKIP_IDLE, {"first": first, "last": last, "now": now})
    return ended


_END_QUEUED = (
    update(run)
    .where(
        run.c.id.in_(
            select(run.c.id)
            .where(run.c.backfill == bindparam("number"), run.c.state == literal_column("'queued'"))
            .order_by(run.c.id)
            .limit(bindparam("limit"))
        ),
        run.c.state == literal_column("'queued'"),
    )
    .values(
        state=RunState.FAILED,
        reason="backfill_cancelled",
        ended_at=bindparam("now", type_=run.c.ended_at.type),
    )
    .returning(run.c.id)
)
_SKIP_IDLE = (
    update(task_instance)
    .where(
        task_instance.c.id.between(bindparam("first"), bindparam("last")),
        among(task_instance.c.state, set(TaskState) - FINISHED - IN_FLIGHT),
    )
    .values(state=TaskState.SKIPPED, ended_at=bindparam("now", type_=task_instance.c.ended_at.type), due=None)
)


# --- what is shown of them ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillFilter:
    """Which backfills; None or empty does not ask."""

    workflow_id: str | None = None
    states: tuple[BackfillState, ...] = ()


def list_backfills(connection: Connection, teams: Teams, wanted: BackfillFilter, window: Window) -> Page:
    """Backfills, the latest first."""
    statement = readable(select(table), table.c.team, teams)
    if wanted.workflow_id is not None:
        statement = statement.where(table.c.workflow_id == wanted.workflow_id)
    if wanted.states:
        statement = statement.where(table.c.state.in_(wanted.states))
    return read_page(connection, statement, BACKFILL_ORDER, window)


def find_backfill(connection: Connection, number: int) -> AnyRow | None:
    """The backfill of that number, or None."""
    return connection.execute(select(table).where(table.c.id == number)).one_or_none()


def count_runs(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[RunState, int]]:
    """How many runs each of these backfills has in each state."""
    found: dict[int, dict[RunState, int]] = {number: {} for number in numbers}
    rows = connection.execute(
        select(run.c.backfill, run.c.state, func.count())
        .where(run.c.backfill.in_(list(numbers)))
        .group_by(run.c.backfill, run.c.state)
    )
    for number, state, count in rows:
        found[number][state] = count
    return found


def _from_row(row: Row[Any]) -> Backfill:
    return Backfill(**row._mapping)
