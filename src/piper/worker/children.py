"""A child as the supervisor sees it: a process id, a socket, the reading end of a log pipe."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from piper.logs import Masker
from piper.worker.executions import Execution
from piper.worker.poller import Link, Poller

if TYPE_CHECKING:
    from piper.worker.zygotes import Zygote

_LOG_BYTES = 64 << 10
_CHATTY_PIPE = 1 << 20


class Child:
    """One child. Until it is given an execution it waits, and nothing of it is watched."""

    __slots__ = (
        "_chatty",
        "_log",
        "_poller",
        "_socket",
        "execution",
        "executions",
        "killed_at",
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
        self.stuck = False
        """That it does not end has been said."""
        self.link: Link | None = None
        self._socket = socket
        self._log = log
        self._poller = poller
        self._chatty = False

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

    def _read_log(self, events: int) -> bool:
        """Read once. False if there is nothing more for now, or at all."""
        try:
            data = os.read(self._log, _LOG_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close_log()
            return False
        if len(data) == _LOG_BYTES and not self._chatty:
            # A larger pipe lets it go on writing while the supervisor is busy elsewhere.
            self._chatty = True
            with suppress(OSError):  # it is beyond what this user may have in pipes
                fcntl.fcntl(self._log, fcntl.F_SETPIPE_SZ, _CHATTY_PIPE)
        if self.execution is not None and self.execution.log is not None:
            self.execution.log.write(data)
        return True
