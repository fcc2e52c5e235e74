"""Where a log lies: a head, and a tail of segments that tell their own offset.

    <path>              the first bytes, up to half the cap
    <path>.tail/<n>     what follows: a segment whose first byte has offset n of the log

See the package's docstring for why.
"""

from __future__ import annotations

import os
from typing import NamedTuple

TAIL = ".tail"
SEGMENTS = 5
"""How many segments the tail keeps; the newest of them is being written."""


class Segment(NamedTuple):
    """A stretch of a log that is stored."""

    start: int
    """Offset in the log of its first byte."""
    size: int
    file: str

    @property
    def end(self) -> int:
        """Offset just after its last byte."""
        return self.start + self.size


def segments_of(file: str) -> list[Segment]:
    """The stored stretches of the log whose head is `file`, in order; empty if there is no log.

    What lies between two of them has been deleted: the tail is listed first and measured after, so
    that every stretch but the last is seen at its full size even while the log is being written.
    """
    try:
        starts = sorted(int(name) for name in os.listdir(file + TAIL) if name.isdecimal())
    except FileNotFoundError:
        starts = []
    found = []
    for start, name in [(0, file), *((start, segment_name(file, start)) for start in starts)]:
        try:
            found.append(Segment(start, os.stat(name).st_size, name))
        except FileNotFoundError:  # there is no log, or the writer has just deleted this part of it
            continue
    return found


def segment_name(file: str, start: int) -> str:
    """The file of the tail's segment that begins at offset `start`."""
    return f"{file}{TAIL}/{start}"


class CappedFile:
    """The writing end of a log: appends, opens and deletes segments so that no more than `cap` bytes are stored.

    Nothing is created before the first byte comes. It goes on where an earlier writer of the same log
    stopped: a sensor's next poke is another process of the same attempt.
    """

    def __init__(self, file: str, cap: int) -> None:
        self._file = file
        self._head = cap // 2
        self._segment = max(1, cap // 2 // SEGMENTS)
        self._descriptor = -1
        self._room = 0
        """Bytes that still go into the open file."""
        self._end = 0

    def append(self, data: bytes) -> None:
        """Write all of `data`.

        Raises:
            LogUnwritable: the system refused; `.written` bytes of `data` are stored.
        """
        done = 0
        try:
            if self._descriptor < 0:
                self._open()
            while done < len(data):
                if self._room <= 0:
                    self._next_segment()
                written = os.write(self._descriptor, memoryview(data)[done : done + self._room])
                done += written
                self._room -= written
                self._end += written
        except OSError as error:
            raise LogUnwritable(error.strerror or str(error), done) from error

    def close(self) -> None:
        """Close the open file, if any."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        found = segments_of(self._file)
        last = found[-1] if found else Segment(0, 0, self._file)
        self._end = last.end
        self._room = (self._head if last.start == 0 else self._segment) - last.size
        self._descriptor = _open_for_append(last.file)

    def _next_segment(self) -> None:
        segment = segment_name(self._file, self._end)
        descriptor = _open_for_append(segment)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._room = self._segment
        for old in segments_of(self._file)[1:-SEGMENTS]:
            os.unlink(old.file)


class LogUnwritable(Exception):
    """A log could not be written; `written` bytes of the chunk are stored nevertheless."""

    def __init__(self, why: str, written: int) -> None:
        super().__init__(why)
        self.written = written


def _open_for_append(file: str) -> int:
    # O_NOFOLLOW: a task runs as the same user and could put a link where its next log will be.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(file, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        return os.open(file, flags, 0o600)
