"""Reading all logs of a folder (a run) as they grow, at the cost of what is new.

A reader of one log searches the packs of its folder for its own chunks, so that as many readers as a run has
tasks would read the packs as many times. Here each pack is read once, and only from where the last look ended.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from piper.logs.packs import MARK, SUFFIX
from piper.logs.store import Chunk, LogReader, LogStore

_BLOCK = 1 << 20
"""Bytes of a pack read at a time; many times the longest chunk."""


_HEAD = re.compile(re.escape(MARK) + rb"([\w.~:+-]+) (\d+) (\d+)\n")
"""What stands before each chunk of a pack: the log's name, the offset in it, the number of bytes."""


@dataclass(slots=True)
class _Log:
    """What is known of one log."""

    next: int = 0
    """Where that begins which has not been handed out."""
    packed: bytearray = field(default_factory=bytearray)
    """What follows in the packs, as far as it adjoins."""
    reader: LogReader | None = None
    """Of a log that has outgrown the packs."""


class FolderReader:
    """Reads the logs of one folder while they are being written.

    Arguments:
        folder: relative to the root of the store; it may not exist yet.

    Raises:
        Invalid, NotFound: as `LogStore.reader`.
    """

    def __init__(self, store: LogStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._path = store.reader(f"{folder}/all").folder
        self._searched: dict[str, int] = {}
        """Pack → how far."""
        self._logs: dict[str, _Log] = {}
        self.behind = False
        """Whether the last look left something behind that was there."""

    def look(self, limit: int = _BLOCK) -> list[tuple[str, Chunk]]:
        """(name, new lines) of every log that has grown since the last look; about `limit` bytes at most."""
        try:
            names = sorted(os.listdir(self._path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        self.behind = False
        for name in names:
            if name.endswith(SUFFIX):
                self._search(f"{self._path}/{name}")
            elif (log := self._logs.setdefault(name, _Log())).reader is None:
                log.reader = self._store.reader(f"{self._folder}/{name}")
        found = []
        room = limit
        for name, chunk in self._new_chunks(limit):
            found.append((name, chunk))
            room -= len(chunk.data)
            if room <= 0:
                self.behind = True
                break
        return found

    def _new_chunks(self, limit: int) -> Iterator[tuple[str, Chunk]]:
        for name, log in self._logs.items():
            chunk = _from_packs(log) if log.reader is None else log.reader.read(log.next, limit)
            if chunk is not None and chunk.data:
                log.next = chunk.next
                yield name, chunk

    def _search(self, pack: str) -> None:
        """Take over what has been appended to a pack since the last look."""
        try:
            descriptor = os.open(pack, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # deleted, or a link that has no business here
            return
        try:
            while data := os.pread(descriptor, _BLOCK, self._searched.get(pack, 0)):
                self._take(data)
                # The last chunk of a block may go on behind it, and that of a file may still be written.
                resume = max(data.rfind(MARK), 0)
                self._searched[pack] = self._searched.get(pack, 0) + resume
                if len(data) < _BLOCK or resume == 0:
                    return
        finally:
            os.close(descriptor)

    def _take(self, data: bytes) -> None:
        """Take over the chunks of a stretch of a pack, which begins with one."""
        for head in _HEAD.finditer(data):
            following = data.find(MARK, head.end())
            content = data[head.end() : following if following >= 0 else len(data)]
            if following >= 0 or len(content) == int(head[3]):
                self._add(head[1].decode(), int(head[2]), content)

    def _add(self, name: str, offset: int, content: bytes) -> None:
        log = self._logs.setdefault(name, _Log())
        known = log.next + len(log.packed)
        if offset <= known < offset + len(content):  # the last chunk of a pack is met again at every look
            log.packed += content[known - offset :]


def _from_packs(log: _Log) -> Chunk | None:
    """The whole lines that have been found in packs."""
    cut = log.packed.rfind(b"\n") + 1
    if cut == 0:
        return None
    data = bytes(log.packed[:cut])
    del log.packed[:cut]
    return Chunk(data, log.next, log.next + cut)
