"""Packs: the beginnings of many logs in one file, since a file for each would cost more than the task.

Creating a file takes the file system's journal, for which the database's commits wait and which waits for
them: measured beside SQLite with `synchronous=FULL`, a new file costs 0.9 ms and slows commits by a third,
an append 4 µs. So what a log holds up to PACKED bytes lies in a pack, one per folder (a run) and writer:
chunks one after another, each behind a header

    \\x1e<name of the log> <offset in the log> <bytes>\\n

`\\x1e` never occurs in what is stored (`lines`), so a task cannot forge a header, and a reader can search for
those of its log. A chunk is written in one call; one that is cut short by a full disk ends at the next
header.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict

PACKED = 16 << 10
"""Bytes of a log that may lie in a pack."""

SUFFIX = ".pack"

MARK = b"\x1e"

_OPEN_PACKS = 64
_BLOCK = 1 << 20
"""Bytes read at a time; many times the longest chunk."""


class Packs:
    """The packs that one writer appends to, by folder. The name keeps writers of one store apart."""

    def __init__(self, writer: str) -> None:
        self._name = writer + SUFFIX
        self._descriptors: OrderedDict[str, int] = OrderedDict()

    def append(self, folder: str, name: str, offset: int, data: bytes) -> int:
        """Append a chunk of a log to its folder's pack. Returns how many bytes of `data` are stored.

        Raises:
            OSError: the pack cannot be opened or written; nothing of `data` is stored.
        """
        header = b"%s%s %d %d\n" % (MARK, name.encode(), offset, len(data))
        written = os.write(self._descriptor(folder), header + data)
        return max(0, written - len(header))

    def close(self) -> None:
        """Close every pack."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def _descriptor(self, folder: str) -> int:
        descriptor = self._descriptors.get(folder)
        if descriptor is not None and os.fstat(descriptor).st_nlink == 0:  # the folder's logs have been deleted
            os.close(self._descriptors.pop(folder))
            descriptor = None
        if descriptor is None:
            descriptor = self._descriptors[folder] = open_for_append(f"{folder}/{self._name}")
            if len(self._descriptors) > _OPEN_PACKS:
                os.close(self._descriptors.popitem(last=False)[1])
        else:
            self._descriptors.move_to_end(folder)
        return descriptor


class PackedLog:
    """What of one log lies in the packs of its folder, for a reader that comes again and again."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder = folder
        self._header = re.compile(re.escape(MARK + name.encode()) + rb" (\d+) (\d+)\n")
        self._read: dict[str, int] = {}
        """Pack → how far it has been searched."""
        self._chunks: dict[int, bytes] = {}

    def refresh(self) -> bytes:
        """Look at what has been written since the last time. Returns the log from its beginning, as far as packed."""
        found = False
        try:
            packs = [name for name in os.listdir(self._folder) if name.endswith(SUFFIX)]
        except (FileNotFoundError, NotADirectoryError):
            packs = []
        for name in packs:
            found |= self._search(f"{self._folder}/{name}")
        if found:
            self._chunks = {0: self._joined()}
        return self._chunks.get(0, b"")

    def _joined(self) -> bytes:
        whole = b""
        for offset in sorted(self._chunks):
            if offset == len(whole):
                whole += self._chunks[offset]
        return whole

    def _search(self, pack: str) -> bool:
        """Find our chunks from where the last search ended. True if there were any."""
        try:
            descriptor = os.open(pack, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # deleted, or a link that has no business here
            return False
        found = False
        try:
            while data := os.pread(descriptor, _BLOCK, self._read.get(pack, 0)):
                found |= self._take_chunks(data)
                # The last chunk of a block may go on behind it, and that of a file may still be written.
                resume = max(data.rfind(MARK), 0)
                self._read[pack] = self._read.get(pack, 0) + resume
                if len(data) < _BLOCK or resume == 0:
                    break
        finally:
            os.close(descriptor)
        return found

    def _take_chunks(self, data: bytes) -> bool:
        found = False
        for header in self._header.finditer(data):  # one that is cut off, by a block or a full disk, is none
            begin, offset, size = header.end(), int(header[1]), int(header[2])
            following = data.find(MARK, begin)
            end = min(begin + size, following if following >= 0 else len(data))
            if (following >= 0 or end == begin + size) and len(self._chunks.get(offset, b"")) < end - begin:
                self._chunks[offset] = data[begin:end]
                found = True
        return found


def open_for_append(file: str) -> int:
    """A descriptor to append to a file, which is made, with its folder, if it is not there."""
    # O_NOFOLLOW: a task runs as the same user and could put a link where its next log will be.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(file, flags, 0o600)
    except FileNotFoundError:
        _make_private(os.path.dirname(file))
        return os.open(file, flags, 0o600)


def _make_private(folder: str) -> None:
    """Make a folder and those above it, for nobody else (`os.makedirs` gives its mode to the last alone)."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make_private(os.path.dirname(folder))
        os.mkdir(folder, 0o700)
