"""What people's calls write: commands to the owners of runs, and the end of a workflow.

A command (clear, mark, pause) is an event row: the owner of the workflow's shard applies it, and deletes
the row in the transaction that does so. That the row is gone is therefore how the caller learns that the
command was applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from piper.model.events import Event
from piper.model.ids import shard_of
from piper.model.states import RunState
from piper.store.assets import forget_namings
from piper.store.events import event_row
from piper.store.schema import (
    asset_delivery,
    asset_queue,
    attempt,
    backfill,
    bundle,
    event,
    run,
    source_file,
    task_instance,
    trigger,
    workflow,
    workflow_version,
    xcom,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that was sent. Its moment is kept since SQLite gives the number of a deleted row again."""

    id: int
    at: datetime


def send(connection: Connection, workflow_id: str, number: int | None, command: Event, now: datetime) -> Sent:
    """Append a command to the owner of a workflow, about run `number` or about the workflow itself."""
    row = event_row(shard_of(workflow_id), number, command, now)
    return Sent(connection.execute(event.insert().values(**row).returning(event.c.id)).scalar_one(), now)


def count_pending(connection: Connection, commands: Sequence[Sent]) -> int:
    """How many of these commands have not been applied yet."""
    # The moments are compared here: a condition for each command would be deeper than SQLite's parser goes.
    rows = connection.execute(select(event.c.id, event.c.created_at).where(event.c.id.in_([c.id for c in commands])))
    present = {(row.id, row.created_at) for row in rows}
    return sum((command.id, command.at) in present for command in commands)


# --- workflows ----------------------------------------------------------------------------------


def hold_workflow(connection: Connection, workflow_id: str) -> None:
    """Have whoever makes a run of a workflow wait until this transaction ends; returns when those before have."""
    held = select(workflow.c.workflow_id).where(workflow.c.workflow_id == workflow_id).with_for_update()
    connection.execute(held)


def count_unfinished_runs(connection: Connection, workflow_id: str) -> int:
    """Runs of a workflow that have not reached an end."""
    states = (RunState.QUEUED, RunState.RUNNING)
    return connection.execute(
        select(func.count()).select_from(run).where(run.c.workflow_id == workflow_id, run.c.state.in_(states))
    ).scalar_one()


def find_unended_backfill(connection: Connection, workflow_id: str) -> int | None:
    """The number of a backfill of a workflow that has not ended, or None."""
    return connection.execute(
        select(backfill.c.id).where(backfill.c.workflow_id == workflow_id, backfill.c.ended_at.is_(None)).limit(1)
    ).scalar()


def delete_workflow(connection: Connection, workflow_id: str, now: datetime) -> int:
    """Remove a workflow with its versions and its whole history; returns how many runs there were.

    Specs stay: they are shared by hash, and collected by a chore. So do the events of assets that it has caused, which
    are history of the assets. Nothing of it may be running.
    """
    numbers = select(run.c.id).where(run.c.workflow_id == workflow_id).scalar_subquery()
    instances = select(task_instance.c.id).where(task_instance.c.run.in_(numbers)).scalar_subquery()
    connection.execute(attempt.delete().where(attempt.c.instance.in_(instances)))
    connection.execute(xcom.delete().where(xcom.c.run.in_(numbers)))
    connection.execute(trigger.delete().where(trigger.c.run.in_(numbers)))
    connection.execute(task_instance.delete().where(task_instance.c.run.in_(numbers)))
    runs = connection.execute(run.delete().where(run.c.workflow_id == workflow_id)).rowcount
    forget_namings(connection, [workflow_id], now)
    connection.execute(asset_delivery.delete().where(asset_delivery.c.workflow_id == workflow_id))
    connection.execute(asset_queue.delete().where(asset_queue.c.workflow_id == workflow_id))
    connection.execute(backfill.delete().where(backfill.c.workflow_id == workflow_id))
    connection.execute(workflow_version.delete().where(workflow_version.c.workflow_id == workflow_id))
    connection.execute(workflow.delete().where(workflow.c.workflow_id == workflow_id))
    return runs


# --- bundles ---------------------------------------------------------------------------------------


def request_refresh(connection: Connection, name: str) -> None:
    """Ask the serializer to look through a bundle now: it was never refreshed, as it were."""
    connection.execute(bundle.update().where(bundle.c.name == name).values(refreshed_at=None))


def request_reload(connection: Connection, name: str, file: str, now: datetime) -> None:
    """Ask the serializer to load a file of a bundle now, though nothing in it has changed."""
    connection.execute(
        source_file.update().where(source_file.c.bundle == name, source_file.c.path == file).values(reload_at=now)
    )
    request_refresh(connection, name)
