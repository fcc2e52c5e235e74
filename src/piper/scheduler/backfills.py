"""The chore that fills ranges of dates: makes the runs of backfills, ends them when they are cancelled.

A chunk of dates is one fenced transaction: the new runs, the runs that are cleared to run again, and the
cursor. What a crash leaves is either whole or has not happened (correctness I1, I2). One chunk is done in a
tick, so that a backfill of any length holds up what else there is to decide by no more than that.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from piper.core.backfill import dates_to_fill, fate_of, following
from piper.core.memory import RunMemory
from piper.core.run import step
from piper.model.backfill import Backfill, BackfillState, Fate
from piper.model.events import BackfillCancelled, BackfillCommand, BackfillPauseChanged, Clear, InstanceRef
from piper.model.ids import run_id_for
from piper.model.run import Run
from piper.model.schedule import RunDates
from piper.model.states import RunState, RunType
from piper.scheduler.book import RunBook
from piper.scheduler.commit import Batch
from piper.scheduler.quarantine import Quarantine
from piper.store.backfills import (
    adopt_runs,
    backfills_by_number,
    end_queued_runs,
    move_backfills,
    runs_of_dates,
    unended_backfills,
)
from piper.store.database import Database, Fence
from piper.store.events import StoredEvent, delete_events
from piper.store.instances import instances_of_runs
from piper.store.runs import create_runs, row_from_run

log = logging.getLogger(__name__)

CHUNK = 250
"""Dates dealt with, or runs ended, in one transaction."""

RERUNS = 50
"""Of them runs that are cleared: each is loaded and stepped."""


@dataclass(slots=True)
class Filled:
    """What a chunk has changed, for the scheduler to take over."""

    made: list[Run] = field(default_factory=list)
    cleared: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    more: bool = False
    """There is another chunk to do."""


class Backfills:
    """Moves on the backfills of the owned shards that have not ended."""

    def __init__(self, database: Database, book: RunBook) -> None:
        self._database = database
        self._book = book
        self._open: dict[int, Backfill] = {}
        """In the order of their turns."""
        self._dates: dict[int, Sequence[RunDates]] = {}
        self.quarantine = Quarantine[int]("backfill", "somebody pauses, unpauses or cancels it")
        """Those that cannot be expanded."""

    def load(self, shards: Collection[int]) -> None:
        """Shards were won: their backfills go on from where their cursors are."""
        with self._database.read() as connection:
            for backfill in unended_backfills(connection, shards):
                self._keep(backfill)

    def forget(self, shards: Collection[int]) -> None:
        """Shards were lost."""
        for number in [n for n, backfill in self._open.items() if backfill.shard in shards]:
            del self._open[number]
            self._dates.pop(number, None)
            self.quarantine.release(number)

    def hear(self, events: Iterable[StoredEvent], fence: Fence, now: datetime) -> set[str]:
        """Apply what people have said to backfills; returns the workflows whose runs may or may not start now."""
        told: list[tuple[StoredEvent, BackfillCommand]] = [(s, s.event) for s in events]  # type: ignore[misc]
        with self._database.read() as connection:
            before = backfills_by_number(connection, {command.backfill for _, command in told})
        after = dict(before)
        for _, command in told:
            if command.backfill in after:
                after[command.backfill] = _obeying(after[command.backfill], command)
                self.quarantine.release(command.backfill)
        with self._database.fenced(fence.only({s.shard for s, _ in told})) as connection:
            move_backfills(connection, [(before[n], after[n]) for n in after if after[n] is not before[n]])
            delete_events(connection, [s.id for s, _ in told])
        for backfill in after.values():
            self._keep(backfill)
        return {backfill.workflow_id for backfill in after.values()}

    def follow(self, fence: Fence, now: datetime) -> Filled:
        """Do one chunk of the backfill whose turn it is, and note those that are done."""
        self._note_ends(fence, now)
        at_work = [backfill for backfill in self._open.values() if self._has_work(backfill)]
        if not at_work:
            return Filled()
        backfill = at_work[0]
        self._open[backfill.id] = self._open.pop(backfill.id)  # the next one's turn
        filled = Filled()
        with self.quarantine.guard(backfill.id):
            if backfill.state is BackfillState.CANCELLING:
                self._end_queued(backfill, fence, now, filled)
            else:
                self._fill(backfill, fence, now, filled)
        if backfill.id in self.quarantine:
            filled = Filled()  # it has been rolled back
        filled.more = True
        return filled

    # --- making runs ---------------------------------------------------------------------------

    def _fill(self, backfill: Backfill, fence: Fence, now: datetime, filled: Filled) -> None:
        chunk = following(self._all_dates(backfill), backfill.cursor, backwards=backfill.backwards, limit=CHUNK)
        with self._database.read() as connection:
            existing = runs_of_dates(connection, backfill.workflow_id, [d.logical_date for d in chunk])
        fates: Counter[Fate] = Counter()
        rows: list[dict[str, Any]] = []
        cleared: list[Run] = []
        cursor = backfill.cursor
        for dates in chunk:
            run = existing.get(dates.logical_date)
            fate = self._fate(backfill, run)
            if fate is Fate.CREATE:
                rows.append(row_from_run(_run_of(backfill, dates, now), backfill.file))
            elif fate is Fate.RERUN and run is not None:
                if len(cleared) == RERUNS:
                    break
                cleared.append(run)
            fates[fate] += 1
            cursor = dates.logical_date
        batch = self._clearing(backfill, cleared, now)
        is_last = fates.total() == len(chunk) < CHUNK
        with self._database.fenced(fence.only({backfill.shard})) as connection:
            filled.made = create_runs(connection, rows)
            adopt_runs(connection, backfill, cleared)
            batch.write(connection)
            taken = len(rows) - len(filled.made)  # somebody has made a run for that date since it was looked at
            after = replace(
                backfill,
                cursor=cursor,
                created=backfill.created + len(filled.made),
                rerun=backfill.rerun + fates[Fate.RERUN],
                existed=backfill.existed + fates[Fate.EXISTS],
                in_flight=backfill.in_flight + fates[Fate.IN_FLIGHT] + taken,
                state=BackfillState.RUNNING if is_last else backfill.state,
            )
            move_backfills(connection, [(backfill, after)])
        filled.cleared = [run.id for run in cleared]
        self._keep(after)

    def _fate(self, backfill: Backfill, run: Run | None) -> Fate:
        if run is not None and run.id in self._book.runs:  # it has ended, and has been told something since
            return Fate.IN_FLIGHT
        return fate_of(None if run is None else run.state, backfill.reprocess)

    def _clearing(self, backfill: Backfill, runs: Sequence[Run], now: datetime) -> Batch:
        """All tasks of these runs, to be run again from the version of the backfill."""
        batch = Batch(now)
        with self._database.read() as connection:
            instances = instances_of_runs(connection, (run.id for run in runs))
        for run in runs:
            # On the graph that the clear brings: what that lacks is removed (see `scheduler.repinning`).
            graph = self._book.graphs.get(backfill.spec_hash or run.spec_hash)
            memory = RunMemory(run, graph, instances[run.id])
            every = tuple(InstanceRef(task.task_id) for task in memory.graph.spec.tasks)
            clear = Clear(run.id, every, spec_hash=backfill.spec_hash, snapshot=backfill.snapshot)
            batch.steps.append((memory, step(memory, [clear], now)))
        return batch

    def _all_dates(self, backfill: Backfill) -> Sequence[RunDates]:
        """Every date of a backfill, earliest first."""
        dates = self._dates.get(backfill.id)
        if dates is None:
            schedule = self._book.graphs.get(backfill.spec_hash).spec.schedule
            dates = list(dates_to_fill(schedule, backfill.from_date, backfill.to_date, backfill.created_at))
            self._dates[backfill.id] = dates
        return dates

    # --- ending --------------------------------------------------------------------------------

    def _end_queued(self, backfill: Backfill, fence: Fence, now: datetime, filled: Filled) -> None:
        with self._database.fenced(fence.only({backfill.shard})) as connection:
            filled.ended = end_queued_runs(connection, backfill.id, CHUNK, now)

    def _note_ends(self, fence: Fence, now: datetime) -> None:
        """Backfills whose dates are all dealt with and whose runs have all ended are done."""
        moves = [
            (backfill, replace(backfill, state=_DONE[backfill.state], ended_at=now))
            for backfill in self._open.values()
            if backfill.state in _DONE and self._book.lane_of_backfill(backfill) is None
        ]
        if not moves:
            return
        with self._database.fenced(fence.only({backfill.shard for backfill, _ in moves})) as connection:
            move_backfills(connection, moves)
        for _, after in moves:
            self._keep(after)

    def _has_work(self, backfill: Backfill) -> bool:
        if backfill.id in self.quarantine:
            return False
        if backfill.state is BackfillState.CANCELLING:
            lane = self._book.lane_of_backfill(backfill)
            return lane is not None and lane.waits
        return backfill.state is BackfillState.CREATING and not backfill.paused

    def _keep(self, backfill: Backfill) -> None:
        """This is how a backfill stands now."""
        if backfill.state.ended:
            self._open.pop(backfill.id, None)
        else:
            self._open[backfill.id] = backfill
        if backfill.state is not BackfillState.CREATING:
            self._dates.pop(backfill.id, None)
        self._book.know(backfill)


_DONE = {
    BackfillState.RUNNING: BackfillState.COMPLETED,
    BackfillState.CANCELLING: BackfillState.CANCELLED,
}


def _obeying(backfill: Backfill, command: BackfillCommand) -> Backfill:
    """What a command makes of a backfill; one that has ended stays as it is."""
    if backfill.state.ended or backfill.state is BackfillState.CANCELLING:
        return backfill
    match command:
        case BackfillPauseChanged(_, paused):
            return backfill if paused is backfill.paused else replace(backfill, paused=paused)
        case BackfillCancelled():
            return replace(backfill, state=BackfillState.CANCELLING, paused=False)
        case _:
            return backfill


def _run_of(backfill: Backfill, dates: RunDates, now: datetime) -> Run:
    return Run(
        id=0,
        workflow_id=backfill.workflow_id,
        run_id=run_id_for(RunType.BACKFILL, dates.logical_date),
        shard=backfill.shard,
        team=backfill.team,
        run_type=RunType.BACKFILL,
        state=RunState.QUEUED,
        logical_date=dates.logical_date,
        interval=dates.interval,
        run_after=dates.run_after,
        spec_hash=backfill.spec_hash,
        snapshot=backfill.snapshot,
        bundle=backfill.bundle,
        conf=backfill.conf,
        backfill=backfill.id,
        created_at=now,
        queued_at=now,
        triggered_by="backfill",
    )
