"""All logs below one root: where writers come from, and how logs are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from piper.logs.files import CappedFile, Segment, segments_of
from piper.logs.lines import PIPER
from piper.logs.masking import Masker
from piper.logs.packs import PackedLog, Packs
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
    """The logs of all executions, each named by a relative path of a folder and a name.

    Arguments:
        cap: bytes kept of one log.
        writer: a name that no other process which writes below this root has.
    """

    def __init__(self, root: Path | str, cap: int = CAP, writer: str = "main") -> None:
        self._root = os.path.realpath(root)
        self._cap = cap
        self._packs = Packs(writer)

    def begin(self, path: str, masker: Masker) -> LogWriter:
        """A writer of a log that nobody has written to yet. It creates nothing until it has something to write.

        Raises:
            Invalid: the path is not a relative one of plain names.
        """
        return LogWriter(CappedFile(self._packs, *self._place(path), self._cap), masker)

    def resume(self, path: str, masker: Masker) -> LogWriter:
        """A writer that goes on where the last one of that log stopped. Raises like `begin`."""
        file = CappedFile(self._packs, *self._place(path), self._cap)
        writer = LogWriter(file, masker)
        writer.resume()
        return writer

    def reader(self, path: str) -> LogReader:
        """A reader of a log, which may not exist yet.

        Raises:
            Invalid: the path is not a relative one of plain names.
            NotFound: the path leads out of the store.
        """
        folder, name = self._place(path)
        for place in (folder, f"{folder}/{name}"):
            if os.path.realpath(place) != place:
                raise NotFound(f"there is no log {path!r}")
        return LogReader(folder, name)

    def read(self, path: str, offset: int = 0, limit: int = CHUNK) -> Chunk:
        """One chunk of a log; see `LogReader.read`. Whoever wants more keeps a reader. Raises like `reader`."""
        return self.reader(path).read(offset, limit)

    def follow(self, path: str, offset: int = 0, limit: int = CHUNK) -> Iterator[Chunk]:
        """Chunk after chunk from `offset` on, for ever. An empty one means that nothing is new.

        It never waits, so that it serves threads and event loops alike: on an empty chunk its user
        stops if the attempt has ended, else sleeps (`sleep` or `await sleep`) and goes on. Raises like `reader`.
        """
        reader = self.reader(path)
        while True:
            chunk = reader.read(offset, limit)
            offset = chunk.next
            yield chunk

    def folders(self) -> list[str]:
        """The folders at the top, in no order."""
        try:
            with os.scandir(self._root) as found:
                return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def delete(self, folder: str) -> None:
        """Delete every log of a folder. Does nothing if there is none. Raises like `reader`."""
        # Imported here: it brings compression libraries along, and the worker, which only writes, is to stay small.
        import shutil

        self.reader(f"{folder}/all")
        shutil.rmtree(f"{self._root}/{folder}", ignore_errors=True)

    def _place(self, path: str) -> tuple[str, str]:
        folder, _, name = path.rpartition("/")
        if not folder or not _PLAIN.fullmatch(path) or any(part in ("", ".", "..") for part in path.split("/")):
            raise Invalid(
                f"{path!r} cannot name a log: it must be a relative path of letters, digits and '._~:+-', "
                "without '.' or '..', in a folder"
            )
        return f"{self._root}/{folder}", name


_PLAIN = re.compile(r"[\w.~:+/-]+", re.ASCII)


class LogReader:
    """Reads one log, from any offset, while it is being written."""

    def __init__(self, folder: str, name: str) -> None:
        self.folder = folder
        self._log = f"{folder}/{name}"
        self._packed = PackedLog(folder, name)

    def read(self, offset: int = 0, limit: int = CHUNK) -> Chunk:
        """Up to `limit` bytes from `offset` on; empty if there are none, or not yet a whole line.

        A log that does not exist is empty: its task has written nothing. Where bytes are missing
        between head and tail, the chunk begins with a line that says how many.
        """
        # In this order: what is packed is then whole up to the first segment that was seen.
        segments = segments_of(self._log)
        return _read(self._packed.refresh(), segments, max(offset, 0), limit)

    def size(self) -> int:
        """The offset at the end of the log so far: 0 for one that does not exist."""
        segments = segments_of(self._log)
        return segments[-1].end if segments else len(self._packed.refresh())


def _read(packed: bytes, segments: list[Segment], offset: int, limit: int) -> Chunk:
    """Bytes from `offset` on as far as they adjoin, or else from the first segment after it."""
    data, gap = packed[offset : offset + limit], None
    position = offset + len(data)
    for segment in segments:
        if segment.end <= position or len(data) >= limit:
            continue
        if segment.start > position:
            if data:  # the rest of the line, if it has not ended here, is gone
                return Chunk(data if data.endswith(b"\n") else data + b"\n", offset, position)
            gap = position if gap is None else gap
            position = segment.start
        part = _read_part(segment, position, limit - len(data))
        data, position = data + part, position + len(part)
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
