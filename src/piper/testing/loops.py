"""An event loop for a clock that stands still: when all wait, it is set forward to the next moment that one wants."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

STEP = 1e-6
"""Seconds; the clock knows nothing shorter."""


class SteppingLoop(asyncio.SelectorEventLoop):
    """Coroutines that wait beside each other go on in the order of their moments, and none of it takes time.

    Arguments:
        elapsed: seconds by which the clock has been set forward so far.
        sleep: sets it forward by some seconds.
    """

    def __init__(self, elapsed: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._elapsed = elapsed
        self._in_threads = 0
        super().__init__(_SteppingSelector(sleep, lambda: self._in_threads > 0))
        self._clock_resolution = STEP

    def time(self) -> float:
        """As the clock says."""
        return self._elapsed()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """In a thread, for which all others wait: it takes no time by the clock."""
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, _future: Any) -> None:
        self._in_threads -= 1


class _SteppingSelector(selectors.DefaultSelector):
    """Does not wait where only time would help."""

    def __init__(self, sleep: Callable[[float], None], is_busy: Callable[[], bool]) -> None:
        super().__init__()
        self._sleep = sleep
        self._is_busy = is_busy

    def select(self, timeout: float | None = None) -> Any:
        if timeout == 0:  # there is more to do at once
            return super().select(0)
        if timeout is None or self._is_busy():
            return super().select(None)
        found = super().select(0)
        if not found:
            self._sleep(max(timeout, STEP))
        return found
