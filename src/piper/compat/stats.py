"""Metrics that code counts through Airflow's `Stats`. They go nowhere yet; timers still measure."""

from __future__ import annotations

import time
from typing import Any, Self


class Timer:
    """Measures a block, in milliseconds (`duration`)."""

    duration: float | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Begin."""
        self._began = time.perf_counter()
        return self

    def stop(self, send: bool = True) -> None:
        """End."""
        self.duration = 1000 * (time.perf_counter() - self._began)


class Stats:
    """The functions that metrics are reported with."""

    @staticmethod
    def incr(stat: str, count: int = 1, rate: float = 1, *, tags: Any = None) -> None:
        """A counter rises."""

    @staticmethod
    def decr(stat: str, count: int = 1, rate: float = 1, *, tags: Any = None) -> None:
        """A counter falls."""

    @staticmethod
    def gauge(stat: str, value: float, rate: float = 1, delta: bool = False, *, tags: Any = None) -> None:
        """A value is."""

    @staticmethod
    def timing(stat: str, dt: Any, *, tags: Any = None) -> None:
        """Something took so long."""

    @staticmethod
    def timer(stat: str | None = None, *arguments: Any, **named: Any) -> Timer:
        """Measures a block."""
        return Timer()
