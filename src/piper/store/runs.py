"""Runs: how one comes to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from piper.model.errors import Conflict, NotFound
from piper.model.run import Run
from piper.model.schedule import DataInterval
from piper.model.spec import Json
from piper.model.states import RunState, RunType
from piper.store.listings import run_from_row
from piper.store.schema import run, workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be made; what it is pinned to comes from its workflow's row."""

    workflow_id: str
    run_id: str
    run_type: RunType
    logical_date: datetime | None
    interval: DataInterval | None
    run_after: datetime
    now: datetime
    conf: dict[str, Json] = field(default_factory=dict)
    triggered_by: str = ""
    note: str = ""


def create_run(connection: Connection, new: NewRun) -> Run:
    """Make a run in `queued`, pinned to the workflow's active spec and snapshot.

    Raises:
        NotFound: there is no such workflow.
        Conflict: the workflow has a run of that run id or logical date. The transaction can go on.
    """
    pinned = connection.execute(select(workflow).where(workflow.c.workflow_id == new.workflow_id)).one_or_none()
    if pinned is None:
        raise NotFound(f"there is no workflow {new.workflow_id!r}")
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = (
        insert(run)
        .values(
            workflow_id=new.workflow_id,
            run_id=new.run_id,
            shard=pinned.shard,
            team=pinned.team,
            run_type=new.run_type,
            state=RunState.QUEUED,
            logical_date=new.logical_date,
            interval_start=new.interval.start if new.interval else None,
            interval_end=new.interval.end if new.interval else None,
            run_after=new.run_after,
            spec_hash=pinned.spec_hash,
            snapshot=pinned.snapshot,
            bundle=pinned.bundle,
            file=pinned.file,
            conf=new.conf,
            created_at=new.now,
            queued_at=new.now,
            triggered_by=new.triggered_by,
            note=new.note,
        )
        .on_conflict_do_nothing()
        .returning(run)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise Conflict(_taken(connection, new))
    return run_from_row(row)


def _taken(connection: Connection, new: NewRun) -> str:
    same = [run.c.run_id == new.run_id]
    if new.logical_date is not None:
        same.append(run.c.logical_date == new.logical_date)
    found = connection.execute(
        select(run.c.run_id, run.c.state).where(run.c.workflow_id == new.workflow_id, or_(*same)).limit(1)
    ).one()
    if found.run_id == new.run_id:
        return f"workflow {new.workflow_id!r} has a run {new.run_id!r} already ({found.state}): choose another run id"
    date = new.logical_date.isoformat() if new.logical_date else ""
    return (
        f"workflow {new.workflow_id!r} has a run of logical date {date} already: {found.run_id!r} ({found.state});"
        " clear that run, or choose another date"
    )
