"""Declares executions lost whose worker is gone: it stopped renewing, or its connection ended (correctness I13).

A worker is gone when its counter has not moved for TTL_SECONDS of this process's own monotonic clock; no clock of
another machine is compared. A worker that cannot renew ends what it runs before that (CONTACT_SECONDS in
`piper.worker`), so that the next try does not overlap with what is left of this one (I7).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from piper.model.run import Identity
from piper.service import Clock
from piper.store.database import Database, Fence
from piper.store.executions import lock_running_on, lose, workers_of_running
from piper.store.workers import WorkerSign, declare_dead, forget_dead_workers, signs_of_workers

log = logging.getLogger(__name__)

TTL_SECONDS = 10.0
PERIOD_SECONDS = 1.0
GAP_SECONDS = 3.0
"""If this process itself has not looked for so long, it may be what stood still: it begins to count anew."""

REMEMBERED = timedelta(days=1)
"""After which a dead worker's row is removed."""

NEVER_HEARD_OF = WorkerSign(is_dead=False, renew_seq=0)
"""The sign of a worker that runs something and has not sent a heartbeat yet."""


class _Seen(NamedTuple):
    sign: WorkerSign
    since: float


class Watch:
    """Since when the sign of each worker has been what it is. Pure: the time is an argument."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._looked = float("-inf")

    def gone(self, signs: Mapping[str, WorkerSign], now: float) -> dict[str, WorkerSign]:
        """Those workers whose sign says that they are dead, or has not changed for TTL_SECONDS."""
        if now - self._looked > GAP_SECONDS:
            self._seen.clear()
        self._looked = now
        self._seen = {
            worker: seen if (seen := self._seen.get(worker)) is not None and seen.sign == sign else _Seen(sign, now)
            for worker, sign in signs.items()
        }
        return {
            worker: seen.sign
            for worker, seen in self._seen.items()
            if seen.sign.is_dead or now - seen.since >= TTL_SECONDS
        }


class LostWorkers:
    """The chore: look at the workers, declare dead those that are gone, and lose what they held."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._watch = Watch()

    def sweep(self, fence: Fence) -> list[Identity]:
        """Look once. Returns the executions that were declared lost.

        Raises:
            FenceLost: another leads by now; nothing was written.
        """
        with self._database.read() as connection:
            holding = workers_of_running(connection)
            signs = signs_of_workers(connection)
        live = {worker: sign for worker, sign in signs.items() if not sign.is_dead}
        watched = live | {worker: signs.get(worker, NEVER_HEARD_OF) for worker in holding}
        lost: list[Identity] = []
        for worker, sign in self._watch.gone(watched, self._clock.monotonic()).items():
            with self._database.fenced(fence) as connection:
                if worker in live and not declare_dead(connection, worker, sign.renew_seq):
                    continue  # it has renewed after all
                forget_dead_workers(connection, self._clock.now() - REMEMBERED)
                error = f"worker {worker} has not been heard of for {TTL_SECONDS:g} s"
                lost += lose_all_on(connection, [worker], error, self._clock)
        return lost


def lose_all_on(connection: Connection, workers: Iterable[str], error: str, clock: Clock) -> list[Identity]:
    """Declare everything lost that runs on these workers, in the caller's transaction; returns it."""
    lost: list[Identity] = []
    for worker in workers:
        running = lock_running_on(connection, worker)
        lost += lose(connection, list(running.values()), error, clock.now())
    if lost:
        log.warning("%d executions were lost: %s", len(lost), error)
    return lost
