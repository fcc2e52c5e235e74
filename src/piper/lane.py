"""One thread for several services and the connections they serve, each in its turn.

Services that wake one another for every task (the Task API's connection, the scheduler, the executor) gain
nothing from threads of their own in one process: they share one interpreter and one writing connection, and
each hand-over costs a switch of threads and a wait for the lock. In a lane the hand-over is a function call.
Measured on two cores, the server's processor time for a task fell by a third (docs/adr/0014).

A service in a lane is the same as in a thread: it is ticked when its signal is set or its wait is over.
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from contextlib import suppress
from typing import Protocol

from piper.service import POLL_SECONDS, Service

log = logging.getLogger(__name__)


class Connection(Protocol):
    """Something with a file descriptor that a lane can serve."""

    def fileno(self) -> int:
        """The descriptor to wait for."""
        ...

    @property
    def interest(self) -> int:
        """What to wait for: selectors.EVENT_READ, EVENT_WRITE or both."""
        ...

    def on_ready(self, events: int) -> bool:
        """Do what can be done without waiting. False once the connection has ended."""
        ...


class Lane:
    """A thread in which services tick and connections are served."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._services: tuple[Service, ...] = ()
        self._due: dict[Service, float] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_fd = -1
        self._connections: dict[int, tuple[Connection, threading.Event]] = {}
        self._arriving: list[tuple[Connection, threading.Event]] = []
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def host(self, *services: Service) -> None:
        """Tick these once started, in the order in which one wakes the next."""
        self._services = services
        self._due = dict.fromkeys(services, 0.0)
        for service in services:
            service.hosted_by(self)

    def start(self) -> None:
        """Begin. Does nothing if it is running."""
        if self.is_alive():
            return
        self._stopping.clear()
        self._selector = selectors.DefaultSelector()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._wake_fd, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End after the present turn, and wait for that. Connections that are served are left to their owners."""
        self._stopping.set()
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
            if self._thread.is_alive():
                log.warning("%s did not stop within %s s", self.name, timeout)

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """End the lane's wait. May be called by any thread; costs nothing in the lane's own."""
        if threading.current_thread() is self._thread:
            return
        with self._changing, suppress(BlockingIOError):
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    def serve(self, connection: Connection) -> None:
        """Serve a connection in the lane; returns when it has ended, or with the lane."""
        ended = self.adopt(connection)
        while not ended.wait(1.0):
            if not self.is_alive():
                return

    def adopt(self, connection: Connection) -> threading.Event:
        """Serve a connection in the lane from its next turn on; what is returned is set when it has ended."""
        ended = threading.Event()
        with self._changing:
            self._arriving.append((connection, ended))
        self.wake()
        return ended

    # --- in the lane's thread --------------------------------------------------------------------

    def _run(self) -> None:
        for service in self._services:
            service.on_start()
        try:
            while not self._stopping.is_set():
                wait = self._take_turns()
                self._admit()  # after the turns: a service may have adopted a connection, and nothing wakes for that
                self._follow_interests()
                for key, events in self._selector.select(wait):
                    if key.data is None:
                        os.eventfd_read(self._wake_fd)
                    else:
                        self._serve(key.fd, events)
        finally:
            for service in reversed(self._services):
                service.on_stop()
            for _, ended in self._connections.values():
                ended.set()
            self._connections.clear()
            self._selector.close()
            with self._changing:  # whoever wakes must not write to what the number may mean next
                os.close(self._wake_fd)
                self._wake_fd = -1

    def _take_turns(self) -> float:
        """Tick whoever wants to be ticked, until nobody does. Returns the seconds until somebody will."""
        while True:
            ticked = False
            for service in self._services:
                if service.signal.take() or self._due[service] <= time.monotonic():
                    wait = service.tick_safely()
                    self._due[service] = time.monotonic() + wait
                    ticked = True
            if self._stopping.is_set() or not ticked:
                break
            if self._selector.select(0):
                return 0.0  # connections have a turn between two rounds
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else POLL_SECONDS

    def _admit(self) -> None:
        with self._changing:
            arriving, self._arriving = self._arriving, []
        for connection, ended in arriving:
            self._connections[connection.fileno()] = (connection, ended)
            self._selector.register(connection, connection.interest, connection)

    def _follow_interests(self) -> None:
        for fd, (connection, _) in self._connections.items():
            if connection.interest != self._selector.get_key(fd).events:
                self._selector.modify(fd, connection.interest, connection)

    def _serve(self, fd: int, events: int) -> None:
        connection, ended = self._connections[fd]
        try:
            alive = connection.on_ready(events)
        except Exception:
            log.exception("serving a connection of %s failed", self.name)
            alive = False
        if not alive:
            self._selector.unregister(fd)
            del self._connections[fd]
            ended.set()
