"""What the web server is made of: given by `wiring`, or by a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from piper.service import Clock, Service, Wakeups
from piper.settings import Settings
from piper.store.database import Database
from piper.web.policy import Principal


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some bytes of a log, and where the next ones begin."""

    data: bytes
    next: int


class Logs(Protocol):
    """The log store, read."""

    def read(self, instance: int, try_number: int, offset: int, limit: int) -> LogPart:
        """At most `limit` bytes of the log of a try from `offset` on; none where there is nothing (yet)."""
        ...


class Artifacts(Protocol):
    """The artifact store, read."""

    def read(self, artifact: str) -> bytes:
        """The content of an artifact. Raises FileNotFoundError when it is gone."""
        ...


class Snapshots(Protocol):
    """Bundle snapshots, read."""

    def read_file(self, snapshot: str, path: str) -> bytes:
        """A file as it was in a snapshot. Raises FileNotFoundError when it is gone."""
        ...


class Sealer(Protocol):
    """Encrypts what must not lie in the database in clear."""

    def seal(self, secret: bytes, context: str) -> bytes:
        """The secret, encrypted; `context` (what it belongs to) must be given again to open it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebParts:
    """Everything that handlers reach for."""

    database: Database
    wakeups: Wakeups
    clock: Clock
    settings: Settings
    authenticate: Callable[[str], Principal | None]
    """The principal that a bearer token stands for."""
    logs: Logs
    artifacts: Artifacts
    snapshots: Snapshots
    sealer: Sealer
    services: Sequence[Service] = ()
    """The services of this process, whose health is told."""
