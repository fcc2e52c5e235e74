"""Files that no row refers to any more are removed, and no others; on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from piper.artifacts import PARTS
from piper.logs import LogStore, Masker
from piper.model.errors import NotFound
from piper.model.ids import instance_id, log_path
from piper.model.spec import TaskSpec
from piper.service import SystemClock
from piper.store.commands import delete_workflow
from piper.store.database import Database
from piper.store.schema import xcom
from piper.web import retention
from piper.web.retention import PARTS_PER_ROUND, Leftovers, Retention
from tests.world import World

LONG = "x" * (100 << 10)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


@pytest.fixture
def logs(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path / "logs")


class Tomorrow(SystemClock):
    """A day later than it is."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=1)


def sweep_all(world: World, logs: LogStore, clock: SystemClock) -> None:
    leftovers = Leftovers(world.database, clock, world.artifacts, logs)
    for _ in range(PARTS // PARTS_PER_ROUND):
        leftovers.sweep()


def artifact_of(world: World, number: int) -> str:
    with world.database.read() as connection:
        return str(connection.execute(xcom.select().where(xcom.c.run == number)).one().artifact)


def a_run_with_files(world: World, logs: LogStore, workflow_id: str) -> int:
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id=workflow_id)
    number = world.add_run(workflow_id)
    world.push(number, "t", workflow_id + LONG)
    writer = logs.begin(log_path(instance_id(number, 0), 1), Masker())
    writer.write(b"hello\n")
    writer.close()
    return number


def test_the_files_of_a_deleted_workflow_follow_it_and_no_others(world: World, logs: LogStore) -> None:
    gone, kept = (a_run_with_files(world, logs, workflow_id) for workflow_id in ("gone", "kept"))
    old, other = artifact_of(world, gone), artifact_of(world, kept)
    sweep_all(world, logs, Tomorrow())
    assert world.artifacts.size(old)
    assert sorted(logs.folders()) == sorted([str(gone), str(kept)])
    with world.database.write() as connection:
        delete_workflow(connection, "gone", world.clock.now())
    sweep_all(world, logs, SystemClock())
    assert world.artifacts.size(old), "it is young: a row may be about to name it"
    sweep_all(world, logs, Tomorrow())
    with pytest.raises(NotFound):
        world.artifacts.size(old)
    assert world.artifacts.size(other)
    assert logs.folders() == [str(kept)]


def test_logs_of_runs_that_the_database_does_not_know_yet_stay(world: World, logs: LogStore, tmp_path: Path) -> None:
    number = a_run_with_files(world, logs, "flow")
    for name in (str(number + 1), "notes", "1.5"):
        (tmp_path / "logs" / name).mkdir()
    sweep_all(world, logs, Tomorrow())
    assert sorted(logs.folders()) == sorted([str(number), str(number + 1), "notes", "1.5"])


def test_a_round_looks_at_so_many_runs_and_the_next_goes_on(
    world: World, logs: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "FOLDERS_PER_ROUND", 2)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    numbers = [world.add_run(run_id=f"r{index}") for index in range(6)]
    with world.database.write() as connection:
        delete_workflow(connection, "flow", world.clock.now())
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="other")
    world.add_run("other")
    for number in numbers:
        (tmp_path / "logs" / str(number)).mkdir(parents=True)
    leftovers = Leftovers(world.database, Tomorrow(), world.artifacts, logs)
    left = []
    for _ in range(4):
        leftovers.sweep()
        left.append(len(logs.folders()))
    assert left == [4, 2, 0, 0]


def test_the_service_sweeps(world: World, logs: LogStore) -> None:
    number = a_run_with_files(world, logs, "flow")
    with world.database.write() as connection:
        delete_workflow(connection, "flow", world.clock.now())
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="other")
    assert world.add_run("other") > number
    leftovers = Leftovers(world.database, Tomorrow(), world.artifacts, logs)
    Retention(world.database, Tomorrow(), timedelta(days=1), leftovers).tick()
    assert logs.folders() == []
