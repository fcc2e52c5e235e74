"""`piper triggerer`: beside others on PostgreSQL."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import select

from piper.model.errors import InvalidSetting
from piper.model.events import TriggerFired
from piper.model.spec import TaskSpec
from piper.model.states import TaskState
from piper.sdk.execution import serde
from piper.settings import load_settings
from piper.store.database import Database
from piper.store.schema import member
from piper.store.triggers import NewTrigger, write_triggers
from piper.wiring import LoneTriggerer
from tests.world import NOW, World

PATIENCE = 30.0


def settings_for(home: Path, url: str):
    return load_settings({"PIPER_HOME": str(home), "PIPER_DATABASE__URL": url}).settings


def test_it_runs_triggers_and_leaves_its_place_when_it_stops(postgres_url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    database = Database(postgres_url)
    world = World(database, tmp_path)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    run = world.add_run()
    identity = world.add_instance(run, state=TaskState.DEFERRED)
    arguments = serde.to_json({"moment": NOW})
    path = "piper.operators.triggers.temporal.DateTimeTrigger"
    with database.write() as connection:
        new = NewTrigger(identity, run, 0, "red", path, arguments, "b", "", None)
        write_triggers(connection, (), (new,), NOW)
    alone = LoneTriggerer(settings_for(home, postgres_url))
    alone.start()
    deadline = time.monotonic() + PATIENCE
    while not world.events():
        assert time.monotonic() < deadline
        world.scheduler.wait(0.05)
    alone.stop()
    (fired,) = world.events()
    assert isinstance(fired, TriggerFired)
    assert (fired.identity, fired.error) == (identity, "")
    with database.read() as connection:
        assert connection.execute(select(member.c.kind, member.c.state)).all() == [("triggerer", "dead")]
    database.close()


def test_on_sqlite_it_says_who_waits_for_triggers(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="`piper standalone` waits for triggers itself"):
        LoneTriggerer(settings_for(tmp_path, f"sqlite:///{tmp_path / 'piper.db'}"))
