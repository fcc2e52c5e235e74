"""A task mapped over ten thousand elements, through the scheduler's own commits, on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import select, update

from piper.model.events import RunQueued, Succeeded
from piper.model.ids import SINGLETON_SHARDS
from piper.model.run import Identity
from piper.model.spec import ResultLength, TaskSpec
from piper.model.states import RunState, TaskState
from piper.scheduler.service import SchedulerService
from piper.service import Wakeups
from piper.store import schema
from piper.store.database import Database, Fence
from piper.store.events import append_events, event_row
from tests.clock import FakeClock
from tests.world import NOW, World

SIZE = 10_000
AT_ONCE = 16


class Term:
    """Ownership of every shard that ends for nobody."""

    def __init__(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute(update(schema.shard).values(owner="s", epoch=1))
        self._fence = Fence("s", dict.fromkeys([*range(256), *SINGLETON_SHARDS], 1))

    def fence(self) -> Fence:
        return self._fence

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        raise AssertionError(f"the shards {shards} were lost")


def test_an_expansion_into_ten_thousand_instances_is_one_commit_that_no_timeout_of_the_database_ends(
    database: Database, tmp_path: Path
) -> None:
    world = World(database, tmp_path)
    world.add_workflow(
        TaskSpec(task_id="list", operator="P"),
        TaskSpec(task_id="work", operator="P", upstream=("list",), mapped=ResultLength("list")),
    )
    number = world.add_run(state=RunState.QUEUED)
    scheduler = SchedulerService(database, Term(database), FakeClock(NOW), Wakeups(), lambda _: None, by_time=False)

    def say(event: RunQueued | Succeeded) -> None:
        with database.write() as connection:
            shard = connection.execute(select(schema.run.c.shard).where(schema.run.c.id == number)).scalar_one()
            append_events(connection, [event_row(shard, number, event, NOW)])

    say(RunQueued(number))
    while not (scheduled := _instances(database, TaskState.SCHEDULED)):
        scheduler.tick()
    say(Succeeded(scheduled[0], SIZE))
    commits = scheduler.counters["commits"]
    scheduler.tick()
    assert scheduler.counters["commits"] == commits + 1
    with database.read() as connection:
        states = Counter(connection.execute(select(schema.task_instance.c.state)).scalars())
    assert states == {"success": 1, "scheduled": AT_ONCE, "none": SIZE - AT_ONCE}


def _instances(database: Database, state: TaskState) -> list[Identity]:
    table = schema.task_instance
    with database.read() as connection:
        found = connection.execute(select(table.c.id, table.c.try_number, table.c.leg).where(table.c.state == state))
        return [Identity(*row) for row in found]
