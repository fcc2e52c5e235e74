"""What the kernel says of a load's processes (`/proc`), and ending them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

_PAGE = os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """The processes that `pid` is the parent of now."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def family(pid: int, most: int) -> list[int]:
    """`pid` and what descends from it; looks no further than `most` processes and one."""
    found = [pid]
    for one in found:
        found += children(one)
        if len(found) > most:
            break
    return found


def group_of(pid: int) -> int:
    """The process group of `pid`; 0 when it is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def members(group: int) -> list[int]:
    """Every process of a group (looks at all processes of the machine)."""
    return [pid for name in os.listdir("/proc") if name.isdigit() and group_of(pid := int(name)) == group]


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def kill(pid: int) -> None:
    """End one process, if it is there."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def send_group(group: int, number: signal.Signals) -> None:
    """Signal all processes of a group at once: not even one that is being forked escapes.

    Until the leader is reaped no other group can have its number.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
