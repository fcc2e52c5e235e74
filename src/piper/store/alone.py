"""A run in which one task instance runs and everything else counts as done.

For instances of Piper that are made for one execution and thrown away: `piper tasks execute`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from piper.model.events import RunQueued
from piper.model.ids import UNMAPPED, instance_id
from piper.model.run import Run, TaskInstance
from piper.model.spec import LiteralLength, TaskSpec, WorkflowSpec, encode_spec, spec_hash
from piper.model.states import RunState, TaskState
from piper.store.events import append_events, event_row
from piper.store.instances import insert_instances
from piper.store.runs import move_runs
from piper.store.workflows import store_specs


def begin_alone(
    connection: Connection, run: Run, spec: WorkflowSpec, task_id: str, map_index: int, now: datetime
) -> None:
    """Make the instances of a queued run, of which this one is to run next, and tell the run's owner.

    It has no retries: a person looks on, and sees why it failed. Nor is the end of such a run called back.
    """
    body = encode_spec(replace(spec, callbacks=()))
    digest = spec_hash(body)
    store_specs(connection, {digest: body.decode()})
    made = [
        (run, task, TaskInstance(id=instance_id(run.id, ordinal), task_id=task.task_id, map_index=index, **how))
        for ordinal, (task, index, how) in enumerate(_instances(spec, task_id, map_index, now))
    ]
    insert_instances(connection, made, now)
    begun = replace(run, state=RunState.RUNNING, spec_hash=digest, started_at=now, next_ordinal=len(made))
    move_runs(connection, [(run, begun)])
    append_events(connection, [event_row(run.shard, run.id, RunQueued(run.id), now)])


def _instances(
    spec: WorkflowSpec, task_id: str, map_index: int, now: datetime
) -> Iterator[tuple[TaskSpec, int, dict[str, Any]]]:
    done: dict[str, Any] = {"state": TaskState.SUCCESS, "ended_at": now}
    alone: dict[str, Any] = {"state": TaskState.SCHEDULED, "try_number": 1}
    for task in spec.tasks:
        if task.task_id != task_id:
            yield task, UNMAPPED, done
        elif map_index == UNMAPPED:
            yield task, UNMAPPED, alone
        else:
            length = task.mapped.length if isinstance(task.mapped, LiteralLength) else 0
            for index in range(max(length, map_index + 1)):
                yield task, index, alone if index == map_index else done
