"""Declares executions lost whose worker is gone: it stopped renewing, or its connection ended (correctness I13).

A worker is gone when its counter has not moved for TTL_SECONDS of this process's own monotonic clock
(`coordination.detector`). A worker that cannot renew ends what it runs before that (CONTACT_SECONDS in
`piper.worker`), so that the next try does not overlap with what is left of this one (I7).
"""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import Connection

from piper.coordination.detector import FailureDetector
from piper.model.run import Identity
from piper.service import Clock
from piper.store import members
from piper.store.database import Database, Fence
from piper.store.executions import lose_worker, workers_of_running
from piper.store.workers import KIND

log = logging.getLogger(__name__)

TTL_SECONDS = 10.0
PERIOD_SECONDS = 1.0
ABSENCE_SECONDS = 3.0
"""A leader that has not looked for so long may be what stood still: it begins to count anew."""

REMEMBERED = timedelta(days=1)
"""After which a dead worker's registration is removed."""


class LostWorkers:
    """The chore: look at the workers, declare dead those that are gone, and lose what they held."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._detector = FailureDetector(TTL_SECONDS, ABSENCE_SECONDS)

    def sweep(self, fence: Fence) -> list[Identity]:
        """Look once. Returns the executions that were declared lost.

        Raises:
            FenceLost: another leads by now; nothing was written.
        """
        with self._database.read() as connection:
            holding = workers_of_running(connection)
            alive = {worker.node_key: worker for worker in members.present(connection, KIND)}
        # One that runs something and has not been heard of yet, or not since its death, has as long to say something.
        counters = dict.fromkeys(holding, 0) | {name: worker.renew_seq for name, worker in alive.items()}
        lost: list[Identity] = []
        for name, counter in self._detector.look(counters, self._clock.monotonic()).items():
            with self._database.fenced(fence) as connection:
                if name in alive and not members.declare_dead(connection, alive[name].member_id, counter):
                    continue  # it has renewed after all
                members.forget_dead(connection, self._clock.now() - REMEMBERED)
                error = f"worker {name} has not been heard of for {TTL_SECONDS:g} s"
                lost += lose_all_on(connection, name, error, self._clock)
        return lost


def lose_all_on(connection: Connection, worker: str, error: str, clock: Clock) -> list[Identity]:
    """Declare everything lost that runs on this worker, in the caller's transaction; returns it."""
    lost = lose_worker(connection, worker, error, clock.now())
    if lost:
        log.warning("%d executions were lost: %s", len(lost), error)
    return lost
