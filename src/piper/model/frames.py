"""Frames on a stream: a 4-byte big-endian length and that many bytes (`model.wire`)."""

from __future__ import annotations

import struct

from piper.model.wire import MAX_FRAME

_LENGTH = struct.Struct("!I")
HEADER = _LENGTH.size


class FrameTooLong(Exception):
    """A frame is longer than MAX_FRAME: its sender is broken or hostile."""


def framed(body: bytes) -> bytes:
    """The bytes to send for a frame.

    Raises:
        FrameTooLong: the receiver would refuse it.
    """
    if len(body) > MAX_FRAME:
        raise FrameTooLong(f"{len(body):,} bytes, of {MAX_FRAME:,} that one message may have")
    return _LENGTH.pack(len(body)) + body


class FrameBuffer:
    """Puts frames together from the pieces in which a stream arrives."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies of the frames that are whole now.

        Raises:
            FrameTooLong: a length is beyond MAX_FRAME; nothing more can be read from this stream.
        """
        # The common case first: one read, one frame, nothing to copy twice.
        if not self._pieces and len(data) >= HEADER and _LENGTH.unpack_from(data)[0] == len(data) - HEADER:
            return [data[HEADER:]]
        pieces = self._pieces
        pieces += data
        bodies, start = [], 0
        while len(pieces) - start >= HEADER:
            (length,) = _LENGTH.unpack_from(pieces, start)
            if length > MAX_FRAME:
                raise FrameTooLong(f"a frame of {length:,} bytes was announced, {MAX_FRAME:,} are allowed")
            end = start + HEADER + length
            if len(pieces) < end:
                break
            bodies.append(bytes(pieces[start + HEADER : end]))
            start = end
        del pieces[:start]
        return bodies
