"""Commands to runs: clear, mark, cancel. What they name is resolved here; the owner of each run applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from piper.core.selection import ANY_STATE, Wanted, states_to_clear
from piper.model.errors import Conflict, Invalid
from piper.model.events import Clear, InstanceRef, Mark, MarkRun, RunCommand
from piper.model.ids import UNMAPPED
from piper.model.states import FINISHED, RunState, TaskState
from piper.store import commands
from piper.store.audit import Entry
from piper.store.listings import AnyRow, RunFilter
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.affected import (
    VERSIONS,
    Meant,
    find_affected,
    runs_beside,
    runs_between,
    with_waiting_workflows,
)
from piper.web.resources.loading import RunNumber, WorkflowId, load_run, load_workflow
from piper.web.routing import Call, CurrentCall, Resource
from piper.web.writes import Effect, Receipt, command

RUN = Permission(Action.RUN, Kind.RUN)

resource = Resource("run commands")


class TaskRef(BaseModel):
    """A task of the run, or one instance of a mapped one."""

    model_config = ConfigDict(extra="forbid")

    task_id: str
    map_index: int | None = Field(default=None, ge=UNMAPPED, description="All instances if it is left out.")


class Tasks(BaseModel):
    """Which tasks."""

    model_config = ConfigDict(extra="forbid")

    tasks: list[TaskRef] = Field(
        default=[], max_length=10_000, description="With neither tasks nor groups: all tasks of the run."
    )
    groups: list[str] = Field(default=[], max_length=1_000, description="Ids of task groups: all tasks in them.")
    upstream: bool = Field(default=False, description="Also everything above them.")
    downstream: bool = Field(default=False, description="Also everything below them.")
    dry_run: bool = Field(default=False, description="Tell what would be affected, and change nothing.")

    def wanted(self, *, with_setups: bool = False) -> Wanted:
        """The same, as the core asks for it."""
        return Wanted(
            tasks=tuple(InstanceRef(task.task_id, task.map_index) for task in self.tasks),
            groups=tuple(self.groups),
            upstream=self.upstream,
            downstream=self.downstream,
            with_setups=with_setups,
        )


class Around(BaseModel):
    """Of a command about one run: whether it is about the runs beside it, too."""

    past: bool = Field(default=False, description="Also in the runs of earlier logical dates.")
    future: bool = Field(default=False, description="Also in the runs of later logical dates.")


class Between(BaseModel):
    """Which runs of a workflow."""

    logical_date_from: AwareDatetime | None = Field(default=None, description="The first logical date.")
    logical_date_to: AwareDatetime | None = Field(default=None, description="The last logical date, included.")
    run_states: list[RunState] = Field(default=[], description="Only runs in one of these states.")

    def filter(self) -> RunFilter:
        """The same, as the store asks for it. Raises Invalid when it says nothing."""
        first, last = self.logical_date_from, self.logical_date_to
        if first is None and last is None:
            raise Invalid("say which runs: logical_date_from, logical_date_to or both")
        if first is not None and last is not None and first > last:
            raise Invalid(f"logical_date_from {first.isoformat()} is after logical_date_to {last.isoformat()}")
        return RunFilter(logical_date_from=first, logical_date_to=last, states=tuple(self.run_states))


class ClearTasks(Tasks):
    """Tasks to run again, as if they had not run."""

    only_failed: bool = Field(default=False, description="Only those that failed, or failed for their sake.")
    only_running: bool = Field(default=False, description="Only those that are scheduled, queued or running.")
    recursive: bool = Field(
        default=False,
        description="Also what waits for them in other workflows, as each ExternalTaskMarker among them says.",
    )
    version: Literal["default", "pinned", "latest"] = Field(
        default="default",
        description="Which version they run from: the run's own, the newest, or by default the newest where the"
        " workflow comes from a folder and the run's own where it comes from version control.",
    )

    def command(self, meant: Meant) -> Clear:
        """What the owner of a run is told."""
        version = meant.version
        return Clear(
            meant.run.id,
            meant.references,
            only_failed=self.only_failed,
            only_running=self.only_running,
            spec_hash=version.spec_hash,
            snapshot=version.snapshot,
        )


class ClearRequest(ClearTasks, Around):
    """Tasks of a run, to run again."""


class ClearRangeRequest(ClearTasks, Between):
    """Tasks of several runs, to run again."""


class MarkTasks(Tasks):
    """Tasks to be given a state."""

    state: Literal["success", "failed", "skipped"]


class MarkRequest(MarkTasks, Around):
    """Tasks, or the run itself if none are named, to be given a state."""


class MarkRangeRequest(MarkTasks, Between):
    """Tasks of several runs, or the runs themselves if none are named, to be given a state."""


Runs = Callable[[Call, Connection], list[AnyRow]]
"""Finds the runs that a command is about, having asked whether the caller may do it to them."""


@resource.post("/runs/{run}/clear", RUN, response_model=Receipt, status_code=200)
async def clear_run(call: CurrentCall, run: RunNumber, body: ClearRequest) -> Response:
    """Run tasks of a run again: all, or those named with what lies above or below them.

    The setups that they need and the teardowns of those run again with them. A run that had ended begins again. If it
    takes a newer version, tasks that this does not have are removed from it, and new ones run.
    """
    return await _clear(call, body, lambda call, connection: _with_neighbours(call, connection, run, body))


@resource.post("/workflows/{workflow_id}/clear", RUN, response_model=Receipt, status_code=200)
async def clear_runs(call: CurrentCall, workflow_id: WorkflowId, body: ClearRangeRequest) -> Response:
    """Run tasks again in all runs of a range of logical dates."""
    wanted = body.filter()
    return await _clear(call, body, lambda call, connection: _in_range(call, connection, workflow_id, wanted))


@resource.post("/runs/{run}/mark", RUN, response_model=Receipt, status_code=200)
async def mark_run(call: CurrentCall, run: RunNumber, body: MarkRequest) -> Response:
    """Give tasks of a run a final state; or the run itself, if no task is named.

    Tasks below those marked that had failed for their sake may run again.
    """
    return await _mark(call, body, lambda call, connection: _with_neighbours(call, connection, run, body))


@resource.post("/workflows/{workflow_id}/mark", RUN, response_model=Receipt, status_code=200)
async def mark_runs(call: CurrentCall, workflow_id: WorkflowId, body: MarkRangeRequest) -> Response:
    """Give tasks, or the runs themselves, a final state in all runs of a range of logical dates."""
    wanted = body.filter()
    return await _mark(call, body, lambda call, connection: _in_range(call, connection, workflow_id, wanted))


@resource.post("/runs/{run}/cancel", RUN, response_model=Receipt, status_code=200)
async def cancel_run(call: CurrentCall, run: RunNumber) -> Response:
    """End a run: what runs is stopped and fails, what has not begun is skipped, teardowns still clean up."""

    def find(connection: Connection) -> list[Meant]:
        found = load_run(call, connection, run)
        if found.state.finished:
            raise Conflict(f"run {found.run_id!r} has ended already: {found.state}")
        return find_affected(connection, [found], Wanted(), ANY_STATE - FINISHED)

    return await _send(call, "cancel", Tasks(), find, lambda meant: MarkRun(meant.run.id, RunState.FAILED, "cancelled"))


async def _clear(call: Call, body: ClearTasks, runs: Runs) -> Response:
    if body.only_failed and body.only_running:
        raise Invalid("only_failed and only_running exclude each other")
    states = states_to_clear(Clear(0, (), only_failed=body.only_failed, only_running=body.only_running))
    version_of = VERSIONS[body.version]

    def find(connection: Connection) -> list[Meant]:
        found = find_affected(connection, runs(call, connection), body.wanted(with_setups=True), states, version_of)
        return with_waiting_workflows(call, connection, found, states, version_of) if body.recursive else found

    return await _send(call, "clear", body, find, body.command)


async def _mark(call: Call, body: MarkTasks, runs: Runs) -> Response:
    whole = not (body.tasks or body.groups)
    if whole and body.state == "skipped":
        raise Invalid("a run is marked success or failed: name the tasks that shall be skipped")
    states = ANY_STATE - (FINISHED if whole else {TaskState(body.state)})

    def find(connection: Connection) -> list[Meant]:
        return find_affected(connection, runs(call, connection), body.wanted(), states)

    def make(meant: Meant) -> RunCommand:
        if whole:
            return MarkRun(meant.run.id, RunState(body.state))
        return Mark(meant.run.id, meant.references, TaskState(body.state))

    return await _send(call, "mark", body, find, make)


def _with_neighbours(call: Call, connection: Connection, number: int, body: Around) -> list[AnyRow]:
    """A run, and those beside it that are meant too: all of one workflow, which is what is asked about."""
    return runs_beside(connection, load_run(call, connection, number), past=body.past, future=body.future)


def _in_range(call: Call, connection: Connection, workflow_id: str, wanted: RunFilter) -> list[AnyRow]:
    load_workflow(call, connection, workflow_id)
    return runs_between(connection, workflow_id, wanted)


async def _send(
    call: Call,
    verb: str,
    body: Tasks,
    find: Callable[[Connection], list[Meant]],
    make: Callable[[Meant], RunCommand],
) -> Response:
    """Send the command that `make` makes to every run that is meant; or only tell which instances it is about."""

    def send(connection: Connection) -> Effect:
        meant = find(connection)
        now = call.parts.clock.now()
        sent = tuple(commands.send(connection, each.run.workflow_id, each.run.id, make(each), now) for each in meant)
        return Effect(
            status=200,
            reply=_receipt(verb, meant),
            entries=_entries(verb, meant, body),
            wake=("scheduler",),
            sent=sent,
        )

    def look() -> Receipt:
        with call.parts.database.read() as connection:
            return _receipt(verb, find(connection))

    if body.dry_run:
        return JSONResponse((await run_in_threadpool(look)).model_dump(mode="json"))
    return await command(call, send)


def _receipt(verb: str, meant: Sequence[Meant]) -> Receipt:
    first = meant[0].run
    rows: list[dict[str, object]] = [
        {
            "workflow_id": each.run.workflow_id,
            "run_id": each.run.run_id,
            "task_id": row.task_id,
            "map_index": row.map_index,
            "state": row.state.shown,
        }
        for each in meant
        for row in each.instances
    ]
    return Receipt(workflow_id=first.workflow_id, run_id=first.run_id, command=verb, runs=len(meant), affected=rows)


def _entries(verb: str, meant: Sequence[Meant], body: Tasks) -> tuple[Entry, ...]:
    """One audit row for each team: of the first of its runs, with how many there were."""
    detail: dict[str, Any] = body.model_dump(mode="json", exclude_defaults=True)
    teams: dict[str, list[AnyRow]] = {}
    for each in meant:
        teams.setdefault(each.run.team, []).append(each.run)
    return tuple(
        Entry(
            team=team,
            action=f"run.{verb}",
            object_type="run",
            object_id=f"{runs[0].workflow_id}/{runs[0].run_id}",
            detail=detail | {"runs": len(runs)},
        )
        for team, runs in teams.items()
    )
