"""How many executions begin at the same time.

A slot is for a task that waits for something; more processes than processors that all want to compute only get into
each other's way (measured: 500 empty tasks take a third longer with 32 at a time than with 8). Whether a task waits or
computes shows soon: one that has run for YOUNG_SECONDS is not counted any more. So empty tasks follow each other
closely, and long ones fill all slots within some rounds.
"""

from __future__ import annotations

from collections import deque

YOUNG_SECONDS = 0.02
YOUNG_PER_PROCESSOR = 4


class Pace:
    """Counts the young: executions that have been asked to start, until they are over or have run for a moment.

    Arguments:
        limit: how many there may be.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: set[object] = set()
        self._running: deque[tuple[float, object]] = deque()
        """Those that run, or ran, with the monotonic second at which they began, the oldest first."""

    def allows(self, now: float) -> bool:
        """Whether another may begin."""
        while self._running and self._running[0][0] + YOUNG_SECONDS <= now:
            self._young.discard(self._running.popleft()[1])
        return len(self._young) < self._limit

    def due_in(self, now: float) -> float | None:
        """Seconds until the oldest is no longer young; None if none runs."""
        return max(0.0, self._running[0][0] + YOUNG_SECONDS - now) if self._running else None

    def begins(self, execution: object) -> None:
        """It is asked to start."""
        self._young.add(execution)

    def runs(self, execution: object, now: float) -> None:
        """It has been handed to its process."""
        self._running.append((now, execution))

    def ends(self, execution: object) -> None:
        """It is over, however far it came."""
        self._young.discard(execution)
