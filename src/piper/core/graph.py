"""The graph of a workflow: what `step` needs to know of a spec, worked out once per version.

Tasks are numbered in the spec's topological order. An edge says who *watches* whom, and why: a task
watches its direct upstream tasks (its trigger rule), the setups in whose scope it lies (a failed setup
fails it), and a teardown watches everything between its setups and itself (it comes last).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from piper.model.spec import (
    ConcatLength,
    LengthExpression,
    LiteralLength,
    ProductLength,
    ResultLength,
    TaskSpec,
    WorkflowSpec,
    ZipLength,
)
from piper.model.states import TriggerRule

FAST_RULES = frozenset(
    {
        TriggerRule.ONE_SUCCESS,
        TriggerRule.ONE_FAILED,
        TriggerRule.ONE_DONE,
        TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    }
)
"""Rules that some of the upstream instances can satisfy."""


class Watch(IntEnum):
    """Why a task watches another."""

    RULE = 0
    SETUP = 1
    SCOPE = 2
    LENGTH = 3
    """Its result decides how many instances there are, and it is not right above: a task inside a mapped group."""


@dataclass(frozen=True, slots=True)
class Edge:
    """`watcher` watches the task that this edge belongs to."""

    watcher: int
    why: Watch
    by_index: bool
    """Both lie in one mapped group: instance i watches instance i only."""


@dataclass(frozen=True, slots=True)
class Node:
    """One task, with its place in the graph."""

    index: int
    spec: TaskSpec
    upstream: tuple[int, ...]
    downstream: tuple[int, ...]
    watched_by: tuple[Edge, ...]
    mapped_group: str
    """Id of the enclosing mapped group, or empty."""
    length: LengthExpression | None
    """How many instances: its own mapping or its group's; None for a plain task."""
    length_sources: tuple[int, ...]
    """The tasks whose results decide the length."""
    branchers: tuple[int, ...]
    """Direct upstream tasks whose decision may skip it."""
    setups: tuple[int, ...]
    """Setups in whose scope it lies without being directly below them."""
    scope: tuple[int, ...]
    """Of a teardown: the tasks between its setups and itself, those directly above it excepted."""


class Graph:
    """The graph of one spec. Immutable; shared by all runs of a version."""

    def __init__(self, spec: WorkflowSpec) -> None:
        self.spec = spec
        self.index = {task.task_id: i for i, task in enumerate(spec.tasks)}
        self._upstream = tuple(tuple(self.index[u] for u in task.upstream) for task in spec.tasks)
        downstream: list[list[int]] = [[] for _ in spec.tasks]
        for i, above in enumerate(self._upstream):
            for u in above:
                downstream[u].append(i)
        self._downstream = tuple(tuple(below) for below in downstream)
        self._descendants: dict[int, frozenset[int]] = {}
        self.nodes = self._nodes()
        self.effective_leaves = self._effective_leaves()
        self.remembers_past = tuple(n.index for n in self.nodes if n.spec.depends_on_past or n.spec.wait_for_downstream)
        """Tasks that look at the run before."""
        self.limited_across_runs = tuple(n.index for n in self.nodes if n.spec.max_active_per_workflow is not None)
        """Tasks whose instances are counted over all runs of the workflow."""

    def node(self, task_id: str) -> Node | None:
        """The node of a task id, or None when this version has no such task."""
        i = self.index.get(task_id)
        return None if i is None else self.nodes[i]

    def descendants(self, index: int) -> frozenset[int]:
        """Every task below, at any distance (worked out when first asked)."""
        found = self._descendants.get(index)
        if found is None:
            found = _reachable(index, self._downstream)
            self._descendants[index] = found
        return found

    def ancestors(self, index: int) -> frozenset[int]:
        """Every task above, at any distance."""
        return _reachable(index, self._upstream)

    def follow_set(self, task_ids: tuple[str, ...]) -> frozenset[int]:
        """The chosen tasks of a branch and everything below them."""
        chosen = [self.index[t] for t in task_ids if t in self.index]
        return frozenset(chosen).union(*(self.descendants(i) for i in chosen))

    @cached_property
    def teardowns(self) -> frozenset[int]:
        """The tasks that clean up."""
        return frozenset(n.index for n in self.nodes if n.spec.teardown)

    @cached_property
    def members(self) -> Mapping[str, tuple[int, ...]]:
        """The tasks of each mapped group, by its id."""
        groups: dict[str, tuple[int, ...]] = {}
        for node in self.nodes:
            if node.mapped_group:
                groups[node.mapped_group] = (*groups.get(node.mapped_group, ()), node.index)
        return groups

    def _effective_leaves(self) -> tuple[int, ...]:
        """The tasks whose end states decide how the run ended (airflow-semantics §3.2).

        Where the first failure ends everything, every task does: the leaves have been skipped.
        """

        def counts(task: TaskSpec) -> bool:
            return not task.teardown or task.on_failure_fail_run

        leaves = tuple(
            n.index
            for n in self.nodes
            if counts(n.spec) and (self.spec.fail_fast or not any(counts(self.spec.tasks[d]) for d in n.downstream))
        )
        return leaves or tuple(n.index for n in self.nodes if not n.downstream)

    def _nodes(self) -> tuple[Node, ...]:
        mapped_groups = self._mapped_groups()
        group_lengths = {g.group_id: g.mapped for g in self.spec.groups}
        setups_above = self._setups_above()
        scopes = self._teardown_scopes()
        lengths = tuple(task.mapped or group_lengths.get(mapped_groups[i]) for i, task in enumerate(self.spec.tasks))
        length_sources = tuple(
            tuple(sorted({self.index[t] for t in sources_of(length)})) if length else () for length in lengths
        )
        watchers: list[list[Edge]] = [[] for _ in self.spec.tasks]
        for i in range(len(self.spec.tasks)):
            watched = (
                [(u, Watch.RULE) for u in self._upstream[i]]
                + [(s, Watch.SETUP) for s in setups_above[i]]
                + [(s, Watch.SCOPE) for s in scopes[i]]
                + [(s, Watch.LENGTH) for s in length_sources[i] if s not in self._upstream[i]]
            )
            for other, why in watched:
                by_index = bool(mapped_groups[i]) and mapped_groups[other] == mapped_groups[i]
                watchers[other].append(Edge(i, why, by_index))
        nodes = []
        for i, task in enumerate(self.spec.tasks):
            nodes.append(
                Node(
                    index=i,
                    spec=task,
                    upstream=self._upstream[i],
                    downstream=self._downstream[i],
                    watched_by=tuple(watchers[i]),
                    mapped_group=mapped_groups[i],
                    length=lengths[i],
                    length_sources=length_sources[i],
                    branchers=tuple(u for u in self._upstream[i] if self.spec.tasks[u].branches),
                    setups=setups_above[i],
                    scope=scopes[i],
                )
            )
        return tuple(nodes)

    def _mapped_groups(self) -> tuple[str, ...]:
        """For each task its enclosing mapped group (they do not nest)."""
        innermost: dict[str, str] = {"": ""}
        for group in self.spec.groups:  # parents come first
            innermost[group.group_id] = group.group_id if group.mapped is not None else innermost[group.parent]
        return tuple(innermost[task.group] for task in self.spec.tasks)

    def _setups_above(self) -> list[tuple[int, ...]]:
        """For each task the setups it needs without being directly below them.

        A setup reaches down to its teardowns: past them, its failure is no concern of a task. A setup
        without a teardown concerns everything below it.
        """
        setups = [i for i, task in enumerate(self.spec.tasks) if task.setup]
        needed: list[set[int]] = [set() for _ in self.spec.tasks]
        for setup in setups:
            below = self.descendants_of_setup(setup)
            for i in below:
                if not self.spec.tasks[i].teardown and setup not in self._upstream[i]:
                    needed[i].add(setup)
        return [tuple(sorted(s)) for s in needed]

    def descendants_of_setup(self, setup: int) -> frozenset[int]:
        """The tasks for which a setup is in scope."""
        below = self.descendants(setup)
        teardowns = [d for d in self._downstream[setup] if self.spec.tasks[d].teardown]
        if not teardowns:
            return below
        return frozenset(i for i in below if any(t in self.descendants(i) or t == i for t in teardowns))

    def _teardown_scopes(self) -> list[tuple[int, ...]]:
        scopes: list[tuple[int, ...]] = []
        for i, task in enumerate(self.spec.tasks):
            own_setups = [u for u in self._upstream[i] if self.spec.tasks[u].setup] if task.teardown else []
            if not own_setups:
                scopes.append(())
                continue
            above = _reachable(i, self._upstream)
            between = frozenset().union(*(self.descendants(s) for s in own_setups)) & above
            scopes.append(tuple(sorted(between - frozenset(self._upstream[i]))))
        return scopes


def sources_of(length: LengthExpression) -> frozenset[str]:
    """The ids of the tasks whose results a length depends on."""
    match length:
        case LiteralLength():
            return frozenset()
        case ResultLength(task_id):
            return frozenset({task_id})
        case ZipLength(sources=sources) | ConcatLength(sources=sources) | ProductLength(sources=sources):
            return frozenset[str]().union(*(sources_of(s) for s in sources))


def _reachable(start: int, neighbours: tuple[tuple[int, ...], ...]) -> frozenset[int]:
    seen: set[int] = set()
    stack = list(neighbours[start])
    while stack:
        i = stack.pop()
        if i not in seen:
            seen.add(i)
            stack.extend(neighbours[i])
    return frozenset(seen)
