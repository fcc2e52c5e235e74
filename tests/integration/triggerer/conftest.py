"""A station with the triggers of `triggers_of_users` in its snapshot."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from piper.model.spec import TaskSpec
from piper.store.database import Database
from tests.integration.triggerer.station import Station

USERS = Path(__file__).with_name("triggers_of_users.py")


@pytest.fixture
def patience() -> float:
    """Seconds that a step of a trigger may take."""
    return 10.0


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path, patience: float) -> Iterator[Station]:
    database = Database(sqlite_url)
    station = Station(database, tmp_path, patience)
    shutil.copy(USERS, station.snapshot / "waits.py")
    station.world.add_workflow(TaskSpec(task_id="t", operator="P"))
    station.start()
    yield station
    station.stop()
    assert station.children() == []
    database.close()


@pytest.fixture
def run(station: Station) -> int:
    """A run of the workflow."""
    return station.world.add_run()
