"""The child's end of its socket: frames in, frames out, blocking."""

from __future__ import annotations

import os
import socket
import threading
from datetime import datetime
from typing import Any

import msgspec

from piper.model.errors import Invalid, StoreUnavailable
from piper.model.frames import FrameBuffer, FrameTooLong, framed
from piper.model.wire import MAX_FRAME, TELL, Answer, Ask, Report, Request
from piper.sdk.execution.channel import error_of
from piper.worker.control import FAREWELL


def _plain(value: object) -> datetime:
    """User code gives dates of pendulum's class, which is a datetime and yet not encoded as one."""
    if isinstance(value, datetime):
        return datetime.fromisoformat(value.isoformat())
    raise TypeError(f"{type(value).__name__} cannot be sent: {value!r}")


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode


class SupervisorGone(BaseException):
    """The supervisor has closed the socket: nothing that this process does can be told to anyone."""


class SocketChannel:
    """`piper.sdk.execution.channel.Channel` over the socket to the supervisor.

    Threads of the task take turns. A signal handler may raise in the middle of a question: what has
    been read by then is kept, and an answer that nobody waits for any more is dropped.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._buffer = FrameBuffer()
        self._frames: list[bytes] = []
        self._lock = threading.Lock()
        self._owner = 0
        self._last = TELL

    def connect(self, supervisor: socket.socket) -> None:
        """Use this socket; in the process that calls this, and no other.

        Apart from the constructor, since a zygote makes the channel of all its children once.
        """
        self._socket = supervisor
        self._owner = os.getpid()

    def receive(self) -> bytes:
        """The next frame from the supervisor.

        Raises:
            SupervisorGone: there will be none.
        """
        assert self._socket is not None
        while not self._frames:
            try:
                data = self._socket.recv(64 << 10)
            except ConnectionError:
                data = b""
            if not data:
                raise SupervisorGone
            self._frames += self._buffer.feed(data)
        return self._frames.pop(0)

    def ask(self, request: Request) -> Any:
        """Ask, wait, and return the answer. Raises as `Channel.ask` says."""
        with self._lock:
            self._last += 1
            number = self._last
            self._send(Ask(number, request))
            while True:
                answer = _decode_answer(self.receive())
                if answer.id == number:
                    break
        if answer.problem is not None:
            raise error_of(answer.problem)
        return answer.result

    def tell(self, request: Request) -> None:
        """Say something that has no answer."""
        with self._lock:
            self._send(Ask(TELL, request))

    def report(self, report: Report, number: int = FAREWELL) -> None:
        """Say how the execution ended. Without waiting for a lock that a thread of the task may hold for ever.

        Arguments:
            number: TELL, if this process goes on to another; FAREWELL, if it does not.

        Raises:
            FrameTooLong: the report, mostly its XComs, is too large to be sent.
        """
        assert self._socket is not None
        self._socket.sendall(framed(_encode(Ask(number, report))))

    def _send(self, message: Ask) -> None:
        if self._socket is None or os.getpid() != self._owner:
            raise StoreUnavailable(
                "only the task's own process can ask Piper for XComs, variables and connections; "
                "get what you need before you start other processes"
            )
        try:
            data = framed(_encode(message))
        except FrameTooLong as error:
            raise Invalid(f"this is too large to be sent: {error} ({MAX_FRAME >> 20} MiB)") from None
        try:
            self._socket.sendall(data)
        except ConnectionError:
            raise SupervisorGone from None
