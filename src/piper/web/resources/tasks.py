"""Task instances of a run, their tries, and executions: tries as the record of what ran with what."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, Field

from piper.model.errors import NotFound
from piper.model.ids import MAX_ORDINAL, UNMAPPED
from piper.model.states import TaskState
from piper.store import listings
from piper.store.listings import AnyRow, ExecutionFilter
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import (
    MapIndex,
    RunNumber,
    TaskId,
    TryNumber,
    load_instance,
    load_run,
    load_spec,
)
from piper.web.routing import CurrentCall, Resource

READ = Permission(Action.READ, Kind.TASK)
READ_EXECUTION = Permission(Action.READ, Kind.EXECUTION)

_EXECUTION = re.compile(r"[0-9]{1,12}-[0-9]{1,8}-[0-9]{1,9}")

resource = Resource("tasks")


class TaskView(BaseModel):
    """A task instance as it is at present."""

    task_id: str
    map_index: int = Field(description="-1 unless it is one of a mapped task's instances.")
    label: str = Field(description="What names a mapped instance for people.")
    state: TaskState | None = Field(description="Null: nothing has been decided yet.")
    try_number: int = Field(description="0 until it is first tried.")
    max_tries: int
    operator: str
    pool: str
    pool_slots: int
    priority: int
    queue: str
    worker: str
    due: datetime | None = Field(description="When a wait ends: the retry, the next poke, a timeout.")
    scheduled_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


class AttemptView(BaseModel):
    """One try of a task instance."""

    try_number: int
    state: TaskState | None
    legs: int = Field(description="How often user code was entered in this try.")
    worker: str
    pid: int | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    signal: int | None
    error: str


class TaskDetails(TaskView):
    """A task instance with its definition, raw and as it was rendered."""

    definition: dict[str, Any] = Field(description="Template fields as they were written.")
    rendered: Any = Field(description="Template fields as user code saw them in the latest try; secrets masked.")
    attempts: list[AttemptView]


class ExecutionView(AttemptView):
    """A try with what it belongs to: the record of one execution."""

    id: str = Field(description="run-task-try, as numbers.")
    workflow_id: str
    run: int
    run_id: str
    logical_date: datetime | None
    task_id: str
    map_index: int
    operator: str
    team: str


class ExecutionDetails(ExecutionView):
    """A whole execution: data, code, environment, parameters, metrics."""

    spec_hash: str
    snapshot: str
    parameters: Any
    inputs: Any
    outputs: Any
    metrics: Any
    environment: Any
    rendered: Any


States = Annotated[
    list[TaskState], Query(description="Only instances in one of these states; `none` is not yet decided.")
]


@resource.get("/runs/{run}/tasks", READ)
def list_tasks(
    call: CurrentCall,
    paging: CurrentPaging,
    run: RunNumber,
    state: States = [],  # noqa: B006, FastAPI copies it
    task_id: Annotated[str | None, Query(max_length=250)] = None,
) -> Items[TaskView]:
    """List the task instances of a run."""
    order = listings.INSTANCE_ORDER
    with call.parts.database.read() as connection:
        load_run(call, connection, run)
        found = listings.list_instances(connection, run, state, task_id, order, paging.window(order))
    return paging.page(found, order, lambda row: TaskView(**_task_fields(row)))


@resource.get("/runs/{run}/tasks/{task_id}", READ)
def show_task(call: CurrentCall, run: RunNumber, task_id: TaskId, map_index: MapIndex = UNMAPPED) -> TaskDetails:
    """Show a task instance, with its tries and its template fields."""
    with call.parts.database.read() as connection:
        found = load_run(call, connection, run)
        row = load_instance(call, connection, found, task_id, map_index)
        attempts = listings.list_attempts(connection, row.id)
        task = next((task for task in load_spec(connection, found.spec_hash).tasks if task.task_id == task_id), None)
    fields = {name: task.arguments[name] for name in task.template_fields if name in task.arguments} if task else {}
    return TaskDetails(
        **_task_fields(row),
        definition=fields,
        rendered=attempts[-1].rendered if attempts else None,
        attempts=[AttemptView(**_attempt_fields(attempt)) for attempt in attempts],
    )


@resource.get("/runs/{run}/tasks/{task_id}/attempts", READ)
def list_attempts(
    call: CurrentCall, run: RunNumber, task_id: TaskId, map_index: MapIndex = UNMAPPED
) -> list[AttemptView]:
    """List the tries of a task instance, oldest first."""
    with call.parts.database.read() as connection:
        row = load_instance(call, connection, load_run(call, connection, run), task_id, map_index)
        return [AttemptView(**_attempt_fields(attempt)) for attempt in listings.list_attempts(connection, row.id)]


@resource.get("/runs/{run}/tasks/{task_id}/attempts/{try_number}", READ)
def show_attempt(
    call: CurrentCall, run: RunNumber, task_id: TaskId, try_number: TryNumber, map_index: MapIndex = UNMAPPED
) -> AttemptView:
    """Show one try of a task instance."""
    with call.parts.database.read() as connection:
        row = load_instance(call, connection, load_run(call, connection, run), task_id, map_index)
        attempt = listings.find_attempt(connection, row.id, try_number)
    if attempt is None:
        raise NotFound(f"task {task_id!r} of run number {run} has no try {try_number}: it is at try {row.try_number}")
    return AttemptView(**_attempt_fields(attempt))


@resource.get("/executions", READ_EXECUTION)
def list_executions(
    call: CurrentCall,
    paging: CurrentPaging,
    workflow_id: Annotated[str | None, Query(max_length=250)] = None,
    task_id: Annotated[str | None, Query(max_length=250)] = None,
    run: Annotated[int | None, Query(ge=1, le=(1 << 39) - 1)] = None,
    state: TaskState | None = None,
) -> Items[ExecutionView]:
    """List executions, newest first."""
    wanted = ExecutionFilter(workflow_id=workflow_id, task_id=task_id, run=run, state=state)
    order = listings.EXECUTION_ORDER
    with call.parts.database.read() as connection:
        found = listings.list_executions(connection, call.teams(), wanted, paging.window(order))
    return paging.page(found, order, lambda row: ExecutionView(**_execution_fields(row)))


@resource.get("/executions/{execution}", READ_EXECUTION)
def show_execution(
    call: CurrentCall,
    execution: Annotated[str, Path(description="Three numbers: run-task-try, as a list of executions gives them.")],
) -> ExecutionDetails:
    """Show an execution: its data, code, environment, parameters and metrics."""
    missing = NotFound(f"there is no execution {execution!r}: its name is RUN-TASK-TRY, three numbers")
    if _EXECUTION.fullmatch(execution) is None:
        raise missing
    run, ordinal, try_number = (int(part) for part in execution.split("-"))
    if ordinal > MAX_ORDINAL or run >= 1 << 39:
        raise missing
    with call.parts.database.read() as connection:
        row = listings.find_execution(connection, run, ordinal, try_number)
    call.authorise(Kind.EXECUTION, execution, row.team if row else None, missing)
    assert row is not None
    return ExecutionDetails(
        **_execution_fields(row),
        spec_hash=row.spec_hash,
        snapshot=row.snapshot,
        parameters=row.parameters,
        inputs=row.inputs,
        outputs=row.outputs,
        metrics=row.metrics,
        environment=row.environment,
        rendered=row.rendered,
    )


def _task_fields(row: AnyRow) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in TaskView.model_fields}
    return fields | {"state": _shown(row.state), "worker": row.worker or ""}


def _attempt_fields(row: AnyRow) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in AttemptView.model_fields}
    return fields | {"state": _shown(row.state)}


def _execution_fields(row: AnyRow) -> dict[str, Any]:
    ordinal = row.instance & MAX_ORDINAL
    names = ("workflow_id", "run", "run_id", "logical_date", "task_id", "map_index", "operator", "team")
    return (
        _attempt_fields(row)
        | {name: getattr(row, name) for name in names}
        | {"id": f"{row.run}-{ordinal}-{row.try_number}"}
    )


def _shown(state: TaskState) -> TaskState | None:
    """The state outside Piper: `none` is null."""
    return None if state is TaskState.NONE else state
