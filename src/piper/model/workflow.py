"""A workflow as it stands: its active version, its flags, and how far its schedule has got."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from piper.model.schedule import RunDates


class ScheduledWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow as the owner of its shard knows it."""

    workflow_id: str
    shard: int
    team: str
    bundle: str
    file: str
    spec_hash: str
    snapshot: str
    paused: bool
    stale: bool
    max_active_runs: int
    last_dates: RunDates | None
    next_dates: RunDates | None
    next_run_after: datetime | None
    """When to look at it again; None while paused, stale, or waiting for a run to end."""
    planned_spec: str
    consecutive_failures: int
