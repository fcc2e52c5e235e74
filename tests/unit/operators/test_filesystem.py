"""A sensor can wait for files below the folder of a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from piper.model.events import Deferred, Rescheduled, Succeeded
from piper.operators.hooks.filesystem import FSHook
from piper.operators.sensors.filesystem import FileSensor
from piper.sdk.execution.current import answer_outside_of_tasks
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, error_of, facts, perform


def sensing(folder: Path, **arguments: Any) -> Any:
    channel = MemoryChannel(connections={"fs_default": {"conn_type": "fs", "extra": f'{{"path": "{folder}"}}'}})
    with a_dag():
        sensor = FileSensor(task_id="s", mode="reschedule", **arguments)
    return perform(sensor, channel=channel)


@pytest.mark.parametrize(
    ("filepath", "found"),
    [("a.csv", True), ("*.csv", True), ("deep", True), ("empty", False), ("b.csv", False), ("{{ 'a' }}.csv", True)],
)
def test_a_file_is_found_by_name_pattern_or_folder(tmp_path: Path, filepath: str, found: bool) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "x").touch()
    (tmp_path / "empty").mkdir()
    assert isinstance(sensing(tmp_path, filepath=filepath).event, Succeeded if found else Rescheduled)


def test_two_stars_match_folders_of_any_depth_only_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a.csv").touch()
    assert isinstance(sensing(tmp_path, filepath="**/a.csv").event, Rescheduled)
    assert isinstance(sensing(tmp_path, filepath="**/a.csv", recursive=True).event, Succeeded)


def test_without_its_connection_the_sensor_fails() -> None:
    with a_dag():
        sensor = FileSensor(task_id="s", filepath="a", fs_conn_id="fs_other")
    assert "AirflowNotFoundException: The conn_id `fs_other` isn't defined" in error_of(perform(sensor))


def test_the_default_connection_is_the_root_unless_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    with a_dag():
        sensor = FileSensor(task_id="s", filepath=str(tmp_path / "ready").removeprefix("/"))
    assert isinstance(perform(sensor).event, Succeeded)


def test_a_deferrable_sensor_looks_once_and_then_waits_without_a_worker(tmp_path: Path) -> None:
    event = sensing(tmp_path, filepath="a.csv", deferrable=True, poke_interval=9).event
    assert isinstance(event, Deferred)
    assert event.arguments == {"filepath": f"{tmp_path}/a.csv", "recursive": False, "poke_interval": 9}
    (tmp_path / "a.csv").touch()
    assert isinstance(sensing(tmp_path, filepath="a.csv", deferrable=True).event, Succeeded)


@pytest.mark.parametrize(("event", "ends"), [(True, True), (None, False)])
def test_after_the_wait_the_trigger_decides(event: Any, ends: bool) -> None:
    with a_dag():
        sensor = FileSensor(task_id="s", filepath="a")
    report = perform(sensor, facts(resume={"method": "execute_complete", "arguments": {}, "event": event}))
    assert isinstance(report.event, Succeeded) is ends


def test_the_hook_says_whether_its_folder_is_there(tmp_path: Path) -> None:
    paths = {"good": str(tmp_path), "gone": f"{tmp_path}/x", "none": ""}
    connections = {name: {"conn_type": "fs", "extra": f'{{"path": "{path}"}}'} for name, path in paths.items()}
    answer_outside_of_tasks(MemoryChannel(connections=connections))
    try:
        assert [FSHook(name).test_connection()[0] for name in paths] == [True, False, False]
    finally:
        answer_outside_of_tasks(None)
