"""Looking at what runs, round after round: deadlines, memory, signals that had no effect."""

from __future__ import annotations

import signal

from piper.worker.executions import Execution, Stage
from piper.worker.lifecycle import Lifecycle
from piper.worker.limits import FIRST_LOOK_SECONDS, excess_of, next_look

ROUND_SECONDS = 0.1

STUCK_SECONDS = 1.0
"""After which a process that was killed and has not ended is looked into."""


class Watch:
    """Ends executions that take too long or too much."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._due = 0.0

    def due_in(self, now: float) -> float | None:
        """Seconds until the next round; None if nothing runs or waits."""
        return max(0.0, self._due - now) if self._lifecycle.executions else None

    def look(self, now: float) -> None:
        """Look round, if it is time."""
        if now < self._due:
            return
        self._due = now + ROUND_SECONDS
        for execution in list(self._lifecycle.executions.values()):
            if execution.stage is Stage.RUNNING:
                self._look_at(execution, now)

    def _look_at(self, execution: Execution, now: float) -> None:
        child = execution.child
        assert child is not None
        if child.killed_at is not None:
            if now - child.killed_at > STUCK_SECONDS:
                child.killed_at = now
                self._lifecycle.nursery.insist(child)
        elif execution.kill_at is not None and now >= execution.kill_at:
            self._lifecycle.end(execution, now, signal.SIGKILL)
        elif execution.deadline is not None and now >= execution.deadline:
            limit = execution.grant.task.execution_timeout
            execution.failure = f"it ran longer than its execution_timeout of {limit}, and was killed"
            self._lifecycle.end(execution, now, signal.SIGKILL)
        elif execution.memory_due is None:
            execution.memory_due = now + FIRST_LOOK_SECONDS
        elif now >= execution.memory_due:
            self._measure(execution, child.pid, now)

    def _measure(self, execution: Execution, pid: int, now: float) -> None:
        excess, resident = excess_of(pid, execution.memory_limit)
        if excess:
            execution.failure = excess
            self._lifecycle.end(execution, now, signal.SIGKILL)
        execution.memory_due = now + next_look(resident, execution.memory_limit)
        self._due = min(self._due, execution.memory_due)
