"""What the web server remembers for a while only."""

from __future__ import annotations

from datetime import timedelta

from piper.service import POLL_SECONDS, Clock, Service, Signal
from piper.store.database import Database
from piper.store.idempotency import forget

PERIOD_SECONDS = 600.0


class Retention(Service):
    """Forgets the replies to Idempotency-Keys that are older than `kept`."""

    def __init__(self, database: Database, clock: Clock, kept: timedelta) -> None:
        super().__init__("retention", Signal())
        self._database = database
        self._clock = clock
        self._kept = kept
        self._due = 0.0

    def tick(self) -> float:
        if self._clock.monotonic() >= self._due:
            with self._database.write() as connection:
                forget(connection, self._clock.now() - self._kept)
            self._due = self._clock.monotonic() + PERIOD_SECONDS
        return POLL_SECONDS
