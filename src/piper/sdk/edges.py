"""Arrows: labels on them, and the functions that draw many at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from piper.sdk.node import DependencyMixin, each


class EdgeModifier(DependencyMixin):
    """Words on arrows, `a >> Label("found") >> b`.

    It may meet its two sides in either order and several on each, so it remembers both and joins
    each new one with all of the other side. What depends on what is the same as without the label.
    """

    __slots__ = ("_downstream", "_upstream", "label")

    def __init__(self, label: str | None = None) -> None:
        self.label = label
        self._upstream: list[DependencyMixin] = []
        self._downstream: list[DependencyMixin] = []

    @property
    def roots(self) -> Sequence[Any]:
        """Nothing: a label draws its arrows itself."""
        return ()

    @property
    def leaves(self) -> Sequence[Any]:
        """Nothing: a label draws its arrows itself."""
        return ()

    def set_upstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let whatever comes after this label wait for `other`."""
        news = _labelled(other)
        self._upstream += news
        for node in self._downstream:
            node.set_upstream(news, edge_modifier=self)

    def set_downstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let `other` wait for whatever comes before this label."""
        news = _labelled(other)
        self._downstream += news
        for node in self._upstream:
            node.set_downstream(news, edge_modifier=self)

    def meet(self, other: DependencyMixin, *, other_is_upstream: bool) -> None:
        """An arrow to or from this label has been drawn by the other side."""
        if other_is_upstream:
            self.set_upstream(other)
        else:
            self.set_downstream(other)

    def __repr__(self) -> str:
        return f"Label({self.label!r})"


def _labelled(other: Any) -> list[DependencyMixin]:
    nodes = list(each(other))
    for node in nodes:
        if isinstance(node, EdgeModifier):
            raise TypeError(f"two labels cannot follow each other: {node!r}")
    return nodes


def Label(label: str) -> EdgeModifier:  # noqa: N802 - Airflow's name
    """Words for an arrow: `check >> Label("no errors") >> save`."""
    return EdgeModifier(label)


def chain(*tasks: Any) -> None:
    """Join each element to the next: `chain(a, [b, c], [d, e], f)`.

    Two neighbouring lists are joined pairwise, one and a list each with each. Elements are tasks,
    groups, results and labels.

    Raises:
        ValueError: two neighbouring lists have different lengths.
        TypeError: an element cannot stand beside an arrow.
    """
    for up, down in pairwise(tasks):
        if isinstance(up, DependencyMixin):
            up.set_downstream(down)
        elif isinstance(down, DependencyMixin):
            down.set_upstream(up)
        else:
            _chain_pairs(up, down)


def _chain_pairs(ups: Any, downs: Any) -> None:
    if not isinstance(ups, Sequence) or not isinstance(downs, Sequence):
        raise TypeError(f"Chain not supported between instances of {type(ups)} and {type(downs)}")
    if len(ups) != len(downs):
        raise ValueError(f"Chain not supported for different length Iterable. Got {len(ups)} and {len(downs)}.")
    for up, down in zip(ups, downs, strict=True):
        up.set_downstream(down)


def chain_linear(*elements: Any) -> None:
    """Join all of each element to all of the next: `chain_linear(a, [b, c], [d, e], f)`.

    Raises:
        ValueError: there is nothing to join, or an element is a label.
    """
    if len(elements) < 2:
        raise ValueError("No dependencies were set. Did you forget to expand with `*`?")
    for element in elements:
        if isinstance(element, EdgeModifier):
            raise ValueError("Labels are not supported by chain_linear")
    for up, down in pairwise(elements):
        for task in each(up):
            task.set_downstream(down)


def cross_downstream(from_tasks: Sequence[DependencyMixin], to_tasks: Any) -> None:
    """Let each of `to_tasks` wait for each of `from_tasks`."""
    for task in from_tasks:
        task.set_downstream(to_tasks)
