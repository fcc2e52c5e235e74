"""What a worker runs, in a file that survives it: so that its successor can end and announce what it left.

`<home>/run/<name>.register` is mapped into memory: to note an execution is to store some bytes, without
a system call, and a process killed at any moment leaves the kernel a whole file. Its first page is the
head; each row holds one execution with its token, which is why the file is private to its user. It is
not meant to survive the machine: after a restart of that, the mark is found on no process, and the
tokens are stale.

The file is locked as long as the worker lives: two workers of one name on one home would kill each
other's tasks.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from heapq import heappop, heappush

import msgspec
from msgspec import Struct

from piper.model.errors import InvalidSetting
from piper.model.run import Identity
from piper.worker.settings import WorkerSettings

HEAD_BYTES = 4096
ROW_BYTES = 1024
ROWS = 4096

LOCK_SECONDS = 15.0
"""How long a predecessor that is about to end is waited for."""


def register_file(settings: WorkerSettings) -> str:
    """Where the register of a worker lies."""
    return os.path.join(settings.home, "run", f"{settings.name}.register")


class Head(Struct, frozen=True):
    """What a worker has of its own on this machine."""

    mark: str
    """`NAME=value` in the environment of all its zygotes and whatever they start."""
    temporary: str
    """Its folder of temporary files."""
    cgroup: str
    """The folder of its cgroup; empty for none."""


class Row(Struct, frozen=True, array_like=True):
    """One execution."""

    identity: Identity
    token: str


class Register:
    """The open register of this worker.

    Raises:
        InvalidSetting: another worker of that name runs on this home.
    """

    def __init__(self, file: str) -> None:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._lock(file)
        self.predecessor, self.left = self._read()
        """Who wrote the file before us, if anyone, and the executions that it has not reported."""
        self._free: list[int] = []
        self._next = 0

    def _lock(self, file: str) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self._descriptor)
                    text = f"another worker runs with {file}: stop it, or give this one another name or home"
                    raise InvalidSetting(text) from None
                time.sleep(0.02)
            else:
                return

    def begin(self, head: Head) -> None:
        """Forget the predecessor, and say what is ours."""
        os.ftruncate(self._descriptor, 0)
        os.ftruncate(self._descriptor, HEAD_BYTES + ROWS * ROW_BYTES)
        self._map = mmap.mmap(self._descriptor, HEAD_BYTES + ROWS * ROW_BYTES)
        self._put(0, HEAD_BYTES, msgspec.json.encode(head))

    def add(self, row: Row) -> int:
        """Note an execution. Returns the number of its row, or -1 if there is no room for it."""
        body = msgspec.msgpack.encode(row)
        if len(body) > ROW_BYTES - 2 or (not self._free and self._next >= ROWS):
            return -1
        # The lowest first, so that few pages of the file are ever touched.
        number = heappop(self._free) if self._free else self._next
        self._next = max(self._next, number + 1)
        self._put(HEAD_BYTES + number * ROW_BYTES, ROW_BYTES, body)
        return number

    def remove(self, number: int) -> None:
        """The execution of that row has been reported."""
        if number >= 0:
            at = HEAD_BYTES + number * ROW_BYTES
            self._map[at : at + 2] = b"\0\0"
            heappush(self._free, number)

    def close(self) -> None:
        """Let go of the file; what it says stays."""
        self._map.close()
        os.close(self._descriptor)

    def _read(self) -> tuple[Head | None, list[Row]]:
        content = os.pread(self._descriptor, HEAD_BYTES + ROWS * ROW_BYTES, 0)
        try:
            head = msgspec.json.decode(_field(content, 0), type=Head)
            rows = [_field(content, at) for at in range(HEAD_BYTES, len(content), ROW_BYTES)]
            return head, [msgspec.msgpack.decode(row, type=Row) for row in rows if row]
        except msgspec.DecodeError:  # it is new, or of another version
            return None, []

    def _put(self, at: int, size: int, body: bytes) -> None:
        assert len(body) <= size - 2
        self._map[at + 2 : at + 2 + len(body)] = body
        # Last, so that a row is there whole or not at all.
        self._map[at : at + 2] = len(body).to_bytes(2, "big")


def _field(content: bytes, at: int) -> bytes:
    length = int.from_bytes(content[at : at + 2], "big")
    return content[at + 2 : at + 2 + length]
