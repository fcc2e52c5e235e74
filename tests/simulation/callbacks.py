"""What is called besides tasks: it is there with the end that causes it, and is called at least once."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

import msgspec

from piper.core.callbacks import TOLD
from piper.model.run import Callback
from piper.model.spec import WorkflowSpec
from tests.simulation.monitor import Broken


class CallbackMonitor:
    """Looks at the callbacks after every commit.

    Arguments:
        versions: every spec, by hash.
    """

    def __init__(self, path: str, versions: Mapping[str, WorkflowSpec]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._versions = versions
        self._ends: dict[int, tuple[str, str]] = {}
        self._known: set[int] = set()
        self.called: set[int] = set()
        """The numbers of those that a worker has called."""

    def after_commit(self, runs: Mapping[int, tuple], steered: Collection[int]) -> None:
        """Every end that is to be told has its callback in the same commit, and nothing else has.

        A run that takes too long and is cleared or marked before that has been written ends twice, or ends and waits
        again, in one commit. It has ended all the same, and that is told, as if there had been two.

        Arguments:
            steered: runs to which this commit has applied what a person said.
        """
        rows = self._rows()
        new = {number: callback for number, (callback, _) in rows.items() if number not in self._known}
        told = {number >> 24: callback.reason for number, callback in new.items() if callback.of_run is not None}
        for number, run in runs.items():
            state, reason, spec = run[4], run[8], self._versions[run[-1]]
            before, self._ends[number] = self._ends.get(number), (state, reason)
            kind = {"success": "success", "failed": "failure"}.get(state)
            ended = kind is not None and (before is None or before[0] not in ("success", "failed"))
            wanted = ended and reason in TOLD and kind in spec.callbacks
            may_end_unseen = number in steered and before is not None and before[0] == "running"
            wanted |= may_end_unseen and told.get(number) == "timed_out" and "failure" in spec.callbacks
            if wanted != (number in told):
                raise Broken(f"run {run} was {before} and there are these new callbacks: {new}")
        wanted_of = {(run[0], task.task_id) for run in runs.values() for task in self._versions[run[-1]].tasks}
        for number, callback in new.items():
            if callback.of_run is None and (number >> 24, callback.task_id) not in wanted_of:
                raise Broken(f"{callback} is of no task of its run")
        self._known |= new.keys()

    @property
    def open(self) -> bool:
        """Whether some are still to be called."""
        return any(state not in ("success", "failed") for _, state in self._rows().values())

    def check_rest(self) -> None:
        """All have been called."""
        for number, (callback, state) in self._rows().items():
            if state not in ("success", "failed"):
                raise Broken(f"{callback} is {state} at rest (I9)")
            if state == "success" and number not in self.called:
                raise Broken(f"{callback} is {state}, and nobody has called it")
            if state == "failed" and number not in self.called and not self._was_lost_often(number):
                raise Broken(f"{callback} has failed, and nobody has called it")

    def _was_lost_often(self, number: int) -> bool:
        (tries,) = self._db.execute("SELECT try_number FROM task_instance WHERE id = ?", (number,)).fetchone()
        return tries > 3

    def _rows(self) -> dict[int, tuple[Callback, str]]:
        found = self._db.execute("SELECT id, callback, state FROM task_instance WHERE callback IS NOT NULL")
        return {number: (msgspec.json.decode(body, type=Callback), state) for number, body, state in found}
