"""The scheduler's loop: what has happened, what follows, commit, remember, wake others."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec.structs import replace

from piper.core.memory import AssetsChanged, Cancel, Changes, Facts, RunEnded, RunMemory
from piper.core.outcomes import after_run
from piper.core.run import Begin, Due, PastChanged, RunEvent, RunOverdue, step
from piper.core.starts import OWN_LANE, lane_of
from piper.model.errors import FenceLost, GuardFailed
from piper.model.events import BackfillCommand, PauseChanged, RunQueued, SpecPublished
from piper.model.ids import shard_of
from piper.model.run import Identity, Run, TaskInstance
from piper.model.states import RunState, RunType, TaskState
from piper.model.workflow import ScheduledWorkflow
from piper.scheduler.assets import AssetNews, AssetQueues
from piper.scheduler.backfills import Backfills
from piper.scheduler.book import RunBook, WorkflowRuns
from piper.scheduler.commit import Batch
from piper.scheduler.quarantine import Quarantine
from piper.scheduler.repinning import on_wanted_version
from piper.scheduler.schedules import Schedules
from piper.scheduler.triggers import concern_the_triggerer
from piper.service import POLL_SECONDS, Clock, Service, Wakeups
from piper.store.database import Database, Fence
from piper.store.events import StoredEvent, pending_events
from piper.store.instances import instances_of_runs, states_of_tasks
from piper.store.runs import active_runs, previous_run, runs_by_number
from piper.store.schedules import workflows_by_id
from piper.telemetry import CALLBACK_FAILURES

log = logging.getLogger(__name__)

EVENTS_PER_TICK = 2_000
SECONDS_PER_BATCH = 0.1
"""How long the core may decide before what it has decided is committed."""
FAILURES_BEFORE_QUARANTINE = 3

OVERDUE = 0
"""In place of an instance number: the timer of the run itself."""


class Term(Protocol):
    """What the scheduler must know of its ownership (see `piper.coordination`)."""

    def fence(self) -> Fence | None:
        """The shards it owns at their epochs, or None while it may not write at all."""
        ...

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        """These have turned out to be lost."""
        ...


class SchedulerService(Service):
    """Owns shards of workflows: makes their runs and decides every state of their tasks.

    Arguments:
        cancel: tells the executor to end executions that are no longer wanted.
        by_time: make runs by schedule; otherwise only those that somebody asks for.
    """

    def __init__(
        self,
        database: Database,
        term: Term,
        clock: Clock,
        wakeups: Wakeups,
        cancel: Callable[[Collection[Identity]], None],
        *,
        by_time: bool = True,
    ) -> None:
        super().__init__("scheduler", wakeups.listen("scheduler"))
        self._database = database
        self._term = term
        self._clock = clock
        self._wakeups = wakeups
        self._cancel = cancel
        self._by_time = by_time
        self.book = RunBook(database)
        self._aside = Quarantine[str]("workflow", "it is published, paused or unpaused")
        self._unread = Quarantine[int]("event", "another process takes over")
        self._schedules = Schedules(database, self.book, self._aside)
        self._assets = AssetQueues(database, self.book, self._aside)
        self._backfills = Backfills(database, self.book)
        self._epochs: Mapping[int, int] = {}
        self._news: dict[int, list[RunEvent]] = {}
        """What the runs must be told that no stored event tells: timers, starts, changes outside them."""
        self._timers: list[tuple[datetime, int, int]] = []
        self._startable: set[str] = set()
        self._followers: dict[int, set[int]] = {}
        """Runs that look at a run's tasks because they depend on their past."""
        self._schedules_looked_at: float | None = None
        self._troubles: Counter[int] = Counter()
        self.quarantine = self.book.quarantine.reasons
        """Runs that cannot be decided, and why."""
        self.counters: Counter[str] = Counter()
        """events, steps, commits, guard_failures, fence_losses, refused …: for telemetry."""

    @property
    def quarantined(self) -> Mapping[str, int]:
        return {
            "run": len(self.quarantine),
            "workflow": len(self._aside),
            "backfill": len(self._backfills.quarantine),
            "event": len(self._unread),
        }

    # --- the loop ------------------------------------------------------------------------------

    def tick(self) -> float:
        """One round. Returns the seconds until the next, 0 if there is more to do at once."""
        fence = self._term.fence()
        if fence is None:
            self._forget_everything()
            return POLL_SECONDS
        now = self._clock.now()
        try:
            self._follow_ownership(fence)
            stored = self._read_events(fence, now)
            made_runs = self._follow_schedules(fence, now)
            filling = self._follow_backfills(fence, now)
            self._start_runs(now)
            self._ring_timers(now)
            batch = Batch(now)
            undecided = self._decide(batch, stored)
            self._commit(batch, fence)
        except FenceLost as lost:
            self.counters["fence_losses"] += 1
            self._term.forget(fence, lost.shards)
            self._lose(lost.shards)
            return 0.0
        except Exception:
            self._forget_everything()  # what was decided may or may not be written: read it all again
            raise
        busy = undecided or made_runs or filling or bool(self._startable) or bool(self._news) or self._assets.has_work
        return 0.0 if busy or len(stored) == EVENTS_PER_TICK else self._seconds_to_wait(now)

    def _seconds_to_wait(self, now: datetime) -> float:
        moments = [m for m in (self._schedules.next_moment, self._timers[0][0] if self._timers else None) if m]
        if not moments:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.001, (min(moments) - now).total_seconds()))

    # --- ownership -----------------------------------------------------------------------------

    def _follow_ownership(self, fence: Fence) -> None:
        """Forget the runs of shards that were lost, load those of shards that were won."""
        epochs = fence.epochs
        if epochs == self._epochs:
            return
        lost = {s for s, epoch in self._epochs.items() if epochs.get(s) != epoch}
        won = {s for s, epoch in epochs.items() if self._epochs.get(s) != epoch}
        self._lose(lost)
        if won:
            with self._database.read() as connection:
                runs = active_runs(connection, won)
                # A backfill may have left ten thousand that wait and have no instances yet.
                begun = (r.id for r in runs if r.next_ordinal or r.state is RunState.RUNNING)
                instances = instances_of_runs(connection, begun)
            self._backfills.load(won)
            self._take_in((run, instances.get(run.id, [])) for run in runs)
            self._assets.take_over(won)
            self._schedules_looked_at = None
        self._epochs = epochs

    def _take_in(self, runs: Iterable[tuple[Run, list[TaskInstance]]]) -> None:
        """Load runs into the book and look at every instance of those that were running."""
        for memory in self.book.add(runs):
            if memory.run.state is RunState.RUNNING:
                self._tell(memory.run.id, Begin())
                self._set_timeout(memory)
            self._set_timers(memory, memory.timers())
            self._startable.add(memory.run.workflow_id)

    def _lose(self, shards: Collection[int]) -> None:
        if shards:
            self._backfills.forget(shards)
            self._aside.release_if(lambda workflow_id: shard_of(workflow_id) in shards)
            self._unread.release_if(lambda _: True)
            self.book.forget_shards(shards)
            self._epochs = {s: e for s, e in self._epochs.items() if s not in shards}

    def _forget_everything(self) -> None:
        self._lose(frozenset(self._epochs))
        self._news.clear()
        self._timers.clear()
        self._startable.clear()
        self._followers.clear()
        self._assets.forget_everything()

    # --- what has happened ---------------------------------------------------------------------

    def _read_events(self, fence: Fence, now: datetime) -> list[StoredEvent]:
        """The stored events of runs, which are loaded, or of none if that is gone. Other news is dealt with at once."""
        with self._database.read() as connection:
            stored = pending_events(
                connection,
                fence.epochs.keys(),
                EVENTS_PER_TICK,
                except_runs=self.quarantine.keys(),
                except_ids=self._unread.reasons.keys(),
                unreadable=self._put_aside,
            )
        self.counters["events"] += len(stored)
        for_workflows = [s for s in stored if isinstance(s.event, SpecPublished | PauseChanged)]
        if for_workflows:
            self._hear_of_workflows(for_workflows, fence, now)
        if self._by_time:
            self._follow_assets([s for s in stored if isinstance(s.event, AssetNews)], fence, now)
            stored = [s for s in stored if not isinstance(s.event, AssetNews)]
        for_backfills = [s for s in stored if isinstance(s.event, BackfillCommand)]
        if for_backfills:
            self._startable |= self._backfills.hear(for_backfills, fence, now)
        for_runs = [s for s in stored if not isinstance(s.event, SpecPublished | PauseChanged | BackfillCommand)]
        missing = {s.run for s in for_runs if s.run is not None} - self.book.runs.keys()
        if missing:
            with self._database.read() as connection:
                runs = runs_by_number(connection, missing)
                instances = instances_of_runs(connection, (r.id for r in runs))
            self._take_in((run, instances[run.id]) for run in runs)
            gone = missing - {run.id for run in runs}
            for_runs = [s._replace(run=None) if s.run in gone else s for s in for_runs]
        return for_runs

    def _put_aside(self, event: int, run: int | None, error: msgspec.MsgspecError) -> None:
        """An event cannot be read: its run waits with it, since what follows in that run may hang on it."""
        if run is None:
            self._unread.put_aside(event, error)
        else:
            self.book.quarantine.put_aside(run, error)

    def _hear_of_workflows(self, events: Sequence[StoredEvent], fence: Fence, now: datetime) -> None:
        """A workflow was published, vanished, was paused or unpaused: its cursor must be computed anew."""
        with self._database.read() as connection:
            workflows = workflows_by_id(connection, {_workflow_of(s) for s in events})
        batch = Batch(now)
        for s in events:
            batch.events.append(s.id)
            batch.shards.add(s.shard)
            self._aside.release(_workflow_of(s))
            workflow = workflows.get(_workflow_of(s))
            if workflow is None:
                continue
            if isinstance(s.event, SpecPublished):
                workflow = replace(workflow, stale=s.event.stale, planned_spec="")
            elif isinstance(s.event, PauseChanged):
                workflow = replace(workflow, paused=s.event.paused, planned_spec="")
            workflows[workflow.workflow_id] = batch.workflows[workflow.workflow_id] = workflow
        batch.commit(self._database, fence)
        self._remember(batch)
        self._assets.reconsider(workflows)
        self._schedules_looked_at = None

    def _follow_assets(self, events: Sequence[StoredEvent], fence: Fence, now: datetime) -> None:
        """Apply news of assets, and make the runs that they call for."""
        for made in self._assets.follow(events, fence, now):
            self._take_in((run, []) for run in made)

    def _follow_schedules(self, fence: Fence, now: datetime) -> bool:
        """Make the runs that are due; looks at the database when something may be due, or once a poll."""
        if not self._by_time:
            return False
        moment = self._schedules.next_moment
        looked_at = self._schedules_looked_at
        monotonic = self._clock.monotonic()
        fresh = looked_at is not None and monotonic - looked_at < POLL_SECONDS
        if fresh and (moment is None or moment > now):
            return False
        made, more = self._schedules.follow(fence, now)
        self._schedules_looked_at = None if more else monotonic
        self._take_in((run, []) for run in made)
        return more

    def _follow_backfills(self, fence: Fence, now: datetime) -> bool:
        """Make, clear or end runs of a backfill, a chunk at a time; true if there is more to do."""
        filled = self._backfills.follow(fence, now)
        for number in filled.ended:
            self.book.forget(number)
            self._news.pop(number, None)
        self._take_in((run, []) for run in filled.made)
        if filled.cleared:
            self._reload(filled.cleared)
        for workflow_id in {run.workflow_id for run in filled.made}:
            for run, memory in self.book.workflows[workflow_id].runs.items():
                if memory.graph.remembers_past and memory.run.state is RunState.RUNNING:
                    self._tell(run, PastChanged())  # there may be another run before it now
        return filled.more

    def _start_runs(self, now: datetime) -> None:
        """Tell queued runs to begin, as far as their workflows' limits allow."""
        for workflow_id in self._startable:
            group = self.book.workflows.get(workflow_id)
            if group is None or group.workflow.paused:
                continue
            for lane, limit in self.book.lanes_in_order(group):
                for run in lane.to_start(limit, now):
                    self._tell(run.id, Begin())
                    lane.started(run)
                moment = lane.next_moment(now)
                if moment is not None:
                    heapq.heappush(self._timers, (moment, 0, OVERDUE))
        self._startable.clear()

    def _ring_timers(self, now: datetime) -> None:
        due: dict[int, list[int]] = {}
        while self._timers and self._timers[0][0] <= now:
            _, run, instance = heapq.heappop(self._timers)
            if run == 0:  # some queued run's moment has come
                self._startable |= self.book.workflows.keys()
            elif run in self.book.runs:
                due.setdefault(run, []).append(instance)
        for run, instances in due.items():
            deadline = self.book.runs[run].deadline
            if deadline is not None and deadline <= now:
                self._tell(run, RunOverdue())
            self._tell(run, Due(tuple(i for i in instances if i != OVERDUE)))

    def _tell(self, run: int, event: RunEvent) -> None:
        events = self._news.setdefault(run, [])
        if event not in events:
            events.append(event)

    # --- what follows --------------------------------------------------------------------------

    def _decide(self, batch: Batch, stored: Iterable[StoredEvent]) -> bool:
        """Step every run that has been told something. True if time ran out before all were."""
        inbox: dict[int, list[RunEvent]] = {}
        consumed: dict[int, list[StoredEvent]] = {}
        undecided = False
        for s in stored:
            if s.run is None:  # of a run that is gone
                batch.events.append(s.id)
                batch.shards.add(s.shard)
                continue
            if s.run in self.quarantine:
                continue  # it waits
            if s.run not in self.book.runs:  # a backfill has ended it since it was loaded: it is loaded again
                undecided = True
                continue
            consumed.setdefault(s.run, []).append(s)
            if not isinstance(s.event, RunQueued):
                inbox.setdefault(s.run, []).append(s.event)  # type: ignore[arg-type]
        begun = self._clock.monotonic()
        limited: set[str] = set()
        for run in self._in_turn([*self._news, *(r for r in consumed if r not in self._news)]):
            memory = self.book.runs.get(run)
            if memory is None or run in self.quarantine:
                self._news.pop(run, None)
                continue
            if self._clock.monotonic() - begun > SECONDS_PER_BATCH and batch.steps:
                return True
            if self._must_wait_for_sibling(memory, limited):
                undecided = True
                continue
            events = [*self._news.get(run, ()), *inbox.get(run, ())]
            decided = self._step(memory, events, batch.now)
            if decided is None:
                continue
            memory, changes = decided
            batch.steps.append((memory, changes))
            batch.shards.add(memory.run.shard)
            batch.events += [s.id for s in consumed.get(run, ())]
            for ended in (e.run for e in changes.effects if isinstance(e, RunEnded)):
                self._note_end(ended, batch)  # not as the run is now: it may have been cleared since
        return undecided

    def _in_turn(self, runs: list[int]) -> list[int]:
        """Fresh runs before those of backfills, of which any number may have been told something."""
        if not self.book.backfills:
            return runs
        known = self.book.runs
        return sorted(runs, key=lambda run: run in known and lane_of(known[run].run) != OWN_LANE)

    def _note_end(self, run: Run, batch: Batch) -> None:
        """The end of a run counts for its workflow, in the transaction that ends it."""
        workflow = batch.workflows.get(run.workflow_id) or self.book.workflows[run.workflow_id].workflow
        limit = self.book.graphs.get(run.spec_hash).spec.max_consecutive_failed_runs
        after = after_run(workflow, run, limit)
        if after is not workflow:
            batch.workflows[run.workflow_id] = after

    def _must_wait_for_sibling(self, memory: RunMemory, stepped: set[str]) -> bool:
        """Runs that share a limit over all runs are stepped one to a batch: each must see what the other took."""
        if not memory.graph.limited_across_runs:
            return False
        if memory.run.workflow_id in stepped:
            return True
        stepped.add(memory.run.workflow_id)
        return False

    def _step(self, memory: RunMemory, events: list[RunEvent], now: datetime) -> tuple[RunMemory, Changes] | None:
        """Let the core decide; a run that makes it raise is forgotten, and in the end put aside."""
        try:
            memory = on_wanted_version(memory, events, self.book.graphs)
            changes = step(memory, events, now, self._facts(memory))
        except Exception as error:
            self._trouble(memory, f"{type(error).__name__}: {error}", error)
            return None
        self.counters["steps"] += 1
        for refusal in changes.refused:
            self.counters["refused"] += 1
            log.error("refused in run %s of %s: %s", memory.run.run_id, memory.run.workflow_id, refusal)
        return memory, changes

    def _trouble(self, memory: RunMemory, what: str, error: BaseException | None = None) -> None:
        run = memory.run
        self._troubles[run.id] += 1
        log.error(
            "run %s of workflow %s could not be decided (%d of %d): %s",
            run.run_id,
            run.workflow_id,
            self._troubles[run.id],
            FAILURES_BEFORE_QUARANTINE,
            what,
            exc_info=error,
        )
        if self._troubles[run.id] >= FAILURES_BEFORE_QUARANTINE:
            self.quarantine[run.id] = what
            self.counters["quarantined"] += 1
        self._reload([run.id])

    def _facts(self, memory: RunMemory) -> Facts:
        graph = memory.graph
        group = self.book.workflows.get(memory.run.workflow_id)
        previous, previous_date = self._past_of(memory) if graph.remembers_past else (None, None)
        return Facts(
            previous=previous,
            previous_date=previous_date,
            in_flight_elsewhere=self._in_flight_elsewhere(memory) if graph.limited_across_runs else {},
            frozen=group is not None and group.workflow.paused,
        )

    def _past_of(self, memory: RunMemory) -> tuple[Mapping[str, tuple[TaskState, ...]] | None, datetime | None]:
        """The states of the tasks of the run before that this run looks at, and its date."""
        run, graph = memory.run, memory.graph
        backfill = self.book.backfills.get(run.backfill or OWN_LANE)
        if run.logical_date is None or (backfill is not None and run.logical_date == backfill.first_date):
            return None, None
        types = (RunType.SCHEDULED, RunType.BACKFILL) if graph.spec.schedule.catchup else ()
        nodes = {n for i in graph.remembers_past for n in (i, *graph.nodes[i].downstream)}
        wanted = [graph.nodes[n].spec.task_id for n in sorted(nodes)]
        with self._database.read() as connection:
            found = previous_run(connection, run.workflow_id, run.logical_date, types)
            if found is None:
                return None, None
            before, date = found
            self._followers.setdefault(before, set()).add(run.id)
            states = states_of_tasks(connection, before, wanted)
            if not states and _has_yet_to_begin(runs_by_number(connection, [before])):
                return dict.fromkeys(wanted, (TaskState.NONE,)), date  # they have not run: they are not missing
            return states, date

    def _in_flight_elsewhere(self, memory: RunMemory) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for sibling in self.book.siblings(memory):
            for node in sibling.graph.limited_across_runs:
                counts[sibling.graph.nodes[node].spec.task_id] += sibling.in_flight_of.get(node, 0)
        return counts

    # --- commit and remember -------------------------------------------------------------------

    def _commit(self, batch: Batch, fence: Fence) -> None:
        if batch.empty:
            return
        try:
            batch.commit(self._database, fence)
        except GuardFailed as error:
            self.counters["guard_failures"] += 1
            self._suspect(batch, error)
            return
        self.counters["commits"] += 1
        self._remember(batch)

    def _suspect(self, batch: Batch, error: GuardFailed) -> None:
        """Something in the batch is not as memory has it: read those runs again, and find out which."""
        if len(batch.steps) == 1:
            self._trouble(batch.steps[0][0], str(error))
            return
        log.warning("a batch of %d runs was not written: %s", len(batch.steps), error)
        self._reload([memory.run.id for memory, _ in batch.steps])

    def _reload(self, numbers: Collection[int]) -> None:
        """Forget runs and read them again; whatever they were told, they are looked at whole."""
        for number in numbers:
            self.book.forget(number)
            self._news.pop(number, None)
        with self._database.read() as connection:
            runs = [r for r in runs_by_number(connection, numbers) if not r.state.finished]
            instances = instances_of_runs(connection, (r.id for r in runs))
        self._take_in((run, instances[run.id]) for run in runs)

    def _remember(self, batch: Batch) -> None:
        """Make the committed batch true in memory, and tell those whom it concerns."""
        cancelled: list[Identity] = []
        scheduled = assets = False
        for workflow in batch.workflows.values():
            self._refresh(workflow)
        for memory, _ in batch.steps:  # before any of them gives another something to look at
            self._news.pop(memory.run.id, None)
        for memory, changes in batch.steps:
            run = memory.run.id
            self._troubles.pop(run, None)
            stays = changes.run.state is memory.run.state is RunState.RUNNING
            repinned = changes.run.spec_hash != memory.run.spec_hash
            memory.take_over(changes)
            changed = [ti for ti in changes.instances.values() if ti is not None]
            looked_at = [*changed, *changes.callbacks.values(), *changes.before.values()]
            scheduled = scheduled or any(map(_concerns_the_executor, looked_at))
            self._note_callbacks(memory.run, changes)
            self._set_timers(memory, ((ti.due, ti.id) for ti in changed if ti.due is not None))
            cancelled += [e.identity for e in changes.effects if isinstance(e, Cancel)]
            assets = assets or any(isinstance(e, AssetsChanged) for e in changes.effects)
            if not stays:  # nor if it is queued as before: it may have begun and been cleared in one step
                self._file(memory)
            if repinned:
                self._reload([run])
            self._tell_dependants(memory, changes)
        if cancelled:
            self._cancel(cancelled)
        if scheduled:
            self._wakeups.notify("executor")
        if assets:  # whoever owns what is scheduled by them, this one included
            self._wakeups.notify("scheduler")
        if any(concern_the_triggerer(changes) for _, changes in batch.steps):
            self._wakeups.notify("triggerer")

    def _note_callbacks(self, run: Run, changes: Changes) -> None:
        """A callback that fails changes nothing; but somebody should look."""
        for ti in changes.callbacks.values():
            if ti.state is TaskState.FAILED:
                self.counters["callback_failures"] += 1
                CALLBACK_FAILURES.inc()
                log.warning("%s of run %s of workflow %s failed", ti.task_id[1:], run.run_id, run.workflow_id)

    def _file(self, memory: RunMemory) -> None:
        """A run has begun, ended, or is to begin again."""
        run = memory.run
        self.book.file(memory)
        self._startable.add(run.workflow_id)
        if run.state.finished:
            self._assets.run_ended(run.workflow_id)
        if run.state is RunState.RUNNING:
            self._set_timeout(memory)

    def _refresh(self, workflow: ScheduledWorkflow) -> None:
        """A workflow's flags have changed: what waited for an unpause may go on."""
        self.book.refresh(workflow)
        group: WorkflowRuns | None = self.book.workflows.get(workflow.workflow_id)
        if group is not None and not workflow.paused:
            self._startable.add(workflow.workflow_id)
            for run, memory in group.runs.items():
                if memory.run.state is RunState.RUNNING:
                    self._tell(run, PastChanged())

    def _tell_dependants(self, memory: RunMemory, changes: Changes) -> None:
        """Runs that look at this one, as their past or as a sharer of a limit, must look again."""
        for follower in self._followers.get(memory.run.id, ()):
            if follower in self.book.runs:
                self._tell(follower, PastChanged())
        if memory.run.state.finished:
            self._followers.pop(memory.run.id, None)
        if memory.graph.limited_across_runs and changes.instances:
            # Those of backfills last: what is told first is decided first, and takes what has become free.
            for sibling in sorted(self.book.siblings(memory), key=lambda other: lane_of(other.run)):
                if sibling.ready:
                    self._tell(sibling.run.id, PastChanged())

    def _set_timers(self, memory: RunMemory, timers: Iterable[tuple[datetime | None, int]]) -> None:
        for moment, instance in timers:
            if moment is not None:
                heapq.heappush(self._timers, (moment, memory.run.id, instance))

    def _set_timeout(self, memory: RunMemory) -> None:
        if memory.deadline is not None:
            heapq.heappush(self._timers, (memory.deadline, memory.run.id, OVERDUE))


def _concerns_the_executor(ti: TaskInstance) -> bool:
    """It is to be granted slots, or has perhaps just given some back."""
    return ti.state is TaskState.SCHEDULED


def _has_yet_to_begin(runs: Sequence[Run]) -> bool:
    """None of their tasks has an instance so far."""
    return all(run.next_ordinal == 0 and not run.state.finished for run in runs)


def _workflow_of(stored: StoredEvent) -> str:
    assert isinstance(stored.event, SpecPublished | PauseChanged)
    return stored.event.workflow_id
