"""A cgroup for all that a worker's zygotes start, where the system lets us make one (cgroup v2).

It serves one purpose: to end every process in it at once (`cgroup.kill`), also those that left their
session and cleared their environment. Memory is not limited with it: a group per execution would need
each child to be moved into one, and a move costs as much as a fork (measured: 0.4 ms, 8 ms at worst, for
which all forks on the machine wait).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

_EMPTY_SECONDS = 0.5


def make_cgroup(name: str) -> str:
    """Make a cgroup of that name below our own. Returns its folder, or empty if that is not possible."""
    for mount in _mounts():
        parent = mount + _own_path()
        folder = os.path.join(parent, name)
        # Only where ending it is a single write; that came with Linux 5.14.
        with suppress(OSError):
            os.mkdir(folder)
            if os.access(os.path.join(folder, "cgroup.kill"), os.W_OK):
                return folder
            os.rmdir(folder)
    return ""


def end_cgroup(folder: str) -> None:
    """Kill every process in the cgroup, and remove it when they are gone. Does nothing if there is none."""
    if not folder:
        return
    with suppress(OSError):
        _write(os.path.join(folder, "cgroup.kill"), "1")
    deadline = time.monotonic() + _EMPTY_SECONDS
    while time.monotonic() < deadline:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:  # the dead are still being cleared away
            time.sleep(0.002)
    # It is left: an empty cgroup costs next to nothing.


def join_cgroup(folder: str) -> None:
    """Move this process into the cgroup, and with it whatever it will start. Does nothing if that is not possible."""
    if folder:
        with suppress(OSError):
            _write(os.path.join(folder, "cgroup.procs"), "0")


def _write(file: str, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _mounts() -> list[str]:
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8") as file:
        lines = (line.split() for line in file)
        return [fields[4] for fields in lines if fields[fields.index("-") + 1] == "cgroup2"]
    return []


def _own_path() -> str:
    with suppress(OSError), open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].strip().rstrip("/")
    return ""
