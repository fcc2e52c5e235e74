"""Any interleaving of starts, reports, losses, clears and retries, by holders that lie, repeat and come late.

Checked after every step: user code of an execution was granted to one holder only (I6), and while no earlier one of
its instance may still run (I7); each execution has one ending (what else was said of it changed nothing, I10); whatever
is said of an execution that is not open leaves the database as it was, to the byte, but for one thing: of an execution
that was left behind (cleared) it is noted that it has ended.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from piper.executor.lost_workers import lose_all_on
from piper.model import wire
from piper.model.events import Event, Failed, Lost, Rescheduled, Skipped, Succeeded, TaskEvent
from piper.model.run import Identity
from piper.model.spec import TaskSpec
from piper.model.states import FINISHED, IN_FLIGHT, TaskState
from piper.store.database import Database
from piper.store.grants import grant
from piper.store.migrations import migrate
from piper.store.schema import attempt, event, task_instance, xcom
from tests.world import NOW, World

WORKERS = ("w1", "w2")
INSTANCES = 2
ENDINGS = (Succeeded, Failed, Skipped, Lost)


class Identities(RuleBasedStateMachine):
    """Two instances of one run, their owner, an executor and two workers."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{self.folder.name}/piper.db", synchronous="OFF")
        migrate(self.database)
        self.world = World(self.database, Path(self.folder.name))
        self.granted: dict[Identity, set[str]] = {}
        self.workers: dict[Identity, str] = {}
        """Where what was granted runs."""
        self.given_up: list[Identity] = []
        """What a worker has given up before it began; until its owner hears of it, another may begin it."""
        self.ended_late: set[Identity] = set()
        """Of what was left behind, that which is known to have ended."""
        self.seen: set[Identity] = set()
        self.told: list[Event] = []
        """Every event that was ever appended."""

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @initialize()
    def fill(self) -> None:
        self.world.add_workflow(TaskSpec(task_id="t", operator="P"))
        number = self.world.add_run()
        self.instances = [
            self.world.add_instance(number, map_index=index, state=TaskState.SCHEDULED).instance
            for index in range(INSTANCES)
        ]
        self.note()

    # --- what is true now

    def current(self, instance: int) -> Identity:
        row = self.world.row(instance)
        return Identity(row.id, row.try_number, row.leg)

    def contents(self) -> list[Any]:
        with self.database.read() as connection:
            return [
                [tuple(row) for row in connection.execute(table.select()).all()]
                for table in (task_instance, attempt, xcom, event)
            ]

    def differences(self, before: list[Any]) -> list[tuple[int, int]]:
        """The attempts that have changed since; nothing else may have."""
        instances, attempts, *others = self.contents()
        assert [instances, *others] == [before[0], *before[2:]]
        return [(now[0], now[1]) for was, now in zip(before[1], attempts, strict=True) if was != now]

    def note(self) -> None:
        self.seen |= {self.current(instance) for instance in self.instances}

    def identity(self, data: st.DataObject) -> Identity:
        """Any execution there ever was: late and confused holders speak for old ones."""
        return data.draw(st.sampled_from(sorted(self.seen, key=lambda one: (one.instance, one.try_number, one.leg))))

    def endings(self, identity: Identity) -> int:
        """How often it was said to have ended, once it had begun."""
        told = [one for one in self.told if isinstance(one, (*ENDINGS, Rescheduled)) and one.identity == identity]
        return len(told) - self.given_up.count(identity)

    def is_open(self, identity: Identity) -> bool:
        """Whether it is let in and has not ended, told without the code under test."""
        is_current = self.current(identity.instance) == identity
        is_running = self.world.state(identity.instance) is TaskState.RUNNING
        return is_current and is_running and not self.endings(identity)

    def is_left_behind(self, identity: Identity) -> bool:
        """Whether it was let in, is not current any more, and may still run."""
        ended = self.endings(identity) or identity in self.ended_late
        return identity in self.granted and self.current(identity.instance) != identity and not ended

    # --- what may happen

    @rule()
    def the_executor_grants(self) -> None:
        with self.database.write() as connection:
            grant(connection, list(self.instances), NOW)

    @rule(data=st.data(), worker=st.sampled_from(WORKERS), nonce=st.sampled_from(("n1", "n2")))
    def somebody_starts(self, data: st.DataObject, worker: str, nonce: str) -> None:
        identity = self.identity(data)
        before = self.contents()
        reply = self.world.say(identity, wire.Start(nonce, worker))
        if reply.problem is None:
            self.granted.setdefault(identity, set()).add(nonce)
            self.workers.setdefault(identity, worker)
            assert self.is_open(identity)
            others = (one for one in self.granted if one.instance == identity.instance and one != identity)
            assert not any(map(self.is_left_behind, others))
        else:
            assert self.contents() == before

    @rule(data=st.data(), nonce=st.sampled_from(("n1", "n2")))
    def somebody_gives_up_who_was_not_let_in(self, data: st.DataObject, nonce: str) -> None:
        identity = self.identity(data)
        if nonce not in self.granted.get(identity, ()):
            before = self.contents()
            assert self.world.say(identity, wire.GiveUp(nonce)).problem is None
            assert self.contents() == before

    @rule(
        data=st.data(),
        kind=st.sampled_from((Succeeded, Failed, Skipped, Rescheduled, Lost)),
        pushes=st.booleans(),
    )
    def somebody_reports(self, data: st.DataObject, kind: type, pushes: bool) -> None:
        identity = self.identity(data)
        said: TaskEvent = kind(identity, NOW) if kind is Rescheduled else kind(identity)
        could = self.is_open(identity)
        waits = kind is Lost and self.current(identity.instance) == identity
        waits = waits and self.world.state(identity.instance) is TaskState.QUEUED
        before = self.contents()
        reply = self.world.report(said, *[wire.XComPush("k", b"1")] * pushes)
        if could or waits:
            assert reply.problem is None
            self.told.append(said)
            self.given_up += [identity] * waits
        elif self.is_left_behind(identity):
            self.ended_late.add(identity)
            assert reply.problem is not None
            assert self.differences(before) == [(identity.instance, identity.try_number)]
        else:
            assert self.contents() == before, "late, repeated or stale: nothing may change"

    @rule(data=st.data())
    def somebody_pushes(self, data: st.DataObject) -> None:
        identity = self.identity(data)
        could = self.is_open(identity)
        before = self.contents()
        reply = self.world.say(identity, wire.PushXCom(wire.XComPush("k", b"2")))
        assert (reply.problem is None) == could
        assert could or self.contents() == before

    @rule(worker=st.sampled_from(WORKERS))
    def a_worker_dies(self, worker: str) -> None:
        running = [
            identity
            for identity in map(self.current, self.instances)
            if self.is_open(identity) and self.world.row(identity.instance).worker == worker
        ]
        with self.database.write() as connection:
            lost = lose_all_on(connection, worker, "gone", self.world.clock)
        assert sorted(lost, key=str) == sorted(running, key=str)
        self.ended_late |= {one for one in self.granted if self.workers[one] == worker and self.is_left_behind(one)}
        self.told += [Lost(identity, "gone") for identity in lost]

    @precondition(lambda self: self.told)
    @rule(retries=st.booleans())
    def the_owner_applies_the_oldest_event(self, retries: bool) -> None:
        with self.database.write() as connection:
            row = connection.execute(event.select().order_by(event.c.id).limit(1)).one_or_none()
            if row is None:
                return
            connection.execute(event.delete().where(event.c.id == row.id))
        said = [one for one in self.told if isinstance(one, (Succeeded, Failed, Skipped, Rescheduled, Lost))]
        applied = len(said) - len(self.world.events()) - 1
        told = said[applied]
        identity = told.identity
        if self.current(identity.instance) != identity or self.world.state(identity.instance) not in IN_FLIGHT:
            return  # a stale event is a row of the table that does nothing
        if isinstance(told, Rescheduled):
            values: dict[str, Any] = {"state": TaskState.SCHEDULED, "leg": identity.leg + 1}
        elif retries and not isinstance(told, Succeeded):
            values = {"state": TaskState.SCHEDULED, "try_number": identity.try_number + 1, "leg": 0}
        else:
            values = {"state": TaskState.SUCCESS if isinstance(told, Succeeded) else TaskState.FAILED}
        self.world.change_instance(identity.instance, **values)
        self.note()

    @rule(index=st.integers(0, INSTANCES - 1))
    def a_person_clears(self, index: int) -> None:
        identity = self.current(self.instances[index])
        if self.world.state(identity.instance) in FINISHED | IN_FLIGHT:
            self.world.change_instance(
                identity.instance, state=TaskState.SCHEDULED, try_number=identity.try_number + 1, leg=0
            )
            self.note()

    # --- what always holds

    @invariant()
    def one_holder_at_most_was_let_in(self) -> None:
        assert all(len(nonces) == 1 for nonces in self.granted.values())

    @invariant()
    def an_execution_that_ran_ended_once_at_most(self) -> None:
        assert all(self.endings(identity) <= 1 for identity in self.granted)


Identities.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


class TestIdentities(Identities.TestCase):  # type: ignore[name-defined, misc]
    """Under the name that pytest collects."""
