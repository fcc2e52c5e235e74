"""Callbacks that were called by themselves: for a run that has ended, for tasks that were ended from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, Field

from piper.model.errors import NotFound
from piper.model.ids import MAX_ORDINAL
from piper.model.states import CallbackKind, TaskState
from piper.store import listings
from piper.store.listings import AnyRow
from piper.web.following import LogFollower, line_view, log_lines, try_is_over
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import RunNumber, load_run
from piper.web.resources.logs import LogView
from piper.web.routing import CurrentCall, Resource

READ = Permission(Action.READ, Kind.TASK)
READ_LOG = Permission(Action.READ, Kind.LOG)

resource = Resource("callbacks")


class CallbackView(BaseModel):
    """Something that was, or is to be, called on a worker besides the tasks of a run."""

    number: int = Field(description="Which of the run.")
    kind: CallbackKind
    of: str = Field(description="`workflow` or `task`: whose callback it is.")
    task_id: str = Field(description="The task that it is about; of a workflow, the last one that mattered.")
    map_index: int
    reason: str = Field(description="Of a workflow: why its run has ended.")
    state: TaskState = Field(description="`success`: it was called and raised nothing.")
    try_number: int = Field(description="It is called again if its worker was lost.")
    error: str
    at: datetime = Field(description="When that happened which it is about.")
    started_at: datetime | None
    ended_at: datetime | None


@resource.get("/runs/{run}/callbacks", READ)
def list_callbacks(call: CurrentCall, paging: CurrentPaging, run: RunNumber) -> Items[CallbackView]:
    """List what is called for a run besides its tasks.

    Tasks' own processes call the callbacks of their tasks, and those are not listed here but in the tasks' logs.
    """
    order = listings.CALLBACK_ORDER
    with call.parts.database.read() as connection:
        load_run(call, connection, run)
        found = listings.list_callbacks(connection, run, paging.window(order))
    return paging.page(found, order, _view)


@resource.get("/runs/{run}/callbacks/{number}/logs", READ_LOG)
def read_callback_log(
    call: CurrentCall,
    run: RunNumber,
    number: Annotated[int, Path(ge=0, le=MAX_ORDINAL, description="Which of the run.")],
    offset: Annotated[int, Query(ge=0, le=1 << 62)] = 0,
    limit: Annotated[int, Query(ge=1024, le=1 << 20, description="Most bytes.")] = 64 << 10,
) -> LogView:
    """Read the log of a callback's latest try."""
    with call.parts.database.read() as connection:
        load_run(call, connection, run)
        row = listings.find_callback(connection, run, number)
    if row is None:
        raise NotFound(f"run number {run} has no callback {number}")
    follower = LogFollower(call.parts, run, row.task_id, row.map_index, row.id, row.try_number, 0)
    chunk = follower.log.read(offset, limit)
    page: dict[str, Any] = {
        "try_number": row.try_number,
        "lines": [line_view(line) for line in log_lines(chunk)],
        "offset": chunk.offset,
        "next": chunk.next,
        "ended": try_is_over(row.state, row.try_number, row.try_number) and chunk.next >= follower.log.size(),
    }
    return LogView(**page)


def _view(row: AnyRow) -> CallbackView:
    told = row.callback
    return CallbackView(
        number=row.id & MAX_ORDINAL,
        kind=told.kind,
        of="task" if told.of_run is None else "workflow",
        task_id=told.task_id,
        map_index=told.map_index,
        reason=told.reason,
        state=row.state,
        try_number=row.try_number,
        error=row.error or "",
        at=told.at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
