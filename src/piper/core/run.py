"""What happens to a run, now that this happened.

`step` applies events to a draft over the run's memory, settles it (evaluates every instance that a change
may concern, until nothing changes), admits what is ready within the run's limits, and closes the run if
it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from piper.core import callbacks
from piper.core.admission import admit, has_own_limit
from piper.core.draft import IDLE, Draft
from piper.core.expansion import expand_over_literals, fit
from piper.core.memory import NO_FACTS, SHARED, Cancel, Changes, Facts, Key, RunEnded, RunMemory
from piper.core.selection import states_to_clear
from piper.core.task import Circumstances, Cleared, Marked, Passed, RuleDecided, Stale, TimedOut, Vanished, transition
from piper.core.trigger_rules import Verdict
from piper.core.triggers import trigger_effects
from piper.core.verdicts import past_allows, verdict_on
from piper.model.events import Clear, InstanceRef, Mark, MarkRun, TaskEvent
from piper.model.ids import UNMAPPED
from piper.model.run import Run, TaskInstance
from piper.model.spec import TaskSpec
from piper.model.states import FINISHED, IN_FLIGHT, RunState, TaskState

SUSPENDED = frozenset({TaskState.DEFERRED, TaskState.UP_FOR_RESCHEDULE, TaskState.AWAITING_INPUT})
"""Between two legs of a try: a run that is marked gives these the state that it gives what runs."""


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
    draft = Draft(memory, facts, now)
    for event in events:
        _apply(draft, event)
    _settle(draft)
    admit(draft)
    if _is_stuck(draft):
        _look_at_the_past(draft)
    _close(draft)
    return draft.changes


def _apply(draft: Draft, event: RunEvent) -> None:
    match event:
        case Begin():
            _begin(draft)
        case Due(instances):
            for number in instances:
                _due(draft, number)
        case RunOverdue():
            if draft.run.state is RunState.RUNNING:
                _end_all(draft, IN_FLIGHT, TaskState.SKIPPED)
                _end_run(draft, RunState.FAILED, "timed_out")
        case PastChanged():
            for node in (*draft.graph.remembers_past, *draft.graph.limited_across_runs):
                draft.look_at(draft.keys_of(node))
        case Clear():
            _clear(draft, event)
        case Mark():
            _mark(draft, event)
        case MarkRun():
            _mark_run(draft, event)
        case _:
            _report(draft, event)


def _begin(draft: Draft) -> None:
    """Every task valid on the run's date gets an instance; all are looked at once."""
    run = draft.run
    if run.state.finished:
        return
    draft.changes.run = replace(run, state=RunState.RUNNING, started_at=run.started_at or draft.now)
    for node in draft.graph.nodes:
        if draft.size_of(node.index) == 0 and _valid_on(node.spec, run):
            draft.create((node.index, UNMAPPED))
            if node.length is not None:
                expand_over_literals(draft, node)
        draft.look_at(draft.keys_of(node.index))


def _due(draft: Draft, number: int) -> None:
    key = draft.place_of(number)
    ti = None if key is None else draft.at(key)
    if key is None or ti is None or ti.due is None or ti.due > draft.now:
        return
    if ti.state is TaskState.DEFERRED:
        draft.happen(key, ti, TimedOut())
    draft.look_at([key])


def _report(draft: Draft, event: TaskEvent) -> None:
    called = draft.changes.callbacks.get(event.identity.instance) or draft.memory.callbacks.get(event.identity.instance)
    if called is not None:
        draft.follow_callback(called, event)
        return
    key = draft.place_of(event.identity.instance)
    ti = None if key is None else draft.at(key)
    if key is None or ti is None:
        if event.identity.instance not in draft.memory.orphans:
            draft.changes.refused.append(f"no instance {event.identity.instance} in run {draft.run.id}")
        return
    after = draft.happen(key, ti, event if ti.identity == event.identity else Stale())
    if after is None or after is ti:
        return
    draft.call(callbacks.of_task(draft.graph.nodes[key[0]].spec, ti, after, event, draft.now))
    if after.decision is not None:
        _obey(draft, key, after)
    if after.state is TaskState.FAILED and draft.graph.spec.fail_fast and not draft.graph.nodes[key[0]].spec.teardown:
        _fail_fast(draft, ti.task_id)
    draft.look_at([key])


def _fail_fast(draft: Draft, task_id: str) -> None:
    """A task has failed, and with it everything ends that is no teardown."""
    running = [(key, ti) for key in draft.memory.instances if (ti := draft.at(key)) and ti.state in IN_FLIGHT]
    _end_all(draft, IN_FLIGHT, TaskState.FAILED, sparing=draft.graph.teardowns)
    for key, before in running:
        after = draft.at(key)
        if after is not None and after is not before:
            error = f"ended since task {task_id!r} failed"
            spec = draft.graph.nodes[key[0]].spec
            draft.call(callbacks.of_task_ended(spec, before, after, error, draft.now))


def _clear(draft: Draft, event: Clear) -> None:
    """Forget what the named instances did; a run that had ended waits to be begun again.

    A clear that pins the run to another version finds the memory on the graph of that version.
    """
    cleared = False
    repinned = bool(event.spec_hash) and event.spec_hash != draft.run.spec_hash
    if repinned:
        _fit_into_version(draft)
    states = states_to_clear(event)
    for key in list(_named(draft, event.tasks)):
        ti = draft.at(key)
        if ti is not None and ti.state in states:
            draft.happen(key, ti, Cleared())
            cleared = True
    if not (cleared or event.spec_hash):
        return
    run = replace(
        draft.run,
        clears=draft.run.clears + 1,
        spec_hash=event.spec_hash or draft.run.spec_hash,
        snapshot=event.snapshot or draft.run.snapshot,
    )
    if run.state.finished:
        run = replace(run, state=RunState.QUEUED, queued_at=draft.now, started_at=None, ended_at=None, reason="")
    draft.changes.run = run
    if repinned and run.state is RunState.RUNNING:
        _begin(draft)  # what is new is made now: otherwise the run might end without it


def _fit_into_version(draft: Draft) -> None:
    """The run goes on with another version: what that does not have is removed, what is in it again comes back."""
    for orphan in draft.memory.orphans.values():
        if orphan.state is not TaskState.REMOVED:
            spec = TaskSpec(orphan.task_id, "")
            after, _ = transition(orphan, Vanished(), Circumstances(spec, draft.now, ""))
            draft.changes.effects += trigger_effects(orphan, after, Vanished(), spec)
            draft.remember(orphan)
            draft.changes.vanished.append(after)
            if orphan.state in IN_FLIGHT:
                draft.changes.effects.append(Cancel(orphan.identity))
    for node in draft.graph.nodes:
        found = [(key, ti) for key in draft.keys_of(node.index) if (ti := draft.at(key)) is not None]
        if all(ti.state is TaskState.REMOVED for _, ti in found):
            for key, ti in found:
                draft.happen(key, ti, Cleared())


def _mark(draft: Draft, event: Mark) -> None:
    """Give instances a terminal state; what had failed below them for their sake may run again."""
    marked: set[int] = set()
    for key in list(_named(draft, event.tasks)):
        ti = draft.at(key)
        if ti is not None and ti.state is not event.state:
            draft.happen(key, ti, Marked(event.state))
            marked.add(key[0])
    below = frozenset[int]().union(*(draft.graph.descendants(n) for n in marked))
    for node in below - marked:
        for key in list(draft.keys_of(node)):
            ti = draft.at(key)
            if ti is not None and ti.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED):
                draft.happen(key, ti, Cleared())
    if marked and draft.run.state.finished and draft.unfinished:
        draft.changes.run = replace(
            draft.run, state=RunState.QUEUED, queued_at=draft.now, started_at=None, ended_at=None, reason=""
        )


def _mark_run(draft: Draft, event: MarkRun) -> None:
    """What runs or waits takes the state, what has not begun is skipped; teardowns still clean up first."""
    state = TaskState.SUCCESS if event.state is RunState.SUCCESS else TaskState.FAILED
    _end_all(draft, IN_FLIGHT | SUSPENDED, state, sparing=draft.graph.teardowns)
    if draft.unfinished == 0 and draft.run.state is not event.state:
        _end_run(draft, event.state, event.reason)


def _named(draft: Draft, refs: Sequence[InstanceRef]) -> Iterator[Key]:
    for ref in refs:
        node = draft.graph.node(ref.task_id)
        if node is None:
            continue
        if ref.map_index is None:
            yield from draft.keys_of(node.index)
        else:
            yield (node.index, ref.map_index)


def _settle(draft: Draft) -> None:
    """Evaluate whatever a change may concern, until nothing changes any more."""
    for key in draft.agenda():
        ti = draft.at(key)
        if ti is not None and ti.state in IDLE and draft.run.state is RunState.RUNNING:
            _evaluate(draft, key, ti)


def _evaluate(draft: Draft, key: Key, ti: TaskInstance) -> None:
    node = draft.graph.nodes[key[0]]
    verdict = verdict_on(draft, node, ti)
    if verdict is Verdict.RUN and node.length is not None:
        verdict = fit(draft, node, key, ti)
    match verdict:
        case Verdict.SKIP:
            draft.happen(key, ti, RuleDecided(TaskState.SKIPPED))
        case Verdict.FAIL:
            draft.happen(key, ti, RuleDecided(TaskState.UPSTREAM_FAILED))
        case Verdict.REMOVE:
            draft.happen(key, ti, RuleDecided(TaskState.REMOVED))
        case Verdict.RUN if node.spec.inert and ti.state is TaskState.NONE:
            draft.happen(key, ti, Passed())
        case Verdict.RUN if ti.due is None or ti.due <= draft.now:
            queue = node.index if has_own_limit(node.spec) else SHARED
            draft.changes.ready[ti.id] = (queue, (-node.spec.priority, ti.id))
        case _:
            if ti.id in draft.memory.ready or ti.id in draft.changes.ready:
                draft.changes.ready[ti.id] = None


def _obey(draft: Draft, key: Key, ti: TaskInstance) -> None:
    """Skip at once what a decision skips at any distance; direct downstream tasks are looked at anyway."""
    decision, node = ti.decision, draft.graph.nodes[key[0]]
    if decision is None or node.spec.mapped is not None:
        return  # a mapped brancher decides only for the same index of what is right below it
    targets = {draft.graph.index[t] for t in decision.skipped if t in draft.graph.index}
    if decision.skip_descendants:
        targets |= draft.graph.descendants(key[0]) - draft.graph.teardowns
    for target in sorted(targets):
        by_index = bool(node.mapped_group) and draft.graph.nodes[target].mapped_group == node.mapped_group
        if node.mapped_group and not by_index:
            continue
        for place in list(draft.keys_of(target)):
            below = draft.at(place)
            if below is None or below.state not in IDLE or (by_index and place[1] not in (key[1], UNMAPPED)):
                continue
            if by_index and place[1] == UNMAPPED and key[1] != UNMAPPED:
                continue  # not expanded yet: each instance will look at the decision of its own index
            if draft.graph.nodes[target].spec.wait_for_past_depends_before_skipping and not past_allows(
                draft, draft.graph.nodes[target]
            ):
                continue
            draft.happen(place, below, RuleDecided(TaskState.SKIPPED))


def _end_all(
    draft: Draft, begun: frozenset[TaskState], state: TaskState, *, sparing: frozenset[int] = frozenset()
) -> None:
    """End every unfinished instance: those that are in one of `begun` with `state`, the rest as skipped.

    Arguments:
        sparing: tasks that are left alone: teardowns, which still clean up.
    """
    for node in draft.graph.nodes:
        if not draft.open_of(node.index) or node.index in sparing:
            continue
        for key in list(draft.keys_of(node.index)):
            ti = draft.at(key)
            if ti is not None and ti.state not in FINISHED:
                draft.happen(key, ti, Marked(state if ti.state in begun else TaskState.SKIPPED))


def _close(draft: Draft) -> None:
    """End the run if all its instances have ended, or if nothing can ever happen again."""
    if draft.run.state is not RunState.RUNNING:
        return
    if draft.unfinished == 0:
        failed = any(
            ti is not None and ti.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED)
            for leaf in draft.graph.effective_leaves
            for ti in map(draft.at, draft.keys_of(leaf))
        )
        if failed:
            _end_run(draft, RunState.FAILED, "task_failure")
        else:
            _end_run(draft, RunState.SUCCESS, "success")
    elif _is_stuck(draft):
        _end_run(draft, RunState.FAILED, "all_tasks_deadlocked")


def _look_at_the_past(draft: Draft) -> None:
    """Before a run is given up: `Facts` may be newer than the last look at the tasks that hang on them."""
    for node in draft.graph.remembers_past:
        draft.look_at(draft.keys_of(node))
    _settle(draft)
    admit(draft)


def _is_stuck(draft: Draft) -> bool:
    """Nothing is under way or ready, and nothing outside the run can change that."""
    if draft.run.state is not RunState.RUNNING or not draft.unfinished or draft.in_flight or draft.patient:
        return False
    if any(number for number, entry in draft.changes.ready.items() if entry is not None):
        return False
    if any(number not in draft.changes.ready for number in draft.memory.ready):
        return False
    waiting = (node for node in draft.graph.nodes if draft.open_of(node.index))
    return all(past_allows(draft, node) for node in waiting)


def _end_run(draft: Draft, state: RunState, reason: str) -> None:
    draft.changes.run = replace(draft.run, state=state, ended_at=draft.now, reason=reason)
    draft.call(callbacks.of_run(draft.graph.spec, draft.changes.run, draft.all_instances(), draft.now))
    draft.changes.effects.append(RunEnded(draft.changes.run))


def _valid_on(spec: TaskSpec, run: Run) -> bool:
    """Whether a task takes part in a run: its start and end dates enclose the run's date."""
    date = run.logical_date
    if date is None:
        return True
    starts_later = spec.start is not None and spec.start > date and run.backfill is None
    ended_before = spec.end is not None and spec.end < date
    return not (starts_later or ended_before)
