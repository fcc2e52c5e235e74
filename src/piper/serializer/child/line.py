"""The child's end of the socket of its load: frames go out, answers come in."""

from __future__ import annotations

import os
import threading
from typing import Any

import msgspec

from piper.model.errors import StoreUnavailable
from piper.model.frames import FrameBuffer
from piper.model.wire import Answer, Lookup
from piper.sdk.execution.channel import error_of
from piper.serializer.protocol import Kind, Question, encode, frame

_read, _write = os.read, os.write  # as they are before a file may replace them
_decode_answer = msgspec.msgpack.Decoder(Answer).decode


class Line:
    """Threads that the file has started take turns, so that no frame is written into another.

    What was asked once is not asked again: in one load a variable has one value.
    """

    def __init__(self, descriptor: int, nonce: bytes) -> None:
        self._descriptor = descriptor
        self._nonce = nonce
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._buffer = FrameBuffer()
        self._frames: list[bytes] = []
        self._asked = 0
        self._answers: dict[Lookup, Answer] = {}

    def send(self, data: bytes) -> None:
        """Write frames; not from a copy of the process that user code has made."""
        if os.getpid() == self._process:
            with self._lock:
                self._send(data)

    def look_up(self, lookup: Lookup) -> Any:
        """Ask the serializer, and wait for its answer. Raises as `piper.sdk.execution.channel.Channel.ask`."""
        if os.getpid() != self._process:
            raise StoreUnavailable("only the process that loads a file can read variables and connections for it")
        with self._lock:
            answer = self._answers.get(lookup)
            if answer is None:
                answer = self._answers[lookup] = self._ask(lookup)
        if answer.problem is not None:
            raise error_of(answer.problem)
        return answer.result

    def _ask(self, lookup: Lookup) -> Answer:
        self._asked += 1
        self._send(frame(Kind.QUESTION, self._nonce, encode(Question(self._asked, lookup))))
        while True:
            # What was asked before may come first: a signal handler can have raised while that was waited for.
            while self._frames:
                answer = _decode_answer(self._frames.pop(0))
                if answer.id == self._asked:
                    return answer
            data = _read(self._descriptor, 64 << 10)
            if not data:
                raise StoreUnavailable("the serializer is gone")
            self._frames += self._buffer.feed(data)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[_write(self._descriptor, view) :]
