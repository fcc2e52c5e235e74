"""A trigger is started and stopped exactly when its instance begins and ends to wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from piper.core.triggers import StartTrigger, StopTrigger
from piper.model.events import Clear, InstanceRef, Mark, MarkRun, TriggerFired
from piper.model.states import RunState, TaskState
from tests.unit.core.play import NOON, Play, task, workflow
from tests.unit.core.test_versions import Repinned

FROM_TRIGGER = {
    "trigger": "m.Wait",
    "arguments": {"seconds": 3},
    "method": "go_on",
    "method_arguments": {"a": 1},
    "timeout": 60.0,
}


def triggers(play: Play) -> list[StartTrigger | StopTrigger]:
    return [effect for effect in play.last.effects if isinstance(effect, StartTrigger | StopTrigger)]


def waiting() -> Play:
    play = Play(workflow(task("a"), task("b", "a")))
    play.defer("a", arguments={"n": 1}, timeout=timedelta(seconds=60))
    return play


def test_a_task_that_defers_starts_its_trigger_with_the_deadline_of_the_wait() -> None:
    play = waiting()
    wanted = StartTrigger(play.identity("a"), "test.Trigger", {"n": 1}, NOON + timedelta(seconds=60))
    assert triggers(play) == [wanted]


def test_a_trigger_that_fires_is_stopped_and_the_task_goes_on_in_the_same_try() -> None:
    play = waiting()
    wait = play.identity("a")
    play.say(TriggerFired(wait, {"x": 1}))
    assert triggers(play) == [StopTrigger(wait)]
    ti = play.ti("a")
    assert (ti.state, ti.try_number, ti.leg) == (TaskState.SCHEDULED, wait.try_number, wait.leg + 1)
    assert ti.resume == {"method": "resume", "arguments": None, "event": {"x": 1}}


def test_a_trigger_that_fires_twice_resumes_once() -> None:
    play = waiting()
    wait = play.identity("a")
    play.say(TriggerFired(wait, 1), TriggerFired(wait, 2))
    assert triggers(play) == [StopTrigger(wait)]
    assert play.ti("a").resume["event"] == 1
    play.say(TriggerFired(wait, 3))
    assert triggers(play) == []
    assert play.ti("a").resume["event"] == 1


def test_a_wait_that_takes_too_long_stops_its_trigger() -> None:
    play = waiting()
    wait = play.identity("a")
    play.wait(61)
    assert triggers(play) == [StopTrigger(wait)]
    assert play.ti("a").resume["timeout"]


@pytest.mark.parametrize(
    "command",
    [
        Clear(7, (InstanceRef("a"),)),
        Mark(7, (InstanceRef("a"),), TaskState.SUCCESS),
        MarkRun(7, RunState.FAILED),
    ],
    ids=["clear", "mark", "mark run"],
)
def test_a_person_who_ends_a_wait_stops_its_trigger(command: Clear | Mark | MarkRun) -> None:
    play = waiting()
    wait = play.identity("a")
    play.say(command)
    assert triggers(play) == [StopTrigger(wait, over=True)]


def test_a_task_that_starts_from_its_trigger_takes_no_worker_before() -> None:
    play = Play(workflow(task("a", start_from_trigger=FROM_TRIGGER)))
    ti = play.ti("a")
    assert (ti.state, ti.try_number, ti.leg, ti.started_at) == (TaskState.DEFERRED, 1, 0, NOON)
    deadline = NOON + timedelta(seconds=60)
    assert triggers(play) == [StartTrigger(ti.identity, "m.Wait", {"seconds": 3}, deadline)]
    play.say(TriggerFired(ti.identity, "now"))
    assert play.in_flight == ["a"]
    assert play.ti("a").resume == {"method": "go_on", "arguments": {"a": 1}, "event": "now"}


def test_a_clear_of_a_task_that_starts_from_its_trigger_starts_another_wait() -> None:
    play = Play(workflow(task("a", start_from_trigger=FROM_TRIGGER)))
    first = play.identity("a")
    play.say(Clear(7, (InstanceRef("a"),)))
    second = play.identity("a")
    assert second.try_number == 2
    stop, start = triggers(play)
    assert stop == StopTrigger(first, over=True)
    assert isinstance(start, StartTrigger)
    assert start.identity == second


@pytest.mark.parametrize("end", [TaskState.SUCCESS, TaskState.SKIPPED, TaskState.FAILED])
def test_a_trigger_may_end_its_task_without_a_worker(end: TaskState) -> None:
    play = waiting()
    wait = play.identity("a")
    play.say(TriggerFired(wait, end_state=end))
    assert triggers(play) == [StopTrigger(wait, over=True)]
    assert play.states["a"] == end


def test_a_task_that_vanishes_with_a_new_version_takes_its_trigger_along() -> None:
    play = Repinned(workflow(task("a"), task("gone")))
    play.defer("gone")
    wait = play.identity("gone")
    play.repin(workflow(task("a")), "a")
    assert triggers(play) == [StopTrigger(wait, over=True)]
    assert play.orphans == {"gone": "removed"}
