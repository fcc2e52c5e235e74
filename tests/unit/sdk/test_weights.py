"""Effective priorities."""

from __future__ import annotations

from typing import Any

import pytest

from piper.sdk.dags import DAG
from piper.sdk.weights import PriorityWeightStrategy
from tests.unit.sdk.operators import shell, spec


class Fixed(PriorityWeightStrategy):
    """Says what it is told."""

    def __init__(self, answer: int = 42) -> None:
        self.answer = answer

    def get_weight(self, ti: Any) -> int:
        assert (ti.try_number, ti.map_index, ti.dag_id) == (1, -1, "d")
        return self.answer + ti.task.priority_weight


def diamond(**arguments: Any) -> dict[str, int]:
    with DAG("d") as dag:
        a, b, c, d = (shell(name, **arguments.get(name, arguments.get("all", {}))) for name in "abcd")
        a >> [b, c] >> d
    return {task.task_id: task.priority for task in spec(dag).tasks}


def test_by_default_the_weights_of_all_tasks_after_count_once() -> None:
    assert diamond() == {"a": 4, "b": 2, "c": 2, "d": 1}
    assert diamond(b={"priority_weight": 10}, d={"priority_weight": 5}) == {"a": 17, "b": 15, "c": 6, "d": 5}


def test_upstream_counts_the_weights_before() -> None:
    assert diamond(all={"weight_rule": "upstream"}) == {"a": 1, "b": 2, "c": 2, "d": 4}


def test_absolute_counts_nothing_else() -> None:
    assert diamond(all={"weight_rule": "absolute", "priority_weight": 7}) == dict.fromkeys("abcd", 7)


def test_rules_may_be_mixed() -> None:
    assert diamond(b={"weight_rule": "absolute", "priority_weight": 9}, d={"weight_rule": "upstream"}) == {
        "a": 12,
        "b": 9,
        "c": 2,
        "d": 12,
    }


@pytest.mark.parametrize("given", [Fixed(), Fixed, f"{__name__}.Fixed"])
def test_a_strategy_is_asked_when_the_file_is_published(given: Any) -> None:
    with DAG("d") as dag:
        shell("a", weight_rule=given, priority_weight=2)
    (task,) = spec(dag).tasks
    assert (task.priority, task.weight_rule) == (44, f"{__name__}.Fixed")


def test_priorities_stay_within_32_bits() -> None:
    assert diamond(all={"priority_weight": 2**31 - 1})["a"] == 2**31 - 1
    with DAG("d") as dag:
        shell("a", weight_rule=Fixed(-(2**40)))
    assert spec(dag).tasks[0].priority == -(2**31)
