"""What executions need to know of their runs, read once for a run."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from sqlalchemy import Connection

from piper.store.executions import Execution, RunFacts, runs_of

KEPT = 1024
"""Runs to keep."""


class RunCache:
    """The runs used last. While tasks of a run execute, a clear is all that changes what they may know of it.

    May be used by many threads, and beside other servers: the number of clears comes with every execution's row.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[int, int], RunFacts] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, connection: Connection, executions: Iterable[Execution]) -> dict[int, RunFacts]:
        """The runs of these executions, by run number."""
        wanted = {(execution.run, execution.run_clears) for execution in executions}
        with self._lock:
            found = {key: self._known[key] for key in wanted if key in self._known}
            for key in found:
                self._known.move_to_end(key)
        missing = [run for run, clears in wanted if (run, clears) not in found]
        if missing:
            loaded = {(run, facts.context.clears): facts for run, facts in runs_of(connection, missing).items()}
            found |= loaded
            with self._lock:
                self._known |= loaded
                while len(self._known) > self._kept:
                    self._known.popitem(last=False)
        return {run: facts for (run, _), facts in found.items()}
