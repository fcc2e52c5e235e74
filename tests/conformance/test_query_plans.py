"""No statement of the hot paths reads a whole table: SQLite says so itself, for every statement that they execute.

SQLite takes a partial index only where a query repeats the index's condition word for word, and forgets about indexes
for lists of row values; neither shows in any result, only in the time when tables have grown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from msgspec import structs

from piper.executor.lost_workers import lose_all_on
from piper.executor.service import ExecutorService
from piper.model import wire
from piper.model.events import Failed, SpecPublished, Succeeded
from piper.model.ids import EXECUTOR_SHARD, SHARDS
from piper.model.run import Identity
from piper.model.schedule import AssetAliasKey, AssetAny, AssetKey, DataInterval, RunDates
from piper.model.spec import ResultLength, TaskSpec
from piper.model.states import RunState, TaskState
from piper.store.backfills import (
    adopt_runs,
    count_runs,
    create_backfill,
    end_queued_runs,
    runs_of_dates,
    unended_backfills,
)
from piper.store.database import Database, Fence
from piper.store.pools import Pool, create_pool
from piper.store.runs import create_runs, deleted_runs, row_from_run
from piper.store.xcoms import artifacts_in_use
from tests.backfills import a_backfill
from tests.conformance.test_assets import ORDERS, ORDERS_KEY, Stage
from tests.conformance.test_executor import Owning
from tests.world import World

GROWING = (
    "task_instance",
    "run",
    "attempt",
    "xcom",
    "event",
    "spec",
    "asset_event",
    "asset_event_alias",
    "asset_delivery",
    "asset_queue",
    "asset_reference",
    "asset_alias",
    "asset",
)
"""Tables that grow with use."""


class Plans:
    """The plans of all statements that were executed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements: dict[str, Any] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Take note of what is executed in the block."""
        sqlalchemy.event.listen(self._database.engine, "before_cursor_execute", self._note)
        writer = self._database.driver._writer_engine  # type: ignore[union-attr]
        sqlalchemy.event.listen(writer, "before_cursor_execute", self._note)
        yield
        sqlalchemy.event.remove(self._database.engine, "before_cursor_execute", self._note)
        sqlalchemy.event.remove(writer, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        self._statements.setdefault(statement, parameters[0] if many else parameters)

    def scans(self) -> list[str]:
        """Statements that read a growing table from its beginning to its end."""
        found = []
        with self._database.read() as connection:
            raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
            for statement, parameters in self._statements.items():
                steps = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                if any(step.split()[:2] == ["SCAN", table] for step in steps for table in GROWING):
                    found.append(f"{statement}\n{steps}")
        return found


class Nowhere:
    """A backend that takes anything."""

    capacity = 50
    arrivals = 0

    def send(self, dispatches: Sequence[wire.Dispatch]) -> None:
        pass

    def cancel(self, identities: Sequence[Identity], reason: str) -> None:
        pass


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path) -> Iterator[World]:
    database = Database(sqlite_url)
    world = World(database, tmp_path)
    reads = (("source", "return_value"), ("source", "k"))
    world.add_workflow(
        TaskSpec(task_id="source", operator="P"),
        TaskSpec(task_id="t", operator="P", mapped=ResultLength("source"), reads=reads),
    )
    with database.write() as connection:
        create_pool(connection, Pool(name="p", team="red", slots=5, include_deferred=True))
        connection.exec_driver_sql("UPDATE shard SET owner = 'me', epoch = 1")
    yield world
    database.close()


def test_granting_and_sweeping_scan_nothing(world: World) -> None:
    number = world.add_run()
    for index in range(4):
        world.add_instance(number, map_index=index, state=TaskState.SCHEDULED, pool="p")
    plans = Plans(world.database)
    fence = Fence("me", {EXECUTOR_SHARD: 1})
    service = ExecutorService(world.database, world.clock, world.tokens, Nowhere(), Owning(fence), world.wakeups)
    service._due["misfits"] = float("inf")  # once a minute it looks at everything that waits
    with plans.recorded():
        service.tick()
        world.start(Identity(number << 24, 1, 0), worker="silent")
        for _ in range(20):
            world.clock.advance(2)
            service.tick()
    # That index holds the open attempts only: as many as run.
    assert [scan for scan in plans.scans() if "ix_attempt_open" not in scan] == []
    assert len(world.events()) == 1


def test_workers_calls_scan_nothing(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", [1, 2, 3])
    instances = [world.add_instance(number, map_index=index, try_number=2) for index in range(3)]
    plans = Plans(world.database)
    with plans.recorded():
        world.handle(*(world.call(one, wire.Start("n", "w")) for one in instances))
        world.say(instances[0], wire.PushXCom(wire.XComPush("k", b"1")))
        world.say(instances[0], wire.GetXCom("source", "return_value", element=1))
        world.say(instances[0], wire.GetXComs("source", "return_value"))
        world.say(instances[0], wire.GetXCom("source", "return_value", run_id="other"))
        world.say(instances[0], wire.GetPreviousRun())
        world.say(instances[0], wire.GetInstanceStates(("t",)))
        world.say(instances[0], wire.CountInstances("flow", ("t",), run_ids=("r1",)))
        world.say(instances[0], wire.CountRuns("flow", run_ids=("r1",)))
        world.say(instances[0], wire.TriggerRun("flow", "r2"))
        world.handle(wire.Call(1, None, "", wire.Heartbeat("w", tuple(instances))))
        pushed = (wire.XComPush("a", b"1"),)
        reports = [wire.Report(Succeeded(instances[0]), xcoms=pushed), wire.Report(Failed(instances[1]))]
        world.handle(*(world.call(report.event.identity, report) for report in reports))
        with world.database.write() as connection:
            lose_all_on(connection, "w", "gone", world.clock)
    assert plans.scans() == []
    assert len(world.events()) == 5


def test_filling_and_cancelling_a_range_scans_nothing(world: World) -> None:
    new_year = datetime(2025, 1, 1, tzinfo=UTC)
    days = [RunDates(d, DataInterval(d, d), d) for d in (new_year + timedelta(days=n) for n in range(9))]
    backfill = a_backfill(total=9, to_date=days[-1].logical_date)
    ended = world.add_run(state=RunState.FAILED, logical_date=new_year)
    world.add_instance(ended, state=TaskState.FAILED)
    plans = Plans(world.database)
    with plans.recorded(), world.database.write() as connection:
        made = create_backfill(connection, backfill)
        dates = [each.logical_date for each in days]
        [run] = runs_of_dates(connection, "flow", dates).values()
        adopt_runs(connection, made, [run])
        row = row_from_run(structs.replace(run, run_id="other", logical_date=dates[1], state=RunState.QUEUED), "f.py")
        assert len(create_runs(connection, [row | {"backfill": made.id}])) == 1
        assert count_runs(connection, [made.id]) == {made.id: {RunState.FAILED: 1, RunState.QUEUED: 1}}
        assert len(end_queued_runs(connection, made.id, 9, new_year)) == 1
        assert [each.id for each in unended_backfills(connection, range(SHARDS))] == [made.id]
    assert plans.scans() == []


def test_sweeping_leftovers_scans_nothing(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", "x" * (100 << 10))
    plans = Plans(world.database)
    with plans.recorded(), world.database.read() as connection:
        assert artifacts_in_use(connection, ["0" * 64, "1" * 64]) == set()
        assert deleted_runs(connection, [number, number + 1]) == set()
    assert plans.scans() == []


def test_a_scan_would_be_seen(world: World) -> None:
    plans = Plans(world.database)
    with plans.recorded(), world.database.read() as connection:
        connection.exec_driver_sql("SELECT id FROM task_instance WHERE state = 'queued'")
    assert len(plans.scans()) == 1


def test_runs_by_assets_read_no_whole_table(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE shard SET owner = 'me', epoch = 1")
    stage, plans = Stage(database, tmp_path, Fence("me", dict.fromkeys(range(256), 1))), Plans(database)
    stage.publish("maker", TaskSpec(task_id="make", operator="P", outlets=(ORDERS,)))
    stage.publish("consumer", on=AssetAny((ORDERS_KEY, AssetKey(name="report"), AssetAliasKey("latest"))))
    stage.add_run("maker", "r", state=RunState.QUEUED)
    stage.tick()
    with plans.recorded():
        stage.emit(ORDERS, aliases=("latest",))
        stage.emit(ORDERS)
        stage.tick()
        (run,) = stage.runs("consumer")
        stage.tell(SpecPublished("consumer", run.spec_hash))
        stage.tick()
        asker = Identity(run.id << 24, 1, 0)
        stage.change_instance(asker.instance, state=TaskState.QUEUED)
        stage.start(asker)
        for question in (
            wire.GetAssetEvents("orders", "s3://orders"),
            wire.GetAssetEvents(alias="latest"),
            wire.GetAssetEvents(triggering=True),
        ):
            stage.ask(asker, question, list[wire.AssetEventFound])
    # The owner of everything reads whatever news there is, and at its start whatever waits.
    assert [scan for scan in plans.scans() if "FROM event ORDER BY" not in scan.replace("\n", "")] == []
    database.close()
