"""What a well-formed workflow is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piper.model.check import check_workflow, find_problems, topological_order
from piper.model.errors import InvalidSchedule, InvalidSpec
from piper.model.schedule import (
    AssetAliasKey,
    AssetAll,
    AssetKey,
    AssetTimetable,
    ContinuousTimetable,
    CronTimetable,
    OnceTimetable,
    Schedule,
    Timetable,
)
from piper.model.spec import (
    FORMAT,
    AssetRef,
    ConcatLength,
    GroupSpec,
    LiteralLength,
    ParamSpec,
    ProductLength,
    ResultLength,
    RetrySpec,
    SensorSpec,
    SourceLocation,
    TaskSpec,
    WorkflowSpec,
)
from piper.model.states import TriggerRule


def task(task_id: str, *upstream: str, **fields: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, operator="test.Operator", upstream=upstream, **fields)


def workflow(*tasks: TaskSpec, **fields: Any) -> WorkflowSpec:
    values: dict[str, Any] = {"workflow_id": "w", "source": SourceLocation("w.py", 3)}
    return WorkflowSpec(tasks=tasks, **(values | fields))


def said(spec: WorkflowSpec) -> list[str]:
    return [str(problem) for problem in find_problems(spec)]


def test_a_plain_workflow_is_well_formed() -> None:
    check_workflow(workflow(task("a"), task("b", "a"), task("c", "a", "b")))
    check_workflow(workflow())


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (workflow(workflow_id=""), "'' is not a valid id"),
        (workflow(workflow_id="a b"), "'a b' is not a valid id"),
        (workflow(format=FORMAT + 1), "upgrade Piper"),
        (workflow(tags=("x" * 101,)), "101 characters"),
        (workflow(owner_links={"ann": "example"}), "'example' of owner 'ann' is no URL"),
        (workflow(owner_links={"ann": "mailto:"}), "no URL"),
        (workflow(callbacks=("done",)), "unknown callbacks ['done']"),
        (workflow(max_active_runs=-1), "negative"),
        (workflow(max_active_runs=1 << 31), "beyond 2,147,483,647"),
        (workflow(description="a\0b"), "holds a NUL: 'a\\x00b'"),
        (workflow(tags=("a\0b",)), "holds a NUL"),
        (workflow(run_timeout=timedelta(0)), "must be positive"),
        (workflow(schedule=Schedule(ContinuousTimetable())), "@continuous needs max_active_runs=1, not 16"),
        (
            workflow(schedule=Schedule(OnceTimetable()), params={"day": ParamSpec(required=True)}),
            "param 'day' has no default",
        ),
        (workflow(task("a"), result_task="b"), "'b', which does not exist"),
        (
            workflow(schedule=Schedule(AssetTimetable(AssetAll((AssetKey("a", "u"), AssetAliasKey("x" * 1001)))))),
            "the schedule names asset 'xxxx",
        ),
        (workflow(task("a", outlets=(AssetRef("o", "é" * 501),))), "has 1,002 bytes: 1,000 are the most"),
        (workflow(task("a", inlets=(AssetRef("o\0", "u"),))), "has a NUL character"),
        (workflow(task("a", inlets=(AssetRef("", ""),))), "names an asset without a name or URI"),
        (workflow(task("a", outlets=(AssetRef("o", "u", extra={"k": "x" * 70_000}),))), "65,536 are the most"),
        (workflow(task("a", outlets=(AssetRef("o", "u", extra={"k": "\0"}),))), "whose extra has a NUL character"),
        (workflow(task("a b")), "'a b' is not a valid id"),
        (workflow(task("a"), task("a")), "has the id of another task"),
        (workflow(task("a"), groups=(GroupSpec("a"),)), "has the id of a task group"),
        (workflow(task("a", "b")), "waits for 'b', which does not exist"),
        (workflow(task("a"), task("b", "a", "a")), "twice"),
        (workflow(task("b", "a"), task("a")), "topological order"),
        (workflow(task("a", "a")), "cycle: a → a"),
        (workflow(task("a", reads=(("b", "return_value"),))), "reads the result of 'b'"),
        (workflow(TaskSpec(task_id="a", operator="")), "has no operator"),
        (workflow(task("a", pool="")), "has no pool"),
        (workflow(task("a", pool_slots=0)), "takes 0 slots"),
        (workflow(task("a", pool_slots=1 << 31)), "at most 2,147,483,647"),
        (workflow(task("a", priority=-(1 << 31) - 1)), "has priority -2147483649"),
        (workflow(task("a", pool="a\0b")), "has a NUL in its pool"),
        (workflow(task("a", retry=RetrySpec(retries=1 << 31))), "less than 2,147,483,647"),
        (workflow(task("a", execution_timeout=timedelta(-1))), "must be positive"),
        (workflow(task("a", memory_limit=0)), "must be positive"),
        (workflow(task("a", max_active_per_run=0)), "at least 1"),
        (workflow(task("a", callbacks=("sla",))), "unknown callbacks ['sla']"),
        (workflow(task("a", retry=RetrySpec(retries=-1))), "retried -1 times"),
        (workflow(task("a", retry=RetrySpec(delay=timedelta(-1)))), "negative retry delay"),
        (workflow(task("a", retry=RetrySpec(multiplier=-2))), "by -2"),
        (workflow(task("a", sensor=SensorSpec(mode="push"))), "mode 'push'"),
        (workflow(task("a", sensor=SensorSpec(timeout=timedelta(-1)))), "negative poke interval"),
        (
            workflow(task("a", start=datetime(2024, 2, 1, tzinfo=UTC), end=datetime(2024, 1, 1, tzinfo=UTC))),
            "before it starts",
        ),
    ],
)
def test_what_is_not_well_formed_is_said(spec: WorkflowSpec, expected: str) -> None:
    assert any(expected in problem for problem in said(spec)), said(spec)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (workflow(task("a", teardown=True)), "whose trigger rule cannot be changed to 'all_success'"),
        (
            workflow(task("a", setup=True, teardown=True, trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS)),
            "both a setup and a teardown",
        ),
        (workflow(task("a", on_failure_fail_run=True)), "only a teardown"),
        (workflow(task("a", setup=True), task("b", "a", trigger_rule=TriggerRule.ALL_DONE)), "follows the setup 'a'"),
        (workflow(task("a", trigger_rule=TriggerRule.ALL_DONE), fail_fast=True), "fail_fast"),
    ],
)
def test_setups_teardowns_and_fail_fast_bind_the_trigger_rule(spec: WorkflowSpec, expected: str) -> None:
    assert any(expected in problem for problem in said(spec)), said(spec)


def test_a_teardown_after_a_setup_keeps_its_own_rule_also_with_fail_fast() -> None:
    teardown = task("end", "begin", teardown=True, trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS)
    check_workflow(workflow(task("begin", setup=True), teardown, fail_fast=True))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (workflow(task("a", group="g")), "is in group 'g', which does not exist"),
        (workflow(groups=(GroupSpec("g"), GroupSpec("g"))), "two groups are called 'g'"),
        (workflow(groups=(GroupSpec("g.h", parent="g"),)), "comes before the group around it, 'g'"),
        (workflow(groups=(GroupSpec("g h"),)), "not a valid group id"),
        (
            workflow(groups=(GroupSpec("g", mapped=LiteralLength(2)), GroupSpec("g.h", "g", mapped=LiteralLength(2)))),
            "within a mapped group",
        ),
        (
            workflow(task("a", group="g", mapped=LiteralLength(1)), groups=(GroupSpec("g", mapped=LiteralLength(2)),)),
            "lies within the mapped group",
        ),
        (
            workflow(
                task("g.h.a", group="g.h", trigger_rule=TriggerRule.ALWAYS),
                groups=(GroupSpec("g", mapped=LiteralLength(2)), GroupSpec("g.h", parent="g")),
            ),
            "may not have rule 'always'",
        ),
        (workflow(groups=(GroupSpec("g", mapped=ResultLength("a")),)), "mapped over 'a', which does not exist"),
        (
            workflow(task("g.a", group="g"), groups=(GroupSpec("g", mapped=ResultLength("g.a")),)),
            "mapped over its own task",
        ),
        (workflow(task("a"), task("b", mapped=ResultLength("a"))), "does not wait for it"),
        (
            workflow(task("a"), task("b", "a", mapped=ResultLength("a"), trigger_rule=TriggerRule.ALWAYS)),
            "may not have rule 'always'",
        ),
        (workflow(task("a", mapped=ProductLength((LiteralLength(-1),)))), "list of -1 elements"),
        (workflow(task("a", mapped=ConcatLength(()))), "mapped over nothing"),
    ],
)
def test_groups_and_mappings_obey_their_rules(spec: WorkflowSpec, expected: str) -> None:
    assert any(expected in problem for problem in said(spec)), said(spec)


def test_a_cycle_is_named_along_its_arrows() -> None:
    with pytest.raises(InvalidSpec, match=r"cycle: (b → c → d → b|c → d → b → c|d → b → c → d);"):
        check_workflow(workflow(task("a"), task("b", "a", "d"), task("c", "b"), task("d", "c"), task("e", "d")))


def test_a_cycle_is_located_at_the_last_task_in_it() -> None:
    lines = {"a": 5, "b": 6, "c": 8, "d": 9}
    with pytest.raises(InvalidSpec) as caught:
        topological_order({"a": ["c"], "b": ["a"], "c": ["b"], "d": []}, lines)
    assert caught.value.line == 8


def test_a_problem_is_located_at_its_task_or_else_at_its_workflow() -> None:
    located = task("a", pool_slots=0, source=SourceLocation("tasks.py", 9))
    first, second = find_problems(workflow(located, task("b", pool_slots=0)))
    assert (first.file, first.line) == ("tasks.py", 9)
    assert (second.file, second.line) == ("w.py", 3)


def test_the_rule_for_timetables_is_handed_in_and_its_refusal_is_located() -> None:
    def refuse(timetable: Timetable) -> None:
        raise InvalidSchedule(f"never comes: {timetable}")

    spec = workflow(schedule=Schedule(CronTimetable(("0 0 31 2 *",))))
    with pytest.raises(InvalidSchedule, match="never comes") as caught:
        check_workflow(spec, refuse)
    assert (caught.value.file, caught.value.line) == ("w.py", 3)


def test_tasks_stay_where_they_were_written_unless_they_wait_for_a_later_one() -> None:
    assert topological_order({"a": [], "d": ["c"], "b": ["a"], "c": ["b"], "e": []}, {}) == ["a", "b", "c", "d", "e"]
    assert topological_order({"x": [], "y": [], "z": []}, {}) == ["x", "y", "z"]


def test_a_chain_of_a_hundred_thousand_tasks_is_ordered_without_recursion() -> None:
    chain = {str(n): [str(n + 1)] if n < 100_000 else [] for n in range(100_001)}
    assert topological_order(chain, {})[0] == "100000"
