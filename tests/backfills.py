"""A backfill of the first of January 2025 of `flow`; what a test does not care about has some value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from piper.model.backfill import Backfill, BackfillState
from piper.model.ids import shard_of

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


def a_backfill(workflow_id: str = "flow", **values: Any) -> Backfill:
    """One that has just been asked for, changed as `values` say."""
    row: dict[str, Any] = {
        "id": 0,
        "workflow_id": workflow_id,
        "shard": shard_of(workflow_id),
        "team": "red",
        "state": BackfillState.CREATING,
        "from_date": NEW_YEAR,
        "to_date": NEW_YEAR,
        "max_active_runs": 10,
        "version": 1,
        "spec_hash": "h",
        "snapshot": "s",
        "bundle": "b",
        "file": "f.py",
        "first_date": NEW_YEAR,
        "total": 1,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Backfill(**(row | values))
