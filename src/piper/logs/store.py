"""All logs below one root: where writers come from, and how logs are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from piper.logs.files import TAIL, CappedFile, Segment, segments_of
from piper.logs.lines import PIPER
from piper.logs.masking import Masker
from piper.logs.writing import LogWriter
from piper.model.errors import Invalid, NotFound

CAP = 100 << 20
"""Bytes kept of one attempt's log: half of them its head, half its tail."""

CHUNK = 64 << 10
"""Bytes that a reader is given at most, unless it asks for another number."""


class Chunk(Struct, frozen=True):
    """A stretch of a log, in whole lines unless a line is longer than what was asked for."""

    data: bytes
    """UTF-8 as far as the task wrote it; see `lines` for the form."""
    offset: int
    """Where in the log it begins: after what was asked for, if that is no longer stored."""
    next: int
    """Where the next one begins."""


class LogStore:
    """The logs of all executions, by relative path."""

    def __init__(self, root: Path | str, cap: int = CAP) -> None:
        self._root = os.path.realpath(root)
        self._cap = cap

    def writer(self, path: str, masker: Masker) -> LogWriter:
        """A writer that appends to a log. It creates nothing until it has something to write.

        Raises:
            Invalid: the path is not a relative one without `..`.
        """
        return LogWriter(CappedFile(self._file(path), self._cap), masker)

    def read(self, path: str, offset: int = 0, limit: int = CHUNK) -> Chunk:
        """Up to `limit` bytes from `offset` on; empty if there are none, or not yet a whole line.

        A log that does not exist is empty: its task has written nothing. Where bytes are missing
        between head and tail, the chunk begins with a line that says how many.

        Raises:
            Invalid: the path is not a relative one without `..`.
            NotFound: the path leads out of the store.
        """
        file = self._existing(path)
        offset = max(offset, 0)
        return _read(segments_of(file), offset, limit) if file else Chunk(b"", offset, offset)

    def follow(self, path: str, offset: int = 0, limit: int = CHUNK) -> Iterator[Chunk]:
        """Chunk after chunk from `offset` on, for ever. An empty one means that nothing is new.

        It never waits, so that it serves threads and event loops alike: on an empty chunk its user
        stops if the attempt has ended, else sleeps (`sleep` or `await sleep`) and goes on.
        """
        while True:
            chunk = self.read(path, offset, limit)
            offset = chunk.next
            yield chunk

    def size(self, path: str) -> int:
        """The offset at the end of the log so far: 0 for one that does not exist."""
        file = self._existing(path)
        found = segments_of(file) if file else []
        return found[-1].end if found else 0

    def delete(self, path: str) -> None:
        """Delete a log, or every log below a folder. Does nothing if there is none."""
        # Imported here: it brings compression libraries along, and the worker, which only writes, is to stay small.
        import shutil

        file = self._existing(path)
        if os.path.isdir(file):
            shutil.rmtree(file)
        elif file:
            os.unlink(file)
            shutil.rmtree(file + TAIL, ignore_errors=True)

    def _file(self, path: str) -> str:
        if not path or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
            raise Invalid(f"{path!r} cannot name a log: it must be a relative path without '.' or '..'")
        return f"{self._root}/{path}"

    def _existing(self, path: str) -> str:
        """The log's file if there is one, else empty. A link that leads out of the store is not followed."""
        file = self._file(path)
        real = os.path.realpath(file)
        if real != file and not real.startswith(self._root + "/"):
            raise NotFound(f"there is no log {path!r}")
        return real if os.path.exists(real) else ""


def _read(segments: list[Segment], offset: int, limit: int) -> Chunk:
    """Bytes from `offset` on through adjoining segments, or else from the first one after it."""
    data, position, gap = b"", offset, None
    for segment in segments:
        if segment.end <= position:
            continue
        if segment.start > position:
            if data:  # the rest of the line, if it has not ended here, is gone
                return Chunk(data if data.endswith(b"\n") else data + b"\n", offset, position)
            gap = position if gap is None else gap
            position = segment.start
        part = _read_part(segment, position, limit - len(data))
        data, position = data + part, position + len(part)
        if len(data) >= limit:
            break
    if gap is not None and data:
        return _after_gap(data, gap, position)
    cut = data.rfind(b"\n") + 1 or (len(data) if len(data) >= limit else 0)
    return Chunk(data[:cut], offset, offset + cut)


def _after_gap(data: bytes, gap: int, end: int) -> Chunk:
    """What follows deleted bytes: it begins, in most cases, in the middle of a line, which is left out too."""
    first = data.find(b"\n") + 1
    last = data.rfind(b"\n") + 1
    lines = data[first:last] or data
    time = lines.split(b" ", 1)[0]
    start = end - len(data) + (first if data[first:last] else 0)
    missing = b"%s %s %s bytes left out here\n" % (time, PIPER.encode(), f"{start - gap:,}".encode())
    return Chunk(missing + lines, gap, start + len(lines))


def _read_part(segment: Segment, offset: int, limit: int) -> bytes:
    try:
        descriptor = os.open(segment.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:  # the writer has just deleted it: go on with the next
        return b""
    try:
        return os.pread(descriptor, limit, offset - segment.start)
    finally:
        os.close(descriptor)
