"""What Linux tells of processes and lets one do with them, beyond the standard library."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# PyDLL keeps the interpreter's lock: these calls do not wait, and a child should touch little memory.
_prctl = ctypes.PyDLL(None).prctl

PAGE = os.sysconf("SC_PAGE_SIZE")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; exit at once if that has happened already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none can leave the family."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """Process ids of the living and unreaped children of a single-threaded process; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants_of(pid: int, limit: int) -> list[int]:
    """The process and all that descend from it, at most about `limit` of them."""
    found = [pid]
    for each in found:
        if len(found) > limit:
            break
        with suppress(FileNotFoundError, ProcessLookupError):
            # Children hang on the thread that made them.
            for thread in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{thread}/children", "rb") as file:
                    found += [int(child) for child in file.read().split()]
    return found


def resident_bytes(pids: list[int]) -> int:
    """Resident memory of these processes, where pages that several share count for each: an upper bound."""
    pages = 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/statm", "rb") as file:
            pages += int(file.read().split()[1])
    return pages * PAGE


def proportional_bytes(pids: list[int]) -> int:
    """Resident memory of these processes, where a page that several share counts once. Slow: it walks page tables."""
    kibibytes = 0
    for pid in pids:
        with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            kibibytes += next(int(line.split()[1]) for line in file if line.startswith(b"Pss:"))
    return kibibytes << 10


def state_of(pid: int) -> tuple[str, int]:
    """State letter (`R`, `S`, `D`, `Z` …) and parent of a process; `("", 0)` if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    return state.decode(), int(parent)


def kill_marked(mark: str) -> int:
    """Kill every process that was started with the environment entry `mark` (`NAME=value`). Returns how many.

    The environment of a process is inherited by whatever it starts, also by what has left its session;
    that is how continuous-integration servers find leftovers, too.
    """
    wanted, killed = mark.encode(), 0
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        with suppress(OSError):
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            os.kill(int(name), signal.SIGKILL)
            killed += 1
    return killed


def holders_of(path: str) -> list[int]:
    """The other processes that have this file open, as far as this user may see."""
    holders = []
    try:
        wanted = os.stat(path)
    except FileNotFoundError:
        return []
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        with suppress(OSError):
            if any(_is_same(f"/proc/{name}/fd/{number}", wanted) for number in os.listdir(f"/proc/{name}/fd")):
                holders.append(int(name))
    return holders


def _is_same(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)
    except OSError:  # closed meanwhile
        return False


def signal_name(number: int) -> str:
    """`SIGKILL` for 9, and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
