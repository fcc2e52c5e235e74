"""Task instances as their owner reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, insert, or_, select, update

from piper.model.ids import instances_of
from piper.model.run import Run, TaskInstance
from piper.model.spec import TaskSpec
from piper.model.states import IN_FLIGHT, TaskState
from piper.store.database import guarded, in_portions
from piper.store.schema import task_instance as table

_COLUMNS = (
    table.c.id,
    table.c.task_id,
    table.c.map_index,
    table.c.state,
    table.c.try_number,
    table.c.leg,
    table.c.max_tries,
    table.c.losses,
    table.c.due,
    table.c.result_length,
    table.c.decision,
    table.c.resume,
    table.c.started_at,
    table.c.ended_at,
    table.c.callback,
)


def instance_from_row(row: Any) -> TaskInstance:
    """A task instance from a row with `_COLUMNS`."""
    return TaskInstance(**row._mapping)


def instances_of_runs(connection: Connection, runs: Iterable[int]) -> dict[int, list[TaskInstance]]:
    """The instances of these runs, by run number."""
    found: dict[int, list[TaskInstance]] = {}
    for run in runs:
        first, last = instances_of(run)
        rows = connection.execute(select(*_COLUMNS).where(table.c.id.between(first, last)).order_by(table.c.id))
        found[run] = [instance_from_row(row) for row in rows]
    return found


def states_of_tasks(connection: Connection, run: int, task_ids: Sequence[str]) -> dict[str, tuple[TaskState, ...]]:
    """The states that a run's instances of these tasks are in, by task id: each once, however many are in it."""
    rows = connection.execute(
        select(table.c.task_id, table.c.state)
        .where(table.c.run == run, table.c.task_id.in_(sorted(task_ids)))
        .distinct()
    )
    states: dict[str, tuple[TaskState, ...]] = {}
    for task_id, state in rows:
        states[task_id] = (*states.get(task_id, ()), state)
    return states


def insert_instances(connection: Connection, made: Iterable[tuple[Run, TaskSpec, TaskInstance]], now: datetime) -> None:
    """Insert new instances with what the executor and the worker will need of their specs."""
    rows = (
        {
            "id": ti.id,
            "run": run.id,
            "task_id": ti.task_id,
            "map_index": ti.map_index,
            "team": run.team,
            "state": ti.state,
            "try_number": ti.try_number,
            "leg": ti.leg,
            "max_tries": ti.max_tries,
            "losses": ti.losses,
            "due": ti.due,
            "resume": ti.resume,
            "operator": spec.operator,
            "code": spec.code,
            "isolation": spec.isolation,
            "pool": spec.pool,
            "pool_slots": spec.pool_slots,
            "priority": spec.priority,
            "backfill": run.backfill is not None,
            "queue": spec.queue,
            "scheduled_at": now if ti.state is TaskState.SCHEDULED else None,
            "started_at": ti.started_at,
            "ended_at": ti.ended_at,
            "callback": ti.callback,
        }
        for run, spec, ti in made
    )
    for portion in in_portions(rows):
        connection.execute(insert(table), portion)


_MOVE = (
    update(table)
    .where(
        table.c.id == bindparam("guard_id"),
        table.c.try_number == bindparam("guard_try"),
        table.c.leg == bindparam("guard_leg"),
        or_(*(table.c.state == bindparam(f"guard_state_{i}") for i in range(len(IN_FLIGHT)))),
    )
    .values(
        map_index=bindparam("new_map_index"),
        state=bindparam("new_state"),
        try_number=bindparam("new_try"),
        leg=bindparam("new_leg"),
        max_tries=bindparam("new_max_tries"),
        losses=bindparam("new_losses"),
        due=bindparam("new_due"),
        result_length=bindparam("new_result_length"),
        decision=bindparam("new_decision"),
        resume=bindparam("new_resume"),
        ended_at=bindparam("new_ended_at"),
        # A worker writes when user code was first entered; a new try, a clear or a pass writes it here.
        started_at=case(
            (bindparam("fresh"), bindparam("new_started_at", type_=table.c.started_at.type)), else_=table.c.started_at
        ),
        scheduled_at=case(
            (bindparam("scheduled"), bindparam("now", type_=table.c.scheduled_at.type)), else_=table.c.scheduled_at
        ),
    )
)


def move_instances(connection: Connection, moves: Sequence[tuple[TaskInstance, TaskInstance]], now: datetime) -> None:
    """Write what owners decided about instances: pairs of (before, after).

    What an owner holds as scheduled may be queued or running by now: the guard is the set, and the identity.

    Raises:
        GuardFailed: an instance is not as it was when that was decided.
    """
    guarded(connection, _MOVE, (_move(before, after, now) for before, after in moves), "task instances")


def _move(before: TaskInstance, after: TaskInstance, now: datetime) -> Mapping[str, Any]:
    states = sorted(IN_FLIGHT) if before.state in IN_FLIGHT else [before.state] * len(IN_FLIGHT)
    return {
        "guard_id": before.id,
        "guard_try": before.try_number,
        "guard_leg": before.leg,
        "guard_state_0": states[0],
        "guard_state_1": states[1],
        "guard_state_2": states[2],
        "new_map_index": after.map_index,
        "new_state": after.state,
        "new_try": after.try_number,
        "new_leg": after.leg,
        "new_max_tries": after.max_tries,
        "new_losses": after.losses,
        "new_due": after.due,
        "new_result_length": after.result_length,
        "new_decision": after.decision,
        "new_resume": after.resume,
        "new_ended_at": after.ended_at,
        "fresh": after.try_number != before.try_number or after.state is TaskState.NONE,
        "new_started_at": after.started_at,
        "scheduled": after.state is TaskState.SCHEDULED,
        "now": now,
    }
