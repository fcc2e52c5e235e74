"""The chore that makes runs by time: plans the cursors of workflows and creates the runs that are due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from piper.core.due import Cursor, Due, due_runs, plan
from piper.model.ids import run_id_for
from piper.model.run import Run
from piper.model.schedule import RunDates
from piper.model.states import RunState, RunType
from piper.model.workflow import ScheduledWorkflow
from piper.scheduler.book import RunBook
from piper.scheduler.quarantine import Quarantine
from piper.store.database import Database, Fence
from piper.store.runs import create_runs, row_from_run
from piper.store.schedules import (
    due_workflows,
    move_cursors,
    next_moment,
    unplanned_workflows,
)

BATCH = 500
"""Workflows planned, or runs created, in one transaction."""


class Schedules:
    """Makes runs by time for the workflows of the owned shards.

    Arguments:
        aside: workflows that cannot be decided.
    """

    def __init__(self, database: Database, book: RunBook, aside: Quarantine[str]) -> None:
        self._database = database
        self._book = book
        self._aside = aside
        self.next_moment: datetime | None = None
        """When the next scheduled run is due, as far as is known."""

    def follow(self, fence: Fence, now: datetime) -> tuple[list[Run], bool]:
        """Plan what must be planned and create what is due: the runs made, and whether there is more to do."""
        shards = fence.epochs.keys()
        planned = self._plan(fence, shards, now)
        made, more = self._create_due(fence, shards, now)
        with self._database.read() as connection:
            self.next_moment = next_moment(connection, shards, self._aside.reasons)
        return made, more or planned == BATCH

    def _plan(self, fence: Fence, shards: Collection[int], now: datetime) -> int:
        with self._database.read() as connection:
            workflows = unplanned_workflows(connection, shards, BATCH, self._aside.reasons)
        if not workflows:
            return 0
        self._book.graphs.load({w.spec_hash for w in workflows})
        moves: list[tuple[ScheduledWorkflow, ScheduledWorkflow]] = []
        for workflow in workflows:
            with self._aside.guard(workflow.workflow_id):
                moves.append((workflow, self._planned(workflow, now)))
        if moves:
            with self._database.fenced(fence.only({w.shard for w, _ in moves})) as connection:
                move_cursors(connection, moves)
        for _, after in moves:
            self._book.refresh(after)
        return len(workflows)

    def _planned(self, workflow: ScheduledWorkflow, now: datetime) -> ScheduledWorkflow:
        schedule = self._book.graphs.get(workflow.spec_hash).spec.schedule
        cursor = plan(
            schedule, Cursor(workflow.last_dates, workflow.next_dates), now, self._book.unfinished(workflow.workflow_id)
        )
        return self._with_cursor(replace(workflow, planned_spec=workflow.spec_hash), cursor)

    def _create_due(self, fence: Fence, shards: Collection[int], now: datetime) -> tuple[list[Run], bool]:
        with self._database.read() as connection:
            workflows = due_workflows(connection, shards, now, BATCH, self._aside.reasons)
        if not workflows:
            return [], False
        self._book.graphs.load({w.spec_hash for w in workflows})
        rows: list[dict[str, Any]] = []
        looked_at: list[tuple[ScheduledWorkflow, Cursor]] = []
        for workflow in workflows:
            with self._aside.guard(workflow.workflow_id):
                due = self._due(workflow, now)
                rows += [row_from_run(_scheduled_run(workflow, dates, now), workflow.file) for dates in due.runs]
                looked_at.append((workflow, due.cursor))
            if len(rows) >= BATCH:
                break
        if not looked_at:
            return [], True
        with self._database.fenced(fence.only({w.shard for w, _ in looked_at})) as connection:
            made = create_runs(connection, rows)
            # A date that a manual run holds makes no run: only those made fill the room.
            filled = Counter(run.workflow_id for run in made)
            moves = [
                (workflow, self._with_cursor(workflow, cursor, waits=self._is_full(workflow, filled)))
                for workflow, cursor in looked_at
            ]
            move_cursors(connection, moves)
        for _, after in moves:
            self._book.refresh(after)
        return made, True

    def _due(self, workflow: ScheduledWorkflow, now: datetime) -> Due:
        schedule = self._book.graphs.get(workflow.spec_hash).spec.schedule
        unfinished = self._book.unfinished(workflow.workflow_id)
        room = max(0, workflow.max_active_runs - unfinished)
        return due_runs(schedule, Cursor(workflow.last_dates, workflow.next_dates), now, room, unfinished)

    def _is_full(self, workflow: ScheduledWorkflow, filled: Counter[str]) -> bool:
        return self._book.unfinished(workflow.workflow_id) + filled[workflow.workflow_id] >= workflow.max_active_runs

    def _with_cursor(self, workflow: ScheduledWorkflow, cursor: Cursor, *, waits: bool = False) -> ScheduledWorkflow:
        """The workflow with its cursor moved.

        Arguments:
            waits: there is no room for another run: it is looked at again when one has ended.
        """
        idle = waits or workflow.paused or workflow.stale or cursor.next is None
        moment = None if idle or cursor.next is None else cursor.next.run_after
        return replace(workflow, last_dates=cursor.last, next_dates=cursor.next, next_run_after=moment)


def _scheduled_run(workflow: ScheduledWorkflow, dates: RunDates, now: datetime) -> Run:
    return Run(
        id=0,
        workflow_id=workflow.workflow_id,
        run_id=run_id_for(RunType.SCHEDULED, dates.logical_date),
        shard=workflow.shard,
        team=workflow.team,
        run_type=RunType.SCHEDULED,
        state=RunState.QUEUED,
        logical_date=dates.logical_date,
        interval=dates.interval,
        run_after=dates.run_after,
        spec_hash=workflow.spec_hash,
        snapshot=workflow.snapshot,
        bundle=workflow.bundle,
        created_at=now,
        queued_at=now,
        triggered_by="schedule",
    )
