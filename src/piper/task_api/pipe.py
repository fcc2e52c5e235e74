"""The Task API over a socket pair: how the supervisor of this machine's workers is served.

One thread, a lane's, does everything for one supervisor: it reads, handles all that has arrived as one batch, and
writes the replies, so that a call meets no other thread on its way. The executor writes its pushes straight into the
socket, from any thread; only what the socket does not take at once is left for the serving thread to send.

A supervisor that does not read does not hold up anybody: pushes beyond MAX_UNSENT are dropped (what is queued and not
started is sent again), and no more of its calls are read until it has taken its replies.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from piper.model import wire
from piper.model.frames import FrameBuffer, FrameTooLong, framed
from piper.model.wire import Call, Cancel, Dispatch, Problem, Reply

log = logging.getLogger(__name__)

MAX_UNSENT = 8 << 20
"""Bytes that may wait for a supervisor which does not read."""

MAX_BATCH = 128
"""Calls that are handled at once; more would make the first wait for the last."""

_READ_BYTES = 256 << 10
_READS_PER_ROUND = 16

Handle = Callable[[Sequence[Call]], list[Reply]]

_decode_calls = msgspec.msgpack.Decoder(list[Call]).decode
_encode = msgspec.msgpack.Encoder().encode


class PipeConnection:
    """One supervisor at the other end of a socket.

    Arguments:
        stream: a connected stream socket, which belongs to this object from now on.
        handle: `TaskApi.handle`.
        changed: wakes whoever serves it, since `interest` has changed.
    """

    def __init__(self, stream: socket.socket, handle: Handle, changed: Callable[[], None]) -> None:
        stream.setblocking(False)
        self._stream = stream
        self._handle = handle
        self._frames = FrameBuffer()
        self._unsent = bytearray()
        self._sending = threading.Lock()
        self._changed = changed
        self._closing = False

    def fileno(self) -> int:
        """The descriptor on which this connection, or a wish to close it or to write, shows."""
        return self._stream.fileno()

    @property
    def interest(self) -> int:
        """Read, unless too much waits to be sent; write while anything does."""
        with self._sending:
            if not self._unsent:
                return selectors.EVENT_READ
            crowded = len(self._unsent) > MAX_UNSENT
            return selectors.EVENT_WRITE if crowded else selectors.EVENT_READ | selectors.EVENT_WRITE

    def on_ready(self, events: int) -> bool:
        """Answer what has been asked, send what waits. False once the other end is gone, or was sent away."""
        if events & selectors.EVENT_WRITE:
            self._flush()
        alive = not self._closing and (not events & selectors.EVENT_READ or self._receive())
        if not alive:
            self.end()
        return alive

    def push(self, messages: Iterable[Dispatch | Cancel]) -> bool:
        """Send these without waiting for anything. False if they were dropped, because too much waits already."""
        return self._send(b"".join(framed(_encode(message)) for message in messages), limit=MAX_UNSENT)

    def close(self) -> None:
        """Have it end; the other end sees the end of the stream."""
        with self._sending:
            self._closing = True
            with suppress(OSError):  # whoever serves it wakes up, finding the end of the stream
                self._stream.shutdown(socket.SHUT_RDWR)

    def _receive(self) -> bool:
        """Handle what has arrived. False if the other end is gone or cannot be understood."""
        calls: list[Call] = []
        is_alive = True
        try:
            for _ in range(_READS_PER_ROUND):
                data = self._stream.recv(_READ_BYTES)
                if not data:
                    is_alive = False
                    break
                for body in self._frames.feed(data):
                    calls += _decode_calls(body)
                if len(data) < _READ_BYTES:
                    break
        except BlockingIOError:
            pass
        except OSError:
            is_alive = False
        except (FrameTooLong, msgspec.DecodeError, RecursionError) as error:
            log.error("a worker's supervisor is not understood and is sent away: %s", error)
            return False
        for first in range(0, len(calls), MAX_BATCH):
            for frame in reply_frames(self._handle(calls[first : first + MAX_BATCH])):
                self._send(frame)
        return is_alive

    def _send(self, data: bytes, limit: int | None = None) -> bool:
        """Send, or keep what the socket does not take for the serving thread; beyond `limit` waiting bytes, neither."""
        with self._sending:
            if self._closing:
                return False
            if limit is not None and len(self._unsent) > limit:
                return False
            sent = 0 if self._unsent else self._write(data)
            if sent == len(data):
                return True
            self._unsent += memoryview(data)[sent:]
        self._changed()
        return True

    def _flush(self) -> None:
        with self._sending:
            del self._unsent[: self._write(self._unsent)]

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._stream.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # the other end is gone, which reading will tell

    def end(self) -> None:
        """Close the socket: nobody serves it any more. Does nothing the second time."""
        with self._sending:
            self._closing = True
            self._unsent.clear()
            self._stream.close()


def reply_frames(replies: list[Reply]) -> list[bytes]:
    """The frames that carry these replies, none longer than a frame may be."""
    try:
        return [framed(_encode(replies))]
    except FrameTooLong:
        if len(replies) > 1:
            half = len(replies) // 2
            return reply_frames(replies[:half]) + reply_frames(replies[half:])
        problem = Problem("too_large", f"the answer is longer than the {wire.MAX_FRAME:,} bytes of one message")
        return [framed(_encode([Reply(replies[0].id, problem=problem)]))]
