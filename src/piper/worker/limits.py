"""What an execution may take of its host, and when to look.

Memory is measured, not limited by address space: a task may map a terabyte and touch a page of it. It
is looked at so often that a process which fills memory as fast as it can (FILL_BYTES_PER_SECOND) is
found soon after it passes its limit, and hardly ever while it is far below. Short tasks are never
looked at.
"""

from __future__ import annotations

from piper.worker import processes

LATE_SECONDS = 1.5
"""How long after its execution_timeout a child that has not ended itself is killed: I14 allows 2 s in all."""

PROCESSES = 2000
"""Processes that one execution may have at a time; a fork bomb has more."""

FIRST_LOOK_SECONDS = 0.1
FILL_BYTES_PER_SECOND = 4 << 30
_SOONEST, _LATEST = 0.05, 2.0


def next_look(resident: int, limit: int) -> float:
    """Seconds until the limit could be reached."""
    return min(max((limit - resident) / FILL_BYTES_PER_SECOND, _SOONEST), _LATEST)


def excess_of(pid: int, limit: int) -> tuple[str, int]:
    """What a process and its descendants have too much of (empty if nothing), and their resident bytes.

    Pages that several of them share are counted once before anything is called too much: a pool of
    processes forked from a large parent is not the sum of its parts.
    """
    pids = processes.descendants_of(pid, PROCESSES)
    if len(pids) > PROCESSES:
        return f"more than {PROCESSES} processes", 0
    resident = processes.resident_bytes(pids)
    if resident > limit and len(pids) > 1:
        resident = processes.proportional_bytes(pids)
    if resident > limit:
        return f"memory limit {shown(limit)} exceeded", resident
    return "", resident


def shown(size: int) -> str:
    """A number of bytes for people, in the largest unit that leaves four digits or fewer before the point."""
    for unit in ("B", "KiB", "MiB"):
        if size < 10_000:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GiB"
