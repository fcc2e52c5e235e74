"""One log on disk: its beginning in a pack, the rest in segments that tell their own offset.

    <folder>/<writer>.pack      up to PACKED bytes of each log of the folder (`packs`)
    <folder>/<name>/<offset>    what follows: segments, the first up to half the cap, the others smaller

See the package's docstring for why.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from piper.logs.packs import PACKED, PackedLog, Packs, open_for_append

SEGMENTS = 5
"""How many segments the tail keeps; the newest of them is being written."""


class Segment(NamedTuple):
    """A stretch of a log in a file of its own."""

    start: int
    """Offset in the log of its first byte."""
    size: int
    file: str

    @property
    def end(self) -> int:
        """Offset just after its last byte."""
        return self.start + self.size


def segments_of(log: str) -> list[Segment]:
    """The segments of the log whose folder is `log`, in order; none if all of it is packed.

    What lies between two of them has been deleted: they are listed first and measured after, so that
    each but the last is seen at its full size even while the log is being written.
    """
    try:
        starts = sorted(int(name) for name in os.listdir(log) if name.isdecimal())
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for start in starts:
        name = f"{log}/{start}"
        try:
            found.append(Segment(start, os.stat(name).st_size, name))
        except FileNotFoundError:  # the writer has just deleted it
            continue
    return found


class LogUnwritable(Exception):
    """A log could not be written; `written` bytes of the chunk are stored nevertheless."""

    def __init__(self, why: str, written: int) -> None:
        super().__init__(why)
        self.written = written


class CappedFile:
    """The writing end of a log: appends, and deletes segments so that no more than `cap` bytes are stored.

    Nothing is created before the first byte comes.
    """

    def __init__(self, packs: Packs, folder: str, name: str, cap: int) -> None:
        self._packs = packs
        self._folder = folder
        self._name = name
        self._head = cap // 2
        self._packable = min(PACKED, self._head)
        self._segment = max(1, cap // 2 // SEGMENTS)
        self._descriptor = -1
        self._room = 0
        """Bytes that still go into the open segment."""
        self._end = 0

    def resume(self) -> None:
        """Go on where an earlier writer stopped: a sensor's next poke is another process of the same attempt."""
        segments = segments_of(self._log)
        if segments:
            last = segments[-1]
            self._end = last.end
            self._room = (self._head - last.end) if len(segments) == 1 else self._segment - last.size
            self._descriptor = open_for_append(last.file)
        else:
            self._end = len(PackedLog(self._folder, self._name).refresh())

    def append(self, data: bytes) -> None:
        """Write all of `data`.

        Raises:
            LogUnwritable: the system refused; `.written` bytes of `data` are stored.
        """
        done = 0
        try:
            if self._descriptor < 0 and self._end + len(data) <= self._packable:
                done = self._packs.append(self._folder, self._name, self._end, data)
                self._end += done
                if done < len(data):
                    raise OSError("the disk is full")
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
        """Close the open segment, if any."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def _log(self) -> str:
        return f"{self._folder}/{self._name}"

    def _next_segment(self) -> None:
        descriptor = open_for_append(f"{self._log}/{self._end}")
        self.close()
        self._descriptor = descriptor
        self._room = max(self._head - self._end, self._segment)
        for old in segments_of(self._log)[1:-SEGMENTS]:
            os.unlink(old.file)
