"""A run's memory with changes laid over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec.structs import replace

from piper.core import callbacks
from piper.core.assets import changed_by
from piper.core.graph import Edge, Watch
from piper.core.memory import EVERY_INDEX, OUTER, AssetsChanged, Cancel, Changes, Facts, Key, RunMemory, TallyKey
from piper.core.retries import seed_of
from piper.core.task import Circumstances, Marked, NoSuchTransition, transition
from piper.core.trigger_rules import NOTHING, Tally
from piper.core.triggers import trigger_effects
from piper.model.events import TaskEvent
from piper.model.ids import UNMAPPED, instance_id
from piper.model.run import Callback, Run, TaskInstance
from piper.model.spec import TaskSpec
from piper.model.states import FINISHED, IN_FLIGHT, WAITING, TaskState

IDLE = frozenset({TaskState.NONE, TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE})
"""States in which the next thing for an instance is to be admitted."""


class Draft:
    """A run's memory with changes laid over it: read through them, changed one instance at a time.

    Whatever a change may concern is put on the agenda, to be looked at before the step ends.
    """

    def __init__(self, memory: RunMemory, facts: Facts, now: datetime) -> None:
        self.memory = memory
        self.graph = memory.graph
        self.facts = facts
        self.now = now
        self.changes = Changes(memory.run)
        self.in_flight = memory.in_flight
        self.unfinished = memory.unfinished
        self.patient = memory.patient
        self._in_flight_of: dict[int, int] = {}
        self._open_of: dict[int, int] = {}
        self._results_of: dict[int, int] = {}
        self._size_of: dict[int, int] = {}
        self._place_of: dict[int, Key] = {}
        self.resized: set[int] = set()
        """Mapped tasks that have as many instances as their lists have elements, by now."""
        self._agenda: deque[Key] = deque()
        self._on_agenda: set[Key] = set()

    # --- reading through the changes ---------------------------------------------------------

    @property
    def run(self) -> Run:
        """The run as it is by now."""
        return self.changes.run

    def at(self, key: Key) -> TaskInstance | None:
        """The instance at a place, if there is one."""
        if key in self.changes.instances:
            return self.changes.instances[key]
        return self.memory.instances.get(key)

    def place_of(self, number: int) -> Key | None:
        """Where the instance of a number is now."""
        return self._place_of.get(number) or self.memory.key_of.get(number)

    def size_of(self, node: int) -> int:
        """How many instances a task has."""
        found = self._size_of.get(node)
        return self.memory.size_of.get(node, 0) if found is None else found

    def open_of(self, node: int) -> int:
        """How many instances of a task have not ended."""
        return self.memory.open_of.get(node, 0) + self._open_of.get(node, 0)

    def results_of(self, node: int) -> int:
        """How many instances of a task have returned something."""
        return self.memory.results_of.get(node, 0) + self._results_of.get(node, 0)

    def in_flight_of(self, node: int) -> int:
        """How many instances of a task are with the executor or a worker."""
        return self.memory.in_flight_of.get(node, 0) + self._in_flight_of.get(node, 0)

    def tally(self, node: int, why: Watch, slot: int) -> Tally:
        """How those above a task have ended, as far as instances of one index see it."""
        key = (node, why, slot)
        found = self.changes.tallies.get(key)
        return self.memory.tallies.get(key, NOTHING) if found is None else found

    def keys_of(self, node: int) -> Iterator[Key]:
        """The places of a task's instances."""
        if self.at((node, UNMAPPED)) is not None:
            yield (node, UNMAPPED)
            return
        for i in range(self.size_of(node)):
            yield (node, i)

    def all_instances(self) -> Iterator[TaskInstance]:
        keys = dict.fromkeys((*self.memory.instances, *self.changes.instances))
        return (ti for ti in map(self.at, keys) if ti is not None)

    # --- changing one instance -----------------------------------------------------------------

    def happen(self, key: Key, ti: TaskInstance, event: object) -> TaskInstance | None:
        """Put an event through the table and take over what follows; None if the table refuses it."""
        node = self.graph.nodes[key[0]]
        seed = seed_of(self.run.workflow_id, ti.task_id, self.run.logical_date)
        try:
            after, row = transition(ti, event, Circumstances(node.spec, self.now, seed))
        except NoSuchTransition as refusal:
            self.changes.refused.append(str(refusal))
            return None
        if after is ti:
            return ti
        if row.cancels and ti.state in IN_FLIGHT:
            self.changes.effects.append(Cancel(ti.identity))
        if after.state is TaskState.SUCCESS and not isinstance(event, Marked):
            changed = changed_by(node.spec, event)
            if changed:
                self.changes.effects.append(AssetsChanged(after, changed))
        if TaskState.DEFERRED in (ti.state, after.state):
            self.changes.effects += trigger_effects(ti, after, event, node.spec)
        self._set(key, ti, after)
        return after

    def _set(self, key: Key, old: TaskInstance, new: TaskInstance) -> None:
        self.remember(old)
        self.changes.instances[key] = new
        if old.id in self.memory.ready or old.id in self.changes.ready:
            self.changes.ready[old.id] = None
        more = (new.result_length is not None) - (old.result_length is not None)
        if more:
            self._results_of[key[0]] = self._results_of.get(key[0], 0) + more
        if new.state is TaskState.NONE:
            self.look_at([key])  # also when it was none before: it is no longer ready until it has been looked at
        if old.state is new.state:
            return
        self._count(key[0], old.state, -1)
        self._count(key[0], new.state, 1)
        was, is_now = old.state in FINISHED, new.state in FINISHED
        if was or is_now:
            self._tell_watchers(key, old.state if was else None, new.state if is_now else None)

    def remember(self, old: TaskInstance) -> None:
        """Keep how an instance was before this step: the commit is guarded by it."""
        if old.id not in self.changes.created:
            self.changes.before.setdefault(old.id, old)

    def create(self, key: Key) -> None:
        """Make the instance at a place."""
        node = self.graph.nodes[key[0]]
        run = self.run
        ti = TaskInstance(
            id=instance_id(run.id, run.next_ordinal),
            task_id=node.spec.task_id,
            map_index=key[1],
            max_tries=node.spec.retry.retries,
        )
        self.changes.run = replace(run, next_ordinal=run.next_ordinal + 1)
        self.changes.created.add(ti.id)
        self.changes.instances[key] = ti
        self._place_of[ti.id] = key
        self._size_of[key[0]] = self.size_of(key[0]) + 1
        self._count(key[0], ti.state, 1)

    def _count(self, node: int, state: TaskState, by: int) -> None:
        if state in FINISHED:
            return
        self.unfinished += by
        self._open_of[node] = self._open_of.get(node, 0) + by
        if state in WAITING:
            self.patient += by
        elif state in IN_FLIGHT:
            self.in_flight += by
            self._in_flight_of[node] = self._in_flight_of.get(node, 0) + by

    def _tell_watchers(self, key: Key, before: TaskState | None, after: TaskState | None) -> None:
        node = self.graph.nodes[key[0]]
        for edge in node.watched_by:
            was = now = NOTHING
            for slot in (key[1], EVERY_INDEX) if edge.by_index else (OUTER,):
                tally_key = (edge.watcher, edge.why, slot)
                was = now = self.tally(*tally_key)
                if before is not None:
                    now = now.counting(before, -1, node.spec.setup)
                if after is not None:
                    now = now.counting(after, 1, node.spec.setup)
                self.changes.tallies[tally_key] = now
            self.look_at(self._watching(edge, key, was, now))

    def _watching(self, edge: Edge, key: Key, was: Tally, now: Tally) -> Iterable[Key]:
        """The instances of a watcher whose verdict the end of the instance at `key` can change.

        Of a watcher with thousands of instances that must not be all of them each time: below a mapped task of the
        same size, the work would grow with the square.

        Arguments:
            was, now: the tally that they share, before and after.
        """
        if self.at((edge.watcher, UNMAPPED)) is not None:
            return ((edge.watcher, UNMAPPED),)
        if edge.by_index and key[1] != UNMAPPED:
            return ((edge.watcher, key[1]),)
        if was.outline != now.outline or was.removed or now.removed:
            return self.keys_of(edge.watcher)
        watcher = self.graph.nodes[edge.watcher]
        if key[0] in watcher.length_sources and not self.open_of(key[0]):
            return self.keys_of(edge.watcher)  # perhaps it has another length now
        if key[0] in watcher.branchers:
            return self.keys_of(edge.watcher) if key[1] == UNMAPPED else ((edge.watcher, key[1]),)
        return ()

    def grow(self, key: TallyKey, by: int, spec: TaskSpec) -> None:
        """Have a tally expect more upstream instances, or fewer."""
        if by:
            self.changes.tallies[key] = self.tally(*key).growing(by, spec.setup)

    def move(self, ti: TaskInstance, key: Key, to: Key) -> None:
        """Put an instance at another place of its task: the one that was not mapped yet becomes the first."""
        self.remember(ti)
        if key in self.memory.instances:
            self.changes.instances[key] = None
        else:
            del self.changes.instances[key]
        self.changes.instances[to] = replace(ti, map_index=to[1])
        self._place_of[ti.id] = to

    # --- what must be looked at ----------------------------------------------------------------

    def look_at(self, keys: Iterable[Key]) -> None:
        """Put places on the agenda."""
        for key in keys:
            if key not in self._on_agenda:
                self._on_agenda.add(key)
                self._agenda.append(key)

    def agenda(self) -> Iterator[Key]:
        """Take places from the agenda until it is empty, also those that are put there meanwhile."""
        while self._agenda:
            key = self._agenda.popleft()
            self._on_agenda.discard(key)
            yield key

    # --- callbacks -----------------------------------------------------------------------------

    def call(self, callback: Callback | None) -> None:
        """Have something called on a worker, if there is something to call."""
        if callback is None:
            return
        ordinal = self.run.next_ordinal
        ti = callbacks.made(callback, instance_id(self.run.id, ordinal), ordinal)
        self.changes.run = replace(self.run, next_ordinal=ordinal + 1)
        self.changes.created.add(ti.id)
        self.changes.callbacks[ti.id] = ti

    def follow_callback(self, ti: TaskInstance, event: TaskEvent) -> None:
        """Apply the report of a callback."""
        try:
            after = callbacks.after_report(ti, event, self.now)
        except NoSuchTransition as refusal:
            self.changes.refused.append(str(refusal))
            return
        if after is not ti:
            self.remember(ti)
            self.changes.callbacks[ti.id] = after
