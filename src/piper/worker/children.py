"""A child as the supervisor sees it: a process id, a socket, the reading end of a log pipe."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from piper.logs import Masker
from piper.worker.executions import Execution
from piper.worker.poller import PAUSE_SECONDS, Link, Poller

if TYPE_CHECKING:
    from piper.worker.zygotes import Zygote

_LOG_BYTES = 64 << 10
_CHATTY_PIPE = 1 << 20
_OFTEN_SECONDS = 2 * PAUSE_SECONDS
_SMALL_BYTES = 4 << 10


class Child:
    """One child. Until it is given an execution it waits, and nothing of it is watched."""

    __slots__ = (
        "_chatty",
        "_last_read",
        "_log",
        "_poller",
        "_socket",
        "ended",
        "execution",
        "executions",
        "first_weight",
        "killed_at",
        "leaving",
        "link",
        "masker",
        "pid",
        "stuck",
        "zygote",
    )

    def __init__(self, pid: int, zygote: Zygote, socket: int, log: int, poller: Poller) -> None:
        self.pid = pid
        self.zygote = zygote
        self.execution: Execution | None = None
        self.executions = 0
        """How many it has been given."""
        self.masker = Masker()
        self.killed_at: float | None = None
        """Monotonic second at which SIGKILL was asked for."""
        self.first_weight = 0
        """Resident bytes after its first execution, if it is warm."""
        self.leaving = False
        """It has said that it will exit."""
        self.ended = False
        """Its process is gone."""
        self.stuck = False
        """That it does not end has been said."""
        self.link: Link | None = None
        self._socket = socket
        self._log = log
        self._poller = poller
        self._chatty = False
        self._last_read = 0.0

    def watch(self, received: Callable[[list[bytes]], None], closed: Callable[[str], None]) -> Link:
        """Begin to listen to it."""
        self.link = Link(self._socket, self._poller, received, closed)
        self._poller.add(self._log, self._read_log)
        return self.link

    def drain_log(self) -> None:
        """Take what is in the pipe now. What the child wrote before this call is in its log after it."""
        while self._log >= 0 and self._read_log(0):
            pass

    def close(self) -> None:
        """Close both descriptors; a child that waits for an execution exits."""
        if self.link is not None:
            self.link.close()
        elif self._socket >= 0:
            os.close(self._socket)
        self._socket = -1
        self._close_log()

    def _close_log(self) -> None:
        if self._log >= 0:
            self._poller.close(self._log)
            self._log = -1

    def _be_patient(self, size: int) -> None:
        """Leave a task that writes much, or again and again, alone for a moment: to be read from slows it.

        It then has a larger pipe to write to meanwhile.
        """
        now = time.monotonic()
        often, self._last_read = now - self._last_read < _OFTEN_SECONDS, now
        if not self._chatty and (often or size == _LOG_BYTES):
            self._chatty = True
            with suppress(OSError):  # it is beyond what this user may have in pipes
                fcntl.fcntl(self._log, fcntl.F_SETPIPE_SZ, _CHATTY_PIPE)
        if often and size < _SMALL_BYTES:
            self._poller.pause(self._log)

    def _read_log(self, events: int) -> bool:
        """Read once. False if there is nothing more for now, or at all."""
        try:
            data = os.read(self._log, _LOG_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close_log()
            return False
        self._be_patient(len(data))
        if self.execution is not None and self.execution.log is not None:
            self.execution.log.write(data)
        return True
