"""Descriptors and what to do when they are ready: the heart of the supervisor's loop."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from piper.model.frames import FrameBuffer, FrameTooLong, framed

PAUSE_SECONDS = 0.01

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
_READ_BYTES = 64 << 10
"""Below the size from which the allocator maps memory anew for each read."""


class Poller:
    """Calls a handler for each descriptor that is ready.

    A handler may close other descriptors, whose numbers may be given out anew within the same round:
    handlers must bear being called when there is nothing to read.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], object]] = {}
        self._paused: deque[tuple[float, int, Callable[[int], object]]] = deque()

    def add(self, descriptor: int, handler: Callable[[int], object]) -> None:
        """Call `handler(events)` whenever the descriptor can be read, or is closed at the other end."""
        self._epoll.register(descriptor, READ)
        self._handlers[descriptor] = handler

    def expect(self, descriptor: int, events: int) -> None:
        """Which of READ and WRITE to wait for."""
        self._epoll.modify(descriptor, events)

    def close(self, descriptor: int) -> None:
        """Close the descriptor and forget it."""
        # Explicitly, though closing would do: a process that holds a copy would keep it registered.
        if self._handlers.pop(descriptor, None) is not None:
            with suppress(OSError):
                self._epoll.unregister(descriptor)
        os.close(descriptor)

    def pause(self, descriptor: int) -> None:
        """Do not look at the descriptor for PAUSE_SECONDS, whatever there is to read."""
        self._epoll.modify(descriptor, 0)
        self._paused.append((time.monotonic() + PAUSE_SECONDS, descriptor, self._handlers[descriptor]))

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Wait at most so long for something to be ready."""
        if self._paused:
            seconds = min(seconds, max(0.0, self._paused[0][0] - time.monotonic()))
        ready = self._epoll.poll(seconds)
        if self._paused:
            now = time.monotonic()
            while self._paused and self._paused[0][0] <= now:
                _, descriptor, handler = self._paused.popleft()
                if self._handlers.get(descriptor) == handler:  # else it has been closed
                    self._epoll.modify(descriptor, READ)
                    ready.append((descriptor, READ))
        return ready

    def handle(self, ready: list[tuple[int, int]]) -> None:
        """Call the handlers of what `wait` has found."""
        handlers = self._handlers
        for descriptor, events in ready:
            handler = handlers.get(descriptor)
            if handler is not None:
                handler(events)


class Link:
    """One framed, duplex, non-blocking stream.

    Arguments:
        received: called with the bodies of whole frames as they come.
        closed: called once when the other end is gone or sends nonsense; the argument says which.
    """

    def __init__(
        self,
        descriptor: int,
        poller: Poller,
        received: Callable[[list[bytes]], None],
        closed: Callable[[str], None],
    ) -> None:
        self._descriptor = descriptor
        self._poller = poller
        self._received = received
        self._closed = closed
        self._frames = FrameBuffer()
        self._unsent = bytearray()
        poller.add(descriptor, self._ready)

    @property
    def open(self) -> bool:
        """Whether it has not been closed from this end."""
        return self._descriptor >= 0

    def send(self, body: bytes) -> None:
        """Send a frame, now or as soon as the other end reads. Into a broken stream it sends nothing.

        Raises:
            FrameTooLong: the body is beyond what a frame may hold.
        """
        data = framed(body)
        if self._descriptor < 0:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._write(data)
        if sent < len(data):
            self._unsent += memoryview(data)[sent:]
            self._poller.expect(self._descriptor, READ | WRITE)

    def read(self) -> None:
        """Receive what has arrived, all of it."""
        while self._descriptor >= 0 and self._read():
            pass

    def close(self) -> None:
        """Close it from this end; neither callback is called any more."""
        if self._descriptor >= 0:
            self._poller.close(self._descriptor)
            self._descriptor = -1
            self._unsent.clear()

    def _ready(self, events: int) -> None:
        if events & WRITE and self._unsent:
            del self._unsent[: self._write(self._unsent)]
            if not self._unsent:
                self._poller.expect(self._descriptor, READ)
        if events & ~WRITE:
            self._read()

    def _read(self) -> bool:
        """Receive once. False if there is nothing more to come for now, or at all."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
            if data:
                if frames := self._frames.feed(data):
                    self._received(frames)
                return True
            why = ""
        except BlockingIOError:
            return False
        except FrameTooLong as error:
            why = str(error)
        except ConnectionError:
            why = ""
        self.close()
        self._closed(why)
        return False

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:  # the other end is gone: reading will tell
            return len(data)
