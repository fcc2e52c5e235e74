"""What the web server is made of: given by `wiring`, or by a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from piper.artifacts import ArtifactStore
from piper.logs import LogStore
from piper.secrets import Keys
from piper.service import Clock, Service, Wakeups
from piper.settings import Settings
from piper.store.database import Database, Fence
from piper.web.policy import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class WebParts:
    """Everything that handlers reach for."""

    database: Database
    wakeups: Wakeups
    clock: Clock
    settings: Settings
    authenticate: Callable[[str], Principal | None]
    """The principal that a bearer token stands for."""
    logs: LogStore
    artifacts: ArtifactStore
    snapshots: Path
    """Root of the trees of bundle snapshots: a file is `<snapshots>/<hash>/<file>`."""
    keys: Keys
    """With which variables and connections are sealed."""
    services: Sequence[Service] = ()
    """The services of this process, whose health is told."""
    terms: Mapping[str, Callable[[], Fence | None]] = field(default_factory=dict)
    """Name of such a service → the term under which it writes, None while it may not write at all."""
