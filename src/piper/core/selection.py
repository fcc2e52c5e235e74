"""Which task instances people mean, when they clear or mark: names, and what lies around them.

    what do these names mean in this version?      resolve(graph, wanted) -> references
    which of a run's instances are those?          pick(instances, references, states) -> instances
    which tasks of other workflows follow?         markers(graph, references) -> markers

A dry run, a clear and a mark ask the same functions, so that what is shown is what is done. References are names
and not numbers: the owner of the run looks them up when it applies the command, in the version that the run then
has, and asks for the states that its instances are in at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from piper.core.graph import Graph
from piper.model.errors import Invalid
from piper.model.events import Clear, InstanceRef
from piper.model.nearest import did_you_mean
from piper.model.spec import GroupSpec
from piper.model.states import IN_FLIGHT, TaskState

ANY_STATE = frozenset(TaskState)
FAILED_STATES = frozenset({TaskState.FAILED, TaskState.UPSTREAM_FAILED})
"""What `only_failed` asks for: what failed, and what failed for its sake."""

OWN_DATE = frozenset({"{{ logical_date.isoformat() }}", "{{ logical_date }}", "{{ ts }}"})
"""Ways to write the logical date of the own run, which are understood without rendering."""

MARKER = "ExternalTaskMarker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for, by name."""

    tasks: tuple[InstanceRef, ...] = ()
    groups: tuple[str, ...] = ()
    """Ids of task groups: all tasks in them. With neither tasks nor groups, all tasks of the run."""
    upstream: bool = False
    downstream: bool = False
    with_setups: bool = False
    """Also the setups in whose scope a task lies, with their teardowns: without them it cannot run again."""


class Named(Protocol):
    """An instance, as far as it is looked for."""

    @property
    def task_id(self) -> str: ...
    @property
    def map_index(self) -> int: ...
    @property
    def state(self) -> TaskState: ...


Instance = TypeVar("Instance", bound=Named)


def resolve(graph: Graph, wanted: Wanted) -> tuple[InstanceRef, ...]:
    """The instances that are meant, by name, in the order of the tasks.

    An index is kept for a task that is named with one; what lies above and below is meant with all its instances.

    Raises:
        Invalid: there is no such task, or no such group.
    """
    if not (wanted.tasks or wanted.groups):
        return tuple(InstanceRef(task.task_id) for task in graph.spec.tasks)
    single = {_index_of(graph, ref.task_id): set[int]() for ref in wanted.tasks if ref.map_index is not None}
    whole = {_index_of(graph, ref.task_id) for ref in wanted.tasks if ref.map_index is None}
    for ref in wanted.tasks:
        if ref.map_index is not None:
            single[graph.index[ref.task_id]].add(ref.map_index)
    for group_id in wanted.groups:
        whole |= _tasks_in(graph, group_id)
    named = whole | single.keys()
    around: set[int] = set()
    for index in named:
        if wanted.downstream:
            around |= graph.descendants(index)
        if wanted.upstream:
            around |= graph.ancestors(index)
    if wanted.with_setups:
        around |= _scopes_of(graph, named | around)
    whole |= around - single.keys()
    return tuple(_references(graph, whole, single))


def _references(graph: Graph, whole: set[int], single: dict[int, set[int]]) -> Iterator[InstanceRef]:
    for index in sorted(whole | single.keys()):
        task_id = graph.nodes[index].spec.task_id
        if index in whole:
            yield InstanceRef(task_id)
        else:
            yield from (InstanceRef(task_id, map_index) for map_index in sorted(single[index]))


def pick(
    instances: Iterable[Instance], references: Iterable[InstanceRef], states: frozenset[TaskState] = ANY_STATE
) -> list[Instance]:
    """Those of a run's instances that the references name and that are in one of these states."""
    wanted = {(ref.task_id, ref.map_index) for ref in references}
    return [
        one
        for one in instances
        if one.state in states and ((one.task_id, None) in wanted or (one.task_id, one.map_index) in wanted)
    ]


def states_to_clear(clear: Clear) -> frozenset[TaskState]:
    """In which states instances are cleared by a command; those in others stay as they are."""
    if clear.only_failed:
        return FAILED_STATES
    return IN_FLIGHT if clear.only_running else ANY_STATE


# --- other workflows ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marker:
    """A task that says: a task of another workflow waits for this, and is to be cleared with it."""

    task_id: str
    workflow_id: str
    waits: str
    """The task there."""
    logical_date: str
    """Of the run there: a moment, or a template."""
    depth: int
    """How many markers a clear follows at most, this one included."""


def markers(graph: Graph, references: Iterable[InstanceRef]) -> list[Marker]:
    """The markers among these tasks."""
    found = []
    for task_id in dict.fromkeys(ref.task_id for ref in references):
        spec = graph.nodes[graph.index[task_id]].spec
        if spec.operator.rpartition(".")[2] == MARKER:
            told = spec.arguments
            found.append(
                Marker(
                    task_id,
                    str(told.get("external_dag_id", "")),
                    str(told.get("external_task_id", "")),
                    str(told.get("logical_date", "{{ logical_date.isoformat() }}")),
                    int(told.get("recursion_depth", 10)),
                )
            )
    return found


def date_of(marker: Marker, own: datetime | None) -> datetime | None:
    """The logical date that a marker means in a run of this logical date; None if there is none.

    Raises:
        Invalid: it is a template that has not been rendered.
    """
    text = " ".join(marker.logical_date.split())
    if text in OWN_DATE:
        return own
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"marker {marker.task_id!r} names the run to clear by {marker.logical_date!r}, which is known once the "
            "marker has run: clear the other workflow by itself"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- parts --------------------------------------------------------------------------------------


def _index_of(graph: Graph, task_id: str) -> int:
    index = graph.index.get(task_id)
    if index is None:
        hint = did_you_mean(task_id, graph.index)
        raise Invalid(f"workflow {graph.spec.workflow_id!r} has no task {task_id!r}{hint}")
    return index


def _tasks_in(graph: Graph, group_id: str) -> set[int]:
    groups: dict[str, GroupSpec] = {group.group_id: group for group in graph.spec.groups}
    if group_id not in groups:
        hint = did_you_mean(group_id, groups)
        raise Invalid(f"workflow {graph.spec.workflow_id!r} has no task group {group_id!r}{hint}")
    inside = {group_id}
    for group in graph.spec.groups:  # parents come first
        if group.parent in inside:
            inside.add(group.group_id)
    return {node.index for node in graph.nodes if node.spec.group in inside}


def _scopes_of(graph: Graph, chosen: set[int]) -> set[int]:
    """The setups that these tasks need, and the teardowns that clean up after them."""
    found: set[int] = set()
    for node in graph.nodes:
        if node.spec.setup and (node.index in chosen or graph.descendants_of_setup(node.index) & chosen):
            found.add(node.index)
            found |= {below for below in node.downstream if below in graph.teardowns}
    return found
