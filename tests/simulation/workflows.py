"""Small random workflows, and what their tasks will do when they are run."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from piper.core.graph import sources_of
from piper.model.schedule import CronTimetable, NeverTimetable, Schedule
from piper.model.spec import (
    ConcatLength,
    GroupSpec,
    LengthExpression,
    LiteralLength,
    ProductLength,
    ResultLength,
    RetrySpec,
    SourceLocation,
    TaskSpec,
    WorkflowSpec,
    ZipLength,
)
from piper.model.states import TriggerRule

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)

RULES = [r for r in TriggerRule if r is not TriggerRule.ALL_DONE_SETUP_SUCCESS]


def random_workflow(dice: random.Random, number: int) -> WorkflowSpec:
    """A workflow of two to nine tasks with something of everything the scheduler must get right."""
    tasks: list[TaskSpec] = []
    for i in range(dice.randint(2, 8)):
        above = tuple(sorted(t.task_id for t in tasks if dice.random() < 0.4))
        tasks.append(_random_task(dice, f"t{i}", above, tasks))
    if dice.random() < 0.3:
        tasks = _with_setup_and_teardown(tasks)
    groups: tuple[GroupSpec, ...] = ()
    if dice.random() < 0.35:
        group, inner = _mapped_group(dice, tasks)
        groups = (group,)
        tasks += inner
    scheduled = dice.random() < 0.7
    return WorkflowSpec(
        workflow_id=f"w{number}",
        source=SourceLocation("w.py", 1),
        schedule=Schedule(
            timetable=CronTimetable(expressions=("*/10 * * * *",)) if scheduled else NeverTimetable(),
            start=MONDAY,
            catchup=dice.random() < 0.7,
        ),
        max_active_runs=dice.choice([1, 2, 3]),
        max_active_tasks=dice.choice([1, 2, 16]),
        run_timeout=timedelta(minutes=dice.choice([30, 600])) if dice.random() < 0.2 else None,
        fail_fast=dice.random() < 0.1,
        tasks=tuple(tasks),
        groups=groups,
        callbacks=dice.choice([(), ("success", "failure"), ("failure",)]),
    )


def another_version(dice: random.Random, spec: WorkflowSpec) -> WorkflowSpec:
    """The same workflow, edited: a task is gone, or another has come, at the end or in between.

    A task that was there once may come back, since a play has only so many names. Limits stay as they are.
    """
    gone = [
        t.task_id
        for t in spec.tasks
        if t.task_id.startswith("t") and not (t.outlets or _is_mapped_over(spec, t.task_id))
    ]
    new = [name for name in ("x0", "x1", "x2") if name not in {t.task_id for t in spec.tasks}]
    if new and (dice.random() < 0.5 or len(gone) < 2):
        above = tuple(sorted(t.task_id for t in spec.tasks if not t.teardown and dice.random() < 0.3))
        rule = TriggerRule.ALL_SUCCESS if "up" in above else dice.choice(RULES)
        made = TaskSpec(task_id=dice.choice(new), operator="test.Work", upstream=above, trigger_rule=rule)
        return replace(spec, tasks=(*spec.tasks, made))
    if not gone:
        return spec
    name = dice.choice(gone)
    tasks = [t for t in spec.tasks if t.task_id != name]
    return replace(spec, tasks=tuple(replace(t, upstream=tuple(u for u in t.upstream if u != name)) for t in tasks))


def _is_mapped_over(spec: WorkflowSpec, task_id: str) -> bool:
    lengths = [one.mapped for one in (*spec.tasks, *spec.groups) if one.mapped is not None]
    return any(task_id in sources_of(length) for length in lengths)


def _random_task(dice: random.Random, task_id: str, above: tuple[str, ...], earlier: list[TaskSpec]) -> TaskSpec:
    mapped = _length(dice, [t for t in earlier if t.task_id in above]) if dice.random() < 0.3 else None
    rule = dice.choice(RULES) if dice.random() < 0.5 else TriggerRule.ALL_SUCCESS
    if mapped is not None and sources_of(mapped) and rule is TriggerRule.ALWAYS:
        rule = TriggerRule.ALL_SUCCESS
    return TaskSpec(
        task_id=task_id,
        operator="test.Work",
        upstream=above,
        trigger_rule=rule,
        retry=RetrySpec(retries=dice.choice([0, 0, 1, 2]), delay=timedelta(seconds=dice.choice([0, 30, 300]))),
        inert=dice.random() < 0.1,
        pool=dice.choice(["default_pool", "narrow"]),
        pool_slots=1,
        priority=dice.randint(1, 5),
        mapped=mapped,
        branches=mapped is None and dice.random() < 0.15,
        start_from_trigger={"trigger": "test.First", "method": "resume"} if dice.random() < 0.05 else None,
        depends_on_past=dice.random() < 0.1,
        max_active_per_run=1 if dice.random() < 0.1 else None,
        max_active_per_workflow=1 if dice.random() < 0.1 else None,
        callbacks=("failure", "retry", "success", "skipped") if dice.random() < 0.3 else (),
    )


def _length(dice: random.Random, above: list[TaskSpec]) -> LengthExpression:
    """Of the results of tasks above, mapped ones too, or of a list in the file."""
    listed = [t.task_id for t in above if not t.branches]
    written = LiteralLength(dice.randint(0, 3))
    if not listed or dice.random() < 0.2:
        return written
    one, other = ResultLength(dice.choice(listed)), ResultLength(dice.choice(listed))
    return dice.choice(
        [
            one,
            one,
            one,
            ProductLength((one, LiteralLength(2))),
            ZipLength((one, other), fill=dice.random() < 0.5),
            ConcatLength((one, written)),
        ]
    )


def _mapped_group(dice: random.Random, earlier: list[TaskSpec]) -> tuple[GroupSpec, list[TaskSpec]]:
    """A mapped group, with a decision in it or not, and a task below it."""
    above = [t for t in earlier if dice.random() < 0.4]
    length = _length(dice, above)
    if isinstance(length, LiteralLength):
        above = []
    names = tuple(sorted(t.task_id for t in above))
    rules = [r for r in RULES if r is not TriggerRule.ALWAYS]
    chooses = dice.random() < 0.3

    def task(name: str, *upstream: str, **values: Any) -> TaskSpec:
        return TaskSpec(
            task_id=name,
            operator="test.Work",
            upstream=tuple(sorted(upstream)),
            retry=RetrySpec(retries=dice.choice([0, 1]), delay=timedelta(seconds=30)),
            **values,
        )

    inner = [
        task("g.a", *names, group="g", branches=chooses),
        task("g.b", "g.a", group="g", trigger_rule=dice.choice(rules)),
        task("g.c", "g.a", "g.b", *names[:1], group="g", trigger_rule=dice.choice(rules)),
        task("h", dice.choice(["g.b", "g.c"]), trigger_rule=dice.choice(RULES)),
    ]
    if dice.random() < 0.3:
        inner.append(task("i", "g.c", mapped=ResultLength("g.c")))
    return GroupSpec(group_id="g", mapped=length), inner


def _with_setup_and_teardown(tasks: list[TaskSpec]) -> list[TaskSpec]:
    """The same tasks between a setup and its teardown."""
    inner = [
        replace(t, upstream=tuple(sorted({*t.upstream, "up"})), trigger_rule=TriggerRule.ALL_SUCCESS) for t in tasks
    ]
    below = {u for t in tasks for u in t.upstream}
    leaves = [t.task_id for t in tasks if t.task_id not in below]
    up = TaskSpec(task_id="up", operator="test.Work", setup=True)
    down = TaskSpec(
        task_id="down",
        operator="test.Work",
        upstream=tuple(sorted({*leaves, "up"})),
        teardown=True,
        trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
    )
    return [up, *inner, down]
