"""People who fill ranges in a play, and what must hold for the rows of backfills after every commit."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import Connection

from piper.core.backfill import Wish, all_dates, refuse
from piper.model.backfill import Backfill, BackfillState, Reprocess
from piper.model.events import BackfillCancelled, BackfillCommand, BackfillPauseChanged, BackfillQueued
from piper.model.ids import shard_of
from piper.model.spec import WorkflowSpec, encode_spec, spec_hash
from piper.store.backfills import create_backfill
from tests.simulation.workflows import MONDAY

TEN_MINUTES = timedelta(minutes=10)
MICROSECOND = timedelta(microseconds=1)


def ask(dice: Random, connection: Connection, spec: WorkflowSpec, now: datetime) -> Backfill:
    """A person asks for a backfill of two hours at most, before and beside what the schedule makes.

    Raises:
        CallerError: as the web server does.
    """
    first = MONDAY + dice.randint(-9, 4) * TEN_MINUTES
    wish = Wish(
        from_date=first,
        to_date=first + dice.randint(0, 11) * TEN_MINUTES,
        reprocess=dice.choice(list(Reprocess)),
        backwards=dice.random() < 0.4,
        conf={},
    )
    refuse(spec, wish, now)
    dates = all_dates(spec.schedule, wish, now, 100)
    return create_backfill(
        connection,
        Backfill(
            id=0,
            workflow_id=spec.workflow_id,
            shard=shard_of(spec.workflow_id),
            team="default",
            state=BackfillState.CREATING,
            from_date=wish.from_date,
            to_date=wish.to_date,
            reprocess=wish.reprocess,
            backwards=wish.backwards,
            max_active_runs=dice.choice([1, 2, 3]),
            version=1,
            spec_hash=spec_hash(encode_spec(spec)),
            snapshot="s",
            bundle="b",
            file="w.py",
            first_date=dates[0].logical_date,
            total=len(dates),
            created_at=now,
        ),
    )


def command_about(dice: Random, number: int) -> BackfillCommand:
    """What a person says to a backfill."""
    return dice.choice(
        [
            BackfillPauseChanged(number, paused=True),
            BackfillPauseChanged(number, paused=False),
            BackfillPauseChanged(number, paused=False),
            BackfillCancelled(number),
            BackfillQueued(number),
        ]
    )


class Row(NamedTuple):
    """What a backfill looks like."""

    id: int
    workflow_id: str
    state: str
    paused: int
    max_active_runs: int
    total: int
    cursor: int | None
    created: int
    rerun: int
    existed: int
    in_flight: int
    from_date: int
    to_date: int
    backwards: int

    @property
    def dealt_with(self) -> int:
        return self.created + self.rerun + self.existed + self.in_flight


class BackfillMonitor(Struct):
    """Remembers the backfills of the last commit and compares. `broken` raises."""

    rows: dict[int, Row] = {}

    def look(self, database: sqlite3.Connection) -> str:
        """What is wrong after a commit; nothing if all is well."""
        names = ", ".join(Row._fields)
        rows = {row[0]: Row(*row) for row in database.execute(f"SELECT {names} FROM backfill")}
        runs = database.execute("SELECT id, backfill, state, logical_date, run_type FROM run").fetchall()
        mine = Counter(run[1] for run in runs if run[1] is not None)
        running = Counter(run[1] for run in runs if run[1] is not None and run[2] == "running")
        wrong = ""
        for number, row in rows.items():
            before = self.rows.get(number)
            if row.dealt_with > row.total:
                wrong = f"{row} has dealt with more dates than there are"
            elif row.state in ("running", "completed") and row.dealt_with != row.total:
                wrong = f"{row} has not dealt with every date"
            elif running[number] > row.max_active_runs:
                wrong = f"{row} has {running[number]} runs at a time (I15)"
            elif mine[number] > row.created + row.rerun:
                wrong = f"{row} has {mine[number]} runs: some are not counted"
            elif before is not None:
                wrong = _compare(before, row)
            if wrong:
                return wrong
        for run in runs:
            if run[1] is not None and (run[4] != "backfill" or not _lies_in(rows[run[1]], run[3])):
                return f"run {run} is none of {rows[run[1]]}"
        self.rows = rows
        return ""

    def look_at_rest(self, dates: Mapping[str, set[int]]) -> str:
        """What is wrong at the end.

        Arguments:
            dates: of each workflow that runs every ten minutes, those that have runs, in microseconds since 1970.
        """
        for row in self.rows.values():
            if row.state not in ("completed", "cancelled"):
                return f"{row} has not ended (I9)"
            wanted = {row.from_date + n * TEN_MINUTES // MICROSECOND for n in range(row.total)}
            if row.state == "completed" and not wanted <= dates.get(row.workflow_id, wanted):
                return f"{row} has left out {sorted(wanted - dates[row.workflow_id])}"
        return ""


def _lies_in(row: Row, date: int) -> bool:
    return row.from_date <= date <= row.to_date


def _compare(before: Row, row: Row) -> str:
    if before.state in ("completed", "cancelled") and row.state != before.state:
        return f"{before} left its end: {row}"
    if row.dealt_with < before.dealt_with:
        return f"{row} has forgotten what it dealt with: {before}"
    if (row.dealt_with != before.dealt_with) != (row.cursor != before.cursor):
        return f"the cursor of {before} and its counts do not move together: {row}"
    if row.dealt_with != before.dealt_with and before.paused and row.paused:
        return f"{row} was paused and went on from {before}"
    return ""
