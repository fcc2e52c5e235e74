"""A backfill: the runs of a range of dates, asked for by a person, made and started in the background."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from piper.model.spec import Json


class Reprocess(StrEnum):
    """What becomes of a date that has a run already, if that run has ended."""

    NONE = "none"
    """It is left alone."""
    FAILED = "failed"
    """It is cleared and run again if it failed."""
    COMPLETED = "completed"
    """It is cleared and run again, however it ended."""


class BackfillState(StrEnum):
    """How far a backfill has come."""

    CREATING = "creating"
    """Its runs are being made; those that are made may run already."""
    RUNNING = "running"
    """Every date has been dealt with; not all of its runs have ended."""
    COMPLETED = "completed"
    CANCELLING = "cancelling"
    """No more runs are made or started; those that wait are being ended, those that run go on."""
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self in (BackfillState.COMPLETED, BackfillState.CANCELLED)


ACTIVE = frozenset({BackfillState.CREATING, BackfillState.RUNNING})
"""A workflow has at most one backfill in these states."""


class Fate(StrEnum):
    """What a backfill does about one date."""

    CREATE = "create"
    RERUN = "rerun"
    EXISTS = "exists"
    """It has a run that has ended, which is left alone."""
    IN_FLIGHT = "in flight"
    """It has a run that has not ended, which is left alone."""


class Backfill(Struct, frozen=True, kw_only=True):
    """One backfill as the owner of its workflow's shard knows it."""

    id: int
    workflow_id: str
    shard: int
    team: str
    state: BackfillState
    paused: bool = False
    """No run of it is made or started meanwhile."""
    from_date: datetime
    to_date: datetime
    """Inclusive."""
    reprocess: Reprocess = Reprocess.NONE
    backwards: bool = False
    """The latest date first."""
    max_active_runs: int
    """How many of its runs may be running; those of the workflow itself do not count."""
    conf: dict[str, Json] = field(default_factory=dict)
    version: int
    """Every run of it, new or run again, runs from this version."""
    spec_hash: str
    snapshot: str
    bundle: str
    file: str
    first_date: datetime
    """Logical date of the first in order: a task that depends on its past does not look behind it."""
    total: int
    """How many dates it is about."""
    cursor: datetime | None = None
    """Logical date of the last one dealt with."""
    created: int = 0
    """Dates for which a run was made."""
    rerun: int = 0
    """Dates whose run was cleared, to run again as a run of this backfill."""
    existed: int = 0
    """Dates left alone, since they have a run that has ended."""
    in_flight: int = 0
    """Dates left alone, since they have a run that has not."""
    created_at: datetime
    created_by: str = ""
    note: str = ""
    ended_at: datetime | None = None
