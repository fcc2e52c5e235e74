"""What the ends of its runs mean for a workflow, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from piper.model.events import Clear, InstanceRef, RunQueued
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


def test_a_run_that_took_too_long_counts_as_failed_though_it_is_cleared_in_the_same_step(
    database: Database, tmp_path: Path
) -> None:
    clock = FakeClock(NOW)
    world = World(database, tmp_path)
    world.add_workflow(
        TaskSpec(task_id="t", operator="P"), run_timeout=timedelta(minutes=1), max_consecutive_failed_runs=3
    )
    number = world.add_run(state=RunState.QUEUED)
    scheduler = SchedulerService(database, Term(database), clock, Wakeups(), lambda _: None, by_time=False)

    def say(event: RunQueued | Clear) -> None:
        with database.write() as connection:
            send(connection, "flow", number, event, clock.now())
        scheduler.tick()

    say(RunQueued(number))
    scheduler.tick()
    clock.advance(120)
    say(Clear(number, (InstanceRef("t"),)))
    with database.read() as connection:
        state = connection.execute(select(schema.run.c.state)).scalar_one()
        failures = connection.execute(select(schema.workflow.c.consecutive_failures)).scalar_one()
    assert (state, failures) == (RunState.QUEUED, 1)
