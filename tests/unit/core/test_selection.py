"""What people mean when they name tasks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from piper.core.graph import Graph
from piper.core.selection import (
    FAILED_STATES,
    Marker,
    Wanted,
    date_of,
    markers,
    pick,
    resolve,
    states_to_clear,
)
from piper.model.errors import Invalid
from piper.model.events import Clear, InstanceRef
from piper.model.spec import GroupSpec
from piper.model.states import IN_FLIGHT, TaskState
from tests.unit.core.play import NOON, task, workflow


def names(*refs: str | tuple[str, int]) -> tuple[InstanceRef, ...]:
    return tuple(InstanceRef(ref) if isinstance(ref, str) else InstanceRef(*ref) for ref in refs)


DIAMOND = Graph(workflow(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"), task("other")))


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (Wanted(), names("a", "b", "c", "d", "other")),
        (Wanted(tasks=names("b")), names("b")),
        (Wanted(tasks=names("b"), upstream=True), names("a", "b")),
        (Wanted(tasks=names("b"), downstream=True), names("b", "d")),
        (Wanted(tasks=names("b"), upstream=True, downstream=True), names("a", "b", "d")),
        (Wanted(tasks=names("d", "b", "b")), names("b", "d")),
        (Wanted(tasks=names(("b", 3), ("b", 1))), names(("b", 1), ("b", 3))),
        (Wanted(tasks=names(("b", 3), "b")), names("b")),
        (Wanted(tasks=names(("a", 2)), downstream=True), names(("a", 2), "b", "c", "d")),
        (Wanted(tasks=names(("a", 2), ("d", 0)), downstream=True), names(("a", 2), "b", "c", ("d", 0))),
    ],
)
def test_names_mean_tasks_and_what_lies_around_them(wanted, meant):
    assert resolve(DIAMOND, wanted) == meant


def test_a_group_means_all_tasks_in_it_and_in_the_groups_inside_it():
    groups = [GroupSpec("g"), GroupSpec("g.h", parent="g"), GroupSpec("k")]
    spec = workflow(
        task("start"), task("g.a", "start", group="g"), task("g.h.b", "g.a", group="g.h"), task("k.c", group="k"),
        groups=groups,
    )  # fmt: skip
    graph = Graph(spec)
    assert resolve(graph, Wanted(groups=("g",))) == names("g.a", "g.h.b")
    assert resolve(graph, Wanted(groups=("g.h",), tasks=names("k.c"))) == names("g.h.b", "k.c")
    assert resolve(graph, Wanted(groups=("g.h",), upstream=True)) == names("start", "g.a", "g.h.b")


SCOPED = Graph(
    workflow(
        task("before"),
        task("up", "before", setup=True),
        task("work", "up"),
        task("more", "work"),
        task("down", "more", "up", teardown=True),
        task("after", "more"),
    )
)


@pytest.mark.parametrize("name", ["up", "work", "more", "down"])
def test_with_a_task_its_setup_runs_again_and_the_teardown_of_that(name):
    meant = resolve(SCOPED, Wanted(tasks=names(name), with_setups=True))
    assert set(meant) == {*names("up", "down"), *names(name)}


def test_a_task_outside_the_scope_of_a_setup_does_not_need_it():
    for name in ("before", "after"):
        assert resolve(SCOPED, Wanted(tasks=names(name), with_setups=True)) == names(name)
    assert resolve(SCOPED, Wanted(tasks=names("work"))) == names("work"), "who does not ask does not get it"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(tasks=names("othr")), "no task 'othr'; did you mean 'other'?"),
        (Wanted(groups=("x",)), "no task group 'x'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(wanted, words):
    with pytest.raises(Invalid, match=words.replace("?", r"\?")):
        resolve(DIAMOND, wanted)


@dataclass
class Row:
    task_id: str
    map_index: int
    state: TaskState


def test_references_pick_instances_by_name_index_and_state():
    rows = [Row("a", -1, TaskState.SUCCESS), Row("b", 0, TaskState.FAILED), Row("b", 1, TaskState.SUCCESS)]
    assert pick(rows, names("a", "b")) == rows
    assert pick(rows, names(("b", 1))) == rows[2:]
    assert pick(rows, names("a", "b"), FAILED_STATES) == rows[1:2]
    assert pick(rows, ()) == []


def test_a_clear_concerns_the_states_that_it_names():
    assert states_to_clear(Clear(1, ())) == frozenset(TaskState)
    assert states_to_clear(Clear(1, (), only_failed=True)) == {TaskState.FAILED, TaskState.UPSTREAM_FAILED}
    assert states_to_clear(Clear(1, (), only_running=True)) == IN_FLIGHT


def marker(**fields):
    return Marker(**({"task_id": "m", "workflow_id": "w2", "waits": "t", "logical_date": "", "depth": 10} | fields))


def test_markers_are_found_by_their_operator():
    arguments = {"external_dag_id": "child", "external_task_id": "first", "recursion_depth": 3}
    spec = task("m")
    spec = type(spec)("m", "piper.operators.sensors.external_task.ExternalTaskMarker", arguments=arguments)
    graph = Graph(workflow(spec, task("a")))
    [found] = markers(graph, names("m", "a", ("m", 1)))
    assert (found.workflow_id, found.waits, found.depth) == ("child", "first", 3)
    assert date_of(found, NOON) == NOON, "by default the own date"


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("{{ logical_date.isoformat() }}", NOON),
        ("{{  ts  }}", NOON),
        ("2026-01-02T03:00:00+01:00", datetime(2026, 1, 2, 2, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_marker_says_which_run_waits(written, date):
    assert date_of(marker(logical_date=written), NOON) == date


def test_the_date_of_a_template_that_was_never_rendered_is_not_guessed():
    with pytest.raises(Invalid, match="known once the marker has run"):
        date_of(marker(logical_date="{{ macros.ds_add(ds, 1) }}"), NOON)
