"""What the server keeps for a while only: replies to Idempotency-Keys, and files that no row of the database refers to.

A workflow is deleted with its rows, in one transaction. Its logs and artifacts are files and follow later, as does what
a crash left behind. So a folder of PIPER_HOME belongs to one database: another knows nothing of what is in it.

A round is short, whatever there is: it goes on where the last one stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from piper.artifacts import PARTS, ArtifactStore
from piper.logs import LogStore
from piper.model.ids import log_folder
from piper.service import POLL_SECONDS, Clock, Service, Signal
from piper.store.database import Database
from piper.store.idempotency import forget
from piper.store.runs import deleted_runs
from piper.store.xcoms import artifacts_in_use

log = logging.getLogger(__name__)

PERIOD_SECONDS = 600.0

PARTS_PER_ROUND = 16
"""Of an artifact store: all of it in under three hours."""

FOLDERS_PER_ROUND = 500
"""Of logs."""

YOUNG = timedelta(hours=1)
"""An artifact is written some milliseconds before the row that names it."""


class Leftovers:
    """Removes artifacts that no value refers to, and logs of runs that have been deleted."""

    def __init__(self, database: Database, clock: Clock, artifacts: ArtifactStore, logs: LogStore) -> None:
        self._database = database
        self._clock = clock
        self._artifacts = artifacts
        self._logs = logs
        self._part = 0
        self._run = 0
        """The last run whose logs have been looked at."""

    def sweep(self) -> None:
        """One round.

        Raises:
            StoreUnavailable: the database or the disk.
        """
        artifacts = self._sweep_artifacts()
        logs = self._sweep_logs()
        if artifacts or logs:
            log.info("removed %d artifacts that nothing refers to, and the logs of %d deleted runs", artifacts, logs)

    def _sweep_artifacts(self) -> int:
        before = (self._clock.now() - YOUNG).timestamp()
        removed = 0
        for _ in range(PARTS_PER_ROUND):
            removed += self._artifacts.collect(self._part, before, self._in_use)
            self._part = (self._part + 1) % PARTS
        return removed

    def _in_use(self, names: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with self._database.read() as connection:
            for start in range(0, len(names), FOLDERS_PER_ROUND):
                found |= artifacts_in_use(connection, names[start : start + FOLDERS_PER_ROUND])
        return found

    def _sweep_logs(self) -> int:
        # They are listed first: whoever has logs by then has had a row before.
        runs = sorted(int(name) for name in self._logs.folders() if name.isascii() and name.isdecimal())
        some = [run for run in runs if run > self._run][:FOLDERS_PER_ROUND]
        self._run = some[-1] if len(some) == FOLDERS_PER_ROUND else 0
        if not some:
            return 0
        with self._database.read() as connection:
            gone = deleted_runs(connection, some)
        for run in sorted(gone):
            self._logs.delete(log_folder(run))
        return len(gone)


class Retention(Service):
    """Forgets the replies to Idempotency-Keys that are older than `kept`, and sweeps leftovers."""

    def __init__(self, database: Database, clock: Clock, kept: timedelta, leftovers: Leftovers) -> None:
        super().__init__("retention", Signal())
        self._database = database
        self._clock = clock
        self._kept = kept
        self._leftovers = leftovers
        self._due = 0.0

    def tick(self) -> float:
        if self._clock.monotonic() >= self._due:
            with self._database.write() as connection:
                forget(connection, self._clock.now() - self._kept)
            self._leftovers.sweep()
            self._due = self._clock.monotonic() + PERIOD_SECONDS
        return POLL_SECONDS
