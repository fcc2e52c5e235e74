"""The actors of a play, and the dice that moves them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from piper.artifacts import ArtifactStore
from piper.core.graph import sources_of
from piper.executor.lost_workers import lose_all_on
from piper.executor.service import ExecutorService
from piper.model.errors import CallerError, Conflict
from piper.model.events import (
    BackfillPauseChanged,
    BackfillQueued,
    Clear,
    Deferred,
    Event,
    Failed,
    InstanceRef,
    Mark,
    MarkRun,
    PauseChanged,
    Rescheduled,
    RunQueued,
    Skipped,
    SpecPublished,
    Succeeded,
    TaskEvent,
)
from piper.model.ids import EXECUTOR_SHARD, SINGLETON_SHARDS, shard_of
from piper.model.run import Decision, Identity
from piper.model.spec import WorkflowSpec, encode_spec, spec_hash
from piper.model.states import RunState, RunType, TaskState
from piper.model.wire import Call, Dispatch, GiveUp, Reply, Report, Start, TaskContext
from piper.scheduler.service import SchedulerService
from piper.secrets import Keys
from piper.service import Wakeups
from piper.store import schema
from piper.store.database import Database, Fence
from piper.store.events import append_events, event_row
from piper.store.runs import create_run
from piper.store.sqlite import SqliteDriver
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens
from tests.simulation import backfilling
from tests.simulation.assets import AssetMonitor, changes_of, lay_assets, random_consumer, with_outlets
from tests.simulation.callbacks import CallbackMonitor
from tests.simulation.ledger import Ledger
from tests.simulation.monitor import Monitor
from tests.simulation.triggering import Triggerer, Waits
from tests.simulation.workflows import MONDAY, another_version, random_workflow

HORIZON = MONDAY + timedelta(hours=1)
"""No scheduled run after this: a play must come to rest."""

POOLS = {"default_pool": 4, "narrow": 1}


class Crash(BaseException):
    """The process that was about to do something is gone."""


class SimulatedClock:
    """One clock for everybody, moved by the play."""

    def __init__(self, start: datetime) -> None:
        self.at = start

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - MONDAY).total_seconds()


class ActorDatabase(Database):
    """One actor's connections: others may act before it writes, and it may die around its commits."""

    def __init__(self, world: World, actor: str) -> None:
        super().__init__(world.url, synchronous="OFF", commit_hook=self._around_commit)
        if world.driver is not None:  # else every actor would compile every statement anew
            self.driver, self.engine = world.driver, world.driver.engine
        self.world = world
        self.actor = actor

    @contextmanager
    def as_member(self, member_id: str) -> Iterator[Connection]:
        self.world.before_write(self.actor)
        with super().as_member(member_id) as connection:
            yield connection

    def _around_commit(self, phase: str) -> None:
        if phase == "after":
            self.world.after_commit(self.actor)
        self.world.may_crash(self.actor, phase)


class Term:
    """A scheduler's or executor's ownership, which ends when another takes over without its being told."""

    def __init__(self, owner: str, epochs: dict[int, int]) -> None:
        self._fence = Fence(owner, epochs)

    def fence(self) -> Fence | None:
        return self._fence

    def forget(self, fence: Fence, shards: Any) -> None:
        self._fence = Fence(self._fence.owner, {s: e for s, e in self._fence.epochs.items() if s not in shards})


class Backend:
    """The way to the workers: what is on it can be lost, doubled and late."""

    capacity = 6
    arrivals = 0

    def __init__(self) -> None:
        self.dispatches: list[Dispatch] = []
        self.cancels: list[Identity] = []

    def send(self, dispatches: Sequence[Dispatch]) -> None:
        self.dispatches += dispatches

    def cancel(self, identities: Sequence[Identity], reason: str = "") -> None:
        self.cancels += identities


@dataclass
class Running:
    """Something that a worker is doing."""

    context: TaskContext
    token: str
    worker: str
    nonce: str


class World:
    """One play: everything follows from the seed.

    Arguments:
        folder: an empty folder for the database.
        talk: called with each move, for a person who looks on.
    """

    def __init__(self, seed: int, folder: Path, talk: Callable[[str], None] = lambda _: None) -> None:
        self.dice = random.Random(seed)
        self.talk = talk
        self.url = f"sqlite:///{folder / 'piper.db'}"
        self.clock = SimulatedClock(MONDAY + timedelta(minutes=self.dice.randint(-5, 25)))
        self.calm = True
        self._acting = 0
        self.driver: SqliteDriver | None = None
        self._names = 0
        self.ledger = Ledger()
        self.waits = Waits()
        self.backend = Backend()
        self.running: list[Running] = []
        self.said: list[tuple[str, Report]] = []
        """Reports that were made: they may come again."""
        self.monitor: Monitor | None = None
        keys = Keys([bytes(32)])
        self.tokens = Tokens(keys)
        people = self.database("people")
        self.specs = {s.workflow_id: s for s in self._cast()}
        self._lay_foundation(people)
        self.people = people
        self.monitor = Monitor(str(folder / "piper.db"), self.specs, POOLS)
        self.monitor.versions |= {spec_hash(encode_spec(spec)): spec for spec in self.specs.values()}
        self.assets = AssetMonitor(str(folder / "piper.db"), self.specs, self.ledger)
        self.callbacks = CallbackMonitor(str(folder / "piper.db"), self.monitor.versions)
        self._marked: set[int] = set()
        """Runs whose end does not follow from their tasks alone: a person has had a hand in it."""
        self._run_again: set[int] = set()
        self.wakeups = Wakeups()
        artifacts = ArtifactStore(folder / "artifacts")
        self.api = TaskApi(self.database("task_api"), self.clock, keys, artifacts, self.wakeups)
        self.scheduler = self._new_scheduler()
        self.zombies: list[SchedulerService] = []
        self.triggerer = Triggerer(self)
        self.executor = self._new_executor()
        self.calm = False

    # --- the stage -----------------------------------------------------------------------------

    def database(self, actor: str) -> Database:
        """A database of an actor's own."""
        database = ActorDatabase(self, actor)
        assert isinstance(database.driver, SqliteDriver)
        self.driver = database.driver
        return database

    def close(self) -> None:
        """The play is over."""
        if self.driver is not None:
            self.driver.close()

    def _cast(self) -> list[WorkflowSpec]:
        """The workflows of the play; in half of the plays some change assets, and others are scheduled by these."""
        specs = [self._workflow(number) for number in range(self.dice.randint(1, 3))]
        if self.dice.random() < 0.5:
            return specs
        producers = [with_outlets(self.dice, spec) for spec in specs]
        return producers + [random_consumer(self.dice, number) for number in range(self.dice.randint(1, 3))]

    def _workflow(self, number: int) -> WorkflowSpec:
        spec = random_workflow(self.dice, number)
        return replace(spec, schedule=replace(spec.schedule, end=HORIZON))

    def _lay_foundation(self, database: Database) -> None:
        now = self.clock.now()
        with database.write() as connection:
            schema.metadata.create_all(connection)
            shards = [*range(256), *SINGLETON_SHARDS]
            connection.execute(insert(schema.shard), [{"shard": s, "epoch": 0} for s in shards])
            connection.execute(
                insert(schema.pool),
                [
                    {"name": n, "team": "default", "slots": slots, "include_deferred": False, "description": ""}
                    for n, slots in POOLS.items()
                ],
            )
            lay_assets(connection, self.specs.values())
            for spec in self.specs.values():
                body = encode_spec(spec)
                digest = spec_hash(body)
                connection.execute(insert(schema.spec).values(hash=digest, body=body.decode()))
                connection.execute(
                    insert(schema.workflow).values(
                        workflow_id=spec.workflow_id,
                        shard=shard_of(spec.workflow_id),
                        team="default",
                        bundle="b",
                        file="w.py",
                        version=1,
                        spec_hash=digest,
                        snapshot="s",
                        paused=False,
                        tags=[],
                        max_active_runs=spec.max_active_runs,
                        created_at=now,
                        updated_at=now,
                    )
                )
                append_events(
                    connection,
                    [event_row(shard_of(spec.workflow_id), None, SpecPublished(spec.workflow_id, digest), now)],
                )

    def _new_scheduler(self) -> SchedulerService:
        """A scheduler that has just taken over everything."""
        self._names += 1
        name = f"scheduler-{self._names}"
        term = Term(name, self._take_over(name, [*range(256)]))
        return SchedulerService(self.database(name), term, self.clock, self.wakeups, self.backend.cancel)

    def _new_executor(self) -> ExecutorService:
        self._names += 1
        name = f"executor-{self._names}"
        term = Term(name, self._take_over(name, [EXECUTOR_SHARD]))
        return ExecutorService(self.database(name), self.clock, self.tokens, self.backend, term, self.wakeups)

    def _take_over(self, owner: str, shards: list[int]) -> dict[int, int]:
        with self.people.write() as connection:
            table = schema.shard
            connection.execute(
                update(table).where(table.c.shard.in_(shards)).values(owner=owner, epoch=table.c.epoch + 1)
            )
            rows = connection.execute(select(table.c.shard, table.c.epoch).where(table.c.owner == owner))
            return {row.shard: row.epoch for row in rows}

    # --- what the dice does to everybody -------------------------------------------------------

    def before_write(self, actor: str) -> None:
        """Somebody else may act between what an actor has read and what it writes."""
        if self.calm or self._acting >= 2 or self.dice.random() > 0.15:
            return
        role = actor.partition("-")[0]
        moves = {
            "people": [self.move_people],
            "task_api": [self.move_worker_report],
            "scheduler": [self.move_scheduler, self.move_people_and_scheduler],
            "executor": [self.move_executor],
        }
        moves.pop(role)
        move = self.dice.choice([m for others in moves.values() for m in others])
        self.talk(f"    … and before {actor} writes:")
        self._do(move)

    def may_crash(self, actor: str, phase: str) -> None:
        """A process may be gone just before its commit, or just after."""
        if not self.calm and actor != "people" and self.dice.random() < 0.02:
            self.talk(f"    {actor} crashes {phase} its commit")
            raise Crash(actor)

    def after_commit(self, actor: str) -> None:
        """Every commit is looked at."""
        if self.monitor is not None:
            changed, steered = self.monitor.after_commit(actor, self.clock.now())
            self.assets.after_commit(changed, self.monitor.runs, bool(steered))
            self.callbacks.after_commit(self.monitor.runs, steered)

    # --- moves ---------------------------------------------------------------------------------

    def play(self, moves: int) -> None:
        """Let the dice move everybody, then let faults end and everything come to rest, and look at the outcome."""
        for _ in range(moves):
            move = self.dice.choices(
                [
                    self.move_scheduler,
                    self.move_executor,
                    self.move_worker_start,
                    self.move_worker_report,
                    self.move_clock,
                    self.move_people,
                    self.move_old_report,
                    self.move_worker_crash,
                    self.move_takeover,
                    self.move_zombie,
                    self.move_triggerer,
                ],
                [20, 16, 20, 20, 14, 6, 3, 2, 2, 3, 8],
            )[0]
            self._do(move)
        self.heal()
        self._map_again()
        self.heal()
        self.monitor.check_schedules(min(self.clock.now(), HORIZON), {})
        self.monitor.check_rest()
        self.callbacks.check_rest()
        self.assets.check_rest()
        self.monitor.check_ends(self._marked, self._run_again)

    def _do(self, move: Callable[[], None]) -> None:
        self._acting += 1
        try:
            move()
        except Crash as crash:
            self._restart(str(crash))
        finally:
            self._acting -= 1

    def _restart(self, actor: str) -> None:
        """Whoever crashed is started again."""
        calm, self.calm = self.calm, True
        if actor.startswith("scheduler"):
            self.scheduler = self._new_scheduler()
        elif actor.startswith("executor"):
            self.executor = self._new_executor()
        self.calm = calm

    def move_scheduler(self) -> None:
        self.talk(f"{self.scheduler._term.fence().owner} ticks")
        self.scheduler.tick()

    def move_executor(self) -> None:
        self.talk("executor ticks")
        self.monitor.note_what_is_fresh()
        self.executor.tick()

    def move_takeover(self) -> None:
        """Another scheduler takes over; the old one may wake up later."""
        self.zombies.append(self.scheduler)
        self.scheduler = self._new_scheduler()
        self.talk(f"{self.scheduler._term.fence().owner} takes over")

    def move_zombie(self) -> None:
        """A scheduler that has been taken over goes on with what it believes."""
        if self.zombies:
            zombie = self.dice.choice(self.zombies)
            self.talk(f"{zombie._term.fence().owner} wakes up and ticks")
            try:
                zombie.tick()
            except Exception as error:
                self.talk(f"    it failed: {error}")

    def move_worker_start(self) -> None:
        """A dispatch reaches a worker, or is lost on the way, or comes twice."""
        if not self.backend.dispatches:
            return
        i = self.dice.randrange(len(self.backend.dispatches))
        dispatch = self.backend.dispatches[i] if self.dice.random() < 0.15 else self.backend.dispatches.pop(i)
        if not self.calm and self.dice.random() < 0.1:
            self.talk(f"the dispatch of {dispatch.identity} is lost")
            return
        self._start([dispatch])

    def _start(self, dispatches: Sequence[Dispatch]) -> None:
        """Workers ask whether they may begin these."""
        names = [(f"worker-{self.dice.randint(1, 2)}", f"{self.dice.getrandbits(32):08x}") for _ in dispatches]
        calls = [
            Call(n, dispatch.identity, dispatch.token, Start(nonce, worker))
            for n, (dispatch, (worker, nonce)) in enumerate(zip(dispatches, names, strict=True))
        ]
        replies = self.ask(calls)
        for call, dispatch, (worker, nonce) in zip(calls, dispatches, names, strict=True):
            reply = replies[call.id]
            if reply.problem is not None:
                self.talk(f"{worker} may not start {dispatch.identity}: {reply.problem.kind}")
                if reply.problem.kind == "unavailable":
                    self.backend.dispatches.append(dispatch)
                else:
                    self.ask([Call(0, dispatch.identity, dispatch.token, GiveUp(nonce))])
                continue
            self.talk(f"{worker} starts {dispatch.identity}")
            if not self.calm and self.dice.random() < 0.05:  # the answer is lost: the worker asks again
                reply = self.ask([call])[call.id]
                if reply.problem is not None and reply.problem.kind != "unavailable":
                    self.ask([Call(0, dispatch.identity, dispatch.token, GiveUp(nonce))])
            if isinstance(reply.result, TaskContext):
                self.ledger.begin(dispatch.identity, worker)
                self.waits.resumed(dispatch.identity, reply.result.resume)
                self.running.append(Running(reply.result, dispatch.token, worker, nonce))

    def move_worker_report(self) -> None:
        """A task ends, or one that is cancelled is killed."""
        self._kill_cancelled()
        if not self.running:
            return
        running = self.running.pop(self.dice.randrange(len(self.running)))
        self._say([(running, Report(self._outcome(running.context)))])

    def _kill_cancelled(self) -> None:
        for identity in self.backend.cancels:
            for running in [r for r in self.running if r.context.identity == identity]:
                self.running.remove(running)
                self._say([(running, Report(Failed(identity, "cancelled")))])
        self.backend.cancels.clear()

    def _say(self, ends: Sequence[tuple[Running, Report]]) -> None:
        """Executions have ended, and their workers report that."""
        calls = []
        for running, report in ends:
            identity = running.context.identity
            self.ledger.end(identity)
            if isinstance(report.event, Deferred):
                self.waits.deferred(identity)
            self.talk(f"{identity} of {running.context.task.task_id} reports {type(report.event).__name__}")
            self.said.append((running.token, report))
            self.ledger.note_changes(report.event)
            calls.append(Call(len(calls), identity, running.token, report))
        self.ask(calls)

    def move_old_report(self) -> None:
        """A report comes late, or again."""
        if self.said:
            token, report = self.dice.choice(self.said)
            self.talk(f"again: {type(report.event).__name__} of {report.event.identity}")
            self.ask([Call(3, report.event.identity, token, report)])

    def ask(self, calls: Sequence[Call]) -> dict[int, Reply]:
        """What workers ask they ask again while the server is gone. Returns the replies by number of the call."""
        while True:
            try:
                return {reply.id: reply for reply in self.api.handle(calls)}
            except Crash:
                continue

    def move_worker_crash(self) -> None:
        """A worker is gone with all it ran, and that is noticed."""
        worker = f"worker-{self.dice.randint(1, 2)}"
        gone = [r for r in self.running if r.worker == worker]
        for running in gone:
            self.running.remove(running)
            self.ledger.end(running.context.identity)
        self.talk(f"{worker} is gone with {[r.context.identity for r in gone]}")
        with self.people.write() as connection:
            lose_all_on(connection, worker, "worker gone", self.clock)

    def move_clock(self) -> None:
        seconds = self.dice.choice([0.1, 1, 10, 60, 300, 700])
        self.clock.at += timedelta(seconds=seconds)
        self.talk(f"{seconds} s pass: {self.clock.at:%d %H:%M:%S}")

    def move_triggerer(self) -> None:
        """A triggerer looks, fires something, or forgets what runs."""
        what = self.dice.choices([self.triggerer.look, self.triggerer.fire, self.triggerer.crash], [10, 10, 1])[0]
        what()

    def move_people(self) -> None:
        """A person triggers, clears, marks, pauses."""
        what = self.dice.choice(
            [
                "trigger",
                "trigger",
                "clear",
                "clear",
                "clear",
                "mark",
                "mark_run",
                "pause",
                "backfill",
                "backfill",
                "publish",
            ]
        )
        runs = list(self.monitor.runs.values())
        if what == "backfill":
            self._backfill()
        elif what == "trigger" or not runs:
            self._trigger()
        elif what == "publish":
            self._publish()
        elif what == "pause":
            workflow = self.dice.choice(sorted(self.specs))
            paused = self.dice.random() < 0.5
            self.talk(f"a person sets paused={paused} on {workflow}")
            self._append(shard_of(workflow), None, PauseChanged(workflow, paused))
        else:
            run = self.dice.choice(runs)
            names = sorted({(r.task_id, r.map_index) for r in self.monitor.rows.values() if r.run == run[0]})
            few = self.dice.choice([0.1, 0.4])
            chosen = tuple(InstanceRef(*n) for n in names if self.dice.random() < few)
            if what == "clear" and self.dice.random() < 0.8:
                chosen += self._all_below(run, {ref.task_id for ref in chosen})
                self._run_again.add(run[0])
            else:
                self._marked.add(run[0])
            event: Event = self._clear(run, chosen)
            if what == "mark":
                event = Mark(run[0], chosen, self.dice.choice([TaskState.SUCCESS, TaskState.FAILED]))
            elif what == "mark_run":
                event = MarkRun(run[0], self.dice.choice([RunState.SUCCESS, RunState.FAILED]))
            self.talk(f"a person says {event}")
            self._append(run[3], run[0], event)

    def _map_again(self) -> None:
        """A person clears what tasks are mapped over that have run: it may return a longer or a shorter list."""
        rows = [row for row in self.monitor.rows.values() if row.map_index >= 0]
        for run in sorted({row.run for row in rows})[:4]:
            row = self.monitor.runs[run]
            lists = sorted(self._mapped_over(row))
            if lists and run not in self._marked:
                chosen = InstanceRef(self.dice.choice(lists))
                self.talk(f"a person clears {chosen.task_id} of run {run} and all below")
                self._run_again.add(run)
                clear = Clear(run, (chosen, *self._all_below(row, {chosen.task_id})))
                self._append(row[3], run, clear)

    def _mapped_over(self, run: tuple) -> frozenset[str]:
        spec = self.monitor.version_of(run)
        lengths = [one.mapped for one in (*spec.tasks, *spec.groups) if one.mapped is not None]
        return frozenset[str]().union(*map(sources_of, lengths))

    def _all_below(self, run: tuple, task_ids: set[str]) -> tuple[InstanceRef, ...]:
        below: set[str] = set()
        for task in self.monitor.version_of(run).tasks:  # in topological order
            if (below | task_ids) & set(task.upstream):
                below.add(task.task_id)
        return tuple(InstanceRef(task_id) for task_id in sorted(below))

    def _clear(self, run: tuple, chosen: tuple[InstanceRef, ...]) -> Clear:
        """A clear of one of the shapes that there are, with the run's own version or the newest."""
        shape = self.dice.choice(["named", "named", "only_failed", "only_running"])
        version, snapshot = "", ""
        if self.dice.random() < 0.4:
            newest = self.specs[run[1]]
            version, snapshot = spec_hash(encode_spec(newest)), "s"
            chosen = tuple(InstanceRef(t.task_id) for t in newest.tasks if self.dice.random() < 0.5)
        if version or shape != "named":
            self._marked.add(run[0])
        return Clear(
            run[0], chosen, shape == "only_failed", shape == "only_running", spec_hash=version, snapshot=snapshot
        )

    def _publish(self) -> None:
        """A file has changed: there is another version of a workflow."""
        workflow = self.dice.choice(sorted(self.specs))
        spec = another_version(self.dice, self.specs[workflow])
        body = encode_spec(spec)
        digest = spec_hash(body)
        self.specs[workflow] = self.monitor.versions[digest] = spec
        self.talk(f"version {digest[:6]} of {workflow} is published: {[t.task_id for t in spec.tasks]}")
        with self.people.write() as connection:
            if connection.execute(select(schema.spec.c.hash).where(schema.spec.c.hash == digest)).first() is None:
                connection.execute(insert(schema.spec).values(hash=digest, body=body.decode()))
            table = schema.workflow
            connection.execute(table.update().where(table.c.workflow_id == workflow).values(spec_hash=digest))
            news = SpecPublished(workflow, digest)
            append_events(connection, [event_row(shard_of(workflow), None, news, self.clock.now())])

    def move_people_and_scheduler(self) -> None:
        """A person says something and it is applied at once."""
        self.move_people()
        self.move_scheduler()

    def _trigger(self) -> None:
        workflow = self.dice.choice(sorted(self.specs))
        date = None
        if self.dice.random() < 0.5:  # perhaps the very date that the schedule will want
            date = MONDAY + timedelta(minutes=10 * self.dice.randint(0, 8))
        try:
            with self.people.write() as connection:
                run = create_run(
                    connection,
                    workflow_id=workflow,
                    run_type=RunType.MANUAL,
                    now=self.clock.now(),
                    logical_date=date,
                    run_after=self.clock.now(),
                    suffix=f"{self.dice.getrandbits(32):08x}",
                )
                append_events(connection, [event_row(run.shard, run.id, RunQueued(run.id), self.clock.now())])
            self.talk(f"a person triggers {run.run_id} of {workflow}")
        except Conflict:
            self.talk("a person triggers a run that exists")

    def _backfill(self) -> None:
        """A person asks for a backfill, or says something to one."""
        known = sorted(self.monitor.backfills.rows.values())
        if known and self.dice.random() < 0.5:
            row = self.dice.choice(known)
            event = backfilling.command_about(self.dice, row.id)
            self.talk(f"a person says {event}")
            self._append(shard_of(row.workflow_id), None, event)
            return
        spec = self.specs[self.dice.choice(sorted(self.specs))]
        now = self.clock.now()
        try:
            with self.people.write() as connection:
                made = backfilling.ask(self.dice, connection, spec, now)
                append_events(connection, [event_row(made.shard, None, BackfillQueued(made.id), now)])
            self.talk(f"a person asks for {made}")
        except CallerError as refused:
            self.talk(f"a person asks for a backfill in vain: {refused}")

    def _append(self, shard: int, run: int | None, event: Event) -> None:
        with self.people.write() as connection:
            append_events(connection, [event_row(shard, run, event, self.clock.now())])

    def _outcome(self, context: TaskContext) -> TaskEvent:
        """What a task does follows from the dice; a task that is tried again may do something else."""
        identity, task = context.identity, context.task
        if context.callback is not None:
            self.callbacks.called.add(identity.instance)
            return Succeeded(identity) if self.dice.random() < 0.8 else Failed(identity, "boom")
        waits_again = 40 if identity.leg else 8  # what an earlier wait said may come during a later one
        what = self.dice.choices(
            ["succeed", "fail", "fail for good", "skip", "reschedule", "defer"], [66, 12, 3, 6, 5, waits_again]
        )[0]
        match what:
            case "fail":
                return Failed(identity, "boom", outside=self.dice.random() < 0.3)
            case "fail for good":
                return Failed(identity, "boom", retry=False)
            case "skip":
                return Skipped(identity)
            case "reschedule" if identity.leg < 3:
                return Rescheduled(identity, self.clock.now() + timedelta(seconds=self.dice.choice([0, 20, 90])))
            case "defer" if identity.leg < 3:
                timeout = timedelta(seconds=60) if self.dice.random() < 0.5 else None
                return Deferred(identity, "test.Trigger", method="resume", timeout=timeout)
        decision = None
        if task.branches:
            decision = self._decision(identity.instance >> 24, task.task_id)
        length = None if context.map_index >= 0 and self.dice.random() < 0.2 else self.dice.choice([0, 1, 2, 3])
        return Succeeded(identity, length, decision, changes_of(self.dice, task))

    def _decision(self, run: int, task_id: str) -> Decision:
        """What a task follows or skips: a branch, a short circuit, tasks by name."""
        spec = self.monitor.version_of(self.monitor.runs[run])
        below = [t.task_id for t in spec.tasks if task_id in t.upstream]
        chosen = tuple(t for t in below if self.dice.random() < 0.5)
        kind = self.dice.random()
        if kind < 0.6:
            return Decision(followed=chosen)
        return Decision(skipped=chosen) if kind < 0.75 else Decision(skip_descendants=True)

    # --- rest ----------------------------------------------------------------------------------

    def heal(self) -> None:
        """No more faults: everybody does their work in turn until nothing is left to do."""
        self.talk("--- from here on all is well ---")
        self.calm = True
        for workflow in sorted(self.specs):
            self._append(shard_of(workflow), None, PauseChanged(workflow, False))
        for row in self.monitor.backfills.rows.values():
            self._append(shard_of(row.workflow_id), None, BackfillPauseChanged(row.id, paused=False))
        self.clock.at = max(self.clock.at, HORIZON + timedelta(seconds=1))
        idle = 0
        for _ in range(2_000):  # what is well needs three hundred
            before = self.monitor.commits
            self.move_scheduler()
            self.move_executor()
            self._work_all_off()
            self.triggerer.look()
            while self.triggerer.running:
                self.triggerer.fire()
            idle = 0 if self.monitor.commits != before else idle + 1
            if idle > 1:
                self.clock.at += timedelta(seconds=31 * idle)
            if idle > 2 and self._all_ended():
                return
            if idle > 8 and not self._unblock():
                return

    def _work_all_off(self) -> None:
        """Whatever has been dispatched begins, and whatever runs ends, each in one transaction."""
        dispatches = self.backend.dispatches[:]
        self.backend.dispatches.clear()
        if dispatches:
            self._start(dispatches)
        self._kill_cancelled()
        running = self.running[:]
        self.running.clear()
        if running:
            self._say([(one, Report(self._outcome(one.context))) for one in running])

    def _all_ended(self) -> bool:
        ended = all(run[4] in ("success", "failed") for run in self.monitor.runs.values())
        return ended and not self.callbacks.open

    def _unblock(self) -> bool:
        """A person ends runs that wait for a past which will not get better."""
        waiting = [
            run
            for run in self.monitor.runs.values()
            if run[4] == "running" and any(t.depends_on_past for t in self.monitor.version_of(run).tasks)
        ]
        for run in waiting:
            self._marked.add(run[0])
            self._append(run[3], run[0], MarkRun(run[0], RunState.FAILED))
        return bool(waiting)
