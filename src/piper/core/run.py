"""What happens to a run, now that this happened.

`step` applies events to a draft over the run's memory, settles it (evaluates every instance that a change
may concern, until nothing changes), admits what is ready within the run's limits, and closes the run if
it has ended.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from piper.core import callbacks
from piper.core.assets import changed_by
from piper.core.graph import FAST_RULES, Edge, Node, Watch
from piper.core.lengths import length_of
from piper.core.memory import (
    EVERY_INDEX,
    NO_FACTS,
    OUTER,
    SHARED,
    AssetsChanged,
    Cancel,
    Changes,
    Facts,
    Key,
    ReadyEntry,
    RunEnded,
    RunMemory,
    TallyKey,
)
from piper.core.retries import seed_of
from piper.core.selection import states_to_clear
from piper.core.task import (
    Admitted,
    Circumstances,
    Cleared,
    Marked,
    NoSuchTransition,
    Passed,
    RuleDecided,
    Stale,
    TimedOut,
    Vanished,
    transition,
)
from piper.core.trigger_rules import NOTHING, Tally, Verdict, evaluate, evaluate_setups
from piper.core.triggers import trigger_effects
from piper.model.events import Clear, InstanceRef, Mark, MarkRun, TaskEvent
from piper.model.ids import UNMAPPED, instance_id
from piper.model.run import Callback, Run, TaskInstance
from piper.model.spec import TaskSpec
from piper.model.states import FINISHED, IN_FLIGHT, WAITING, RunState, TaskState, TriggerRule

IDLE = frozenset({TaskState.NONE, TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE})
"""States in which the next thing for an instance is to be admitted."""

SUSPENDED = frozenset({TaskState.DEFERRED, TaskState.UP_FOR_RESCHEDULE, TaskState.AWAITING_INPUT})
"""Between two legs of a try: a run that is marked gives these the state that it gives what runs."""

PAST_IS_GOOD = frozenset({TaskState.SUCCESS, TaskState.SKIPPED})


class Begin(Struct, frozen=True):
    """The run may start, or go on after a clear: make its instances and look at all of them."""


class Due(Struct, frozen=True):
    """The moment has come that these instances waited for."""

    instances: tuple[int, ...]


class RunOverdue(Struct, frozen=True):
    """The run has taken longer than its timeout."""


class PastChanged(Struct, frozen=True):
    """Something that `Facts` tells has changed: look again at the tasks that depend on it."""


RunEvent = TaskEvent | Begin | Due | RunOverdue | PastChanged | Clear | Mark | MarkRun


def step(memory: RunMemory, events: Iterable[RunEvent], now: datetime, facts: Facts = NO_FACTS) -> Changes:
    """Apply events to a run, in order. Same inputs, same answer; the memory is read and not changed.

    Arguments:
        now: the moment of the decision, aware.
        facts: what lies outside the run (see `memory.Facts`).
    """
    draft = _Draft(memory, facts, now)
    for event in events:
        draft.apply(event)
    draft.settle()
    draft.admit()
    if draft.is_stuck():
        draft.look_at_the_past()
    draft.close()
    return draft.changes


class _Draft:
    """A memory with changes laid over it."""

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
        self._agenda: deque[Key] = deque()
        self._on_agenda: set[Key] = set()
        self._resized: set[int] = set()

    # --- reading through the changes ---------------------------------------------------------

    @property
    def run(self) -> Run:
        return self.changes.run

    def at(self, key: Key) -> TaskInstance | None:
        if key in self.changes.instances:
            return self.changes.instances[key]
        return self.memory.instances.get(key)

    def size_of(self, node: int) -> int:
        found = self._size_of.get(node)
        return self.memory.size_of.get(node, 0) if found is None else found

    def open_of(self, node: int) -> int:
        return self.memory.open_of.get(node, 0) + self._open_of.get(node, 0)

    def results_of(self, node: int) -> int:
        return self.memory.results_of.get(node, 0) + self._results_of.get(node, 0)

    def in_flight_of(self, node: int) -> int:
        return self.memory.in_flight_of.get(node, 0) + self._in_flight_of.get(node, 0)

    def tally(self, node: int, why: Watch, slot: int) -> Tally:
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

    # --- events --------------------------------------------------------------------------------

    def apply(self, event: RunEvent) -> None:
        match event:
            case Begin():
                self._begin()
            case Due(instances):
                for number in instances:
                    self._due(number)
            case RunOverdue():
                if self.run.state is RunState.RUNNING:
                    self._end_all(IN_FLIGHT, TaskState.SKIPPED)
                    self._end_run(RunState.FAILED, "timed_out")
            case PastChanged():
                for node in (*self.graph.remembers_past, *self.graph.limited_across_runs):
                    self._look_at(self.keys_of(node))
            case Clear():
                self._clear(event)
            case Mark():
                self._mark(event)
            case MarkRun():
                self._mark_run(event)
            case _:
                self._report(event)

    def _begin(self) -> None:
        """Every task valid on the run's date gets an instance; all are looked at once."""
        run = self.run
        if run.state.finished:
            return
        self.changes.run = replace(run, state=RunState.RUNNING, started_at=run.started_at or self.now)
        for node in self.graph.nodes:
            if self.size_of(node.index) == 0 and _valid_on(node.spec, run):
                self._create((node.index, UNMAPPED))
                if node.length is not None:
                    self._expand_over_literals(node)
            self._look_at(self.keys_of(node.index))

    def _due(self, number: int) -> None:
        key = self.place_of(number)
        ti = None if key is None else self.at(key)
        if key is None or ti is None or ti.due is None or ti.due > self.now:
            return
        if ti.state is TaskState.DEFERRED:
            self._happen(key, ti, TimedOut())
        self._look_at([key])

    def _report(self, event: TaskEvent) -> None:
        called = self.changes.callbacks.get(event.identity.instance) or self.memory.callbacks.get(
            event.identity.instance
        )
        if called is not None:
            self._follow_callback(called, event)
            return
        key = self.place_of(event.identity.instance)
        ti = None if key is None else self.at(key)
        if key is None or ti is None:
            if event.identity.instance not in self.memory.orphans:
                self.changes.refused.append(f"no instance {event.identity.instance} in run {self.run.id}")
            return
        after = self._happen(key, ti, event if ti.identity == event.identity else Stale())
        if after is None or after is ti:
            return
        self._call(callbacks.of_task(self.graph.nodes[key[0]].spec, ti, after, event, self.now))
        if after.decision is not None:
            self._obey(key, after)
        if after.state is TaskState.FAILED and self.graph.spec.fail_fast and not self.graph.nodes[key[0]].spec.teardown:
            self._fail_fast(ti.task_id)
        self._look_at([key])

    def _fail_fast(self, task_id: str) -> None:
        """A task has failed, and with it everything ends that is no teardown."""
        running = [(key, ti) for key in self.memory.instances if (ti := self.at(key)) and ti.state in IN_FLIGHT]
        self._end_all(IN_FLIGHT, TaskState.FAILED, sparing=self.graph.teardowns)
        for key, before in running:
            after = self.at(key)
            if after is not None and after is not before:
                error = f"ended since task {task_id!r} failed"
                spec = self.graph.nodes[key[0]].spec
                self._call(callbacks.of_task_ended(spec, before, after, error, self.now))

    def _clear(self, event: Clear) -> None:
        """Forget what the named instances did; a run that had ended waits to be begun again.

        A clear that pins the run to another version finds the memory on the graph of that version.
        """
        cleared = False
        repinned = bool(event.spec_hash) and event.spec_hash != self.run.spec_hash
        if repinned:
            self._fit_into_version()
        states = states_to_clear(event)
        for key in list(self._named(event.tasks)):
            ti = self.at(key)
            if ti is not None and ti.state in states:
                self._happen(key, ti, Cleared())
                cleared = True
        if not (cleared or event.spec_hash):
            return
        run = replace(
            self.run,
            clears=self.run.clears + 1,
            spec_hash=event.spec_hash or self.run.spec_hash,
            snapshot=event.snapshot or self.run.snapshot,
        )
        if run.state.finished:
            run = replace(run, state=RunState.QUEUED, queued_at=self.now, started_at=None, ended_at=None, reason="")
        self.changes.run = run
        if repinned and run.state is RunState.RUNNING:
            self._begin()  # what is new is made now: otherwise the run might end without it

    def _fit_into_version(self) -> None:
        """The run goes on with another version: what that does not have is removed, what is in it again comes back."""
        for orphan in self.memory.orphans.values():
            if orphan.state is not TaskState.REMOVED:
                spec = TaskSpec(orphan.task_id, "")
                after, _ = transition(orphan, Vanished(), Circumstances(spec, self.now, ""))
                self.changes.effects += trigger_effects(orphan, after, Vanished(), spec)
                self._remember(orphan)
                self.changes.vanished.append(after)
                if orphan.state in IN_FLIGHT:
                    self.changes.effects.append(Cancel(orphan.identity))
        for node in self.graph.nodes:
            found = [(key, ti) for key in self.keys_of(node.index) if (ti := self.at(key)) is not None]
            if all(ti.state is TaskState.REMOVED for _, ti in found):
                for key, ti in found:
                    self._happen(key, ti, Cleared())

    def _mark(self, event: Mark) -> None:
        """Give instances a terminal state; what had failed below them for their sake may run again."""
        marked: set[int] = set()
        for key in list(self._named(event.tasks)):
            ti = self.at(key)
            if ti is not None and ti.state is not event.state:
                self._happen(key, ti, Marked(event.state))
                marked.add(key[0])
        below = frozenset[int]().union(*(self.graph.descendants(n) for n in marked))
        for node in below - marked:
            for key in list(self.keys_of(node)):
                ti = self.at(key)
                if ti is not None and ti.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED):
                    self._happen(key, ti, Cleared())
        if marked and self.run.state.finished and self.unfinished:
            self.changes.run = replace(
                self.run, state=RunState.QUEUED, queued_at=self.now, started_at=None, ended_at=None, reason=""
            )

    def _mark_run(self, event: MarkRun) -> None:
        """What runs or waits takes the state, what has not begun is skipped; teardowns still clean up first."""
        state = TaskState.SUCCESS if event.state is RunState.SUCCESS else TaskState.FAILED
        self._end_all(IN_FLIGHT | SUSPENDED, state, sparing=self.graph.teardowns)
        if self.unfinished == 0 and self.run.state is not event.state:
            self._end_run(event.state, event.reason)

    def _named(self, refs: Sequence[InstanceRef]) -> Iterator[Key]:
        for ref in refs:
            node = self.graph.node(ref.task_id)
            if node is None:
                continue
            if ref.map_index is None:
                yield from self.keys_of(node.index)
            else:
                yield (node.index, ref.map_index)

    # --- changing one instance -----------------------------------------------------------------

    def _happen(self, key: Key, ti: TaskInstance, event: object) -> TaskInstance | None:
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
        self._remember(old)
        self.changes.instances[key] = new
        if old.id in self.memory.ready or old.id in self.changes.ready:
            self.changes.ready[old.id] = None
        more = (new.result_length is not None) - (old.result_length is not None)
        if more:
            self._results_of[key[0]] = self._results_of.get(key[0], 0) + more
        if new.state is TaskState.NONE:
            self._look_at([key])  # also when it was none before: it is no longer ready until it has been looked at
        if old.state is new.state:
            return
        self._count(key[0], old.state, -1)
        self._count(key[0], new.state, 1)
        was, is_now = old.state in FINISHED, new.state in FINISHED
        if was or is_now:
            self._tell_watchers(key, old.state if was else None, new.state if is_now else None)

    def _remember(self, old: TaskInstance) -> None:
        if old.id not in self.changes.created:
            self.changes.before.setdefault(old.id, old)

    def _create(self, key: Key) -> None:
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
            self._look_at(self._watching(edge, key, was, now))

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

    # --- settling ------------------------------------------------------------------------------

    def _look_at(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if key not in self._on_agenda:
                self._on_agenda.add(key)
                self._agenda.append(key)

    def settle(self) -> None:
        """Evaluate whatever a change may concern, until nothing changes any more."""
        while self._agenda:
            key = self._agenda.popleft()
            self._on_agenda.discard(key)
            ti = self.at(key)
            if ti is not None and ti.state in IDLE and self.run.state is RunState.RUNNING:
                self._evaluate(key, ti)

    def _evaluate(self, key: Key, ti: TaskInstance) -> None:
        node = self.graph.nodes[key[0]]
        verdict = self._verdict(node, ti)
        if verdict is Verdict.RUN and node.length is not None:
            verdict = self._fit(node, key, ti)
        match verdict:
            case Verdict.SKIP:
                self._happen(key, ti, RuleDecided(TaskState.SKIPPED))
            case Verdict.FAIL:
                self._happen(key, ti, RuleDecided(TaskState.UPSTREAM_FAILED))
            case Verdict.REMOVE:
                self._happen(key, ti, RuleDecided(TaskState.REMOVED))
            case Verdict.RUN if node.spec.inert and ti.state is TaskState.NONE:
                self._happen(key, ti, Passed())
            case Verdict.RUN if ti.due is None or ti.due <= self.now:
                queue = node.index if _has_own_limit(node.spec) else SHARED
                self.changes.ready[ti.id] = (queue, (-node.spec.priority, ti.id))
            case _:
                if ti.id in self.memory.ready or ti.id in self.changes.ready:
                    self.changes.ready[ti.id] = None

    def _verdict(self, node: Node, ti: TaskInstance) -> Verdict:
        verdict = self._verdict_now(node, ti.map_index)
        if verdict is Verdict.RUN or (verdict is Verdict.SKIP and node.spec.wait_for_past_depends_before_skipping):
            return verdict if self._past_allows(node) else Verdict.WAIT
        return verdict

    def _verdict_now(self, node: Node, map_index: int) -> Verdict:
        if node.length_sources:
            verdict = self._verdict_of_sources(node)
            if verdict is not Verdict.RUN:
                return verdict
        if node.branchers and self._was_skipped_by_a_branch(node, map_index):
            return Verdict.SKIP
        if not node.upstream or node.spec.trigger_rule is TriggerRule.ALWAYS:
            return Verdict.RUN
        by_setups = Verdict.RUN
        if node.setups:
            by_setups = evaluate_setups(self._seen(node, Watch.SETUP, map_index), map_index)
            if by_setups not in (Verdict.RUN, Verdict.WAIT):
                return by_setups
        seen = self._seen(node, Watch.RULE, map_index)
        if map_index == UNMAPPED and node.mapped_group and not seen.total:
            return by_setups  # all above it are instances of its group: it expands, and each index looks at its own
        by_rule = evaluate(node.spec.trigger_rule, seen, map_index)
        if by_rule is not Verdict.RUN:
            return by_rule
        if node.scope:
            scope = self._seen(node, Watch.SCOPE, map_index)
            if scope.done < scope.total:
                return Verdict.WAIT
        return by_setups

    def _seen(self, node: Node, why: Watch, map_index: int) -> Tally:
        """The upstream instances that an instance of this index looks at."""
        tally = self.tally(node.index, why, OUTER)
        if not node.mapped_group:
            return tally
        if map_index != UNMAPPED:
            return tally.plus(self.tally(node.index, why, map_index)).plus(self.tally(node.index, why, UNMAPPED))
        slot = EVERY_INDEX if node.spec.trigger_rule in FAST_RULES else UNMAPPED
        return tally.plus(self.tally(node.index, why, slot))

    def _verdict_of_sources(self, node: Node) -> Verdict:
        """A task whose mapping input has not succeeded shares its fate, whatever the rule says."""
        skipped = False
        for source in node.length_sources:
            ti = self.at((source, UNMAPPED))
            if ti is None or ti.state not in FINISHED or ti.state is TaskState.SUCCESS:
                continue
            if ti.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED):
                return Verdict.FAIL
            skipped = True
        return Verdict.SKIP if skipped else Verdict.RUN

    def _was_skipped_by_a_branch(self, node: Node, map_index: int) -> bool:
        for above in node.branchers:
            brancher = self.graph.nodes[above]
            shared = bool(node.mapped_group) and brancher.mapped_group == node.mapped_group
            ti = self.at((above, map_index if shared or brancher.spec.mapped is not None else UNMAPPED))
            if ti is None or ti.state is not TaskState.SUCCESS or ti.decision is None:
                continue
            if ti.decision.followed is not None and node.index not in self.graph.follow_set(ti.decision.followed):
                return True
            if node.spec.task_id in ti.decision.skipped:
                return True
            if ti.decision.skip_descendants and not node.spec.teardown:
                return True
        return False

    def _past_allows(self, node: Node) -> bool:
        spec, previous = node.spec, self.facts.previous
        if not (spec.depends_on_past or spec.wait_for_downstream):
            return True
        if previous is None or self.run.logical_date is None:
            return True
        states = previous.get(spec.task_id)
        if not states:
            return spec.ignore_first_depends_on_past or self._starts_after(spec, self.facts.previous_date)
        if not PAST_IS_GOOD.issuperset(states):
            return False
        if spec.wait_for_downstream:
            below = (previous.get(self.graph.nodes[d].spec.task_id, ()) for d in node.downstream)
            return all(PAST_IS_GOOD.issuperset(s) for s in below)
        return True

    def _starts_after(self, spec: TaskSpec, date: datetime | None) -> bool:
        """Whether a task was not yet meant to run on that date; as in Airflow that counts only with catchup."""
        return self.graph.spec.schedule.catchup and spec.start is not None and date is not None and spec.start > date

    # --- mapping -------------------------------------------------------------------------------

    def _fit(self, node: Node, key: Key, ti: TaskInstance) -> Verdict:
        """Give a mapped task as many instances as its length says; RUN for an instance that is in place."""
        if key[1] != UNMAPPED and node.index in self._resized:
            return Verdict.RUN if key[1] < self.size_of(node.index) else Verdict.WAIT
        assert node.length is not None
        length = length_of(node.length, self._result_length)
        if length is None:  # a source that is made to run again may return another list: not before that is known
            known = not any(self.open_of(source) for source in node.length_sources)
            return Verdict.RUN if known and key[1] != UNMAPPED else Verdict.WAIT
        self._resized.add(node.index)
        if key[1] == UNMAPPED:
            if length == 0:
                return Verdict.SKIP
            self._expand(node, ti, length)
            return Verdict.WAIT
        return self._resize(node, length, key[1])

    def _expand_over_literals(self, node: Node) -> None:
        """A length that the file says is known before anything has run: the instances are there from the start.

        So each of them is skipped or failed for another's sake, where that happens, and not one for all. Over
        an empty list there is one, which is skipped when its turn comes.
        """
        assert node.length is not None
        length = length_of(node.length, lambda _: None)
        ti = self.at((node.index, UNMAPPED))
        if length and ti is not None:
            self._expand(node, ti, length)

    def _expand(self, node: Node, ti: TaskInstance, length: int) -> None:
        """The one instance becomes index 0, in place; the others are new."""
        self._remember(ti)
        if (node.index, UNMAPPED) in self.memory.instances:
            self.changes.instances[node.index, UNMAPPED] = None
        else:
            del self.changes.instances[node.index, UNMAPPED]
        self.changes.instances[node.index, 0] = replace(ti, map_index=0)
        self._place_of[ti.id] = (node.index, 0)
        for i in range(1, length):
            self._create((node.index, i))
        for edge in node.watched_by:
            if edge.by_index:
                self._grow((edge.watcher, edge.why, UNMAPPED), -1, node.spec)
                for i in range(length):
                    self._grow((edge.watcher, edge.why, i), 1, node.spec)
                self._grow((edge.watcher, edge.why, EVERY_INDEX), length - 1, node.spec)
            else:
                self._grow((edge.watcher, edge.why, OUTER), length - 1, node.spec)
            self._look_at(self.keys_of(edge.watcher))
        self._look_at(self.keys_of(node.index))

    def _resize(self, node: Node, length: int, map_index: int) -> Verdict:
        """After a clear upstream: instances in excess are removed, missing ones made."""
        size = self.size_of(node.index)
        for i in range(length, size):
            ti = self.at((node.index, i))
            if ti is not None and ti.state in IDLE:
                self._happen((node.index, i), ti, RuleDecided(TaskState.REMOVED))
        for i in range(size, length):
            self._create((node.index, i))
            for edge in node.watched_by:
                for slot in (i, EVERY_INDEX) if edge.by_index else (OUTER,):
                    self._grow((edge.watcher, edge.why, slot), 1, node.spec)
            self._look_at([(node.index, i)])
        return Verdict.RUN if map_index < length else Verdict.WAIT

    def _grow(self, key: TallyKey, by: int, spec: TaskSpec) -> None:
        if by:
            self.changes.tallies[key] = self.tally(*key).growing(by, spec.setup)

    def _result_length(self, task_id: str) -> int | None:
        """How many elements a task's result has; of a mapped task, how many instances returned something."""
        node = self.graph.node(task_id)
        if node is None:
            return None
        single = self.at((node.index, UNMAPPED))
        if single is not None:
            if node.length is not None:  # not expanded: it ended without running
                return 0 if single.state in FINISHED else None
            length = single.result_length
            return length if single.state is TaskState.SUCCESS and length is not None and length >= 0 else None
        if self.size_of(node.index) == 0 or self.open_of(node.index):
            return None
        return self.results_of(node.index)

    # --- branches and ends ---------------------------------------------------------------------

    def _obey(self, key: Key, ti: TaskInstance) -> None:
        """Skip at once what a decision skips at any distance; direct downstream tasks are looked at anyway."""
        decision, node = ti.decision, self.graph.nodes[key[0]]
        if decision is None or node.spec.mapped is not None:
            return  # a mapped brancher decides only for the same index of what is right below it
        targets = {self.graph.index[t] for t in decision.skipped if t in self.graph.index}
        if decision.skip_descendants:
            targets |= self.graph.descendants(key[0]) - self.graph.teardowns
        for target in sorted(targets):
            by_index = bool(node.mapped_group) and self.graph.nodes[target].mapped_group == node.mapped_group
            if node.mapped_group and not by_index:
                continue
            for place in list(self.keys_of(target)):
                below = self.at(place)
                if below is None or below.state not in IDLE or (by_index and place[1] not in (key[1], UNMAPPED)):
                    continue
                if by_index and place[1] == UNMAPPED and key[1] != UNMAPPED:
                    continue  # not expanded yet: each instance will look at the decision of its own index
                if self.graph.nodes[target].spec.wait_for_past_depends_before_skipping and not self._past_allows(
                    self.graph.nodes[target]
                ):
                    continue
                self._happen(place, below, RuleDecided(TaskState.SKIPPED))

    def _end_all(self, begun: frozenset[TaskState], state: TaskState, *, sparing: frozenset[int] = frozenset()) -> None:
        """End every unfinished instance: those that are in one of `begun` with `state`, the rest as skipped.

        Arguments:
            sparing: tasks that are left alone: teardowns, which still clean up.
        """
        for node in self.graph.nodes:
            if not self.open_of(node.index) or node.index in sparing:
                continue
            for key in list(self.keys_of(node.index)):
                ti = self.at(key)
                if ti is not None and ti.state not in FINISHED:
                    self._happen(key, ti, Marked(state if ti.state in begun else TaskState.SKIPPED))

    # --- admission and the end -----------------------------------------------------------------

    def admit(self) -> None:
        """Schedule ready instances, by priority and then age, within the limits of the run."""
        if self.run.state is not RunState.RUNNING or self.facts.frozen:
            return
        if not (self.memory.ready or self.changes.ready):
            return
        limit = self.graph.spec.max_active_tasks
        room = limit - self.in_flight if limit > 0 else len(self.memory.ready) + len(self.changes.ready)
        if room <= 0:
            return
        for number in self._ready_in_order():
            key = self.place_of(number)
            ti = None if key is None else self.at(key)
            if key is None or ti is None:
                continue
            self._happen(key, ti, Admitted())
            room -= 1
            if room == 0:
                return

    def _ready_in_order(self) -> Iterator[int]:
        """Numbers of ready instances, best first, passing over tasks that are at a limit of their own."""
        queues: dict[int, list[ReadyEntry]] = {}
        for entry in self.changes.ready.values():
            if entry is not None:
                queues.setdefault(entry[0], []).append(entry[1])
        fresh = {queue: sorted(entries) for queue, entries in queues.items()}
        streams = [
            self._within_limit(queue, heapq.merge(self._still_ready(queue), fresh.get(queue, ())))
            for queue in fresh.keys() | self.memory.ready_queues.keys()
        ]
        for _, number in heapq.merge(*streams):
            yield number

    def _still_ready(self, queue: int) -> Iterator[ReadyEntry]:
        """Entries of the memory's queue that this step has not spoken about."""
        return (entry for entry in self.memory.ready_in_order(queue) if entry[1] not in self.changes.ready)

    def _within_limit(self, queue: int, entries: Iterator[ReadyEntry]) -> Iterator[ReadyEntry]:
        if queue == SHARED:
            yield from entries
            return
        spec = self.graph.nodes[queue].spec
        room = self._room_of(queue, spec)
        for entry in entries:
            if room <= 0:
                return
            room -= 1
            yield entry

    def _room_of(self, node: int, spec: TaskSpec) -> int:
        here = self.in_flight_of(node)
        rooms = []
        if spec.max_active_per_run is not None:
            rooms.append(spec.max_active_per_run - here)
        if spec.max_active_per_workflow is not None:
            elsewhere = self.facts.in_flight_elsewhere.get(spec.task_id, 0)
            rooms.append(spec.max_active_per_workflow - here - elsewhere)
        return min(rooms)

    def place_of(self, number: int) -> Key | None:
        """Where the instance of a number is now."""
        return self._place_of.get(number) or self.memory.key_of.get(number)

    def close(self) -> None:
        """End the run if all its instances have ended, or if nothing can ever happen again."""
        if self.run.state is not RunState.RUNNING:
            return
        if self.unfinished == 0:
            failed = any(
                ti is not None and ti.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED)
                for leaf in self.graph.effective_leaves
                for ti in map(self.at, self.keys_of(leaf))
            )
            if failed:
                self._end_run(RunState.FAILED, "task_failure")
            else:
                self._end_run(RunState.SUCCESS, "success")
        elif self.is_stuck():
            self._end_run(RunState.FAILED, "all_tasks_deadlocked")

    def look_at_the_past(self) -> None:
        """Before a run is given up: `Facts` may be newer than the last look at the tasks that hang on them."""
        for node in self.graph.remembers_past:
            self._look_at(self.keys_of(node))
        self.settle()
        self.admit()

    def is_stuck(self) -> bool:
        """Nothing is under way or ready, and nothing outside the run can change that."""
        if self.run.state is not RunState.RUNNING or not self.unfinished or self.in_flight or self.patient:
            return False
        if any(number for number, entry in self.changes.ready.items() if entry is not None):
            return False
        if any(number not in self.changes.ready for number in self.memory.ready):
            return False
        waiting = (node for node in self.graph.nodes if self.open_of(node.index))
        return all(self._past_allows(node) for node in waiting)

    def _end_run(self, state: RunState, reason: str) -> None:
        self.changes.run = replace(self.run, state=state, ended_at=self.now, reason=reason)
        self._call(callbacks.of_run(self.graph.spec, self.changes.run, self._instances(), self.now))
        self.changes.effects.append(RunEnded(self.changes.run))

    def _instances(self) -> Iterator[TaskInstance]:
        keys = dict.fromkeys((*self.memory.instances, *self.changes.instances))
        return (ti for ti in map(self.at, keys) if ti is not None)

    # --- callbacks -----------------------------------------------------------------------------

    def _call(self, callback: Callback | None) -> None:
        """Have something called on a worker, if there is something to call."""
        if callback is None:
            return
        ordinal = self.run.next_ordinal
        ti = callbacks.made(callback, instance_id(self.run.id, ordinal), ordinal)
        self.changes.run = replace(self.run, next_ordinal=ordinal + 1)
        self.changes.created.add(ti.id)
        self.changes.callbacks[ti.id] = ti

    def _follow_callback(self, ti: TaskInstance, event: TaskEvent) -> None:
        try:
            after = callbacks.after_report(ti, event, self.now)
        except NoSuchTransition as refusal:
            self.changes.refused.append(str(refusal))
            return
        if after is not ti:
            self._remember(ti)
            self.changes.callbacks[ti.id] = after


def _has_own_limit(spec: TaskSpec) -> bool:
    return spec.max_active_per_run is not None or spec.max_active_per_workflow is not None


def _valid_on(spec: TaskSpec, run: Run) -> bool:
    """Whether a task takes part in a run: its start and end dates enclose the run's date."""
    date = run.logical_date
    if date is None:
        return True
    starts_later = spec.start is not None and spec.start > date and run.backfill is None
    ended_before = spec.end is not None and spec.end < date
    return not (starts_later or ended_before)
