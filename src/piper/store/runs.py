"""Runs: making them, finding them, moving them on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from piper.model.errors import Conflict, NotFound
from piper.model.ids import run_id_for, shard_of
from piper.model.run import Run
from piper.model.schedule import DataInterval
from piper.model.spec import Json
from piper.model.states import RunState, RunType
from piper.store.database import guarded
from piper.store.schema import run as table
from piper.store.schema import workflow

ACTIVE = table.c.state.in_([literal_column("'queued'"), literal_column("'running'")])
"""Written with constants so that both databases use the partial index of active runs."""


def run_from_row(row: Row[Any]) -> Run:
    """A run from a row of its table."""
    values = dict(row._mapping)
    start, end = values.pop("interval_start"), values.pop("interval_end")
    values.pop("file")
    values["interval"] = None if start is None else DataInterval(start, end)
    return Run(**values)


def row_from_run(run: Run, file: str) -> dict[str, Any]:
    """The row of a run that is about to be made (its number is the database's to give)."""
    return {
        "workflow_id": run.workflow_id,
        "run_id": run.run_id,
        "shard": run.shard,
        "team": run.team,
        "run_type": run.run_type,
        "state": run.state,
        "logical_date": run.logical_date,
        "interval_start": run.interval.start if run.interval else None,
        "interval_end": run.interval.end if run.interval else None,
        "run_after": run.run_after,
        "spec_hash": run.spec_hash,
        "snapshot": run.snapshot,
        "bundle": run.bundle,
        "file": file,
        "conf": run.conf,
        "backfill": run.backfill,
        "created_at": run.created_at,
        "queued_at": run.queued_at,
        "triggered_by": run.triggered_by,
        "note": run.note,
    }


def create_runs(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[Run]:
    """Make runs, passing over those whose run id or logical date is taken (I1). Returns those made."""
    if not rows:
        return []
    make = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = make(table).on_conflict_do_nothing().returning(table)
    made = connection.execute(statement, rows).all()
    return [run_from_row(row) for row in made]


def numbers_of_runs(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The numbers of runs, each given and answered as (workflow id, run id)."""
    here = tuple_(table.c.workflow_id, table.c.run_id).in_(sorted(keys))
    rows = connection.execute(select(table.c.workflow_id, table.c.run_id, table.c.id).where(here))
    return {(row.workflow_id, row.run_id): row.id for row in rows}


def deleted_runs(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Those of these numbers whose runs have been deleted; of those after the latest run nothing is known."""
    latest = connection.execute(select(func.max(table.c.id))).scalar() or 0
    there = connection.execute(select(table.c.id).where(table.c.id.in_(numbers))).scalars()
    return {number for number in numbers if number < latest} - set(there)


def create_run(
    connection: Connection,
    *,
    workflow_id: str,
    run_type: RunType,
    now: datetime,
    run_id: str = "",
    logical_date: datetime | None = None,
    interval: DataInterval | None = None,
    run_after: datetime | None = None,
    conf: Mapping[str, Json] | None = None,
    triggered_by: str = "",
    note: str = "",
    suffix: str = "",
) -> Run:
    """Make one queued run of a workflow's active version, as a person or a task asks for it.

    Arguments:
        suffix: makes the default run id of a run without a logical date its own.

    Raises:
        NotFound: there is no such workflow.
        Conflict: the run id or the logical date is taken.
    """
    # Held until the run is committed: who deletes the workflow waits, and finds the run (`commands.hold_workflow`).
    held = select(workflow).where(workflow.c.workflow_id == workflow_id).with_for_update(read=True, key_share=True)
    found = connection.execute(held).one_or_none()
    if found is None:
        raise NotFound(f"there is no workflow {workflow_id!r}")
    after = run_after or logical_date or now
    wanted = Run(
        id=0,
        workflow_id=workflow_id,
        run_id=run_id or run_id_for(run_type, logical_date or after, "" if logical_date else suffix),
        shard=shard_of(workflow_id),
        team=found.team,
        run_type=run_type,
        state=RunState.QUEUED,
        logical_date=logical_date,
        interval=interval,
        run_after=after,
        spec_hash=found.spec_hash,
        snapshot=found.snapshot,
        bundle=found.bundle,
        conf=dict(conf or {}),
        created_at=now,
        queued_at=now,
        triggered_by=triggered_by,
        note=note,
    )
    made = create_runs(connection, [row_from_run(wanted, found.file)])
    if made:
        return made[0]
    same = table.c.run_id == wanted.run_id
    if logical_date is not None:
        same |= table.c.logical_date == logical_date
    taken = connection.execute(select(table.c.run_id).where(table.c.workflow_id == workflow_id, same)).scalar()
    raise Conflict(
        f"workflow {workflow_id!r} has run {taken!r} already, with this run id or this logical date: "
        "choose another, or clear that run"
    )


def active_runs(connection: Connection, shards: Collection[int]) -> list[Run]:
    """All queued and running runs of these shards."""
    rows = connection.execute(select(table).where(ACTIVE, table.c.shard.in_(sorted(shards))).order_by(table.c.id))
    return [run_from_row(row) for row in rows]


def runs_by_number(connection: Connection, numbers: Iterable[int]) -> list[Run]:
    """The runs of these numbers, in order."""
    rows = connection.execute(select(table).where(table.c.id.in_(sorted(numbers))).order_by(table.c.id))
    return [run_from_row(row) for row in rows]


def previous_run(
    connection: Connection, workflow_id: str, logical_date: datetime, run_types: Collection[RunType] = ()
) -> tuple[int, datetime] | None:
    """The number and the date of the run before a logical date, of these types only if any are named."""
    statement = (
        select(table.c.id, table.c.logical_date)
        .where(table.c.workflow_id == workflow_id, table.c.logical_date < logical_date)
        .order_by(table.c.logical_date.desc())
        .limit(1)
    )
    if run_types:
        statement = statement.where(table.c.run_type.in_(sorted(run_types)))
    row = connection.execute(statement).one_or_none()
    return None if row is None else (row.id, row.logical_date)


_MOVE = (
    update(table)
    .where(
        table.c.id == bindparam("guard_id"),
        table.c.state == bindparam("guard_state"),
        table.c.clears == bindparam("guard_clears"),
        table.c.next_ordinal == bindparam("guard_ordinal"),
    )
    .values(
        state=bindparam("new_state"),
        next_ordinal=bindparam("new_ordinal"),
        clears=bindparam("new_clears"),
        spec_hash=bindparam("new_spec_hash"),
        snapshot=bindparam("new_snapshot"),
        queued_at=bindparam("new_queued_at"),
        started_at=bindparam("new_started_at"),
        ended_at=bindparam("new_ended_at"),
        reason=bindparam("new_reason"),
    )
)


def move_runs(connection: Connection, moves: Sequence[tuple[Run, Run]]) -> None:
    """Write what owners decided about runs: pairs of (before, after).

    Raises:
        GuardFailed: a run is not as it was when that was decided.
    """
    guarded(
        connection,
        _MOVE,
        [
            {
                "guard_id": before.id,
                "guard_state": before.state,
                "guard_clears": before.clears,
                "guard_ordinal": before.next_ordinal,
                "new_state": after.state,
                "new_ordinal": after.next_ordinal,
                "new_clears": after.clears,
                "new_spec_hash": after.spec_hash,
                "new_snapshot": after.snapshot,
                "new_queued_at": after.queued_at,
                "new_started_at": after.started_at,
                "new_ended_at": after.ended_at,
                "new_reason": after.reason,
            }
            for before, after in moves
        ],
        "runs",
    )
