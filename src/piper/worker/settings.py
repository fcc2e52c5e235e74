"""What a worker is told when it starts."""

from __future__ import annotations

import os

from msgspec import Struct


def three_quarters_of_memory() -> int:
    """Bytes: what one task may take before the machine itself is in danger."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4


class WorkerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one worker. Nothing here is secret: they stand in its argument vector, as JSON."""

    name: str
    """Of this worker, the same after a restart on the same home."""
    home: str
    """Folder of what it keeps while it runs, PIPER_HOME: `run/<name>.…` in it."""
    logs: str
    """Root of the log store."""
    snapshots: str
    """Folder of bundle snapshots: a file is `<snapshots>/<hash>/<file>`."""
    slots: int = 32
    """Executions that run at the same time; what is dispatched beyond waits here, unstarted."""
    grace: float = 5.0
    """Seconds between SIGTERM and SIGKILL of an execution that is cancelled."""
    contact: float = 8.0
    """Seconds without an answer from the server after which it ends what it runs, before that is given to others."""
    memory_limit: int | None = None
    """Bytes of resident memory for an execution whose task says nothing; None: three quarters of the machine's."""
    log_cap: int = 100 << 20
    """Bytes kept of one attempt's log."""
    idle_zygote: float = 60.0
    """Seconds after which a zygote that nothing was dispatched to is dropped."""
    zygotes: int = 16
    """Zygotes beyond which idle ones are dropped early, the longest unused first."""
    load_timeout: float = 120.0
    """Seconds that a file may take to load."""
    nice: int = 0
    """Added to the niceness of tasks."""
