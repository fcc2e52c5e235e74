"""Groups: prefixes, collisions, and how they stand beside arrows."""

from __future__ import annotations

from pathlib import Path

import pytest

from piper.sdk.dags import DAG
from piper.sdk.exceptions import DuplicateTaskIdFound, NodeNotFound, TaskAlreadyInTaskGroup
from piper.sdk.group import TaskGroup
from tests.unit.sdk.operators import Shell, shell, spec, upstream


def test_ids_begin_with_those_of_all_groups_around() -> None:
    with DAG("d") as dag, TaskGroup("outer"):
        shell("a")
        with TaskGroup("inner"):
            shell("b")
        with TaskGroup("bare", prefix_group_id=False):
            shell("c")
    assert dag.task_ids == ["outer.a", "outer.inner.b", "c"]
    assert list(dag.task_group_dict) == ["outer", "outer.inner", "outer.bare"]
    stored = spec(dag)
    assert [(group.group_id, group.parent) for group in stored.groups] == [
        ("outer", ""),
        ("outer.inner", "outer"),
        ("outer.bare", "outer"),
    ]
    assert [task.group for task in stored.tasks] == ["outer", "outer.inner", "outer.bare"]


def test_two_groups_cannot_have_one_id_unless_a_suffix_is_wanted() -> None:
    with DAG("d") as dag:
        TaskGroup("g")
        with pytest.raises(DuplicateTaskIdFound, match="group_id 'g'"):
            TaskGroup("g")
        TaskGroup("g", add_suffix_on_collision=True)
        TaskGroup("g", add_suffix_on_collision=True)
    assert list(dag.task_group_dict) == ["g", "g__1", "g__2"]


def test_the_same_name_in_two_groups_is_two_ids() -> None:
    with DAG("d") as dag:
        for name in ("x", "y"):
            with TaskGroup(name):
                shell("a")
    assert dag.task_ids == ["x.a", "y.a"]


@pytest.mark.parametrize("group_id", ["", "a.b", "a b"])
def test_a_group_id_has_letters_digits_and_dashes(group_id: str) -> None:
    with DAG("d"), pytest.raises(ValueError, match="not a valid group id"):
        TaskGroup(group_id)


def test_a_group_needs_a_dag() -> None:
    with pytest.raises(RuntimeError, match="only be used inside a dag"):
        TaskGroup("g")


def test_a_group_of_another_dag_is_no_parent() -> None:
    with DAG("one"):
        group = TaskGroup("g")
    with pytest.raises(ValueError, match="different Dags"):
        TaskGroup("h", parent_group=group, dag=DAG("two"))


def test_a_group_around_a_task_of_another_dag_is_not_its_group() -> None:
    other = DAG("other")
    with DAG("d"), TaskGroup("g"):
        task = Shell(task_id="a", dag=other)
    assert task.task_id == "a"
    assert task.task_group is other.task_group


def test_a_group_stands_for_its_first_tasks_and_its_last() -> None:
    with DAG("d") as dag:
        start, end = shell("start"), shell("end")
        with TaskGroup("g") as group:
            a, b, c = shell("a"), shell("b"), shell("c")
            a >> b
            a >> c
        start >> group >> end
    assert upstream(dag)["g.a"] == ("start",)
    assert upstream(dag)["g.b"] == ("g.a",)
    assert upstream(dag)["end"] == ("g.b", "g.c")


def test_groups_are_joined_last_to_first() -> None:
    with DAG("d") as dag:
        with TaskGroup("g") as g:
            shell("a") >> shell("b")
        with TaskGroup("h") as h:
            shell("c") >> shell("d")
        g >> h
    assert upstream(dag)["h.c"] == ("g.b",)
    assert upstream(dag)["h.d"] == ("h.c",)


def test_an_empty_group_hands_arrows_on() -> None:
    with DAG("d") as dag:
        start, end = shell("start"), shell("end")
        with TaskGroup("empty") as empty:
            pass
        start >> empty >> end
    assert upstream(dag)["end"] == ("start",)


def test_teardowns_do_not_count_as_the_last_tasks_of_a_group() -> None:
    with DAG("d") as dag:
        with TaskGroup("g") as group:
            create, work, delete = shell("create"), shell("work"), shell("delete")
            create >> work >> delete.as_teardown(setups=create)
        end = shell("end")
        group >> end
    assert upstream(dag)["end"] == ("g.work",)


def test_a_task_is_in_one_group() -> None:
    with DAG("d"):
        with TaskGroup("g"):
            task = shell("a")
        with pytest.raises(TaskAlreadyInTaskGroup, match=r"cannot add 'g.a' to 'h' \(already in group 'g'\)"):
            TaskGroup("h").add(task)


def test_children_are_found_by_their_own_name() -> None:
    with DAG("d") as dag, TaskGroup("g") as group:
        task = shell("a")
    assert group["a"] is task
    assert dag["g"] is group
    assert dag["g.a"] is task
    assert task.label == "a"
    with pytest.raises(NodeNotFound, match="'b' not found in group 'g'"):
        group["b"]
    with pytest.raises(NodeNotFound):
        dag["nothing"]


def test_documentation_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "words.md"
    path.write_text("# Words", encoding="utf-8")
    with DAG("d", doc_md=str(path)) as dag:
        TaskGroup("g", doc_md="missing.md", tooltip="tip", group_display_name="Group!")
    assert dag.doc_md == "# Words"
    (group,) = spec(dag).groups
    assert (group.tooltip, group.display_name) == ("tip", "Group!")
    assert dag.task_group_dict["g"].doc_md == "missing.md"
