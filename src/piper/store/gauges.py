"""Counts over the whole installation, for metrics: each is answered from an index, whatever the history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, text

from piper.model.states import RunState
from piper.store.runs import ACTIVE
from piper.store.schema import event, run, source_file, task_instance, workflow


@dataclass(frozen=True, slots=True)
class Gauges:
    """How much there is of everything."""

    workflows: dict[str, int]
    """active, paused, stale."""
    runs: dict[str, int]
    """queued, running."""
    instances: dict[str, int]
    """scheduled, queued, running, deferred."""
    events: int
    oldest_event: float
    """Seconds."""
    import_errors: int


def read_gauges(connection: Connection, now: datetime) -> Gauges:
    """Count."""
    oldest = connection.execute(select(event.c.created_at).order_by(event.c.id).limit(1)).scalar()
    return Gauges(
        workflows=_workflows(connection),
        runs=_runs(connection),
        instances=_instances(connection),
        events=connection.execute(select(func.count()).select_from(event)).scalar_one(),
        oldest_event=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        import_errors=connection.execute(
            select(func.count()).select_from(source_file).where(source_file.c.error.is_not(None))
        ).scalar_one(),
    )


def _workflows(connection: Connection) -> dict[str, int]:
    found = {"active": 0, "paused": 0, "stale": 0}
    columns = workflow.c
    statement = select(columns.stale, columns.paused, func.count()).group_by(columns.stale, columns.paused)
    for stale, paused, count in connection.execute(statement):
        found["stale" if stale else "paused" if paused else "active"] += count
    return found


def _runs(connection: Connection) -> dict[str, int]:
    counted = connection.execute(select(run.c.state, func.count()).where(ACTIVE).group_by(run.c.state))
    found: dict[RunState, int] = {row[0]: row[1] for row in counted}
    return {state.value: found.get(state, 0) for state in (RunState.QUEUED, RunState.RUNNING)}


def _instances(connection: Connection) -> dict[str, int]:
    found: dict[str, int] = dict.fromkeys(("scheduled", "queued", "running", "deferred"), 0)
    for condition in _INDEXED:
        state = task_instance.c.state
        for value, count in connection.execute(select(state, func.count()).where(condition).group_by(state)):
            found[value.value] = count
    return found


_INDEXED = (
    text("task_instance.state = 'scheduled'"),
    text("task_instance.state IN ('queued', 'running')"),
    text("task_instance.state = 'deferred'"),
)
"""The conditions of the partial indexes, word for word: SQLite takes such an index only where it finds them."""
