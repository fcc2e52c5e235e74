"""A run that is cleared goes on with another version of its workflow."""

from __future__ import annotations

from piper.core.graph import Graph
from piper.core.memory import Changes, RunMemory
from piper.core.run import Begin, step
from piper.core.triggers import StopTrigger
from piper.model.events import Clear, InstanceRef, Succeeded
from piper.model.spec import LiteralLength, ResultLength, RetrySpec, TaskSpec, WorkflowSpec
from piper.model.states import RunState, TaskState
from tests.unit.core.play import NOON, Play, task, workflow


class Repinned(Play):
    """A play whose run takes another version, as the shell does it: the step is on the new graph, then all is read."""

    def repin(self, spec: WorkflowSpec, *cleared: str, only_failed: bool = False) -> Changes:
        refs = tuple(InstanceRef(t) for t in cleared)
        clear = Clear(7, refs, only_failed, spec_hash=f"{self.run.spec_hash}+", snapshot="s2")
        self.graph = Graph(spec)
        memory = RunMemory(self.memory.run, self.graph, self.memory.everything())
        self.last = changes = step(memory, [clear], NOON, self.facts)
        memory.take_over(changes)
        self.memory = RunMemory(memory.run, self.graph, memory.everything())
        return changes

    @property
    def orphans(self) -> dict[str, str]:
        return {ti.task_id: ti.state.value for ti in self.memory.orphans.values()}


def ended(*tasks: TaskSpec, fails: str = "") -> Repinned:
    play = Repinned(workflow(*tasks))
    for each in tasks:
        if play.ti(each.task_id).state is TaskState.SCHEDULED:
            (play.fail if each.task_id == fails else play.succeed)(each.task_id)
    return play


def test_a_vanished_task_is_removed_a_new_one_runs_and_what_is_done_stays_done():
    play = ended(task("a"), task("old", "a"), fails="old")
    assert play.run.state is RunState.FAILED
    play.repin(workflow(task("a"), task("new", "a")), only_failed=True)
    assert (play.run.state, play.run.spec_hash, play.run.snapshot) == (RunState.QUEUED, "h+", "s2")
    assert play.orphans == {"old": "removed"}
    play.say(Begin())
    assert play.states == {"a": "success", "new": "scheduled"}
    play.succeed("new")
    assert play.run.state is RunState.SUCCESS


def test_what_runs_of_a_vanished_task_is_ended_and_its_last_words_are_not_refused():
    play = Repinned(workflow(task("a"), task("gone")))
    running = play.identity("gone")
    play.repin(workflow(task("a")), "a")
    assert running in play.cancelled
    assert play.say(Succeeded(running)).refused == []


def test_the_trigger_of_a_vanished_task_that_waits_is_stopped():
    play = Repinned(workflow(task("a"), task("waits")))
    play.defer("waits")
    waiting = play.identity("waits")
    play.repin(workflow(task("a")))
    assert StopTrigger(waiting, over=True) in play.last.effects


def test_a_running_run_goes_on_with_what_is_new():
    play = Repinned(workflow(task("a"), task("old")))
    play.succeed("a")
    play.repin(workflow(task("a"), task("new", "a")))
    assert play.states == {"a": "success", "new": "scheduled"}
    assert play.orphans == {"old": "removed"}
    assert play.run.state is RunState.RUNNING


def test_a_task_that_comes_back_runs_again():
    play = ended(task("a"), task("b", "a"))
    play.repin(workflow(task("a")))
    assert play.orphans == {"b": "removed"}
    play.repin(workflow(task("a"), task("b", "a")))
    play.say(Begin())
    assert play.states == {"a": "success", "b": "scheduled"}


def test_a_cleared_task_has_the_retries_of_the_new_version():
    play = ended(task("a"))
    play.repin(workflow(task("a", retry=RetrySpec(retries=4))), "a")
    assert play.ti("a").max_tries == 1 + 4


def test_a_task_that_becomes_mapped_is_expanded_and_one_that_no_longer_is_runs_once():
    play = ended(task("list"), task("each", "list"))
    play.repin(workflow(task("list"), task("each", "list", mapped=ResultLength("list"))), "list", "each")
    play.say(Begin())
    play.succeed("list", length=2)
    assert play.states == {"list": "success", "each[0]": "scheduled", "each[1]": "scheduled"}
    play.repin(workflow(task("list"), task("each", "list")), "each")
    assert set(play.orphans.values()) == {"removed"}
    assert len(play.memory.orphans) == 2
    assert play.states == {"list": "success", "each": "scheduled"}


def test_a_longer_list_in_the_new_version_makes_the_missing_instances():
    play = Repinned(workflow(task("each", mapped=LiteralLength(2))))
    for index in (0, 1):
        play.succeed("each", at=index)
    play.repin(workflow(task("each", mapped=LiteralLength(3))), "each")
    play.say(Begin())
    assert play.states == {"each[0]": "scheduled", "each[1]": "scheduled", "each[2]": "scheduled"}
