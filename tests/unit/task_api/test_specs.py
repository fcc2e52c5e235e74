"""What is handed to a task when it starts, as far as its spec says."""

from __future__ import annotations

from piper.model.spec import (
    GroupSpec,
    LiteralLength,
    ResultLength,
    SourceLocation,
    TaskSpec,
    WorkflowSpec,
    ZipLength,
)
from piper.task_api.specs import KnownSpec, TaskPlan


def known(*tasks: TaskSpec, groups: tuple[GroupSpec, ...] = ()) -> KnownSpec:
    return KnownSpec(WorkflowSpec(workflow_id="w", source=SourceLocation("f.py"), tasks=tasks, groups=groups))


def plan(spec: KnownSpec, task_id: str) -> TaskPlan:
    found = spec.plan(task_id)
    assert found is not None
    return found


SOURCE = TaskSpec(task_id="source", operator="o")
MAPPED = TaskSpec(task_id="mapped", operator="o", mapped=ResultLength("source"), reads=(("source", "return_value"),))


def test_values_of_unmapped_tasks_are_handed_over() -> None:
    reads = (("source", "return_value"), ("mapped", "return_value"), ("source", "k"), ("unknown", "k"))
    spec = known(SOURCE, MAPPED, TaskSpec(task_id="t", operator="o", reads=reads))
    assert plan(spec, "t").reads == (("source", "return_value"), ("source", "k"))


def test_an_instance_of_one_unmapped_source_gets_its_element() -> None:
    assert plan(known(SOURCE, MAPPED), "mapped").element_of == "source"


def test_a_task_in_a_mapped_group_gets_its_element_too() -> None:
    groups = (GroupSpec("outer", mapped=ResultLength("source")), GroupSpec("outer.inner", parent="outer"))
    spec = known(SOURCE, TaskSpec(task_id="t", operator="o", group="outer.inner"), groups=groups)
    assert plan(spec, "t").element_of == "source"


def test_what_a_task_is_mapped_over_is_not_handed_over_whole() -> None:
    groups = (GroupSpec("g", mapped=ResultLength("source")),)
    reads = (("source", "k"), ("source", "return_value"))
    spec = known(SOURCE, MAPPED, TaskSpec(task_id="t", operator="o", group="g", reads=reads), groups=groups)
    assert plan(spec, "mapped").reads == ()
    assert plan(spec, "t").reads == (("source", "k"),)


def test_an_instance_of_several_sources_asks_for_its_elements_itself() -> None:
    lengths = (ZipLength((ResultLength("source"), LiteralLength(3))), LiteralLength(3), ResultLength("mapped"))
    for length in lengths:
        spec = known(SOURCE, MAPPED, TaskSpec(task_id="t", operator="o", mapped=length))
        assert plan(spec, "t").element_of == ""


def test_a_task_that_the_spec_does_not_have_has_no_plan() -> None:
    assert known(SOURCE).plan("gone") is None


def test_the_tasks_of_a_group_include_those_of_the_groups_inside() -> None:
    groups = (GroupSpec("a"), GroupSpec("a.b", parent="a"), GroupSpec("ab"))
    tasks = [TaskSpec(task_id=f"t{n}", operator="o", group=group) for n, group in enumerate(("a", "a.b", "ab", ""))]
    assert known(*tasks, groups=groups).tasks_in("a") == ["t0", "t1"]
