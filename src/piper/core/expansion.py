"""A mapped task gets as many instances as what it is mapped over has elements."""

from __future__ import annotations

from functools import partial

from piper.core.draft import IDLE, Draft
from piper.core.graph import Node
from piper.core.lengths import length_of
from piper.core.memory import EVERY_INDEX, OUTER, Key
from piper.core.task import RuleDecided
from piper.core.trigger_rules import Verdict
from piper.model.ids import UNMAPPED
from piper.model.run import TaskInstance
from piper.model.states import FINISHED, TaskState


def fit(draft: Draft, node: Node, key: Key, ti: TaskInstance) -> Verdict:
    """Give a mapped task as many instances as its length says; RUN for an instance that is in place."""
    if key[1] != UNMAPPED and node.index in draft.resized:
        return Verdict.RUN if key[1] < draft.size_of(node.index) else Verdict.WAIT
    assert node.length is not None
    length = length_of(node.length, partial(_result_length, draft))
    if length is None:
        if any(draft.open_of(source) for source in node.length_sources):
            return Verdict.WAIT  # also if it has been expanded: what is made to run again may return another list
        # There will be no list: a source was marked, or ended by its trigger, or has nothing to execute.
        return Verdict.FAIL if key[1] == UNMAPPED else Verdict.RUN
    draft.resized.add(node.index)
    if key[1] == UNMAPPED:
        if length == 0:
            return Verdict.SKIP
        _expand(draft, node, ti, length)
        return Verdict.WAIT
    _fit_group(draft, node, length)
    return Verdict.RUN if key[1] < length else Verdict.WAIT


def expand_over_literals(draft: Draft, node: Node) -> None:
    """A length that the file says is known before anything has run: the instances are there from the start.

    So each of them is skipped or failed for another's sake, where that happens, and not one for all. Over
    an empty list there is one, which is skipped when its turn comes.
    """
    assert node.length is not None
    length = length_of(node.length, lambda _: None)
    ti = draft.at((node.index, UNMAPPED))
    if length and ti is not None:
        _expand(draft, node, ti, length)


def _expand(draft: Draft, node: Node, ti: TaskInstance, length: int) -> None:
    """The one instance becomes index 0, in place; the others are new."""
    draft.move(ti, (node.index, UNMAPPED), (node.index, 0))
    for i in range(1, length):
        draft.create((node.index, i))
    for edge in node.watched_by:
        if edge.by_index:
            draft.grow((edge.watcher, edge.why, UNMAPPED), -1, node.spec)
            for i in range(length):
                draft.grow((edge.watcher, edge.why, i), 1, node.spec)
            draft.grow((edge.watcher, edge.why, EVERY_INDEX), length - 1, node.spec)
        else:
            draft.grow((edge.watcher, edge.why, OUTER), length - 1, node.spec)
        draft.look_at(draft.keys_of(edge.watcher))
    draft.look_at(draft.keys_of(node.index))
    _fit_group(draft, node, length)


def _fit_group(draft: Draft, node: Node, length: int) -> None:
    """The tasks of a mapped group have the same indexes, also those that their rules end before they are fitted.

    Otherwise an index of a task below them would look at instances that are not there, and run without them; or wait
    for ever for one that was removed.
    """
    for index in draft.graph.members.get(node.mapped_group) or (node.index,):
        if draft.at((index, 0)) is not None:  # what is not expanded yet is when its turn comes
            _remove_excess(draft, index, length)
            _add_missing(draft, draft.graph.nodes[index], length)


def _remove_excess(draft: Draft, index: int, length: int) -> None:
    """After a clear upstream there may be fewer."""
    for i in range(length, draft.size_of(index)):
        ti = draft.at((index, i))
        if ti is not None and ti.state in IDLE:
            draft.happen((index, i), ti, RuleDecided(TaskState.REMOVED))


def _add_missing(draft: Draft, node: Node, length: int) -> None:
    for i in range(draft.size_of(node.index), length):
        draft.create((node.index, i))
        for edge in node.watched_by:
            for slot in (i, EVERY_INDEX) if edge.by_index else (OUTER,):
                draft.grow((edge.watcher, edge.why, slot), 1, node.spec)
        draft.look_at([(node.index, i)])


def _result_length(draft: Draft, task_id: str) -> int | None:
    """How many elements a task's result has; of a mapped task, how many instances returned something."""
    node = draft.graph.node(task_id)
    if node is None:
        return None
    single = draft.at((node.index, UNMAPPED))
    if single is not None:
        if node.length is not None:  # not expanded: it ended without running
            return 0 if single.state in FINISHED else None
        length = single.result_length
        return length if single.state is TaskState.SUCCESS and length is not None and length >= 0 else None
    if draft.size_of(node.index) == 0 or draft.open_of(node.index):
        return None
    return draft.results_of(node.index)
