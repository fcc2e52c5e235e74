"""Commands to a run: clear, mark, cancel. What they name is resolved here; the owner of the run applies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from piper.core.graph import Graph
from piper.model.errors import Conflict, Invalid
from piper.model.events import Clear, InstanceRef, Mark, MarkRun, RunCommand
from piper.model.ids import UNMAPPED
from piper.model.nearest import did_you_mean
from piper.model.spec import WorkflowSpec
from piper.model.states import FINISHED, RunState, TaskState
from piper.store import commands, listings
from piper.store.audit import Entry
from piper.store.listings import AnyRow
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import RunNumber, load_run, load_spec
from piper.web.routing import Call, CurrentCall, Resource
from piper.web.writes import Effect, Receipt, command

RUN = Permission(Action.RUN, Kind.RUN)
_MOST_RUNS = 1000

resource = Resource("run commands")


class TaskRef(BaseModel):
    """A task of the run, or one instance of a mapped one."""

    model_config = ConfigDict(extra="forbid")

    task_id: str
    map_index: int | None = Field(default=None, ge=UNMAPPED, description="All instances if it is left out.")


class Selection(BaseModel):
    """Which tasks of which runs."""

    model_config = ConfigDict(extra="forbid")

    tasks: list[TaskRef] = Field(default=[], max_length=10_000, description="All tasks of the run if it is empty.")
    upstream: bool = Field(default=False, description="Also everything above them.")
    downstream: bool = Field(default=False, description="Also everything below them.")
    past: bool = Field(default=False, description="Also in the runs of earlier logical dates.")
    future: bool = Field(default=False, description="Also in the runs of later logical dates.")
    dry_run: bool = Field(default=False, description="Tell what would be affected, and change nothing.")


class ClearRequest(Selection):
    """Tasks to run again, as if they had not run."""

    only_failed: bool = Field(default=False, description="Only those that failed, or failed for their sake.")
    version: Literal["default", "pinned", "latest"] = Field(
        default="default",
        description="Which version they run from: the run's own, the newest, or by default the newest where the"
        " workflow comes from a folder and the run's own where it comes from version control.",
    )


class MarkRequest(Selection):
    """Tasks, or the run itself if none are named, to be given a state."""

    state: Literal["success", "failed", "skipped"]


@resource.post("/runs/{run}/clear", RUN, response_model=Receipt, status_code=200)
async def clear_run(call: CurrentCall, run: RunNumber, body: ClearRequest) -> Response:
    """Run tasks of a run again: all, or those named with what lies above or below them.

    A run that had ended begins again.
    """

    def clear(connection: Connection, found: AnyRow, refs: tuple[InstanceRef, ...]) -> RunCommand:
        spec_hash, snapshot = _version(connection, found, body.version)
        return Clear(found.id, refs, body.only_failed, spec_hash, snapshot)

    def affected(row: AnyRow) -> bool:
        return not body.only_failed or row.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED)

    return await _send(call, run, body, "clear", clear, affected)


@resource.post("/runs/{run}/mark", RUN, response_model=Receipt, status_code=200)
async def mark_run(call: CurrentCall, run: RunNumber, body: MarkRequest) -> Response:
    """Give tasks of a run a final state; or the run itself, if no task is named.

    Tasks below those marked that had failed for their sake may run again.
    """
    if body.tasks:
        state = TaskState(body.state)

        def mark(_: Connection, found: AnyRow, refs: tuple[InstanceRef, ...]) -> RunCommand:
            return Mark(found.id, refs, state)

        return await _send(call, run, body, "mark", mark, lambda row: row.state is not state)
    if body.state == "skipped":
        raise Invalid("a run is marked success or failed: name the tasks that shall be skipped")
    run_state = RunState(body.state)

    def mark_whole(_: Connection, found: AnyRow, __: tuple[InstanceRef, ...]) -> RunCommand:
        return MarkRun(found.id, run_state)

    return await _send(call, run, body, "mark", mark_whole, _is_unfinished)


@resource.post("/runs/{run}/cancel", RUN, response_model=Receipt, status_code=200)
async def cancel_run(call: CurrentCall, run: RunNumber) -> Response:
    """End a run: what runs is stopped and fails, what has not begun is skipped, teardowns still clean up."""

    def cancel(_: Connection, found: AnyRow, __: tuple[InstanceRef, ...]) -> RunCommand:
        if found.state.finished:
            raise Conflict(f"run {found.run_id!r} has ended already: {found.state}")
        return MarkRun(found.id, RunState.FAILED, "cancelled")

    return await _send(call, run, Selection(), "cancel", cancel, _is_unfinished)


Maker = Callable[[Connection, AnyRow, tuple[InstanceRef, ...]], RunCommand]


async def _send(
    call: Call, number: int, wanted: Selection, verb: str, make: Maker, affected: Callable[[AnyRow], bool]
) -> Response:
    """Send the command that `make` makes to every run that is meant; or only tell which instances it is about."""

    def resolve(connection: Connection) -> tuple[AnyRow, list[tuple[AnyRow, tuple[InstanceRef, ...]]], Receipt]:
        run = load_run(call, connection, number)
        meant = [
            (each, _resolve(load_spec(connection, each.spec_hash), wanted))
            for each in (run, *_other_runs(connection, run, wanted))
        ]
        rows = [
            {"run_id": each.run_id, "task_id": row.task_id, "map_index": row.map_index, "state": row.state.shown}
            for each, refs in meant
            for row in _named(listings.instance_states(connection, each.id), refs)
            if affected(row)
        ]
        return run, meant, Receipt(workflow_id=run.workflow_id, run_id=run.run_id, command=verb, affected=rows)

    def send(connection: Connection) -> Effect:
        run, meant, receipt = resolve(connection)
        now = call.parts.clock.now()
        sent = tuple(
            commands.send(connection, run.workflow_id, each.id, make(connection, each, refs), now)
            for each, refs in meant
        )
        detail: dict[str, Any] = wanted.model_dump(mode="json", exclude_defaults=True)
        entry = Entry(
            team=run.team,
            action=f"run.{verb}",
            object_type="run",
            object_id=f"{run.workflow_id}/{run.run_id}",
            detail=detail | {"runs": len(meant)},
        )
        return Effect(status=200, reply=receipt, entries=(entry,), wake=("scheduler",), sent=sent)

    def look() -> Receipt:
        with call.parts.database.read() as connection:
            return resolve(connection)[2]

    if wanted.dry_run:
        return JSONResponse((await run_in_threadpool(look)).model_dump(mode="json"))
    return await command(call, send)


def _resolve(spec: WorkflowSpec, wanted: Selection) -> tuple[InstanceRef, ...]:
    """The tasks that are named, and those above and below them. Raises Invalid for an unknown one."""
    graph = Graph(spec)
    if not wanted.tasks:
        return tuple(InstanceRef(task.task_id) for task in spec.tasks)
    refs: dict[tuple[str, int | None], InstanceRef] = {}
    for task in wanted.tasks:
        node = graph.node(task.task_id)
        if node is None:
            hint = did_you_mean(task.task_id, graph.index)
            raise Invalid(f"workflow {spec.workflow_id!r} has no task {task.task_id!r}{hint}")
        around: set[int] = set()
        if wanted.downstream:
            around |= graph.descendants(node.index)
        if wanted.upstream:
            around |= _above(graph, node.index)
        refs[task.task_id, task.map_index] = InstanceRef(task.task_id, task.map_index)
        refs.update({(spec.tasks[i].task_id, None): InstanceRef(spec.tasks[i].task_id) for i in sorted(around)})
    return tuple(refs.values())


def _above(graph: Graph, index: int) -> set[int]:
    found: set[int] = set()
    waiting = list(graph.nodes[index].upstream)
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting.extend(graph.nodes[at].upstream)
    return found


def _other_runs(connection: Connection, run: AnyRow, wanted: Selection) -> Sequence[AnyRow]:
    """The runs of earlier or later logical dates, if they are meant too."""
    moment = run.logical_date  # a run without one is before and after nothing
    before, after = moment if wanted.past else None, moment if wanted.future else None
    found = listings.runs_beside(connection, run.workflow_id, before, after, _MOST_RUNS + 1)
    if len(found) > _MOST_RUNS:
        raise Invalid(f"this would be about more than {_MOST_RUNS} runs: do it in parts")
    return found


def _named(rows: Iterable[AnyRow], refs: tuple[InstanceRef, ...]) -> list[AnyRow]:
    """The instances that the references are about."""
    whole = {ref.task_id for ref in refs if ref.map_index is None}
    single = {(ref.task_id, ref.map_index) for ref in refs}
    return [row for row in rows if row.task_id in whole or (row.task_id, row.map_index) in single]


def _version(connection: Connection, run: AnyRow, wanted: str) -> tuple[str, str]:
    """(spec hash, snapshot) that a cleared run goes on with; empty is its own."""
    workflow = listings.find_workflow(connection, run.workflow_id)
    if wanted == "default":
        bundle = listings.bundle_kind(connection, run.bundle)
        wanted = "pinned" if bundle == "git" else "latest"
    if wanted == "pinned" or workflow is None or workflow.stale:
        return "", ""
    return workflow.spec_hash, workflow.snapshot


def _is_unfinished(row: AnyRow) -> bool:
    return row.state not in FINISHED
