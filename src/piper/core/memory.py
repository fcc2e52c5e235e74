"""What the owner of a run keeps of it between steps, and what a step changes.

A memory is built from rows when a run is loaded and is changed only by `RunMemory.take_over`, after the
changes have been committed. If a commit fails or its outcome is unknown, the memory is dropped and built
again: it holds nothing that the database does not say.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from piper.core.graph import Graph, Node, Watch
from piper.core.trigger_rules import NOTHING, Tally
from piper.core.triggers import StartTrigger, StopTrigger
from piper.model.events import AssetEventOut
from piper.model.ids import UNMAPPED
from piper.model.run import Identity, Run, TaskInstance
from piper.model.states import FINISHED, IN_FLIGHT, WAITING, TaskState

Key = tuple[int, int]
"""(node, map_index)."""

TallyKey = tuple[int, Watch, int]
"""(watching node, why, slot): OUTER for what all its instances share, else the index of a mapped group."""

OUTER = -2
EVERY_INDEX = -3
"""Slot with the sum over all indexes of a mapped group: what an instance that is not yet expanded sees
if its rule could be satisfied by some of them."""

ReadyEntry = tuple[int, int]
"""(-priority, instance number): the order of admission."""

SHARED = -1
"""The ready queue of all tasks without a limit of their own; such a task has a queue to itself."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """End this execution: its instance has moved on without it."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run has reached an end."""

    run: Run


@dataclass(frozen=True, slots=True)
class AssetsChanged:
    """An instance has succeeded, and by that changed these assets: whoever is scheduled by them must hear of it."""

    instance: TaskInstance
    assets: tuple[AssetEventOut, ...]


Effect = Cancel | RunEnded | AssetsChanged | StartTrigger | StopTrigger


@dataclass(slots=True)
class Changes:
    """What one step makes different. Nothing in the memory has been touched yet."""

    run: Run
    instances: dict[Key, TaskInstance | None] = field(default_factory=dict)
    """New values by place; None where an instance has moved to another index."""
    created: set[int] = field(default_factory=set)
    """Numbers of the instances among them that are new."""
    before: dict[int, TaskInstance] = field(default_factory=dict)
    """What the changed ones were, by number: their identities and states are the guards."""
    tallies: dict[TallyKey, Tally] = field(default_factory=dict)
    ready: dict[int, tuple[int, ReadyEntry] | None] = field(default_factory=dict)
    """By instance number: (queue, entry) of one that became ready, None of one that no longer is."""
    effects: list[Effect] = field(default_factory=list)
    callbacks: dict[int, TaskInstance] = field(default_factory=dict)
    """New values of callbacks, by number."""
    vanished: list[TaskInstance] = field(default_factory=list)
    """New values of instances whose tasks the run's version does not have."""
    refused: list[str] = field(default_factory=list)
    """Transitions that the table does not have: a fault to count and to look into, not to act on."""

    def updated(self) -> Iterator[TaskInstance]:
        """The instances that exist already and differ."""
        yield from (ti for ti in self.instances.values() if ti is not None and ti.id not in self.created)
        yield from self.vanished
        yield from (ti for ti in self.callbacks.values() if ti.id not in self.created)

    def inserted(self) -> Iterator[TaskInstance]:
        """The new instances."""
        return (ti for ti in self.instances.values() if ti is not None and ti.id in self.created)


class RunMemory:
    """One run as its owner knows it."""

    __slots__ = (
        "callbacks",
        "graph",
        "in_flight",
        "in_flight_of",
        "instances",
        "key_of",
        "open_of",
        "orphans",
        "patient",
        "ready",
        "ready_queues",
        "results_of",
        "run",
        "size_of",
        "tallies",
        "unfinished",
    )

    def __init__(self, run: Run, graph: Graph, instances: Iterable[TaskInstance] = ()) -> None:
        self.run = run
        self.graph = graph
        self.instances: dict[Key, TaskInstance] = {}
        self.key_of: dict[int, Key] = {}
        self.tallies: dict[TallyKey, Tally] = {}
        self.size_of: dict[int, int] = {}
        """How many instances a node has."""
        self.open_of: dict[int, int] = {}
        """How many of them have not ended."""
        self.results_of: dict[int, int] = {}
        """How many of them have returned something."""
        self.in_flight_of: dict[int, int] = {}
        self.in_flight = 0
        self.patient = 0
        """Instances in a wait that ends by itself: while there is one, the run is not deadlocked."""
        self.unfinished = 0
        self.ready: dict[int, tuple[int, ReadyEntry]] = {}
        self.ready_queues: dict[int, list[ReadyEntry]] = {}
        self.orphans: dict[int, TaskInstance] = {}
        """By number, instances of tasks that the run had in another version and has not in this one."""
        self.callbacks: dict[int, TaskInstance] = {}
        """By number, what is called for the run besides its tasks (`core.callbacks`)."""
        self._count_edges()
        here = []
        for ti in instances:
            if ti.callback is not None:
                self.callbacks[ti.id] = ti
            else:
                here.append(ti)
        mapped = {ti.task_id for ti in here if ti.map_index != UNMAPPED}
        for ti in here:
            node = graph.node(ti.task_id)
            if node is None or not _fits(node, ti.map_index, ti.task_id in mapped):
                self.orphans[ti.id] = ti
            else:
                self._place((node.index, ti.map_index), ti)

    def instance(self, number: int) -> TaskInstance | None:
        """The instance of that number, if this run has it."""
        key = self.key_of.get(number)
        return None if key is None else self.instances[key]

    def everything(self) -> Iterator[TaskInstance]:
        """All instances of the run, of callbacks and of tasks that its version does not have included."""
        yield from self.instances.values()
        yield from self.orphans.values()
        yield from self.callbacks.values()

    @property
    def deadline(self) -> datetime | None:
        """When the run, once it has begun, has taken too long; None if it never does."""
        timeout, started = self.graph.spec.run_timeout, self.run.started_at
        if timeout is None or started is None:
            return None
        try:
            return started + timeout
        except OverflowError:  # after the end of the calendar
            return None

    def timers(self) -> Iterator[tuple[datetime, int]]:
        """(moment, instance number) of every wait that a timer ends."""
        return ((ti.due, ti.id) for ti in self.instances.values() if ti.due is not None)

    def take_over(self, changes: Changes) -> None:
        """Make committed changes true in memory."""
        self.run = changes.run
        for key, ti in changes.instances.items():
            if ti is None:
                self._forget(key)
        for key, ti in changes.instances.items():
            if ti is not None:
                self._replace(key, ti)
        self.orphans |= {ti.id: ti for ti in changes.vanished}
        self.callbacks |= changes.callbacks
        self.tallies.update(changes.tallies)
        for number, entry in changes.ready.items():
            if entry is None:
                self.ready.pop(number, None)
            else:
                self.ready[number] = entry
                heapq.heappush(self.ready_queues.setdefault(entry[0], []), entry[1])
        self._drop_spent_entries()

    def ready_in_order(self, queue: int) -> Iterator[ReadyEntry]:
        """The entries of a ready queue, first to be admitted first, without changing the queue."""
        heap = self.ready_queues.get(queue)
        if not heap:
            return
        frontier = [(heap[0], 0)]
        while frontier:
            entry, i = heapq.heappop(frontier)
            if self.ready.get(entry[1]) == (queue, entry):
                yield entry
            for child in (2 * i + 1, 2 * i + 2):
                if child < len(heap):
                    heapq.heappush(frontier, (heap[child], child))

    def _count_edges(self) -> None:
        """Begin each tally with its totals: one for each watched task, until that is expanded."""
        totals: dict[TallyKey, Tally] = {}
        for node in self.graph.nodes:
            for edge in node.watched_by:
                slots = (UNMAPPED, EVERY_INDEX) if edge.by_index else (OUTER,)
                for slot in slots:
                    key = (edge.watcher, edge.why, slot)
                    totals[key] = totals.get(key, NOTHING).growing(1, node.spec.setup)
        self.tallies = totals

    def _place(self, key: Key, ti: TaskInstance) -> None:
        """Add an instance that was loaded, with all that it means for those who watch its task."""
        node, map_index = key
        first = node not in self.size_of
        self._replace(key, ti)
        spec = self.graph.nodes[node].spec
        for edge in self.graph.nodes[node].watched_by:
            if edge.by_index:
                slots: tuple[int, ...] = (map_index, EVERY_INDEX)
                if map_index != UNMAPPED:
                    self._bump((edge.watcher, edge.why, map_index), 1, None, spec.setup)
                    if first:
                        self._bump((edge.watcher, edge.why, UNMAPPED), -1, None, spec.setup)
                    else:
                        self._bump((edge.watcher, edge.why, EVERY_INDEX), 1, None, spec.setup)
            else:
                slots = (OUTER,)
                if not first:
                    self._bump((edge.watcher, edge.why, OUTER), 1, None, spec.setup)
            if ti.state in FINISHED:
                for slot in slots:
                    self._bump((edge.watcher, edge.why, slot), 0, ti.state, spec.setup)

    def _bump(self, key: TallyKey, growth: int, state: TaskState | None, setup: bool) -> None:
        tally = self.tallies.get(key, NOTHING)
        if growth:
            tally = tally.growing(growth, setup)
        if state is not None:
            tally = tally.counting(state, 1, setup)
        self.tallies[key] = tally

    def _replace(self, key: Key, ti: TaskInstance) -> None:
        old = self.instances.get(key)
        node = key[0]
        if old is None:
            self.size_of[node] = self.size_of.get(node, 0) + 1
        else:
            self._count(node, old, -1)
        self._count(node, ti, 1)
        self.instances[key] = ti
        self.key_of[ti.id] = key

    def _forget(self, key: Key) -> None:
        old = self.instances.pop(key)
        self.key_of.pop(old.id, None)
        self.size_of[key[0]] -= 1
        self._count(key[0], old, -1)

    def _count(self, node: int, ti: TaskInstance, by: int) -> None:
        state = ti.state
        if ti.result_length is not None:
            self.results_of[node] = self.results_of.get(node, 0) + by
        if state not in FINISHED:
            self.unfinished += by
            self.open_of[node] = self.open_of.get(node, 0) + by
            if state in WAITING:
                self.patient += by
            elif state in IN_FLIGHT:
                self.in_flight += by
                self.in_flight_of[node] = self.in_flight_of.get(node, 0) + by

    def _drop_spent_entries(self) -> None:
        """Keep the head of every queue an entry that is still ready, so that queues do not grow for ever."""
        for queue, heap in self.ready_queues.items():
            while heap and self.ready.get(heap[0][1]) != (queue, heap[0]):
                heapq.heappop(heap)


def _fits(node: Node, map_index: int, has_indexes: bool) -> bool:
    """Whether an instance is one that its task can have in this version: it may be mapped in one and not in another.

    Arguments:
        has_indexes: the run has instances of this task with a map index.
    """
    if node.length is None:
        return map_index == UNMAPPED
    return map_index != UNMAPPED or not has_indexes


@dataclass(frozen=True, slots=True)
class Facts:
    """What a step must know that lies outside the run."""

    previous: Mapping[str, tuple[TaskState, ...]] | None = None
    """States of the run before, by task id, of the tasks asked for; None when there is no run before."""
    previous_date: datetime | None = None
    """The logical date of that run."""
    in_flight_elsewhere: Mapping[str, int] = field(default_factory=dict)
    """Instances in flight in other runs of the workflow, of tasks with a limit over all runs."""
    frozen: bool = False
    """The workflow is paused: nothing is admitted, what runs goes on."""


NO_FACTS = Facts()
