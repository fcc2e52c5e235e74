"""Forking without the ceremonies that a process without threads does not need.

What libraries ask to be called around a fork (`os.register_at_fork`) runs in each child: that of `logging`,
`threading` and `random` alone copies 180 pages of memory, a third of what a fork costs. They renew locks, which
nobody holds when a single thread forks, and reseed `random`, which is done here in one call. What other libraries
ask for is done. A child that forks in its turn, by `os.fork`, does it like any other process.

`capture` must run before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

NEEDLESS = frozenset({"logging", "threading", "random"})
"""Modules whose hooks are of no use to a process with one thread, but for the seeding of `random`."""

Hooks = dict[str, Callable[[], Any]]

_register = os.register_at_fork
_fork = os.fork
_forkpty = os.forkpty
_captured: list[Hooks] = []
_kept: list[Hooks] = []


def capture() -> None:
    """From now on, keep what is to be called around forks to ourselves, until an ordinary fork is asked for."""
    os.register_at_fork = _keep  # type: ignore[assignment]
    os.fork = _ordinary_fork
    os.forkpty = _ordinary_forkpty


def fork() -> int:
    """Like `os.fork`, for a process with one thread."""
    for hooks in reversed(_kept):
        _call(hooks, "before")
    pid = _fork()
    if pid:
        for hooks in _kept:
            _call(hooks, "after_in_parent")
    else:
        for hooks in _kept:
            _call(hooks, "after_in_child")
        _seed()
    return pid


def _keep(**hooks: Callable[[], Any]) -> None:
    _captured.append(hooks)
    if any(getattr(hook, "__module__", None) not in NEEDLESS for hook in hooks.values()):
        _kept.append(hooks)


def _call(hooks: Hooks, when: str) -> None:
    hook = hooks.get(when)
    if hook is not None:
        hook()


def _restore() -> None:
    os.register_at_fork, os.fork, os.forkpty = _register, _fork, _forkpty
    for hooks in _captured:
        _register(**hooks)


def _ordinary_fork() -> int:
    _restore()
    return _fork()


def _ordinary_forkpty() -> tuple[int, int]:
    _restore()
    return _forkpty()


def _seed() -> None:
    """Give the child random numbers of its own, as far as libraries that keep a generator are loaded."""
    modules = sys.modules
    if random := modules.get("random"):
        # The C function below Random.seed, which would first find out what kind of seed this is.
        super(random.Random, random.seed.__self__).seed(int.from_bytes(os.urandom(32)))
        random.seed.__self__.gauss_next = None
    if numpy_random := modules.get("numpy.random"):
        numpy_random.seed()
    if torch := modules.get("torch"):
        torch.manual_seed(int.from_bytes(os.urandom(7)))
