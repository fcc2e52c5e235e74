"""Reads for lists and pages: what people and programs look at.

Lists are cut by key, not by offset: a page begins after the sort key of the last row of the page before,
so that rows which do not change are seen once each however many come and go between two pages (I25).
Every list is filtered by the teams that the caller may read, here in the query and nowhere later.

Rows come back as they are in the database, with the names of their columns; `web.resources` turns them
into what is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Text, cast, func, literal, or_, select, tuple_

from piper.model.ids import instance_id, instances_of
from piper.model.states import RunState, RunType, TaskState
from piper.store.schema import attempt, bundle, run, spec, task_instance, workflow, workflow_version, xcom

Teams = frozenset[str] | None
"""The teams whose objects a caller may read; None is every team."""

AnyRow = Row[*tuple[Any, ...]]

FAR = datetime(3000, 1, 1, tzinfo=UTC)
"""Where a moment that there is none of is sorted."""


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted: by these columns, of which the last is unique in it."""

    columns: tuple[Column[Any], ...]
    descending: bool = False
    empty: Any = None
    """What the first column counts as where it is NULL, if it may be."""

    def reversed(self) -> Order:
        """The same, from the other end."""
        return replace(self, descending=not self.descending)

    def expressions(self) -> list[ColumnElement[Any]]:
        """What is sorted and compared by."""
        first, *rest = self.columns
        return [first if self.empty is None else func.coalesce(first, literal(self.empty, first.type)), *rest]

    def keys(self, row: AnyRow) -> tuple[Any, ...]:
        """The sort keys of a row."""
        first, *rest = (getattr(row, column.name) for column in self.columns)
        return (self.empty if first is None else first, *rest)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list: at most `limit` rows, after the row with these sort keys."""

    limit: int
    after: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the sort keys of its last row if there is more."""

    rows: Sequence[AnyRow]
    last: tuple[Any, ...] | None


def read_page(connection: Connection, statement: Select[Any], order: Order, window: Window) -> Page:
    """The rows of `statement` that lie in the window."""
    here = order.expressions()
    if window.after is not None:
        keys = [literal(value, column.type) for value, column in zip(window.after, order.columns, strict=True)]
        row = tuple_(*here)
        statement = statement.where(row < tuple_(*keys) if order.descending else row > tuple_(*keys))
    sort = [column.desc() if order.descending else column.asc() for column in here]
    found = connection.execute(statement.order_by(*sort).limit(window.limit + 1)).all()
    rows = found[: window.limit]
    return Page(rows, order.keys(rows[-1]) if len(found) > window.limit else None)


def readable(statement: Select[Any], column: ColumnElement[str], teams: Teams) -> Select[Any]:
    """Only rows of teams that the caller may read."""
    return statement if teams is None else statement.where(column.in_(teams))


# --- workflows ----------------------------------------------------------------------------------

_last_run = (
    select(run.c.id)
    .where(run.c.workflow_id == workflow.c.workflow_id)
    .order_by(run.c.run_after.desc(), run.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
"""Answered from the index on (workflow_id, run_after), whatever the length of the history."""

WORKFLOW_ORDERS = {
    "workflow_id": Order((workflow.c.workflow_id,)),
    "next_run": Order((workflow.c.next_run_after, workflow.c.workflow_id), empty=FAR),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFilter:
    """Which workflows; None does not ask."""

    search: str | None = None
    """Part of the id, display name or description, in any case of letters."""
    paused: bool | None = None
    stale: bool | None = None
    tag: str | None = None
    owner: str | None = None
    bundle: str | None = None


def list_workflows(connection: Connection, teams: Teams, wanted: WorkflowFilter, order: Order, window: Window) -> Page:
    """Workflows, each with the state and dates of its latest run (`last_*`)."""
    statement = readable(_workflows(), workflow.c.team, teams)
    if wanted.search is not None:
        fields = (workflow.c.workflow_id, workflow.c.display_name, workflow.c.description)
        statement = statement.where(or_(*(field.icontains(wanted.search, autoescape=True) for field in fields)))
    if wanted.tag is not None:
        # A tag is a JSON string in a JSON list; with its quotes it can only be found as a whole element.
        quoted = msgspec.json.encode(wanted.tag).decode()
        statement = statement.where(cast(workflow.c.tags, Text).contains(quoted, autoescape=True))
    for column, value in (
        (workflow.c.paused, wanted.paused),
        (workflow.c.stale, wanted.stale),
        (workflow.c.owner, wanted.owner),
        (workflow.c.bundle, wanted.bundle),
    ):
        if value is not None:
            statement = statement.where(column == value)
    return read_page(connection, statement, order, window)


def find_workflow(connection: Connection, workflow_id: str) -> AnyRow | None:
    """The workflow of that id, with its latest run, or None."""
    return connection.execute(_workflows().where(workflow.c.workflow_id == workflow_id)).one_or_none()


def _workflows() -> Select[Any]:
    latest = run.alias("latest")
    return select(
        workflow,
        latest.c.id.label("last_id"),
        latest.c.run_id.label("last_run_id"),
        latest.c.state.label("last_state"),
        latest.c.started_at.label("last_started_at"),
        latest.c.ended_at.label("last_ended_at"),
    ).select_from(workflow.outerjoin(latest, latest.c.id == _last_run))


def workflow_ids_like(connection: Connection, teams: Teams, workflow_id: str, limit: int = 2000) -> list[str]:
    """Readable workflow ids that begin like this one: what a misspelt id may have meant."""
    statement = readable(select(workflow.c.workflow_id), workflow.c.team, teams)
    start = statement.where(workflow.c.workflow_id.istartswith(workflow_id[:2], autoescape=True))
    found = list(connection.execute(start.limit(limit)).scalars())
    return found or list(connection.execute(statement.limit(limit)).scalars())


def list_versions(connection: Connection, workflow_id: str, order: Order, window: Window) -> Page:
    """The published versions of a workflow."""
    return read_page(
        connection, select(workflow_version).where(workflow_version.c.workflow_id == workflow_id), order, window
    )


def find_version(connection: Connection, workflow_id: str, version: int) -> AnyRow | None:
    """One version of a workflow, or None."""
    columns = workflow_version.c
    return connection.execute(
        select(workflow_version).where(columns.workflow_id == workflow_id, columns.version == version)
    ).one_or_none()


VERSION_ORDER = Order((workflow_version.c.version,), descending=True)


def spec_body(connection: Connection, spec_hash: str) -> str | None:
    """The JSON of the spec with that hash, or None."""
    return connection.execute(select(spec.c.body).where(spec.c.hash == spec_hash)).scalar_one_or_none()


# --- runs ---------------------------------------------------------------------------------------

RUN_ORDERS = {
    "id": Order((run.c.id,)),
    "run_after": Order((run.c.run_after, run.c.id)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; None or empty does not ask."""

    workflow_id: str | None = None
    states: tuple[RunState, ...] = ()
    run_type: RunType | None = None
    backfill: int | None = None
    logical_date_from: datetime | None = None
    logical_date_to: datetime | None = None
    """Inclusive."""
    created_from: datetime | None = None


def list_runs(connection: Connection, teams: Teams, wanted: RunFilter, order: Order, window: Window) -> Page:
    """Runs of one workflow or of all."""
    statement = readable(select(run), run.c.team, teams)
    if wanted.workflow_id is not None:
        statement = statement.where(run.c.workflow_id == wanted.workflow_id)
    if wanted.states:
        statement = statement.where(run.c.state.in_(wanted.states))
    if wanted.run_type is not None:
        statement = statement.where(run.c.run_type == wanted.run_type)
    if wanted.backfill is not None:
        statement = statement.where(run.c.backfill == wanted.backfill)
    if wanted.logical_date_from is not None:
        statement = statement.where(run.c.logical_date >= wanted.logical_date_from)
    if wanted.logical_date_to is not None:
        statement = statement.where(run.c.logical_date <= wanted.logical_date_to)
    if wanted.created_from is not None:
        statement = statement.where(run.c.created_at >= wanted.created_from)
    return read_page(connection, statement, order, window)


def find_run(connection: Connection, number: int) -> AnyRow | None:
    """The run of that number, or None."""
    return connection.execute(select(run).where(run.c.id == number)).one_or_none()


def find_run_by_name(connection: Connection, workflow_id: str, run_id: str) -> AnyRow | None:
    """The run of that workflow and run id, or None."""
    return connection.execute(select(run).where(run.c.workflow_id == workflow_id, run.c.run_id == run_id)).one_or_none()


def runs_beside(
    connection: Connection, workflow_id: str, before: datetime | None, after: datetime | None, limit: int
) -> Sequence[AnyRow]:
    """The runs of a workflow with a logical date before the one moment or after the other, oldest first."""
    sides = []
    if before is not None:
        sides.append(run.c.logical_date < before)
    if after is not None:
        sides.append(run.c.logical_date > after)
    if not sides:
        return ()
    statement = select(run).where(run.c.workflow_id == workflow_id, or_(*sides))
    return connection.execute(statement.order_by(run.c.logical_date).limit(limit)).all()


def runs_between(connection: Connection, workflow_id: str, wanted: RunFilter, limit: int) -> Sequence[AnyRow]:
    """The runs of a workflow within the filter's logical dates and states, oldest first."""
    statement = select(run).where(run.c.workflow_id == workflow_id, run.c.logical_date.is_not(None))
    if wanted.logical_date_from is not None:
        statement = statement.where(run.c.logical_date >= wanted.logical_date_from)
    if wanted.logical_date_to is not None:
        statement = statement.where(run.c.logical_date <= wanted.logical_date_to)
    if wanted.states:
        statement = statement.where(run.c.state.in_(wanted.states))
    return connection.execute(statement.order_by(run.c.logical_date).limit(limit)).all()


def find_run_by_date(connection: Connection, workflow_id: str, logical_date: datetime) -> AnyRow | None:
    """The run of that workflow and logical date, or None."""
    return connection.execute(
        select(run).where(run.c.workflow_id == workflow_id, run.c.logical_date == logical_date)
    ).one_or_none()


def bundle_kind(connection: Connection, name: str) -> str | None:
    """folder, git …; None when there is no such bundle."""
    return connection.execute(select(bundle.c.kind).where(bundle.c.name == name)).scalar_one_or_none()


OF_TASKS = task_instance.c.callback.is_(None)
"""Instances of tasks: a run has callbacks besides, which are listed by themselves."""


def count_by_state(connection: Connection, number: int) -> dict[TaskState, int]:
    """How many task instances of a run are in each state."""
    first, last = instances_of(number)
    statement = (
        select(task_instance.c.state, func.count())
        .where(task_instance.c.id.between(first, last), OF_TASKS)
        .group_by(task_instance.c.state)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


# --- task instances, attempts, xcoms ------------------------------------------------------------

INSTANCE_ORDER = Order((task_instance.c.id,))
EXECUTION_ORDER = Order((attempt.c.instance, attempt.c.try_number), descending=True)


def list_instances(
    connection: Connection,
    number: int,
    states: Sequence[TaskState],
    task_id: str | None,
    order: Order,
    window: Window,
) -> Page:
    """The task instances of a run, in the order in which they were made: that of the workflow's tasks."""
    first, last = instances_of(number)
    statement = select(task_instance).where(task_instance.c.id.between(first, last), OF_TASKS)
    if states:
        statement = statement.where(task_instance.c.state.in_(states))
    if task_id is not None:
        statement = statement.where(task_instance.c.task_id == task_id)
    return read_page(connection, statement, order, window)


def find_instance(connection: Connection, number: int, task_id: str, map_index: int) -> AnyRow | None:
    """One task instance of a run, or None."""
    return connection.execute(
        select(task_instance).where(
            task_instance.c.run == number,
            task_instance.c.task_id == task_id,
            task_instance.c.map_index == map_index,
        )
    ).one_or_none()


def task_ids_of(connection: Connection, number: int) -> list[str]:
    """The ids of the tasks that a run has instances of."""
    statement = select(task_instance.c.task_id).where(task_instance.c.run == number, OF_TASKS).distinct()
    return list(connection.execute(statement).scalars())


def instance_states(connection: Connection, number: int) -> Sequence[AnyRow]:
    """(id, task_id, map_index, state, try_number, due, started_at, ended_at) of every instance of a run, in order."""
    first, last = instances_of(number)
    columns = task_instance.c
    return connection.execute(
        select(
            columns.id,
            columns.task_id,
            columns.map_index,
            columns.state,
            columns.try_number,
            columns.due,
            columns.started_at,
            columns.ended_at,
        )
        .where(columns.id.between(first, last), OF_TASKS)
        .order_by(columns.id)
    ).all()


CALLBACK_ORDER = INSTANCE_ORDER


def list_callbacks(connection: Connection, number: int, window: Window) -> Page:
    """What has been called, or is to be, for a run besides its tasks, with the error of its latest try."""
    first, last = instances_of(number)
    statement = _callbacks().where(task_instance.c.id.between(first, last))
    return read_page(connection, statement, CALLBACK_ORDER, window)


def find_callback(connection: Connection, number: int, ordinal: int) -> AnyRow | None:
    """One of them, or None."""
    return connection.execute(_callbacks().where(task_instance.c.id == instance_id(number, ordinal))).one_or_none()


def _callbacks() -> Select[Any]:
    tried = (attempt.c.instance == task_instance.c.id) & (attempt.c.try_number == task_instance.c.try_number)
    return (
        select(task_instance, attempt.c.error)
        .select_from(task_instance.join(attempt, tried, isouter=True))
        .where(task_instance.c.callback.is_not(None))
    )


def list_attempts(connection: Connection, instance: int) -> Sequence[AnyRow]:
    """The tries of an instance, oldest first."""
    return connection.execute(
        select(attempt).where(attempt.c.instance == instance).order_by(attempt.c.try_number)
    ).all()


def find_attempt(connection: Connection, instance: int, try_number: int) -> AnyRow | None:
    """One try of an instance, or None."""
    return connection.execute(
        select(attempt).where(attempt.c.instance == instance, attempt.c.try_number == try_number)
    ).one_or_none()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFilter:
    """Which executions; None does not ask."""

    workflow_id: str | None = None
    task_id: str | None = None
    run: int | None = None
    state: TaskState | None = None


def list_executions(connection: Connection, teams: Teams, wanted: ExecutionFilter, window: Window) -> Page:
    """Attempts with the run and task they belong to, newest first."""
    statement = readable(_executions(), run.c.team, teams).where(OF_TASKS)
    if wanted.workflow_id is not None:
        statement = statement.where(run.c.workflow_id == wanted.workflow_id)
    if wanted.task_id is not None:
        statement = statement.where(task_instance.c.task_id == wanted.task_id)
    if wanted.run is not None:
        first, last = instances_of(wanted.run)
        statement = statement.where(attempt.c.instance.between(first, last))
    if wanted.state is not None:
        statement = statement.where(attempt.c.state == wanted.state)
    return read_page(connection, statement, EXECUTION_ORDER, window)


def find_execution(connection: Connection, number: int, ordinal: int, try_number: int) -> AnyRow | None:
    """The attempt with that number, or None: (run number, ordinal of the instance in its run, try)."""
    instance = instance_id(number, ordinal)
    return connection.execute(
        _executions().where(attempt.c.instance == instance, attempt.c.try_number == try_number)
    ).one_or_none()


def _executions() -> Select[Any]:
    return select(
        attempt,
        task_instance.c.task_id,
        task_instance.c.map_index,
        task_instance.c.operator,
        run.c.id.label("run"),
        run.c.run_id,
        run.c.workflow_id,
        run.c.team,
        run.c.logical_date,
        run.c.spec_hash,
        run.c.snapshot,
    ).select_from(
        attempt.join(task_instance, task_instance.c.id == attempt.c.instance).join(run, run.c.id == task_instance.c.run)
    )


XCOM_ORDER = Order((xcom.c.task_id, xcom.c.key, xcom.c.map_index))


def list_xcoms(connection: Connection, number: int, task_id: str | None, map_index: int | None, window: Window) -> Page:
    """The XComs of a run or of one of its tasks, without their values."""
    statement = select(
        xcom.c.task_id,
        xcom.c.key,
        xcom.c.map_index,
        xcom.c.length,
        xcom.c.created_at,
        func.length(xcom.c.value).label("size"),
        xcom.c.artifact,
    ).where(xcom.c.run == number)
    if task_id is not None:
        statement = statement.where(xcom.c.task_id == task_id)
    if map_index is not None:
        statement = statement.where(xcom.c.map_index == map_index)
    return read_page(connection, statement, XCOM_ORDER, window)


def find_xcom(connection: Connection, number: int, task_id: str, key: str, map_index: int) -> AnyRow | None:
    """One XCom with its value (JSON text, or the artifact that holds it), or None."""
    return connection.execute(
        select(xcom).where(
            xcom.c.run == number, xcom.c.task_id == task_id, xcom.c.key == key, xcom.c.map_index == map_index
        )
    ).one_or_none()
