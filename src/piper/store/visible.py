"""What a running task may see of the world outside its own execution: always of its own team, and nothing else.

Every question takes the team. What another team has does not exist here: the answers are those for a name that nobody
uses (security.md §2 row 26).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from piper.model.states import RunState, TaskState
from piper.model.wire import RunContext
from piper.store.executions import context_of
from piper.store.schema import run, task_instance, workflow


class VisibleWorkflow(NamedTuple):
    """A workflow of the same team."""

    workflow_id: str
    spec_hash: str
    paused: bool


def find_workflow(connection: Connection, team: str, workflow_id: str) -> VisibleWorkflow | None:
    """A workflow that is still there, or None."""
    statement = select(workflow.c.workflow_id, workflow.c.spec_hash, workflow.c.paused).where(
        workflow.c.workflow_id == workflow_id, workflow.c.team == team, workflow.c.stale.is_(False)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else VisibleWorkflow._make(row)


def find_run_number(connection: Connection, team: str, workflow_id: str, run_id: str) -> int | None:
    """The number of a run, or None."""
    statement = select(run.c.id).where(run.c.workflow_id == workflow_id, run.c.run_id == run_id, run.c.team == team)
    return connection.execute(statement).scalar_one_or_none()


def find_run(
    connection: Connection, team: str, workflow_id: str, run_id: str, logical_date: datetime | None
) -> RunContext | None:
    """A run by its id, or without one by its logical date; or None."""
    which = run.c.run_id == run_id if run_id else run.c.logical_date == logical_date
    statement = select(run).where(run.c.workflow_id == workflow_id, which, run.c.team == team)
    row = connection.execute(statement).one_or_none()
    return None if row is None else context_of(row)


def previous_run(
    connection: Connection, team: str, workflow_id: str, logical_date: datetime, state: RunState | None
) -> RunContext | None:
    """The last run before a logical date, of those in `state` if that is given; or None."""
    statement = select(run).where(
        run.c.workflow_id == workflow_id, run.c.logical_date < logical_date, run.c.team == team
    )
    if state is not None:
        statement = statement.where(run.c.state == state)
    row = connection.execute(statement.order_by(run.c.logical_date.desc()).limit(1)).one_or_none()
    return None if row is None else context_of(row)


class RunFilter(NamedTuple):
    """Which runs of a workflow: those of these dates or ids; all, where neither is given."""

    workflow_id: str
    logical_dates: Sequence[datetime] = ()
    run_ids: Sequence[str] = ()

    def conditions(self, team: str) -> list[ColumnElement[bool]]:
        """The filter as SQL."""
        conditions = [run.c.workflow_id == self.workflow_id, run.c.team == team]
        if self.logical_dates:
            conditions.append(run.c.logical_date.in_(self.logical_dates))
        if self.run_ids:
            conditions.append(run.c.run_id.in_(self.run_ids))
        return conditions


def count_runs(connection: Connection, team: str, runs: RunFilter, states: Sequence[RunState]) -> int:
    """How many runs match, in one of `states` if any are given."""
    statement = select(func.count()).select_from(run).where(*runs.conditions(team))
    if states:
        statement = statement.where(run.c.state.in_(states))
    return connection.execute(statement).scalar_one()


def count_instances(
    connection: Connection, team: str, runs: RunFilter, task_ids: Sequence[str], states: Sequence[TaskState]
) -> int:
    """How many instances of these tasks (all, where none is given) match, in one of `states` if any are given."""
    statement = (
        select(func.count())
        .join_from(run, task_instance, task_instance.c.run == run.c.id)
        .where(*runs.conditions(team), task_instance.c.callback.is_(None))
    )
    if task_ids:
        statement = statement.where(task_instance.c.task_id.in_(task_ids))
    if states:
        statement = statement.where(task_instance.c.state.in_(states))
    return connection.execute(statement).scalar_one()


def instance_states(
    connection: Connection, run_number: int, task_ids: Sequence[str]
) -> dict[str, dict[int, TaskState]]:
    """The states of these tasks' instances in one run: {task id: {map index: state}}."""
    statement = (
        select(task_instance.c.task_id, task_instance.c.map_index, task_instance.c.state)
        .where(task_instance.c.run == run_number, task_instance.c.task_id.in_(task_ids))
        .order_by(task_instance.c.id)
    )
    found: dict[str, dict[int, TaskState]] = {}
    for task_id, map_index, state in connection.execute(statement):
        found.setdefault(task_id, {})[map_index] = state
    return found
