"""Queued runs start, whatever else happens to them meanwhile, on both databases."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from piper.model.events import Clear, InstanceRef, MarkRun, RunQueued
from piper.model.spec import TaskSpec
from piper.model.states import RunState
from piper.scheduler.service import SchedulerService
from piper.service import Wakeups
from piper.store import schema
from piper.store.commands import send
from piper.store.database import Database
from tests.clock import FakeClock
from tests.conformance.test_expansion import Term
from tests.world import NOW, World


def test_a_run_that_is_ended_and_cleared_in_the_step_in_which_it_begins_begins_again(
    database: Database, tmp_path: Path
) -> None:
    clock = FakeClock(NOW)
    world = World(database, tmp_path)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    number = world.add_run(state=RunState.QUEUED)
    scheduler = SchedulerService(database, Term(database), clock, Wakeups(), lambda _: None, by_time=False)

    def state_after(*events: RunQueued | MarkRun | Clear) -> RunState:
        with database.write() as connection:
            for event in events:
                send(connection, "flow", number, event, clock.now())
        scheduler.tick()
        with database.read() as connection:
            return RunState(connection.execute(select(schema.run.c.state)).scalar_one())

    mark = MarkRun(number, RunState.FAILED)
    assert state_after(RunQueued(number), mark, Clear(number, (InstanceRef("t"),))) is RunState.QUEUED
    assert state_after() is RunState.RUNNING
