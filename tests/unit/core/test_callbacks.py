"""What is called besides the tasks of a run: when, about what, and that nothing depends on it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from piper.core.run import Begin, Due, RunOverdue
from piper.model.events import Clear, Failed, InstanceRef, Lost, Mark, MarkRun, Succeeded, TriggerFired
from piper.model.run import TaskInstance
from piper.model.spec import RetrySpec
from piper.model.states import RunState, TaskState
from tests.unit.core.play import NOON, Play, task, workflow

ALL = ("success", "failure", "retry", "skipped")


def called(play: Play) -> list[str]:
    """What is to be called, in order: `failure of a`, `success of the run: success`."""
    found = []
    for ti in play.memory.callbacks.values():
        told = ti.callback
        of = told.task_id if told.of_run is None else f"the run: {told.reason}"
        found.append(f"{told.kind} of {of}")
    return found


def the_callback(play: Play) -> TaskInstance:
    [found] = play.memory.callbacks.values()
    return found


# --- of runs ------------------------------------------------------------------------------------


def test_the_end_of_a_run_is_called_back_in_the_step_that_ends_it():
    play = Play(workflow(task("a"), task("b", "a"), callbacks=("success", "failure")))
    play.succeed("a")
    assert called(play) == []
    play.succeed("b")
    assert called(play) == ["success of the run: success"]
    ti = the_callback(play)
    assert ti.id in play.last.created, "it is written with the state that causes it"
    assert (ti.state, ti.callback.task_id, ti.callback.of_run) == (TaskState.SCHEDULED, "b", RunState.SUCCESS)
    assert play.run.next_ordinal == 3


def test_a_failed_run_is_called_back_with_its_last_failure():
    play = Play(workflow(task("a"), task("b"), task("c", "b"), callbacks=("failure",)))
    play.fail("b")
    play.succeed("a")
    assert called(play) == ["failure of the run: task_failure"]
    assert the_callback(play).callback.task_id == "b", "what failed, and not what failed for its sake"


def test_only_what_is_wanted_is_called():
    assert called(played_to_success(callbacks=("failure",))) == []
    assert called(played_to_success()) == []


def played_to_success(**fields) -> Play:
    play = Play(workflow(task("a"), **fields))
    play.succeed("a")
    return play


def test_a_run_without_tasks_is_called_back_too():
    play = Play(workflow(callbacks=("success",)))
    assert called(play) == ["success of the run: success"]
    assert the_callback(play).callback.subject is None


def test_a_run_that_takes_too_long_is_called_back_with_that_reason():
    play = Play(workflow(task("a"), run_timeout=timedelta(minutes=1), callbacks=("failure",)))
    play.say(RunOverdue())
    assert called(play) == ["failure of the run: timed_out"]


def test_a_run_that_a_person_ends_is_not_called_back():
    play = Play(workflow(task("a"), callbacks=("success", "failure")))
    play.say(MarkRun(7, RunState.FAILED))
    assert play.run.state is RunState.FAILED
    assert called(play) == []


def test_a_run_that_is_cleared_is_called_back_again_at_its_next_end():
    play = Play(workflow(task("a"), callbacks=("success", "failure")))
    play.fail("a")
    play.say(Clear(7, (InstanceRef("a"),)))
    play.say(Begin())
    play.succeed("a")
    assert called(play) == ["failure of the run: task_failure", "success of the run: success"]


# --- of tasks -----------------------------------------------------------------------------------


def test_what_a_tasks_own_process_reports_it_has_called_back_itself():
    play = Play(workflow(task("a", callbacks=ALL, retry=RetrySpec(retries=1, delay=timedelta(0)))))
    play.fail("a")
    play.wait(1)
    play.fail("a")
    assert called(play) == []


def test_a_lost_task_is_called_back_for_its_retry():
    play = Play(workflow(task("a", callbacks=ALL)))
    lost = play.identity("a")
    play.lose("a")
    assert called(play) == ["retry of a"]
    assert the_callback(play).callback.subject == lost, "about the try that was lost, not the one that follows"
    assert the_callback(play).callback.error == "worker gone"


@pytest.mark.parametrize(("retries", "expected"), [(0, "failure of a"), (1, "retry of a")])
def test_a_task_that_was_killed_is_called_back(retries, expected):
    play = Play(workflow(task("a", callbacks=ALL, retry=RetrySpec(retries=retries))))
    play.say(Failed(play.identity("a"), "killed by signal 9", outside=True))
    assert called(play) == [expected]


@pytest.mark.parametrize(("end", "expected"), [("success", "success"), ("failed", "failure"), ("skipped", "skipped")])
def test_a_task_that_its_trigger_ends_is_called_back(end, expected):
    play = Play(workflow(task("a", callbacks=ALL)))
    play.defer("a")
    play.say(TriggerFired(play.identity("a"), end_state=TaskState(end)))
    assert called(play) == [f"{expected} of a"]


def test_a_trigger_that_fires_has_the_task_go_on_and_nothing_called():
    play = Play(workflow(task("a", callbacks=ALL)))
    play.defer("a")
    play.say(TriggerFired(play.identity("a"), payload=1))
    assert called(play) == []


def test_tasks_that_are_ended_because_another_failed_are_called_back_and_skipped_ones_are_not():
    play = Play(workflow(task("a"), task("b", callbacks=ALL), task("c", "b", callbacks=ALL), fail_fast=True))
    play.fail("a")
    assert called(play) == ["failure of b"]


def test_a_task_that_a_person_marks_is_not_called_back():
    play = Play(workflow(task("a", callbacks=ALL)))
    play.say(Mark(7, (InstanceRef("a"),), TaskState.FAILED))
    assert called(play) == []


# --- what becomes of them -----------------------------------------------------------------------


def ended_run() -> Play:
    return played_to_success(callbacks=("success",))


def test_a_callback_that_was_called_has_succeeded_and_nothing_else_changes():
    play = ended_run()
    before = play.run
    play.say(Succeeded(the_callback(play).identity))
    assert the_callback(play).state is TaskState.SUCCESS
    assert play.run == before
    assert play.states == {"a": "success"}


def test_a_callback_that_failed_has_been_called_and_stays_so():
    play = ended_run()
    play.say(Failed(the_callback(play).identity, "boom"))
    assert the_callback(play).state is TaskState.FAILED
    assert play.run.state is RunState.SUCCESS


def test_a_callback_whose_worker_was_lost_is_called_again_until_there_were_too_many_losses():
    play = ended_run()
    tries = []
    while the_callback(play).state is TaskState.SCHEDULED:
        tries.append(the_callback(play).try_number)
        play.say(Lost(the_callback(play).identity, "worker gone"))
    assert tries == [1, 2, 3, 4]
    assert the_callback(play).state is TaskState.FAILED


def test_a_late_report_of_an_earlier_try_changes_nothing():
    play = ended_run()
    first = the_callback(play).identity
    play.say(Lost(first))
    changes = play.say(Succeeded(first))
    assert the_callback(play).state is TaskState.SCHEDULED
    assert changes.refused == []


def test_a_callback_is_no_part_of_its_run():
    play = Play(workflow(task("a", callbacks=ALL), task("b", "a"), max_active_tasks=1))
    play.say(Failed(play.identity("a"), "killed", outside=True))
    assert called(play) == ["failure of a"]
    assert play.run.state is RunState.FAILED, "the run does not wait for it"
    play.say(Clear(7, (InstanceRef("a"), InstanceRef("b"))))
    play.say(Begin())
    assert play.in_flight == ["a"], "nor does it take room"
    assert the_callback(play).state is TaskState.SCHEDULED, "a clear does not mean it"
    play.say(Due(()))
    assert play.memory.callbacks[the_callback(play).id].callback.at == NOON
