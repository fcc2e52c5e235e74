"""Where the scheduler puts what it cannot decide, so that everything else goes on.

What is decided about a thing is a pure function of what is stored of it: if it raises, it would raise at every tick,
and nothing else would be decided any more. So each thing is decided by itself, and one that raises is put aside alone:
logged, counted (`/health`, `piper_quarantined`), and left as it is, nothing of it consumed or lost, until somebody
changes it or another process takes over.

A fault of the installation, as a database that is away or a fence that is lost, is nobody's in particular: it is
passed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from piper.model.errors import SystemFault

log = logging.getLogger(__name__)

K = TypeVar("K", int, str)


class Quarantine(Generic[K]):
    """Things of one kind that cannot be decided.

    Arguments:
        kind: what they are, for people.
        until: what lets one of them out.
    """

    def __init__(self, kind: str, until: str) -> None:
        self._kind = kind
        self._until = until
        self.reasons: dict[K, str] = {}
        """Why each is here."""

    def __contains__(self, key: K) -> bool:
        return key in self.reasons

    def __len__(self) -> int:
        return len(self.reasons)

    @contextmanager
    def guard(self, key: K) -> Iterator[None]:
        """Put `key` aside if what is decided about it in this block raises. Raises SystemFault only."""
        try:
            yield
        except SystemFault:
            raise
        except Exception as error:
            self.put_aside(key, error)

    def put_aside(self, key: K, error: Exception) -> None:
        """`key` cannot be decided for this reason."""
        self.reasons[key] = f"{type(error).__name__}: {error}"
        log.error("%s %s cannot be decided and is put aside until %s", self._kind, key, self._until, exc_info=error)

    def release(self, key: K) -> None:
        """Try it again."""
        self.reasons.pop(key, None)

    def release_if(self, condition: Callable[[K], bool]) -> None:
        """Try those again of which this is true: another process may own them now, or this one again."""
        self.reasons = {key: reason for key, reason in self.reasons.items() if not condition(key)}
