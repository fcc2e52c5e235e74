"""Triggers fire when it is time, survive being stored, and never block the loop that they share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from piper.model import wire
from piper.model.states import RunState, TaskState
from piper.operators.triggers import temporal
from piper.operators.triggers.external_task import DagStateTrigger, WorkflowTrigger
from piper.operators.triggers.file import FileDeleteTrigger, FileTrigger
from piper.operators.triggers.temporal import DateTimeTrigger, TimeDeltaTrigger
from piper.sdk.execution import serde
from piper.sdk.execution.current import answer_outside_of_tasks
from piper.sdk.trigger import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from tests.unit.sdk.execution.stage import NOON, MemoryChannel, a_run


def first_event(trigger: BaseTrigger) -> TriggerEvent:
    async def wait() -> TriggerEvent:
        async for event in trigger.run():
            return event
        raise AssertionError("it ended without an event")

    return asyncio.run(asyncio.wait_for(wait(), 10))


def stored_and_made_again(trigger: BaseTrigger) -> Any:
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**serde.from_json(serde.to_json(arguments)))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    sleeps: list[float] = []
    answer_sleeps(monkeypatch, sleeps.append)
    return sleeps


def answer_sleeps(monkeypatch: pytest.MonkeyPatch, told: Callable[[float], object]) -> None:
    """Have the sleeps of this thread told in place of taking time; other threads sleep as ever."""
    sleep, thread = asyncio.sleep, threading.get_ident()

    async def answer(seconds: float) -> None:
        if threading.get_ident() == thread:
            told(seconds)
        else:
            await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", answer)


@pytest.mark.parametrize(
    "trigger",
    [
        DateTimeTrigger(NOON, end_from_trigger=True),
        DateTimeTrigger(target_time="2024-05-06T12:00:00"),
        TimeDeltaTrigger(timedelta(seconds=5)),
        FileTrigger("/tmp/*.csv", recursive=True, poke_interval=2),
        FileDeleteTrigger("/tmp/x"),
        DagStateTrigger("d", ["success"], run_ids=["r"], poll_interval=1),
        WorkflowTrigger("d", logical_dates=[NOON], external_task_ids=["a"], allowed_states=["success"]),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_a_trigger_that_was_stored_is_made_again_the_same(trigger: BaseTrigger) -> None:
    again = stored_and_made_again(trigger)
    assert again.serialize() == trigger.serialize()
    assert repr(again) == repr(trigger)


# --- time ---------------------------------------------------------------------------------------


class Clock(datetime):
    """A clock that the sleeps move."""

    sleeps: list[float] = []  # noqa: RUF012, set by the test

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return NOON + timedelta(seconds=sum(cls.sleeps))


def test_a_moment_is_slept_until_with_looks_at_the_clock(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = DateTimeTrigger(NOON + timedelta(seconds=150))
    monkeypatch.setattr(DateTimeTrigger, "moment", trigger.moment)
    monkeypatch.setattr(Clock, "sleeps", slept)
    monkeypatch.setattr(temporal, "datetime", Clock)
    assert first_event(trigger) == TriggerEvent(NOON + timedelta(seconds=150))
    assert slept == [60, 60, 30]


def test_a_moment_that_has_passed_fires_at_once() -> None:
    assert first_event(DateTimeTrigger(NOON)) == TriggerEvent(NOON)
    assert first_event(DateTimeTrigger(target_time="2024-05-06T12:30:15+00:00")) == TriggerEvent(NOON)


def test_a_moment_may_end_the_task_without_a_worker() -> None:
    event = first_event(DateTimeTrigger(NOON, end_from_trigger=True))
    assert event == TaskSuccessEvent()
    assert event.end_state is TaskState.SUCCESS
    assert event != TaskFailedEvent()
    assert event != TriggerEvent("success")


def test_a_time_span_is_stored_as_the_moment_at_which_it_is_over() -> None:
    before = datetime.now(UTC)
    path, arguments = TimeDeltaTrigger(timedelta(hours=1)).serialize()
    assert path.endswith("DateTimeTrigger")
    assert timedelta(minutes=59) < arguments["moment"] - before < timedelta(minutes=61)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, TypeError),
        ({"moment": NOON, "target_time": "x"}, TypeError),
        ({"moment": "2024"}, TypeError),
        ({"moment": datetime(2024, 1, 1)}, ValueError),
    ],
    ids=str,
)
def test_a_moment_that_is_none_is_refused(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        DateTimeTrigger(**arguments)


# --- files --------------------------------------------------------------------------------------


def test_a_file_that_is_there_fires(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.csv").touch()
    for pattern, recursive in (
        (f"{tmp_path}/deep/*.csv", False),
        (f"{tmp_path}/**/*.csv", True),
        (f"{tmp_path}", False),
    ):
        assert first_event(FileTrigger(pattern, recursive=recursive)) == TriggerEvent(True)


def test_a_file_is_looked_for_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            (tmp_path / "a.csv").touch()

    answer_sleeps(monkeypatch, look)
    assert first_event(FileTrigger(f"{tmp_path}/*.csv", poke_interval=7)) == TriggerEvent(True)
    assert looks == [7, 7, 7]


def test_a_file_can_be_removed_once_it_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    assert first_event(FileDeleteTrigger(str(path))) == TriggerEvent(True)
    assert not path.exists()


# --- other workflows ----------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[MemoryChannel]:
    channel = MemoryChannel()
    answer_outside_of_tasks(channel)
    yield channel
    answer_outside_of_tasks(None)


def test_a_run_is_waited_for_until_it_is_in_one_of_the_states(server: MemoryChannel, slept: list[float]) -> None:
    counts = [0, 0, 1]
    server.answers[wire.CountRuns] = lambda asked: counts.pop(0)
    server.answers[wire.GetRun] = lambda asked: a_run(state=RunState.FAILED)
    event = first_event(DagStateTrigger("d", ["success", "failed"], run_ids=["r"], poll_interval=3))
    path, said = event.payload
    assert path.endswith("DagStateTrigger")
    assert said["r"] == "failed"
    assert said["run_ids"] == ["r"]
    assert slept == [3, 3]


@pytest.mark.parametrize(
    ("counts", "status"),
    [({"failed": 1}, "failed"), ({"skipped": 1}, "skipped"), ({"success": 2}, "success")],
    ids=str,
)
def test_tasks_are_waited_for_until_one_fails_or_all_succeed(
    counts: dict[str, int], status: str, server: MemoryChannel, slept: list[float]
) -> None:
    looks = []

    def count(asked: wire.CountInstances) -> int:
        looks.append(asked)
        return counts.get(asked.states[0].value, 0) if len(looks) > 3 else 0

    server.answers[wire.CountInstances] = count
    trigger = WorkflowTrigger(
        "d",
        logical_dates=[NOON],
        external_task_ids=["a", "b"],
        failed_states=["failed"],
        skipped_states=["skipped"],
        allowed_states=["success"],
        poke_interval=4,
    )
    assert first_event(trigger) == TriggerEvent({"status": status})
    assert slept == [4]
