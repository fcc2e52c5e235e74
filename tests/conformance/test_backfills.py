"""The owner of a workflow fills a range: with runs, in their order, within its limit; on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from piper.model.backfill import Backfill, BackfillState, Reprocess
from piper.model.errors import Conflict
from piper.model.events import (
    BackfillCancelled,
    BackfillPauseChanged,
    BackfillQueued,
    Clear,
    Failed,
    InstanceRef,
    MarkRun,
    PauseChanged,
    RunQueued,
    Succeeded,
)
from piper.model.run import Identity
from piper.model.schedule import CronTimetable, Schedule
from piper.model.spec import TaskSpec
from piper.model.states import IN_FLIGHT, RunState, RunType, TaskState
from piper.scheduler import backfills as chore
from piper.scheduler.service import SchedulerService
from piper.store import commands
from piper.store.backfills import backfills_by_number, count_runs, create_backfill
from piper.store.database import Database, Fence
from piper.store.schema import run, task_instance, workflow
from tests.backfills import a_backfill
from tests.world import World

JANUARY = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WORK = TaskSpec(task_id="t", operator="P")
DAILY = Schedule(timetable=CronTimetable(("0 0 * * *",)), start=datetime(2030, 1, 1, tzinfo=UTC))


class Owning:
    """A term that lasts."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def fence(self) -> Fence:
        return self._fence

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        raise AssertionError(f"shards {shards} were lost")


class Stage:
    """An owner at work, and a person who asks for backfills."""

    def __init__(self, database: Database, fence: Fence, folder: Path) -> None:
        self.world = World(database, folder)
        self.database = database
        self._fence = fence
        self.cancelled: list[Identity] = []
        self.start()

    def start(self) -> None:
        """Another process takes over."""
        self.scheduler = SchedulerService(
            self.database, Owning(self._fence), self.world.clock, self.world.wakeups, self.cancelled.extend
        )

    def ask(self, days: int, *, first: datetime = JANUARY, **values: Any) -> int:
        """Ask for a backfill of so many days; its number."""
        with self.database.write() as connection:
            row = connection.execute(select(workflow).where(workflow.c.workflow_id == "flow")).one()
            given: dict[str, Any] = {
                "from_date": first,
                "to_date": first + (days - 1) * DAY,
                "first_date": first,
                "total": days,
                "max_active_runs": 3,
                "spec_hash": row.spec_hash,
                "created_at": self.world.clock.now(),
            }
            wanted = a_backfill(**(given | values))
            made = create_backfill(connection, wanted)
            commands.send(connection, "flow", None, BackfillQueued(made.id), self.world.clock.now())
        return made.id

    def trigger(self, run_id: str, **values: Any) -> int:
        """Start a run by hand; its number."""
        made = self.world.add_run(run_id=run_id, state=RunState.QUEUED, **values)
        self.say(RunQueued(made), made)
        return made

    def say(self, command: Any, number: int | None = None) -> None:
        """A person's command to the owner."""
        with self.database.write() as connection:
            commands.send(connection, "flow", number, command, self.world.clock.now())

    def settle(self) -> None:
        """Let the owner work until it has nothing more to do at once."""
        for _ in range(500):
            if self.scheduler.tick() > 0 and not self.world.events():
                return
        raise AssertionError("the owner does not come to rest")

    def finish(self, *runs: int, state: TaskState = TaskState.SUCCESS) -> None:
        """The tasks of these runs end."""
        for number in runs:
            for row in self.instances(number):
                if row.state not in IN_FLIGHT:
                    continue
                identity = Identity(row.id, row.try_number, row.leg)
                event = Succeeded(identity) if state is TaskState.SUCCESS else Failed(identity, "boom", retry=False)
                self.say(event, number)
        self.settle()

    def work_off(self) -> None:
        """Everything that runs ends well, until nothing runs."""
        while running := [row.id for row in self.runs() if row.state is RunState.RUNNING]:
            self.finish(*running)

    def runs(self) -> list[Any]:
        """All runs by logical date."""
        with self.database.read() as connection:
            return list(connection.execute(select(run).order_by(run.c.logical_date)))

    def instances(self, number: int) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(task_instance).where(task_instance.c.run == number)))

    def backfill(self, number: int) -> Backfill:
        with self.database.read() as connection:
            return backfills_by_number(connection, [number])[number]

    def states(self) -> Counter[str]:
        return Counter(str(row.state) for row in self.runs())


@pytest.fixture
def stage(database: Database, fence: Fence, tmp_path: Path) -> Stage:
    stage = Stage(database, fence, tmp_path)
    stage.world.add_workflow(WORK, schedule=DAILY)
    return stage


def test_each_date_gets_a_queued_run_of_the_backfill_s_version(stage: Stage) -> None:
    number = stage.ask(5, conf={"model": "v2"}, snapshot="pinned", max_active_runs=1)
    stage.settle()
    rows = stage.runs()
    assert [row.logical_date for row in rows] == [JANUARY + n * DAY for n in range(5)]
    assert {(row.run_type, row.backfill, row.snapshot) for row in rows} == {(RunType.BACKFILL, number, "pinned")}
    assert rows[0].run_id == "backfill__2025-01-01T00:00:00+00:00"
    assert rows[0].conf == {"model": "v2"}
    assert stage.states() == {"running": 1, "queued": 4}
    found = stage.backfill(number)
    assert (found.state, found.created, found.total) == (BackfillState.RUNNING, 5, 5)


def test_it_is_completed_when_the_last_of_its_runs_has_ended(stage: Stage) -> None:
    number = stage.ask(4)
    stage.settle()
    stage.finish(*[row.id for row in stage.runs() if row.state is RunState.RUNNING], state=TaskState.FAILED)
    assert stage.backfill(number).state is BackfillState.RUNNING
    stage.work_off()
    assert stage.states() == {"failed": 3, "success": 1}
    ended = stage.backfill(number)
    assert (ended.state, ended.ended_at) == (BackfillState.COMPLETED, stage.world.clock.now())
    with stage.database.read() as connection:
        assert count_runs(connection, [number]) == {number: {RunState.FAILED: 3, RunState.SUCCESS: 1}}


def test_its_limit_is_its_own_and_fresh_runs_start_beside_it(stage: Stage) -> None:
    with stage.database.write() as connection:
        connection.execute(workflow.update().values(max_active_runs=2))
    stage.ask(10, max_active_runs=3)
    stage.settle()
    assert stage.states()["running"] == 3
    for day in range(4):
        stage.trigger(f"fresh{day}", logical_date=JANUARY - day * DAY - DAY)
    stage.settle()
    running = Counter(row.backfill is not None for row in stage.runs() if row.state is RunState.RUNNING)
    assert running == {True: 3, False: 2}, "the workflow's own limit is 2"


def test_forwards_the_earliest_date_starts_first_and_backwards_the_latest(stage: Stage) -> None:
    stage.ask(4, max_active_runs=1)
    stage.settle()
    assert [row.state for row in stage.runs()] == ["running", *["queued"] * 3]
    stage.say(BackfillCancelled(1))
    stage.settle()
    stage.work_off()
    stage.ask(4, first=JANUARY - 10 * DAY, max_active_runs=1, backwards=True)
    stage.settle()
    assert [row.state for row in stage.runs()][:4] == [*["queued"] * 3, "running"]


def test_a_workflow_has_one_backfill_at_a_time(stage: Stage) -> None:
    number = stage.ask(4)
    with pytest.raises(Conflict, match=f"has backfill {number} already"):
        stage.ask(4)
    stage.settle()
    stage.work_off()
    stage.ask(4)


def existing_runs(stage: Stage) -> dict[str, int]:
    """One run of each kind on the first days of January."""
    made = {}
    states = {"good": RunState.SUCCESS, "bad": RunState.FAILED, "queued": RunState.QUEUED, "busy": RunState.RUNNING}
    for day, (name, state) in enumerate(states.items()):
        made[name] = stage.world.add_run(run_id=name, state=state, logical_date=JANUARY + day * DAY, conf={"a": 1})
        if name != "queued":
            ended = {"good": TaskState.SUCCESS, "bad": TaskState.FAILED}.get(name, TaskState.RUNNING)
            stage.world.add_instance(made[name], state=ended)
    with stage.database.write() as connection:
        connection.execute(run.update().values(next_ordinal=1).where(run.c.state != RunState.QUEUED))
    return made


@pytest.mark.parametrize(
    ("reprocess", "rerun"),
    [(Reprocess.NONE, set()), (Reprocess.FAILED, {"bad"}), (Reprocess.COMPLETED, {"good", "bad"})],
)
def test_runs_that_have_ended_are_run_again_as_asked_and_those_in_flight_left_alone(
    stage: Stage, reprocess: Reprocess, rerun: set[str]
) -> None:
    made = existing_runs(stage)
    number = stage.ask(6, reprocess=reprocess, snapshot="pinned", conf={"b": 2})
    stage.settle()
    by_id = {row.id: row for row in stage.runs()}
    adopted = {name for name, of in made.items() if by_id[of].backfill == number}
    assert adopted == rerun
    for name in rerun:
        row = by_id[made[name]]
        assert (row.run_type, row.snapshot, row.conf, row.clears) == (RunType.BACKFILL, "pinned", {"b": 2}, 1)
        assert row.state in (RunState.QUEUED, RunState.RUNNING)
        assert [(ti.backfill, ti.try_number) for ti in stage.instances(row.id)] == [(True, 2)]
    found = stage.backfill(number)
    assert (found.created, found.rerun, found.existed, found.in_flight) == (2, len(rerun), 2 - len(rerun), 2)
    stage.work_off()
    assert stage.backfill(number).state is BackfillState.COMPLETED
    assert {row.state for row in stage.runs() if row.id in map(made.get, rerun)} <= {RunState.SUCCESS}


def test_a_range_of_many_chunks_survives_a_new_owner_after_each(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chore, "CHUNK", 7)
    monkeypatch.setattr(chore, "RERUNS", 2)
    for day in range(0, 40, 3):
        stage.world.add_run(run_id=f"r{day}", state=RunState.FAILED, logical_date=JANUARY + day * DAY)
    number = stage.ask(40, reprocess=Reprocess.FAILED, max_active_runs=1)
    ticks = 0
    while stage.backfill(number).state is BackfillState.CREATING:
        stage.scheduler.tick()
        stage.start()
        ticks += 1
    assert ticks >= 7, "a chunk has at most two runs that are cleared"
    found = stage.backfill(number)
    assert (found.created, found.rerun, found.existed, found.in_flight) == (26, 14, 0, 0)
    assert {row.backfill for row in stage.runs()} == {number}
    assert {row.clears for row in stage.runs()} == {0, 1}


def test_paused_it_makes_and_starts_nothing_and_resumed_it_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chore, "CHUNK", 5)
    number = stage.ask(20, max_active_runs=2)
    stage.scheduler.tick()
    stage.say(BackfillPauseChanged(number, paused=True))
    stage.settle()
    made = len(stage.runs())
    assert made < 20
    stage.work_off()
    assert stage.states()["running"] == 0
    assert len(stage.runs()) == made
    stage.start()
    stage.settle()
    assert stage.states()["running"] == 0, "a new owner knows that it is paused"
    stage.say(BackfillPauseChanged(number, paused=False))
    stage.settle()
    assert stage.states() == {"running": 2, "queued": 16, "success": 2}


def test_cancelled_its_queued_runs_end_and_what_runs_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chore, "CHUNK", 4)
    made = existing_runs(stage)
    number = stage.ask(20, max_active_runs=2, reprocess=Reprocess.COMPLETED)
    stage.settle()
    stage.say(BackfillCancelled(number))
    stage.settle()
    mine = [row for row in stage.runs() if row.backfill == number]
    assert Counter(str(row.state) for row in mine) == {"running": 2, "failed": 16}
    assert {row.reason for row in mine if row.state is RunState.FAILED} == {"backfill_cancelled"}
    assert stage.backfill(number).state is BackfillState.CANCELLING
    assert stage.cancelled == []
    stage.work_off()
    assert stage.backfill(number).state is BackfillState.CANCELLED
    waiting = next(row for row in stage.runs() if row.id == made["queued"])
    assert waiting.state is RunState.SUCCESS, "a run that is not the backfill's is left alone"


def test_a_run_that_waits_to_be_run_again_ends_with_its_tasks_skipped(stage: Stage) -> None:
    made = existing_runs(stage)
    number = stage.ask(2, max_active_runs=1, reprocess=Reprocess.COMPLETED)
    stage.settle()
    stage.say(BackfillCancelled(number))
    stage.settle()
    assert [ti.state for ti in stage.instances(made["bad"])] == [TaskState.SKIPPED]


def test_what_is_said_of_a_run_while_a_cancel_ends_it_is_heard(stage: Stage) -> None:
    made = existing_runs(stage)
    number = stage.ask(2, max_active_runs=1, reprocess=Reprocess.COMPLETED)
    stage.settle()
    stage.say(BackfillCancelled(number))
    stage.say(MarkRun(made["bad"], RunState.SUCCESS), made["bad"])
    stage.settle()
    assert next(row.state for row in stage.runs() if row.id == made["bad"]) is RunState.SUCCESS


def test_a_cancel_before_anything_was_made_makes_nothing(stage: Stage) -> None:
    number = stage.ask(20)
    stage.say(BackfillCancelled(number))
    stage.settle()
    assert stage.runs() == []
    assert stage.backfill(number).state is BackfillState.CANCELLED


def test_that_of_a_paused_workflow_gets_its_runs_which_wait(stage: Stage) -> None:
    stage.say(PauseChanged("flow", paused=True))
    stage.settle()
    number = stage.ask(5)
    stage.settle()
    assert stage.states() == {"queued": 5}
    stage.say(PauseChanged("flow", paused=False))
    stage.settle()
    assert stage.states() == {"running": 3, "queued": 2}
    stage.work_off()
    assert stage.backfill(number).state is BackfillState.COMPLETED


def test_a_run_that_is_cleared_after_the_backfill_has_ended_runs_again(stage: Stage) -> None:
    number = stage.ask(3)
    stage.settle()
    stage.work_off()
    [first, *_] = stage.runs()
    stage.say(Clear(first.id, (InstanceRef("t"),)), first.id)
    stage.settle()
    assert stage.states() == {"running": 1, "success": 2}
    assert stage.backfill(number).state is BackfillState.COMPLETED
    stage.work_off()
    assert stage.states() == {"success": 3}


def test_the_first_run_of_a_backfill_does_not_look_behind_it(database: Database, fence: Fence, tmp_path: Path) -> None:
    stage = Stage(database, fence, tmp_path)
    stage.world.add_workflow(TaskSpec(task_id="t", operator="P", depends_on_past=True), schedule=DAILY)
    before = stage.world.add_run(state=RunState.FAILED, logical_date=JANUARY - DAY)
    stage.world.add_instance(before, state=TaskState.FAILED)
    number = stage.ask(3, reprocess=Reprocess.FAILED)
    stage.settle()
    in_flight = [[str(ti.state) for ti in stage.instances(row.id)] for row in stage.runs()[1:]]
    assert in_flight == [["scheduled"], ["none"], ["none"]]
    stage.work_off()
    assert stage.backfill(number).state is BackfillState.COMPLETED


def test_tasks_of_a_backfill_are_marked_as_such(stage: Stage) -> None:
    stage.ask(1)
    stage.trigger("fresh")
    stage.settle()
    marks = {ti.run: ti.backfill for row in stage.runs() for ti in stage.instances(row.id)}
    assert marks == {row.id: row.backfill is not None for row in stage.runs()}
