"""Whether the server can be reached: heartbeats and their answers (correctness I7, I13).

The server declares a worker's executions lost when it has not heard its heartbeat for longer than `seconds`,
and gives them to others. The worker knows that this may happen, and ends them first. It counts from the moment
at which it *sent* the last heartbeat that was answered, on a clock that never jumps.
"""

from __future__ import annotations


class Contact:
    """Pure bookkeeping: the caller sends and reads the clock.

    Arguments:
        seconds: without an answer, until contact is lost.
        now: monotonic second; until the first answer, contact counts from here.
    """

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._last = now
        self._due = now
        self._beating = False

    def holds(self, now: float) -> bool:
        """Whether the server believes that this worker lives."""
        return now - self._last <= self._seconds

    def is_due(self, now: float) -> bool:
        """Whether a heartbeat should be sent. Only one is on its way at a time, so that none wait for hours."""
        return not self._beating and now >= self._due

    def due_in(self, now: float) -> float | None:
        """Seconds until the next heartbeat; None while one is on its way."""
        return None if self._beating else max(0.0, self._due - now)

    def sent(self, now: float) -> None:
        """A heartbeat goes out."""
        self._beating = True
        self._due = now + self._seconds / 4

    def answered(self, sent: float) -> None:
        """The heartbeat that was sent then has been answered."""
        self._beating = False
        self._last = max(self._last, sent)

    def failed(self) -> None:
        """It has been answered with a problem."""
        self._beating = False
