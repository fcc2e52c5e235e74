"""Triggers: rows that the owners of runs write, and that the triggerer reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from piper.model.run import Identity
from piper.model.spec import Json
from piper.model.states import TaskState
from piper.model.wire import CodeRef
from piper.store.schema import run, task_instance
from piper.store.schema import trigger as table

CHUNK = 500
"""Rows that are asked for by number in one statement."""


class NewTrigger(NamedTuple):
    """A trigger to be written."""

    identity: Identity
    run: int
    shard: int
    team: str
    class_path: str
    arguments: Json
    bundle: str
    snapshot: str
    deadline: datetime | None


class StoredTrigger(NamedTuple):
    """What the triggerer must know of a trigger, and of the task that waits for it."""

    identity: Identity
    team: str
    class_path: str
    arguments: Json
    code: CodeRef
    workflow_id: str
    run_id: str
    task_id: str
    map_index: int


_DELETE = delete(table).where(
    table.c.instance == bindparam("of_instance"),
    table.c.try_number == bindparam("of_try"),
    table.c.leg == bindparam("of_leg"),
)


def write_triggers(
    connection: Connection, stopped: Iterable[Identity], started: Iterable[NewTrigger], now: datetime
) -> None:
    """Remove and add triggers, in the transaction that moves their instances."""
    rows = [{"of_instance": one.instance, "of_try": one.try_number, "of_leg": one.leg} for one in stopped]
    if rows:
        connection.execute(_DELETE, rows)
    made = [
        {
            "instance": new.identity.instance,
            "try_number": new.identity.try_number,
            "leg": new.identity.leg,
            "run": new.run,
            "shard": new.shard,
            "team": new.team,
            "class_path": new.class_path,
            "arguments": new.arguments,
            "bundle": new.bundle,
            "snapshot": new.snapshot,
            "deadline": new.deadline,
            "created_at": now,
        }
        for new in started
    ]
    if made:
        connection.execute(insert(table), made)


_IDENTITIES = select(table.c.instance, table.c.try_number, table.c.leg)


def wanted_triggers(connection: Connection) -> set[Identity]:
    """The executions that wait for a trigger."""
    return {Identity(*row) for row in connection.execute(_IDENTITIES)}


_LOAD = (
    select(
        table.c.instance,
        table.c.try_number,
        table.c.leg,
        table.c.team,
        table.c.class_path,
        table.c.arguments,
        table.c.bundle,
        table.c.snapshot,
        run.c.file,
        run.c.workflow_id,
        run.c.run_id,
        task_instance.c.task_id,
        task_instance.c.map_index,
    )
    .join(run, run.c.id == table.c.run)
    .join(task_instance, task_instance.c.id == table.c.instance)
    .where(table.c.instance.in_(bindparam("instances", expanding=True)))
)


def load_triggers(connection: Connection, instances: Sequence[int]) -> list[StoredTrigger]:
    """The triggers of these instances, of those that still have one."""
    return [
        StoredTrigger(
            Identity(row.instance, row.try_number, row.leg),
            row.team,
            row.class_path,
            row.arguments,
            CodeRef(row.bundle, row.snapshot, row.file),
            row.workflow_id,
            row.run_id,
            row.task_id,
            row.map_index,
        )
        for start in range(0, len(instances), CHUNK)
        for row in connection.execute(_LOAD, {"instances": instances[start : start + CHUNK]})
    ]


_RESUMED = select(task_instance.c.id, task_instance.c.try_number, task_instance.c.leg, task_instance.c.state).where(
    task_instance.c.id.in_(bindparam("instances", expanding=True))
)


def resumed(connection: Connection, identities: Sequence[Identity]) -> set[Identity]:
    """Those of these executions, all without a trigger by now, whose tries go on: the wait was over, or took too long.

    The others were ended by somebody: cleared, marked, or with their run.
    """
    waits = {one.instance: one for one in identities}
    found = set()
    numbers = sorted(waits)
    for start in range(0, len(numbers), CHUNK):
        for row in connection.execute(_RESUMED, {"instances": numbers[start : start + CHUNK]}):
            wait = waits[row.id]
            goes_on = row.leg > wait.leg or row.state is TaskState.UP_FOR_RESCHEDULE
            if row.try_number == wait.try_number and goes_on:
                found.add(wait)
    return found
