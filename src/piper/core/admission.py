"""Which ready instances are scheduled now: by priority and then age, within the limits of the run and of each task."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from piper.core.draft import Draft
from piper.core.memory import SHARED, ReadyEntry
from piper.core.task import Admitted
from piper.model.spec import TaskSpec
from piper.model.states import RunState


def admit(draft: Draft) -> None:
    """Schedule ready instances, by priority and then age, within the limits of the run."""
    if draft.run.state is not RunState.RUNNING or draft.facts.frozen:
        return
    if not (draft.memory.ready or draft.changes.ready):
        return
    limit = draft.graph.spec.max_active_tasks
    room = limit - draft.in_flight if limit > 0 else len(draft.memory.ready) + len(draft.changes.ready)
    if room <= 0:
        return
    for number in _ready_in_order(draft):
        key = draft.place_of(number)
        ti = None if key is None else draft.at(key)
        if key is None or ti is None:
            continue
        draft.happen(key, ti, Admitted())
        room -= 1
        if room == 0:
            return


def _ready_in_order(draft: Draft) -> Iterator[int]:
    """Numbers of ready instances, best first, passing over tasks that are at a limit of their own."""
    queues: dict[int, list[ReadyEntry]] = {}
    for entry in draft.changes.ready.values():
        if entry is not None:
            queues.setdefault(entry[0], []).append(entry[1])
    fresh = {queue: sorted(entries) for queue, entries in queues.items()}
    streams = [
        _within_limit(draft, queue, heapq.merge(_still_ready(draft, queue), fresh.get(queue, ())))
        for queue in fresh.keys() | draft.memory.ready_queues.keys()
    ]
    for _, number in heapq.merge(*streams):
        yield number


def _still_ready(draft: Draft, queue: int) -> Iterator[ReadyEntry]:
    """Entries of the memory's queue that this step has not spoken about."""
    return (entry for entry in draft.memory.ready_in_order(queue) if entry[1] not in draft.changes.ready)


def _within_limit(draft: Draft, queue: int, entries: Iterator[ReadyEntry]) -> Iterator[ReadyEntry]:
    if queue == SHARED:
        yield from entries
        return
    spec = draft.graph.nodes[queue].spec
    room = _room_of(draft, queue, spec)
    for entry in entries:
        if room <= 0:
            return
        room -= 1
        yield entry


def _room_of(draft: Draft, node: int, spec: TaskSpec) -> int:
    here = draft.in_flight_of(node)
    rooms = []
    if spec.max_active_per_run is not None:
        rooms.append(spec.max_active_per_run - here)
    if spec.max_active_per_workflow is not None:
        elsewhere = draft.facts.in_flight_elsewhere.get(spec.task_id, 0)
        rooms.append(spec.max_active_per_workflow - here - elsewhere)
    return min(rooms)


def has_own_limit(spec: TaskSpec) -> bool:
    """Whether a task has a limit of its own, so that its instances queue apart."""
    return spec.max_active_per_run is not None or spec.max_active_per_workflow is not None
