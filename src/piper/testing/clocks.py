"""Time in a test: as it is, or standing still."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from piper.testing.loops import SteppingLoop


class Clock(Protocol):
    """Says what time it is, and lets it pass."""

    def now(self) -> datetime:
        """The moment, in UTC."""
        ...

    def wait_until(self, moment: datetime) -> None:
        """Return when this moment has come."""
        ...

    def running(self) -> AbstractContextManager[None]:
        """While the clock is what all code in this process goes by."""
        ...

    def loop(self) -> asyncio.AbstractEventLoop:
        """A new event loop in which it is the time."""
        ...


class RealClock:
    """The computer's."""

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC)

    def wait_until(self, moment: datetime) -> None:
        """Sleep until then."""
        time.sleep(max((moment - self.now()).total_seconds(), 0))

    def running(self) -> AbstractContextManager[None]:
        """It always runs."""
        return nullcontext()

    def loop(self) -> asyncio.AbstractEventLoop:
        """An event loop."""
        return asyncio.new_event_loop()


class StoppedClock:
    """A clock that stands still; whoever sleeps sets it forward in place of waiting.

    Arguments:
        start: the moment at which it stands, aware.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"the clock needs a time zone, {start} has none: datetime(…, tzinfo=UTC)")
        self._start = start.astimezone(UTC)
        self._traveller: Any = None
        self._slept = timedelta(0)

    def now(self) -> datetime:
        """The moment, in UTC."""
        return self._start + self._slept

    def wait_until(self, moment: datetime) -> None:
        """Set it forward, if the moment lies ahead."""
        self.sleep((moment - self.now()).total_seconds())

    def sleep(self, seconds: float) -> None:
        """Set it forward."""
        if seconds > 0:
            self._slept += timedelta(seconds=seconds)
            if self._traveller is not None:
                self._traveller.move_to(self.now())

    def loop(self) -> asyncio.AbstractEventLoop:
        """An event loop whose waits set the clock forward."""
        return SteppingLoop(lambda: self._slept.total_seconds(), self.sleep)

    @contextmanager
    def running(self) -> Iterator[None]:
        """While all that asks for the time, in any library, is told this clock's, and nobody really sleeps.

        Threads that ran before are none of the test's business: they sleep as long as they say and set nothing forward.

        Raises:
            ImportError: the library that does it is not installed.
        """
        try:
            import time_machine  # an extra: production needs no such thing
        except ImportError:
            raise ImportError(
                "a test with a clock needs time-machine: pip install 'piper-workflows[testing]'"
            ) from None
        real_sleep, real_monotonic, real_wait = time.sleep, time.monotonic, asyncio.sleep

        strangers = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

        def sleep(seconds: float) -> None:
            (real_sleep if threading.get_ident() in strangers else self.sleep)(seconds)

        async def wait(delay: float, result: Any = None) -> Any:
            if threading.get_ident() in strangers or isinstance(asyncio.get_running_loop(), SteppingLoop):
                return await real_wait(delay, result)
            self.sleep(delay)
            return await real_wait(0, result)

        with time_machine.travel(self.now(), tick=False) as self._traveller:
            time.sleep = sleep  # type: ignore[assignment] # sensors that poke
            time.monotonic = lambda: real_monotonic() + self._slept.total_seconds()  # and their timeouts
            asyncio.sleep = wait  # tasks that are coroutines
            try:
                yield
            finally:
                time.sleep, time.monotonic, asyncio.sleep = real_sleep, real_monotonic, real_wait
                self._traveller = None


def clock_at(moment: datetime | None) -> Clock:
    """A clock that stands at a moment; without one, the real one."""
    return RealClock() if moment is None else StoppedClock(moment)
