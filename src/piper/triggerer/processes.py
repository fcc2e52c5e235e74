"""A child as the service sees it: a process, a socket, shared memory, and what it writes to standard error."""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from piper.model.frames import FrameBuffer, FrameTooLong, framed
from piper.model.run import Identity
from piper.triggerer.protocol import FromChild, Mark, Marks, Order, ToChild, decode_from_child, encode

MAX_UNSENT = 64 << 20
"""Bytes that may wait for a child which does not read; one with more is ended."""

KEPT_ERRORS = 32 << 10
"""Bytes of what a child has written last to standard error."""

ENDING_SECONDS = 0.2
"""For a child that has closed its socket to end by itself, so that its status says why."""

EXIT_SECONDS = 2.0
"""For a child that was killed to be gone."""

_READ_BYTES = 256 << 10
_READS_PER_TURN = 8


class ChildProcess:
    """A process for triggers, on the lane of the service (`piper.lane.Connection`).

    Arguments:
        root: folder of the snapshot; empty for built-in triggers.
        environment: of the process.
        received: called with each message.
        ended: called once, when the process is gone.
    """

    def __init__(
        self,
        root: str,
        environment: Mapping[str, str],
        received: Callable[[FromChild], None],
        ended: Callable[[], None],
    ) -> None:
        self._received = received
        self._ended = ended
        self._frames = FrameBuffer()
        self._unsent = bytearray()
        self.errors = bytearray()
        """The last that it has written to standard error."""
        self.status: int | None = None
        """Its exit code, or minus its signal, once it is gone."""
        self._marks, memory = Marks.make()
        self._socket, theirs = socket.socketpair()
        with theirs:
            os.set_inheritable(memory, True)
            order = Order(control=theirs.fileno(), marks=memory, parent=os.getpid(), root=root)
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "piper.triggerer.child", msgspec.json.encode(order).decode()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    pass_fds=[theirs.fileno(), memory],
                    start_new_session=True,
                )
            finally:
                os.close(memory)
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._socket.setblocking(False)
        self.pid = self._process.pid

    def fileno(self) -> int:
        """The descriptor on which it shows that there is something to do."""
        return self._socket.fileno()

    @property
    def interest(self) -> int:
        """Write while something waits to be sent."""
        return selectors.EVENT_READ | selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ

    def on_ready(self, events: int) -> bool:
        """Take what it says, send what waits. False once it is gone."""
        if events & selectors.EVENT_WRITE:
            self._write()
        alive = not events & selectors.EVENT_READ or self._receive()
        self.read_errors()
        if not alive:
            self._bury()
        return alive

    def read_mark(self) -> Mark:
        """What it has written into the shared memory."""
        return self._marks.read()

    def send(self, message: ToChild) -> None:
        """Tell it something, without waiting. One that does not read is killed."""
        self._unsent += framed(encode(message))
        self._write()
        if len(self._unsent) > MAX_UNSENT:
            self.kill(signal.SIGKILL)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to it and all that it has started. Its end shows on its socket."""
        if self.status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def let_go(self) -> None:
        """Let it clean up and end: it sees the end of its socket."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def wait(self, seconds: float) -> None:
        """Wait for it to be gone, and kill it then. Nothing is called any more."""
        self._ended = _nothing
        self._bury(seconds)

    def read_errors(self) -> None:
        """Keep the last of what it has written to standard error."""
        while True:
            try:
                data = os.read(self._output.fileno(), 64 << 10)
            except (BlockingIOError, ValueError):
                return
            if not data:
                return
            self.errors += data
            del self.errors[:-KEPT_ERRORS]

    def _receive(self) -> bool:
        try:
            for _ in range(_READS_PER_TURN):
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    return False
                for body in self._frames.feed(data):
                    self._received(decode_from_child(body))
                if len(data) < _READ_BYTES:
                    break
        except BlockingIOError:
            return True
        except (OSError, FrameTooLong, msgspec.DecodeError, RecursionError) as error:
            self.errors += f"what it said was not understood: {error}\n".encode()
            return False
        return True

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(self._unsent)  # it is gone, which reading tells
        del self._unsent[:sent]

    def _bury(self, patience: float = ENDING_SECONDS) -> None:
        """Kill what is left of it after `patience` seconds, and give back what it had."""
        if self.status is not None:
            return
        # Its socket closes a moment before it is dead. What it has started is killed while its number is still its own.
        ending = os.pidfd_open(self.pid)
        select.select([ending], [], [], patience)
        os.close(ending)
        self.kill(signal.SIGKILL)
        self.status = self._process.wait(EXIT_SECONDS)
        self.read_errors()
        self.last_mark = self._marks.read()
        self._socket.close()
        self._output.close()
        self._marks.close()
        self._ended()

    @property
    def culprit(self) -> Identity | None:
        """In whose step it has ended, once it is gone."""
        return self.last_mark.identity


def _nothing() -> None:
    """In place of a callback that is not wanted any more."""
