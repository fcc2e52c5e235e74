"""Branching tasks report what they decided, and refuse ids that the DAG does not have."""

from __future__ import annotations

from typing import Any

import pytest

from piper.model.events import Succeeded
from piper.model.run import Decision
from piper.model.spec import TaskSpec
from piper.operators.empty import EmptyOperator
from piper.operators.python import BranchPythonOperator, ShortCircuitOperator
from piper.sdk.branch import BaseBranchOperator, SkipMixin
from piper.sdk.decorators import task, task_group
from piper.sdk.group import TaskGroup
from piper.sdk.operator import BaseOperator
from tests.unit.sdk.execution.stage import a_dag, error_of, facts, perform, pushed
from tests.unit.sdk.operators import task_of


def branching(chosen: Any, **changes: Any) -> Any:
    """The report of a brancher above a, b, join (also below a) and a group."""
    with a_dag() as dag:
        brancher = BranchPythonOperator(task_id="brancher", python_callable=lambda: chosen)
        a, b, join = (EmptyOperator(task_id=name) for name in ("a", "b", "join"))
        with TaskGroup("group") as group:
            first = EmptyOperator(task_id="first")
            first >> EmptyOperator(task_id="second")
        brancher >> [a, b, join, group]
        a >> join
    return perform(dag.get_task("brancher"), **changes)


def decision_of(report: Any) -> Decision | None:
    assert isinstance(report.event, Succeeded), report.event
    return report.event.decision


@pytest.mark.parametrize(
    ("chosen", "followed"),
    [
        ("a", ("a", "join")),
        ("b", ("b",)),
        (["a", "b"], ("a", "b", "join")),
        (("join",), ("join",)),
        ({"b"}, ("b",)),
        ((name for name in ["b"]), ("b",)),
        ("group", ("group.first",)),
        (["group", "b"], ("b", "group.first")),
        ("group.second", ()),
        (None, ()),
        ([], ()),
    ],
    ids=str,
)
def test_a_branch_follows_what_is_chosen_and_what_is_below_it(chosen: Any, followed: tuple[str, ...]) -> None:
    report = branching(chosen)
    assert decision_of(report) == Decision(followed=followed)
    assert pushed(report) == {"skipmixin_key": {"followed": list(followed)}}


def test_a_branch_that_skips_nothing_leaves_its_result() -> None:
    report = branching(["a", "b", "group"])
    assert decision_of(report) == Decision(followed=("a", "b", "group.first", "join"))
    assert pushed(report)["return_value"] == ["a", "b", "group"]


def test_a_brancher_without_anything_below_decides_nothing() -> None:
    with a_dag() as dag:
        BranchPythonOperator(task_id="brancher", python_callable=lambda: None)
    assert decision_of(perform(dag.get_task("brancher"))) is None


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("c", "must contain only valid task_ids. Invalid tasks found: 'c'"),
        (["a", "x", "y"], "Invalid tasks found: 'x', 'y'"),
        ([5], "a branch is named by a task id, and not by 5"),
        (5, "a branch is named by a task id, and not by 5"),
        (True, "not by True"),
    ],
    ids=str,
)
def test_an_unknown_branch_fails_the_task(chosen: Any, message: str) -> None:
    assert message in error_of(branching(chosen))


def test_an_operator_of_ones_own_can_branch() -> None:
    class Mine(BaseBranchOperator):
        def choose_branch(self, context: Any) -> str:
            return f"on_{context['logical_date'].day_of_week.name.lower()}"

    with a_dag() as dag:
        Mine(task_id="mine") >> [EmptyOperator(task_id="on_monday"), EmptyOperator(task_id="on_friday")]
    assert decision_of(perform(dag.get_task("mine"))) == Decision(followed=("on_monday",))


def test_a_decorated_function_can_branch() -> None:
    with a_dag() as dag:

        @task.branch
        def choose(ds: str) -> str:
            return "a" if ds == "2024-05-06" else "b"

        choose() >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    assert decision_of(perform(dag.get_task("choose"))) == Decision(followed=("a",))


def test_an_instance_of_a_mapped_brancher_decides_and_leaves_its_result() -> None:
    with a_dag() as dag:

        @task.branch
        def choose(x: str) -> str:
            return x

        choose.expand(x=["a", "b"]) >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    report = perform(dag.get_task("choose"), map_index=1)
    assert decision_of(report) == Decision(followed=("b",))
    assert pushed(report)["return_value"] == "b"


def test_a_brancher_in_a_mapped_group_decides_for_its_own_instance() -> None:
    @task.branch
    def choose(x: str) -> str:
        return f"group.{x}"

    @task_group
    def group(x: str) -> None:
        choose(x) >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]

    with a_dag() as dag:
        group.expand(x=["a", "b"])
    assert decision_of(perform(dag.get_task("group.choose"), map_index=1)) == Decision(followed=("group.b",))


def test_a_brancher_made_from_its_spec_alone_leaves_the_check_of_ids_to_the_scheduler() -> None:
    from piper.sdk.hydrate import hydrate

    spec = TaskSpec(
        "weekend",
        "piper.operators.weekday.BranchDayOfWeekOperator",
        arguments={
            "week_day": "Monday",
            "follow_task_ids_if_true": "work",
            "follow_task_ids_if_false": "relax",
            "use_task_logical_date": True,
        },
        code=False,
    )
    assert decision_of(perform(hydrate(spec), facts("weekend", spec=spec))) == Decision(followed=("work",))


# --- short circuits -----------------------------------------------------------------------------


def circuit(condition: Any, **arguments: Any) -> Any:
    """The report of a short circuit above a >> b >> teardown, and above join."""
    with a_dag() as dag:
        short = ShortCircuitOperator(task_id="short", python_callable=lambda: condition, **arguments)
        a, b, join = (EmptyOperator(task_id=name) for name in ("a", "b", "join"))
        teardown = EmptyOperator(task_id="teardown").as_teardown()
        short >> a >> b >> teardown
        short >> [join, teardown]
    return perform(dag.get_task("short"))


def test_a_true_condition_goes_on_and_is_left_as_result() -> None:
    report = circuit([1])
    assert decision_of(report) is None
    assert pushed(report) == {"return_value": [1]}


@pytest.mark.parametrize("condition", [False, None, 0, "", []])
def test_a_false_condition_skips_everything_below_except_teardowns(condition: Any) -> None:
    report = circuit(condition)
    assert decision_of(report) == Decision(skip_descendants=True)
    assert pushed(report) == {"skipmixin_key": {"skipped": ["a", "b", "join"]}}


def test_a_false_condition_may_skip_only_what_is_directly_below() -> None:
    report = circuit(False, ignore_downstream_trigger_rules=False)
    assert decision_of(report) == Decision(skipped=("a", "join"))


def test_a_short_circuit_with_nothing_below_leaves_its_condition() -> None:
    with a_dag() as dag:

        @task.short_circuit
        def short() -> bool:
            return False

        short()
    report = perform(dag.get_task("short"))
    assert decision_of(report) is None
    assert pushed(report) == {"return_value": False}


def test_any_operator_may_skip_tasks_by_name() -> None:
    from piper.sdk.branch import SkipMixin

    class Skipping(BaseOperator, SkipMixin):
        def execute(self, context: Any) -> None:
            self.skip(context["ti"], context["task"].downstream_list)

    with a_dag() as dag:
        Skipping(task_id="s") >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    assert decision_of(perform(dag.get_task("s"))) == Decision(skipped=("a", "b"))


def test_an_operator_that_skips_what_is_below_it_is_obeyed_again_when_that_is_cleared() -> None:
    class Gate(BaseOperator, SkipMixin):
        def execute(self, context: Any) -> None:
            self.skip(context["ti"], self.downstream_list)

    with a_dag() as dag:
        Gate(task_id="gate") >> EmptyOperator(task_id="below")
    assert task_of(dag, "gate").branches
