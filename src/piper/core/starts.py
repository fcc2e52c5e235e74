"""Which queued runs of a workflow may start.

Runs wait in lanes: one for the workflow itself, limited by its `max_active_runs`, and one for each of its
backfills, which has a limit of its own and does not count against the workflow's (airflow-semantics §3.22).
Within a lane the earliest date goes first, or the latest in a backfill that runs backwards.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from piper.model.backfill import Backfill, BackfillState
from piper.model.run import Run

OWN_LANE = 0
"""The lane of runs that belong to no backfill."""


def lane_of(run: Run) -> int:
    """The lane in which a run waits and counts."""
    return run.backfill or OWN_LANE


def limit_of(backfill: Backfill) -> int:
    """How many runs of a backfill may be running. Runs cleared after its end start within its limit, too."""
    is_shut = not backfill.state.ended and (backfill.paused or backfill.state is BackfillState.CANCELLING)
    return 0 if is_shut else backfill.max_active_runs


@dataclass(slots=True)
class Lane:
    """Queued runs, first to start first, and how many of the lane are running."""

    running: set[int] = field(default_factory=set)
    backwards: bool = False
    _queue: list[tuple[float, int]] = field(default_factory=list)
    _moments: list[tuple[datetime, int]] = field(default_factory=list)
    """When each that was enqueued may start, the earliest first: so that nobody need look at all of them."""
    _queued: dict[int, Run] = field(default_factory=dict)

    def enqueue(self, run: Run) -> None:
        """Let a run wait here (again)."""
        self.running.discard(run.id)
        if run.id not in self._queued:
            moment = (run.logical_date or run.run_after).timestamp()
            heapq.heappush(self._queue, (-moment if self.backwards else moment, run.id))
            heapq.heappush(self._moments, (run.run_after, run.id))
        self._queued[run.id] = run

    def started(self, run: Run) -> None:
        """A run of this lane is running."""
        self._queued.pop(run.id, None)
        self.running.add(run.id)

    def ended(self, run: int) -> None:
        """A run of this lane has ended or is gone."""
        self._queued.pop(run, None)
        self.running.discard(run)

    @property
    def empty(self) -> bool:
        """Whether nothing waits or runs here."""
        return not (self._queued or self.running)

    @property
    def size(self) -> int:
        """How many wait or run here."""
        return len(self._queued) + len(self.running)

    @property
    def waits(self) -> bool:
        """Whether a run is queued here."""
        return bool(self._queued)

    def to_start(self, limit: int, now: datetime) -> list[Run]:
        """The queued runs that may start now, in order; a run whose moment has not come is passed over."""
        room = limit - len(self.running)
        chosen = []
        for run in self._in_order():
            if room <= 0:
                break
            if run.run_after <= now:
                chosen.append(run)
                room -= 1
        return chosen

    def next_moment(self, now: datetime) -> datetime | None:
        """When the next run that waits for its moment may start."""
        while self._moments and (self._moments[0][0] <= now or self._moments[0][1] not in self._queued):
            heapq.heappop(self._moments)
        return self._moments[0][0] if self._moments else None

    def _in_order(self) -> Iterator[Run]:
        while self._queue and self._queue[0][1] not in self._queued:
            heapq.heappop(self._queue)
        frontier = [(self._queue[0], 0)] if self._queue else []
        while frontier:
            (_, number), i = heapq.heappop(frontier)
            run = self._queued.get(number)
            if run is not None:
                yield run
            for child in (2 * i + 1, 2 * i + 2):
                if child < len(self._queue):
                    heapq.heappush(frontier, (self._queue[child], child))
