"""Forking without the ceremonies that a process without threads does not need.

What libraries ask to be called around a fork (`os.register_at_fork`) runs in each child: that of `logging`,
`threading` and `random` alone copies 180 pages, twice the memory that a fork and its exit touch otherwise,
and more than a third of their time. They renew locks, which nobody holds when a single thread forks, and
reseed `random`, which is done here in one call. What other libraries ask for is kept.

`capture` must run before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

NEEDLESS = frozenset({"logging", "threading", "random"})
"""Modules whose hooks are of no use to a process with one thread, but for the seeding of `random`."""

_register = os.register_at_fork
_captured: list[dict[str, Callable[[], Any]]] = []


def capture() -> None:
    """From now on, keep what is to be called around forks to ourselves."""
    os.register_at_fork = _captured_register  # type: ignore[assignment]


def fork() -> int:
    """Like `os.fork`; the child is an ordinary process again, which forks as others do."""
    kept = [hooks for hooks in _captured if not _needless(hooks)]
    for hooks in reversed(kept):
        if before := hooks.get("before"):
            before()
    pid = os.fork()
    side = "after_in_parent" if pid else "after_in_child"
    for hooks in kept:
        if after := hooks.get(side):
            after()
    if pid == 0:
        os.register_at_fork = _register
        for hooks in _captured:
            _register(**hooks)
        _seed()
    return pid


def _captured_register(**hooks: Callable[[], Any]) -> None:
    _captured.append(hooks)


def _needless(hooks: dict[str, Callable[[], Any]]) -> bool:
    return all(getattr(hook, "__module__", None) in NEEDLESS for hook in hooks.values())


def _seed() -> None:
    """Give the child random numbers of its own, as far as libraries that keep a generator are loaded."""
    modules = sys.modules
    if random := modules.get("random"):
        random.seed(os.urandom(32))
    if numpy_random := modules.get("numpy.random"):
        numpy_random.seed()
    if torch := modules.get("torch"):
        torch.manual_seed(int.from_bytes(os.urandom(7), "big"))
