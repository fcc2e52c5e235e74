"""Effective priorities, from the weights of tasks and how those around them count (airflow-semantics §3.23).

    downstream   its own weight and those of all tasks after it: what holds up much comes first
    upstream     its own weight and those of all tasks before it: what is nearly done comes first
    absolute     its own weight

A strategy of the author's (`PriorityWeightStrategy`) is user code: it is asked once per task at
publication, for a first try, and its answers are published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from piper.model.states import WeightRule
from piper.sdk.abstract_operator import AbstractOperator
from piper.sdk.importing import import_path, path_of
from piper.sdk.spelling import did_you_mean

LIMIT = (1 << 31) - 1


class PriorityWeightStrategy:
    """A rule of your own: derive from it and implement `get_weight`."""

    def get_weight(self, ti: Any) -> int:
        """The effective priority of a task.

        Arguments:
            ti: has `task`, `task_id`, `dag_id`, `try_number` (1), `map_index` (-1) and `priority_weight`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no get_weight()")

    def serialize(self) -> dict[str, Any]:
        """Accepted for Airflow's sake: Piper publishes the answers, not the strategy."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PriorityWeightStrategy:
        """Accepted for Airflow's sake."""
        return cls(**data)


def priorities(tasks: Sequence[AbstractOperator]) -> dict[str, int]:
    """Task id → effective priority.

    Arguments:
        tasks: all tasks of a DAG in topological order.
    """
    if not tasks:
        return {}
    rules = [_rule(task.weight_rule) for task in tasks]
    after = _reach(tasks[::-1], _DOWNSTREAM) if WeightRule.DOWNSTREAM in rules else {}
    before = _reach(tasks, _UPSTREAM) if WeightRule.UPSTREAM in rules else {}
    total = _adder(tasks)
    answers: dict[str, int] = {}
    for task, rule in zip(tasks, rules, strict=True):
        if rule is WeightRule.DOWNSTREAM:
            weight = total(after[task.task_id])
        elif rule is WeightRule.UPSTREAM:
            weight = total(before[task.task_id])
        elif rule is WeightRule.ABSOLUTE:
            weight = task.priority_weight
        else:
            weight = _ask(rule, task)
        answers[task.task_id] = max(-LIMIT - 1, min(weight, LIMIT))
    return answers


_DOWNSTREAM = attrgetter("downstream_task_ids")
_UPSTREAM = attrgetter("upstream_task_ids")


def _reach(ordered: Sequence[AbstractOperator], beyond: Callable[[AbstractOperator], Iterable[str]]) -> dict[str, int]:
    """Task id → itself and all tasks beyond it, as bits. (Sets of thousands of ids per task would take gigabytes.)"""
    last = len(ordered) - 1
    reached: dict[str, int] = {}
    for position, task in enumerate(ordered):
        mine = 1 << (last - position if beyond is _DOWNSTREAM else position)
        for task_id in beyond(task):
            mine |= reached[task_id]
        reached[task.task_id] = mine
    return reached


def _adder(tasks: Sequence[AbstractOperator]) -> Callable[[int], int]:
    """A function from a set of tasks, as bits, to the sum of their weights."""
    weights = {task.priority_weight for task in tasks}
    if len(weights) == 1:
        (weight,) = weights
        return lambda bits: weight * bits.bit_count()
    masks = dict.fromkeys(weights, 0)
    for position, task in enumerate(tasks):
        masks[task.priority_weight] |= 1 << position
    return lambda bits: sum(weight * (bits & mask).bit_count() for weight, mask in masks.items())


def _ask(strategy: PriorityWeightStrategy, task: AbstractOperator) -> int:
    first_try = SimpleNamespace(
        task=task,
        task_id=task.task_id,
        dag_id=task.dag_id,
        try_number=1,
        map_index=-1,
        priority_weight=task.priority_weight,
    )
    return int(strategy.get_weight(first_try))


def rule_name(weight_rule: Any) -> str:
    """The rule as a spec names it: a `WeightRule`, or the dotted path of a strategy."""
    found = _rule(weight_rule)
    if isinstance(found, PriorityWeightStrategy):
        return path_of(type(found))
    return found.value


def _rule(weight_rule: Any) -> WeightRule | PriorityWeightStrategy:
    """The rule, or the strategy, that an author gave.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(weight_rule, WeightRule | PriorityWeightStrategy):
        return weight_rule
    if isinstance(weight_rule, type) and issubclass(weight_rule, PriorityWeightStrategy):
        return weight_rule()
    if isinstance(weight_rule, str):
        if weight_rule in _NAMES:
            return WeightRule(weight_rule)
        if "." in weight_rule:
            strategy: PriorityWeightStrategy = import_path(weight_rule)()
            return strategy
    raise ValueError(f"there is no weight rule {did_you_mean(str(weight_rule), _NAMES)}")


_NAMES = frozenset(rule.value for rule in WeightRule)
