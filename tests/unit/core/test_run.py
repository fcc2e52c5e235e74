"""Given a run, when something happens, then this is what follows."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

from piper.core import verdicts
from piper.core.memory import Facts, RunEnded, RunMemory
from piper.core.run import Begin, PastChanged, RunOverdue, step
from piper.model.events import Clear, Failed, InstanceRef, Mark, MarkRun, Succeeded, TriggerFired
from piper.model.run import NOT_SIZED, Decision
from piper.model.schedule import CronTimetable, Schedule
from piper.model.spec import GroupSpec, LiteralLength, ProductLength, ResultLength, RetrySpec, ZipLength
from piper.model.states import RunState, TaskState, TriggerRule
from tests.unit.core.play import NOON, Play, a_run, states_of, task, workflow


def diamond():
    return workflow(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"))


def test_a_run_begins_with_the_tasks_that_wait_for_nothing():
    play = Play(diamond())
    assert play.run.state is RunState.RUNNING
    assert play.states == {"a": "scheduled", "b": "none", "c": "none", "d": "none"}


def test_a_task_is_scheduled_when_all_its_upstream_tasks_have_succeeded_and_not_before():
    play = Play(diamond())
    play.succeed("a", "b")
    assert play.states == {"a": "success", "b": "success", "c": "scheduled", "d": "none"}
    play.succeed("c")
    assert play.in_flight == ["d"]


def test_a_run_whose_leaves_succeeded_has_succeeded():
    play = Play(diamond())
    play.succeed("a", "b", "c", "d")
    assert (play.run.state, play.run.reason) == (RunState.SUCCESS, "success")
    assert any(isinstance(e, RunEnded) for e in play.last.effects)


def test_a_failure_runs_down_a_chain_in_one_step():
    spec = workflow(task("a"), *(task(f"t{i}", f"t{i - 1}" if i else "a") for i in range(50)))
    play = Play(spec)
    play.fail("a")
    assert play.states["t49"] == "upstream_failed"
    assert play.run.state is RunState.FAILED


def test_a_failed_task_that_is_no_leaf_does_not_fail_the_run():
    spec = workflow(task("a"), task("b", "a", trigger_rule=TriggerRule.ALL_DONE))
    assert states_of(spec, {"a": "failed"}) == {"a": "failed", "b": "success", "": "success"}


def test_a_step_does_not_change_the_memory_it_reads():
    play = Play(diamond())
    before = (dict(play.memory.instances), dict(play.memory.tallies), play.memory.run, dict(play.memory.ready))
    step(play.memory, [Succeeded(play.identity("a"))], NOON)
    assert before == (play.memory.instances, play.memory.tallies, play.memory.run, play.memory.ready)


def test_the_same_step_taken_twice_says_the_same():
    play = Play(diamond())
    event = Succeeded(play.identity("a"))
    one, two = step(play.memory, [event], NOON), step(play.memory, [event], NOON)
    assert one == two


def test_a_memory_loaded_from_rows_knows_what_the_old_one_knew():
    inner = [task("x", mapped=LiteralLength(3)), task("y", "x", mapped=ResultLength("x"))]
    play = Play(workflow(*inner, task("z", "y")))
    play.succeed("x", at=0, length=NOT_SIZED)
    play.fail("x", at=1)
    loaded = RunMemory(play.run, play.graph, play.memory.instances.values())
    for attribute in ("instances", "tallies", "size_of", "in_flight", "unfinished"):
        assert getattr(loaded, attribute) == getattr(play.memory, attribute), attribute


# --- retries, losses, waits ---------------------------------------------------------------------


def test_a_failed_task_is_tried_again_after_its_delay_as_often_as_it_may():
    play = Play(workflow(task("a", retry=RetrySpec(retries=1, delay=timedelta(seconds=30)))))
    play.fail("a")
    assert (play.ti("a").state, play.ti("a").due) == (TaskState.UP_FOR_RETRY, NOON + timedelta(seconds=30))
    play.wait(29)
    assert play.in_flight == []
    play.wait(1)
    assert (play.ti("a").state, play.ti("a").try_number) == (TaskState.SCHEDULED, 2)
    play.fail("a")
    assert (play.ti("a").state, play.run.state) == (TaskState.FAILED, RunState.FAILED)


def test_a_failure_that_forbids_a_retry_is_final():
    play = Play(workflow(task("a", retry=RetrySpec(retries=5))))
    play.fail("a", retry=False)
    assert play.ti("a").state is TaskState.FAILED


def test_losses_cost_no_retries_and_end_when_there_are_too_many():
    play = Play(workflow(task("a", retry=RetrySpec(retries=1, delay=timedelta(seconds=9)))))
    for try_number in (2, 3, 4):
        play.lose("a")
        assert (play.ti("a").state, play.ti("a").try_number) == (TaskState.SCHEDULED, try_number)
    play.lose("a")  # the fourth counts as a failure and uses the one retry
    assert play.ti("a").state is TaskState.UP_FOR_RETRY
    play.wait(9)
    play.lose("a")
    assert play.ti("a").state is TaskState.FAILED


def test_a_rescheduled_sensor_comes_back_in_the_same_try_and_a_new_leg():
    play = Play(workflow(task("a")))
    play.reschedule("a", 60)
    assert play.states == {"a": "up_for_reschedule"}
    play.wait(60)
    assert (play.ti("a").try_number, play.ti("a").leg) == (1, 1)


def test_a_deferred_task_is_entered_again_with_what_its_trigger_said():
    play = Play(workflow(task("a")))
    play.defer("a", method_arguments={"x": 1})
    assert play.states == {"a": "deferred"}
    play.say(TriggerFired(play.identity("a"), {"ok": True}))
    assert (play.ti("a").state, play.ti("a").leg) == (TaskState.SCHEDULED, 1)
    assert play.ti("a").resume == {"method": "resume", "arguments": {"x": 1}, "event": {"ok": True}}


def test_a_trigger_that_does_not_fire_in_time_resumes_its_task_with_an_error():
    play = Play(workflow(task("a")))
    play.defer("a", timeout=timedelta(seconds=10))
    play.wait(10)
    assert play.ti("a").state is TaskState.SCHEDULED
    assert "error" in play.ti("a").resume


def test_a_report_of_an_execution_that_is_over_changes_nothing():
    play = Play(workflow(task("a", retry=RetrySpec(retries=1, delay=timedelta(0)))))
    old = play.identity("a")
    play.fail("a")
    play.wait(0)
    play.say(Succeeded(old))
    assert (play.ti("a").state, play.ti("a").try_number) == (TaskState.SCHEDULED, 2)
    play.succeed("a")
    play.say(Failed(play.identity("a")))
    assert play.ti("a").state is TaskState.SUCCESS
    assert play.last.refused == []


# --- limits and priority ------------------------------------------------------------------------


def test_no_more_instances_are_in_flight_than_the_run_allows_and_the_weightiest_go_first():
    spec = workflow(*(task(f"t{i}", priority=i) for i in range(6)), max_active_tasks=2)
    play = Play(spec)
    assert play.in_flight == ["t4", "t5"]
    play.succeed("t4")
    assert play.in_flight == ["t3", "t5"]


def test_a_task_with_a_limit_of_its_own_does_not_hold_up_the_others():
    spec = workflow(
        task("m", mapped=LiteralLength(5), max_active_per_run=1, priority=9), task("x"), task("y"), max_active_tasks=3
    )
    play = Play(spec)
    assert play.in_flight == ["m[0]", "x", "y"]
    play.succeed("m", at=0)
    assert play.in_flight == ["m[1]", "x", "y"]


def test_a_limit_over_all_runs_counts_what_other_runs_have_in_flight():
    spec = workflow(task("a", max_active_per_workflow=2), task("b"))
    play = Play(spec, facts=Facts(in_flight_elsewhere={"a": 2}))
    assert play.in_flight == ["b"]
    play.succeed("b")
    assert play.run.state is RunState.RUNNING
    play.facts = Facts(in_flight_elsewhere={"a": 1})
    play.say(PastChanged())
    assert play.in_flight == ["a"]


# --- the past -----------------------------------------------------------------------------------


def test_a_task_that_depends_on_its_past_waits_for_it_and_the_run_is_not_deadlocked():
    spec = workflow(task("a", depends_on_past=True))
    play = Play(spec, facts=Facts(previous={"a": (TaskState.FAILED,)}))
    assert (play.states, play.run.state) == ({"a": "none"}, RunState.RUNNING)
    play.facts = Facts(previous={"a": (TaskState.SUCCESS,)})
    play.say(PastChanged())
    assert play.in_flight == ["a"]


def test_a_task_that_was_not_in_the_run_before_waits_unless_it_ignores_that_or_was_to_start_later():
    before = Facts(previous={}, previous_date=NOON - timedelta(days=1))

    def begun(catchup, **fields):
        schedule = Schedule(CronTimetable(("0 12 * * *",)), catchup=catchup)
        return Play(workflow(task("a", depends_on_past=True, **fields), schedule=schedule), facts=before).in_flight

    assert begun(False, ignore_first_depends_on_past=False) == []
    assert begun(False, ignore_first_depends_on_past=True) == ["a"]
    assert begun(True, ignore_first_depends_on_past=False, start=NOON) == ["a"]
    assert begun(False, ignore_first_depends_on_past=False, start=NOON) == []


def test_a_past_that_has_become_good_unsaid_is_seen_before_a_run_is_given_up():
    spec = workflow(task("a", depends_on_past=True), task("b"))
    play = Play(spec, facts=Facts(previous={"a": (TaskState.RUNNING,)}))
    play.facts = Facts(previous={"a": (TaskState.SUCCESS,)})
    play.succeed("b")
    assert play.states == {"a": "scheduled", "b": "success"}


def test_waiting_for_downstream_looks_at_the_tasks_right_below_in_the_run_before():
    spec = workflow(task("a", wait_for_downstream=True), task("b", "a"))
    previous = {"a": (TaskState.SUCCESS,), "b": (TaskState.RUNNING,)}
    play = Play(spec, facts=Facts(previous=previous))
    assert play.in_flight == []
    play.facts = Facts(previous=previous | {"b": (TaskState.SKIPPED,)})
    play.say(PastChanged())
    assert play.in_flight == ["a"]


# --- branches -----------------------------------------------------------------------------------


def branching():
    return workflow(
        task("pick", branches=True),
        task("left", "pick"),
        task("right", "pick"),
        task("join", "left", "right", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS),
    )


def test_a_branch_skips_what_is_right_below_it_and_not_followed():
    play = Play(branching())
    play.succeed("pick", decision=Decision(followed=("left",)))
    assert play.states == {"pick": "success", "left": "scheduled", "right": "skipped", "join": "none"}
    play.succeed("left")
    assert play.in_flight == ["join"]


def test_a_join_below_a_brancher_that_the_chosen_branch_reaches_is_not_skipped():
    spec = workflow(
        task("pick", branches=True), task("left", "pick"), task("join", "left", "pick", trigger_rule="all_success")
    )
    play = Play(spec)
    play.succeed("pick", decision=Decision(followed=("left",)))
    play.succeed("left")
    assert play.in_flight == ["join"]


def test_a_cleared_task_on_a_branch_not_followed_is_skipped_again():
    play = Play(branching())
    play.succeed("pick", decision=Decision(followed=("left",)))
    play.say(Clear(7, (InstanceRef("right"),)))
    assert play.ti("right").state is TaskState.SKIPPED


def test_a_short_circuit_skips_everything_below_but_teardowns():
    spec = workflow(
        task("stop", branches=True),
        task("a", "stop"),
        task("b", "a", trigger_rule=TriggerRule.ALL_DONE),
        task("down", "b", teardown=True, trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS),
    )
    play = Play(spec)
    play.succeed("stop", decision=Decision(skip_descendants=True))
    assert play.states == {"stop": "success", "a": "skipped", "b": "skipped", "down": "scheduled"}


# --- mapping ------------------------------------------------------------------------------------


def test_a_task_mapped_over_a_literal_has_its_instances_from_the_start():
    play = Play(workflow(task("x", mapped=LiteralLength(3))))
    assert play.states == {"x[0]": "scheduled", "x[1]": "scheduled", "x[2]": "scheduled"}
    assert len({ti.id for ti in play.memory.instances.values()}) == 3
    play = Play(
        workflow(task("a"), task("x", "a", mapped=LiteralLength(2)), task("join", "x", mapped=LiteralLength(1)))
    )
    assert play.states == {"a": "scheduled", "x[0]": "none", "x[1]": "none", "join[0]": "none"}
    play.skip("a")
    assert play.states == {"a": "skipped", "x[0]": "skipped", "x[1]": "skipped", "join[0]": "skipped"}


def test_a_group_mapped_over_a_literal_has_its_instances_from_the_start():
    group = GroupSpec("g", mapped=ProductLength((LiteralLength(2), LiteralLength(1))))
    play = Play(workflow(task("a"), task("x", "a", group="g"), task("y", "x", group="g"), groups=[group]))
    assert play.states == {"a": "scheduled", "x[0]": "none", "x[1]": "none", "y[0]": "none", "y[1]": "none"}
    play.fail("a")
    assert set(play.states.values()) == {"failed", "upstream_failed"}
    assert play.run.state is RunState.FAILED


def test_a_task_mapped_over_an_empty_literal_is_skipped_when_its_turn_comes():
    play = Play(workflow(task("a"), task("x", "a", mapped=LiteralLength(0))))
    assert play.states == {"a": "scheduled", "x": "none"}
    play.succeed("a")
    assert play.states == {"a": "success", "x": "skipped"}


def test_a_task_mapped_over_a_result_waits_for_its_length():
    spec = workflow(task("list"), task("x", "list", mapped=ResultLength("list")), task("join", "x"))
    play = Play(spec)
    play.succeed("list", length=2)
    assert play.states == {"list": "success", "x[0]": "scheduled", "x[1]": "scheduled", "join": "none"}
    play.succeed("x", at=0)
    assert play.ti("join").state is TaskState.NONE
    play.succeed("x", at=1)
    assert play.in_flight == ["join"]


def test_a_task_mapped_over_nothing_is_skipped():
    spec = workflow(task("list"), task("x", "list", mapped=ResultLength("list")))
    play = Play(spec)
    play.succeed("list", length=0)
    assert (play.states["x"], play.run.state) == ("skipped", RunState.SUCCESS)


def test_a_task_mapped_over_a_success_without_a_list_fails_for_its_sake_and_what_is_below_goes_on():
    spec = workflow(
        task("list"),
        task("x", "list", mapped=ResultLength("list")),
        task("end", "x", trigger_rule=TriggerRule.ALL_DONE),
    )
    play = Play(spec)
    play.say(Mark(7, (InstanceRef("list"),), TaskState.SUCCESS))
    assert play.states == {"list": "success", "x": "upstream_failed", "end": "scheduled"}


def test_what_is_expanded_already_runs_as_it_is_if_there_is_no_other_list():
    play = Play(workflow(task("list"), task("x", "list", mapped=ResultLength("list"))))
    play.succeed("list", length=2)
    play.say(Clear(7, (InstanceRef("list"), InstanceRef("x"))))
    assert play.states == {"list": "scheduled", "x[0]": "none", "x[1]": "none"}
    play.say(Mark(7, (InstanceRef("list"),), TaskState.SUCCESS))
    assert play.states == {"list": "success", "x[0]": "scheduled", "x[1]": "scheduled"}


def test_a_mapped_task_shares_the_fate_of_what_it_is_mapped_over_whatever_its_rule():
    spec = workflow(task("list"), task("x", "list", mapped=ResultLength("list"), trigger_rule=TriggerRule.ALL_DONE))
    assert states_of(spec, {"list": "failed"})["x"] == "upstream_failed"
    assert states_of(spec, {"list": "skipped"})["x"] == "skipped"


def test_a_task_mapped_over_a_mapped_task_has_an_instance_for_each_result():
    spec = workflow(task("x", mapped=LiteralLength(3)), task("y", "x", mapped=ResultLength("x")))
    play = Play(spec)
    play.succeed("x", at=0, length=NOT_SIZED)
    play.succeed("x", at=1)  # pushes nothing
    assert play.states["y"] == "none"
    play.succeed("x", at=2, length=4)
    assert [n for n in play.states if n.startswith("y")] == ["y[0]", "y[1]"]


def test_products_and_zips_of_lengths():
    spec = workflow(
        task("l"),
        task("p", "l", mapped=ProductLength((ResultLength("l"), LiteralLength(3)))),
        task("z", "l", mapped=ZipLength((ResultLength("l"), LiteralLength(3)), fill=True)),
        max_active_tasks=99,
    )
    play = Play(spec)
    play.succeed("l", length=2)
    assert len([n for n in play.states if n.startswith("p[")]) == 6
    assert len([n for n in play.states if n.startswith("z[")]) == 3


def grouped(**second):
    return workflow(
        task("list"),
        task("g.one", "list", group="g"),
        task("g.two", "g.one", group="g", **second),
        task("after", "g.two", trigger_rule=TriggerRule.ALL_DONE),
        groups=[GroupSpec(group_id="g", mapped=ResultLength("list"))],
        max_active_tasks=99,
    )


def test_in_a_mapped_group_each_index_goes_its_own_way():
    play = Play(grouped())
    play.succeed("list", length=3)
    play.succeed("g.one", at=1)
    assert play.states["g.two[1]"] == "scheduled"
    assert play.states["g.two[0]"] == "none"
    play.fail("g.one", at=0)
    assert play.states["g.two[0]"] == "upstream_failed"
    play.succeed("g.two", at=1)
    play.succeed("g.one", at=2)
    play.succeed("g.two", at=2)
    assert play.in_flight == ["after"]


def test_a_rule_that_some_can_satisfy_looks_only_at_its_own_index_of_a_mapped_group():
    play = Play(grouped(trigger_rule=TriggerRule.ONE_FAILED))
    play.succeed("list", length=2)
    play.fail("g.one", at=0)
    play.succeed("g.one", at=1)
    assert play.states["g.two[0]"] == "scheduled"
    assert play.states["g.two[1]"] == "skipped"


def test_a_mapped_group_over_nothing_is_skipped_whole():
    play = Play(grouped())
    play.succeed("list", length=0)
    assert (play.states["g.one"], play.states["g.two"]) == ("skipped", "skipped")


def test_a_mapped_task_whose_source_shrank_after_a_clear_has_instances_removed_and_grows_again():
    spec = workflow(task("list"), task("x", "list", mapped=ResultLength("list")), max_active_tasks=99)
    play = Play(spec)
    play.succeed("list", length=3)
    for i in range(3):
        play.succeed("x", at=i)
    everything = (InstanceRef("list"), InstanceRef("x"))
    play.say(Clear(7, everything))
    assert play.run.state is RunState.QUEUED
    play.say(Begin())
    play.succeed("list", length=1)
    assert play.states == {"list": "success", "x[0]": "scheduled", "x[1]": "removed", "x[2]": "removed"}
    play.succeed("x", at=0)
    assert play.run.state is RunState.SUCCESS
    play.say(Clear(7, everything))
    play.say(Begin())
    play.succeed("list", length=4)
    assert play.in_flight == ["x[0]", "x[1]", "x[2]", "x[3]"]


def test_the_end_of_an_instance_is_no_work_for_the_thousand_below_it_until_it_matters_to_them():
    size = 200
    spec = workflow(
        task("a", mapped=LiteralLength(size)),
        task("b", "a", mapped=LiteralLength(size)),
        task("c", "b", mapped=LiteralLength(size), trigger_rule=TriggerRule.ALL_DONE),
        max_active_tasks=size,
    )
    play = Play(spec)
    with mock.patch.object(verdicts, "evaluate", wraps=verdicts.evaluate) as evaluations:
        for name in ("a", "b", "c"):
            for i in range(size):
                play.succeed(name, at=i)
    assert play.run.state is RunState.SUCCESS
    assert evaluations.call_count < 10 * size


def test_a_group_that_grows_after_a_clear_grows_whole_also_where_a_rule_ends_what_there_was():
    spec = workflow(
        task("list"),
        task("a", "list", group="g"),
        task("b", "a", group="g", trigger_rule=TriggerRule.ALL_SKIPPED),
        task("c", "a", "b", group="g", trigger_rule=TriggerRule.ALL_DONE),
        groups=[GroupSpec("g", mapped=ResultLength("list"))],
    )
    play = Play(spec)
    play.succeed("list", length=1)
    play.succeed("a", "c", at=0)
    assert play.memory.run.state is RunState.SUCCESS
    play.say(Clear(7, tuple(map(InstanceRef, ("list", "a", "b", "c")))))
    play.say(Begin())
    play.succeed("list", length=2)
    play.succeed("a", at=0)
    assert (play.ti("b", 1).state, play.ti("c", 1).state) == (TaskState.NONE, TaskState.NONE)
    play.succeed("a", at=1)
    assert (play.ti("b", 1).state, play.ti("c", 1).state) == (TaskState.SKIPPED, TaskState.SCHEDULED)


def test_a_group_that_shrinks_after_a_clear_shrinks_whole_also_where_a_rule_waits_for_what_is_gone():
    play = Play(grouped(trigger_rule=TriggerRule.ALL_SKIPPED))
    play.succeed("list", length=2)
    play.succeed("g.one", at=0)
    play.succeed("g.one", at=1)
    play.succeed("after")
    play.say(Clear(7, tuple(map(InstanceRef, ("list", "g.one", "g.two", "after")))))
    play.say(Begin())
    play.succeed("list", length=1)
    assert (play.states["g.one[1]"], play.states["g.two[1]"]) == ("removed", "removed")
    play.succeed("g.one", at=0)
    play.succeed("after")
    assert play.run.state is RunState.SUCCESS


def test_what_fails_for_the_sake_of_another_has_every_index_that_those_below_look_at():
    spec = workflow(
        task("list"),
        task("x", "list"),
        task("a", "x", group="g"),
        task("b", "a", group="g", trigger_rule=TriggerRule.ONE_FAILED),
        groups=[GroupSpec("g", mapped=ResultLength("list"))],
    )
    play = Play(spec)
    play.succeed("list", length=1)
    play.succeed("x")
    play.succeed("a", at=0)
    play.say(Clear(7, tuple(map(InstanceRef, ("list", "x", "a", "b")))))
    play.say(Begin())
    play.succeed("list", length=2)
    play.fail("x")
    assert play.states == {
        "list": "success",
        "x": "failed",
        "a[0]": "upstream_failed",
        "a[1]": "upstream_failed",
        "b[0]": "scheduled",
        "b[1]": "scheduled",
    }


def test_a_mapped_brancher_decides_for_the_same_index_of_a_task_below_though_others_still_run():
    spec = workflow(
        task("choose", mapped=LiteralLength(3), branches=True),
        task("left", "choose", mapped=LiteralLength(3), trigger_rule=TriggerRule.ONE_SUCCESS),
        max_active_tasks=3,
    )
    play = Play(spec)
    play.succeed("choose", at=0, decision=Decision(followed=("left",)))
    play.succeed("choose", at=1, decision=Decision(followed=()))
    assert play.states["left[1]"] == "skipped"


def test_inside_a_mapped_group_each_task_waits_for_the_list_itself():
    spec = workflow(
        task("list", mapped=LiteralLength(2)),
        task("other"),
        task("g.a", "list", "other", group="g"),
        task("g.b", "g.a", group="g", trigger_rule=TriggerRule.ALL_DONE),
        groups=[GroupSpec("g", mapped=ResultLength("list"))],
    )
    play = Play(spec)
    play.skip("other")
    assert (play.states["g.a"], play.states["g.b"]) == ("skipped", "none")
    for i in range(2):
        play.succeed("list", at=i, length=1)
    assert play.in_flight == ["g.b[0]", "g.b[1]"]


def test_inside_a_mapped_group_no_rule_decides_for_all_before_there_are_instances():
    spec = workflow(
        task("list"),
        task("g.a", "list", group="g"),
        task("g.b", "g.a", group="g", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS),
        groups=[GroupSpec("g", mapped=ResultLength("list"))],
    )
    play = Play(spec)
    play.succeed("list", length=2)
    assert (play.states["g.b[0]"], play.states["g.b[1]"]) == ("none", "none")


def test_expanded_instances_share_the_fate_of_what_they_are_mapped_over_when_that_fails_the_second_time():
    spec = workflow(task("list"), task("x", "list", mapped=ResultLength("list"), trigger_rule=TriggerRule.ALL_DONE))
    play = Play(spec)
    play.succeed("list", length=2)
    play.succeed("x", at=0)
    play.succeed("x", at=1)
    play.say(Clear(7, (InstanceRef("list"), InstanceRef("x"))))
    play.say(Begin())
    play.fail("list")
    assert play.states == {"list": "failed", "x[0]": "upstream_failed", "x[1]": "upstream_failed"}


def test_expanded_instances_wait_for_the_list_that_is_made_again_though_their_rule_holds():
    spec = workflow(
        task("other"),
        task("list"),
        task("x", "list", "other", mapped=ResultLength("list"), trigger_rule=TriggerRule.ONE_SUCCESS),
    )
    play = Play(spec)
    play.succeed("other")
    play.succeed("list", length=2)
    for i in range(2):
        play.succeed("x", at=i)
    play.say(Clear(7, (InstanceRef("list"), InstanceRef("x"))))
    play.say(Begin())
    assert play.in_flight == ["list"]
    play.succeed("list", length=1)
    assert play.states["x[1]"] == "removed"


def test_an_index_is_in_excess_only_when_all_above_have_ended():
    spec = workflow(
        task("list"),
        task("x", "list", mapped=ResultLength("list")),
        task("y", "x", mapped=LiteralLength(2)),
    )
    play = Play(spec)
    play.succeed("list", length=3)
    for i in range(3):
        play.succeed("x", at=i)
    everything = tuple(InstanceRef(name) for name in ("list", "x", "y"))
    play.say(Clear(7, everything))
    play.say(Begin())
    play.succeed("list", length=2)
    play.succeed("x", at=0)
    play.succeed("x", at=1)
    assert play.in_flight == ["y[0]", "y[1]"]


# --- setup and teardown -------------------------------------------------------------------------


def with_setup(**work):
    return workflow(
        task("up", setup=True),
        task("work", "up", **work),
        task("more", "work", trigger_rule=TriggerRule.ALL_DONE),
        task("down", "more", "up", teardown=True, trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS),
    )


def test_a_teardown_runs_after_its_scope_though_work_failed_and_does_not_decide_the_run():
    assert states_of(with_setup(), {"more": "failed"}) == {
        "up": "success",
        "work": "success",
        "more": "failed",
        "down": "success",
        "": "failed",
    }
    assert states_of(with_setup(), {"down": "failed"})[""] == "success"


def test_a_failed_setup_fails_its_scope_whatever_the_rules_and_its_teardown():
    states = states_of(with_setup(), {"up": "failed"})
    assert states == {
        "up": "failed",
        "work": "upstream_failed",
        "more": "upstream_failed",
        "down": "upstream_failed",
        "": "failed",
    }


def test_a_teardown_waits_for_tasks_in_its_scope_that_are_not_right_above_it():
    spec = workflow(
        task("up", setup=True),
        task("slow", "up"),
        task("side", "slow", "up"),
        task("down", "side", "up", teardown=True, trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS),
    )
    play = Play(spec)
    play.succeed("up")
    play.fail("slow")
    assert play.in_flight == ["down"]


# --- ends ---------------------------------------------------------------------------------------


def test_a_run_in_which_nothing_can_happen_any_more_has_failed():
    spec = workflow(task("a", end=NOON - timedelta(days=1)), task("b", "a"))
    play = Play(spec)
    assert (play.run.state, play.run.reason) == (RunState.FAILED, "all_tasks_deadlocked")


def test_a_run_that_takes_too_long_fails_and_what_is_unfinished_is_skipped_and_cancelled():
    play = Play(diamond())
    running = play.identity("a")
    play.say(RunOverdue())
    assert set(play.states.values()) == {"skipped"}
    assert (play.run.state, play.run.reason) == (RunState.FAILED, "timed_out")
    assert play.cancelled == [running]


def test_with_fail_fast_the_first_failure_ends_the_run_but_for_teardowns():
    spec = workflow(
        task("up", setup=True),
        task("a", "up"),
        task("b", "up"),
        task("c", "a", "b"),
        task("down", "c", "up", teardown=True, trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS),
        fail_fast=True,
    )
    play = Play(spec)
    play.succeed("up")
    play.fail("a")
    assert play.states == {"up": "success", "a": "failed", "b": "failed", "c": "skipped", "down": "scheduled"}
    play.succeed("down")
    assert play.run.state is RunState.FAILED


def test_an_empty_task_passes_without_being_executed():
    play = Play(workflow(task("a", inert=True), task("b", "a", inert=True)))
    assert play.states == {"a": "success", "b": "success"}
    assert play.ti("b").try_number == 1
    assert play.run.state is RunState.SUCCESS


def test_a_workflow_without_tasks_succeeds():
    assert Play(workflow()).run.state is RunState.SUCCESS


# --- people -------------------------------------------------------------------------------------


def test_a_cleared_task_runs_again_under_a_try_number_never_used_before():
    play = Play(diamond())
    play.succeed("a", "b", "c", "d")
    play.say(Clear(7, (InstanceRef("b"), InstanceRef("d"))))
    assert play.run.state is RunState.QUEUED
    play.say(Begin())
    assert play.states == {"a": "success", "b": "scheduled", "c": "success", "d": "none"}
    assert play.ti("b").try_number == 2


def test_clearing_what_runs_cancels_it_and_starts_a_new_try_and_its_last_words_change_nothing():
    play = Play(workflow(task("a")))
    running = play.identity("a")
    play.say(Clear(7, (InstanceRef("a"),)))
    assert play.cancelled == [running]
    assert (play.ti("a").state, play.ti("a").try_number) == (TaskState.SCHEDULED, 2)
    play.say(Failed(running, "killed"))
    assert (play.ti("a").state, play.ti("a").try_number) == (TaskState.SCHEDULED, 2)


def test_clearing_a_task_that_was_about_to_run_does_not_lose_it():
    play = Play(workflow(task("a"), task("b")), facts=Facts(frozen=True))
    play.say(Clear(7, (InstanceRef("a"),)))
    play.facts = Facts()
    play.say(PastChanged())
    assert play.in_flight == ["a", "b"]


def test_clearing_an_upstream_task_takes_back_what_was_ready_below_it():
    spec = workflow(task("a"), task("hog"), task("b", "a"), max_active_tasks=2)
    play = Play(spec)
    play.succeed("a")
    assert play.in_flight == ["hog", "b"] or play.in_flight == ["b", "hog"]
    spec = workflow(task("a"), task("hog", priority=5), task("b", "a"), max_active_tasks=1)
    play = Play(spec)
    play.succeed("hog")
    play.succeed("a")
    assert play.in_flight == ["b"]


def test_a_mark_gives_a_terminal_state_and_lets_what_failed_below_run_again():
    play = Play(diamond())
    play.fail("a")
    assert play.run.state is RunState.FAILED
    play.say(Mark(7, (InstanceRef("a"),), TaskState.SUCCESS))
    assert play.run.state is RunState.QUEUED
    play.say(Begin())
    assert play.states == {"a": "success", "b": "scheduled", "c": "scheduled", "d": "none"}


def test_marking_a_run_failed_ends_what_runs_and_skips_the_rest():
    play = Play(diamond())
    play.say(MarkRun(7, RunState.FAILED))
    assert play.states == {"a": "failed", "b": "skipped", "c": "skipped", "d": "skipped"}
    assert (play.run.state, play.run.reason) == (RunState.FAILED, "marked")
    assert len(play.cancelled) == 1


def test_a_queued_run_can_be_marked_before_it_has_begun():
    play = Play(diamond(), begin=False)
    play.say(MarkRun(7, RunState.FAILED))
    assert play.run.state is RunState.FAILED


def test_nothing_is_scheduled_before_the_run_begins():
    memory = RunMemory(a_run(), Play(diamond()).graph)
    assert not list(step(memory, [PastChanged()], NOON).inserted())
