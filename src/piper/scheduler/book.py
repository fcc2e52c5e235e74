"""The runs that a scheduler has in memory, by number and by workflow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from piper.core.graph import Graph
from piper.core.memory import RunMemory
from piper.core.starts import OWN_LANE, Lane, lane_of, limit_of
from piper.model.backfill import Backfill
from piper.model.errors import PiperError
from piper.model.run import Run, TaskInstance
from piper.model.spec import decode_spec
from piper.model.states import RunState
from piper.model.workflow import ScheduledWorkflow
from piper.scheduler.quarantine import Quarantine
from piper.store.backfills import backfills_by_number
from piper.store.database import Database
from piper.store.schedules import spec_bodies, workflows_by_id

CACHED_TASKS = 200_000
"""Tasks in all cached graphs together: some 200 MB at worst, 40,000 workflows of five tasks."""


class Graphs:
    """The graphs of spec versions, built when first needed and kept while there is room."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._graphs: OrderedDict[str, Graph] = OrderedDict()
        self._tasks = 0

    def load(self, hashes: Collection[str]) -> None:
        """Have these graphs at hand."""
        missing = [h for h in hashes if h not in self._graphs]
        for start in range(0, len(missing), 500):
            with self._database.read() as connection:
                bodies = spec_bodies(connection, missing[start : start + 500])
            for spec_hash, body in bodies.items():
                # One that cannot be read must not hide the others: whoever gets it is told.
                with suppress(PiperError, msgspec.MsgspecError, ValueError, LookupError, TypeError, RecursionError):
                    self._keep(spec_hash, Graph(decode_spec(body)))

    def get(self, spec_hash: str) -> Graph:
        """The graph of a version. Raises KeyError if no such spec is stored, and what its reading raises."""
        graph = self._graphs.get(spec_hash)
        if graph is None:
            with self._database.read() as connection:
                body = spec_bodies(connection, [spec_hash])[spec_hash]
            graph = self._keep(spec_hash, Graph(decode_spec(body)))
        self._graphs.move_to_end(spec_hash)
        return graph

    def _keep(self, spec_hash: str, graph: Graph) -> Graph:
        self._graphs[spec_hash] = graph
        self._tasks += len(graph.nodes)
        while self._tasks > CACHED_TASKS and len(self._graphs) > 1:
            _, dropped = self._graphs.popitem(last=False)
            self._tasks -= len(dropped.nodes)
        return graph


@dataclass(slots=True)
class WorkflowRuns:
    """The active runs of one workflow, in their lanes."""

    workflow: ScheduledWorkflow
    lanes: dict[int, Lane] = field(default_factory=dict)
    runs: dict[int, RunMemory] = field(default_factory=dict)


class RunBook:
    """All active runs of the owned shards."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.graphs = Graphs(database)
        self.runs: dict[int, RunMemory] = {}
        self.workflows: dict[str, WorkflowRuns] = {}
        self.backfills: dict[int, Backfill] = {}
        """Those that have not ended, and those that have lanes."""
        self.quarantine = Quarantine[int]("run", "another process takes over")
        """Runs that cannot be decided."""

    def add(self, runs: Iterable[tuple[Run, list[TaskInstance]]]) -> list[RunMemory]:
        """Take runs into memory; one that has ended stays until it is filed after its next step. What cannot be read is
        put aside."""
        loaded = list(runs)
        self.graphs.load({run.spec_hash for run, _ in loaded})
        self._load_workflows({run.workflow_id for run, _ in loaded})
        self._load_backfills({run.backfill for run, _ in loaded if run.backfill is not None})
        added: list[RunMemory] = []
        for run, instances in loaded:
            with self.quarantine.guard(run.id):
                added.append(RunMemory(run, self.graphs.get(run.spec_hash), instances))
        for memory in added:
            run = memory.run
            self.runs[run.id] = memory
            self.workflows[run.workflow_id].runs[run.id] = memory
            if not run.state.finished:
                self.file(memory)
        return added

    def file(self, memory: RunMemory) -> None:
        """Put a run where its state says it belongs; one that has ended leaves the book."""
        run = memory.run
        lane = self._lane(run)
        if run.state is RunState.QUEUED:
            lane.enqueue(run)
        elif run.state is RunState.RUNNING:
            lane.started(run)
        else:
            self.forget(run.id)

    def forget(self, number: int) -> None:
        """Drop a run from memory."""
        memory = self.runs.pop(number, None)
        if memory is None:
            return
        group = self.workflows[memory.run.workflow_id]
        group.runs.pop(number, None)
        lane = self._lane(memory.run)
        lane.ended(number)
        if lane.empty:
            self._close_lane(group, lane_of(memory.run))
        if not group.runs:
            self.workflows.pop(memory.run.workflow_id, None)

    def forget_shards(self, shards: Collection[int]) -> None:
        """Drop every run of these shards."""
        for number in [n for n, memory in self.runs.items() if memory.run.shard in shards]:
            self.forget(number)

    def siblings(self, memory: RunMemory) -> Iterator[RunMemory]:
        """The other active runs of its workflow."""
        group = self.workflows.get(memory.run.workflow_id)
        return (m for m in (group.runs.values() if group else ()) if m.run.id != memory.run.id)

    def unfinished(self, workflow_id: str) -> int:
        """Runs of the workflow itself, backfills apart, that have not ended."""
        group = self.workflows.get(workflow_id)
        lane = None if group is None else group.lanes.get(OWN_LANE)
        return 0 if lane is None else lane.size

    def refresh(self, workflow: ScheduledWorkflow) -> None:
        """A workflow's row has changed."""
        group = self.workflows.get(workflow.workflow_id)
        if group is not None:
            group.workflow = workflow

    # --- lanes ---------------------------------------------------------------------------------

    def lanes_in_order(self, group: WorkflowRuns) -> Iterator[tuple[Lane, int]]:
        """The lanes of a workflow with how many runs of each may be running; its own before those of backfills."""
        for number in sorted(group.lanes):
            backfill = self.backfills.get(number)
            yield group.lanes[number], group.workflow.max_active_runs if backfill is None else limit_of(backfill)

    def lane_of_backfill(self, backfill: Backfill) -> Lane | None:
        """Where the unfinished runs of a backfill are; None if there are none."""
        group = self.workflows.get(backfill.workflow_id)
        return None if group is None else group.lanes.get(backfill.id)

    def know(self, backfill: Backfill) -> None:
        """This is how a backfill stands now."""
        if backfill.state.ended and self.lane_of_backfill(backfill) is None:
            self.backfills.pop(backfill.id, None)
        else:
            self.backfills[backfill.id] = backfill

    def _lane(self, run: Run) -> Lane:
        lanes, number = self.workflows[run.workflow_id].lanes, lane_of(run)
        lane = lanes.get(number)
        if lane is None:
            backfill = self.backfills.get(number)
            lane = lanes[number] = Lane(backwards=backfill is not None and backfill.backwards)
        return lane

    def _close_lane(self, group: WorkflowRuns, number: int) -> None:
        group.lanes.pop(number, None)
        backfill = self.backfills.get(number)
        if backfill is not None:
            self.know(backfill)

    def _load_backfills(self, numbers: Collection[int]) -> None:
        missing = [number for number in numbers if number not in self.backfills]
        if missing:
            with self._database.read() as connection:
                self.backfills |= backfills_by_number(connection, missing)

    def _load_workflows(self, ids: Collection[str]) -> None:
        missing = [i for i in ids if i not in self.workflows]
        if not missing:
            return
        with self._database.read() as connection:
            found = workflows_by_id(connection, missing)
        self.workflows |= {i: WorkflowRuns(workflow) for i, workflow in found.items()}
