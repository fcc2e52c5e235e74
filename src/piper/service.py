"""What every long-lived part of Piper is: a service with one start/stop contract, and a clock.

A service's work is `tick`, a method that anyone may call (tests and simulations do); the thread
around it only decides when. A tick says how long it can wait; a wake-up ends the wait early.
Wake-ups are hints and may be lost: the longest wait is POLL_SECONDS, and polling is the truth.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from piper.model.errors import StoreUnavailable

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class Clock(Protocol):
    """The two clocks a service may read. Nothing about safety depends on `now`."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for waits and deadlines."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Signal:
    """A wake-up: set by anyone, any number of times; waited for by one thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._then: Callable[[], None] | None = None

    def set(self) -> None:
        """Wake the waiter, or let its next wait return at once."""
        self._event.set()
        if self._then is not None:
            self._then()

    def also(self, then: Callable[[], None]) -> None:
        """Call this, too, whenever the signal is set: how a host of several services is woken."""
        self._then = then

    def take(self) -> bool:
        """Whether it was set; forgets it."""
        was_set = self._event.is_set()
        if was_set:
            self._event.clear()
        return was_set

    def wait(self, seconds: float) -> bool:
        """Wait until set or until `seconds` have passed, then forget that it was set. True if it was."""
        was_set = self._event.wait(seconds)
        self._event.clear()
        return was_set


class Wakeups:
    """In-process hints between services: `notify("scheduler")` ends the scheduler's wait.

    A name nobody listens to is fine: the listener may live in another process and will poll.
    """

    def __init__(self) -> None:
        self._signals: dict[str, list[Signal]] = {}

    def listen(self, name: str) -> Signal:
        """A signal that `notify(name)` will set from now on."""
        signal = Signal()
        self._signals.setdefault(name, []).append(signal)
        return signal

    def notify(self, name: str) -> None:
        """Wake whoever listens to `name`."""
        for signal in self._signals.get(name, ()):
            signal.set()


class Host(Protocol):
    """A thread that ticks services (see `piper.lane`)."""

    def wake(self) -> None:
        """End its wait."""
        ...

    def is_alive(self) -> bool:
        """Whether it runs."""
        ...


class Service(ABC):
    """A loop in a thread: tick, wait, tick … until stopped. May be started again after a stop."""

    name: str

    def __init__(self, name: str, signal: Signal) -> None:
        self.name = name
        self.signal = signal
        self.failures = 0
        """Ticks in a row that raised; 0 when all is well."""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._host: Host | None = None

    @property
    def quarantined(self) -> Mapping[str, int]:
        """Kind of thing → how many of that kind it cannot deal with and has put aside, so that all else goes on."""
        return {}

    @abstractmethod
    def tick(self) -> float:
        """Do what there is to do, once. Returns the seconds until it wants to be called again (0 = at once)."""

    def on_start(self) -> None:  # noqa: B027, a hook that may be left empty
        """Called in the service's thread before its first tick."""

    def on_stop(self) -> None:  # noqa: B027, a hook that may be left empty
        """Called in the service's thread after its last tick: hand over, close."""

    def start(self) -> None:
        """Begin ticking in a thread of its own. Does nothing if it is running."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End after the current tick and wait for that. Does nothing if it is not running."""
        self._stopping.set()
        self.signal.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            if thread.is_alive():
                log.warning("%s did not stop within %s s", self.name, timeout)

    @property
    def running(self) -> bool:
        """Whether the thread that ticks it is alive."""
        host = self._host or self._thread
        return host is not None and host.is_alive()

    def hosted_by(self, host: Host) -> None:
        """It is ticked by this host from now on, rather than by a thread of its own."""
        self._host = host
        self.signal.also(host.wake)

    def _run(self) -> None:
        self.on_start()
        try:
            while not self._stopping.is_set():
                wait = self.tick_safely()
                if wait > 0 and not self._stopping.is_set():
                    self.signal.wait(wait)
        finally:
            self.on_stop()

    def tick_safely(self) -> float:
        """One tick; an exception is logged and counted, and the wait after it grows to ten seconds."""
        try:
            wait = self.tick()
        except Exception as error:
            self.failures += 1
            # A database that cannot be used says all there is to say; anything else needs to be looked into.
            traced = None if isinstance(error, StoreUnavailable) else error
            log.error("%s failed (%d in a row); it goes on: %s", self.name, self.failures, error, exc_info=traced)
            return float(min(0.1 * 2 ** min(self.failures, 10), 10.0))
        self.failures = 0
        return min(wait, POLL_SECONDS)
