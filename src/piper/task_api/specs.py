"""Specs, decoded once: what of a task its worker must be told, by spec hash and task id."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from piper.core.graph import sources_of
from piper.model.spec import RETURN_KEY, ResultLength, TaskSpec, WorkflowSpec, decode_spec
from piper.store.executions import specs_of

KEPT = 256
"""Specs to keep decoded."""


class TaskPlan(NamedTuple):
    """A task, and which XComs to hand to it when it starts."""

    task: TaskSpec
    reads: tuple[tuple[str, str], ...]
    """(task id, key) of what its arguments refer to, of unmapped tasks: one value each.

    What it is mapped over is not among them: an instance needs one element, and not a copy of the list."""
    element_of: str
    """The unmapped task whose result is the only source of its instances; empty if there is no such one."""


class KnownSpec:
    """A decoded spec with an index of its tasks. Plans are made as they are asked for."""

    def __init__(self, spec: WorkflowSpec) -> None:
        self.spec = spec
        self._tasks = {task.task_id: task for task in spec.tasks}
        self._groups = {group.group_id: group for group in spec.groups}
        self._plans: dict[str, TaskPlan] = {}

    def plan(self, task_id: str) -> TaskPlan | None:
        """The plan of a task, or None if the workflow has no such task."""
        plan = self._plans.get(task_id)
        if plan is None and task_id in self._tasks:
            plan = self._plans[task_id] = self._plan_of(self._tasks[task_id])
        return plan

    def has_group(self, group_id: str) -> bool:
        """Whether there is a group of that id."""
        return group_id in self._groups

    def tasks_in(self, group_id: str) -> list[str]:
        """The ids of the tasks in a group and in the groups inside it."""
        return [task.task_id for task in self.spec.tasks if group_id in self._groups_around(task)]

    def _plan_of(self, task: TaskSpec) -> TaskPlan:
        lengths = [task.mapped, *(self._groups[group].mapped for group in self._groups_around(task))]
        sources = [length for length in lengths if length is not None]
        lists = {(name, RETURN_KEY) for length in sources for name in sources_of(length)}
        reads = tuple(
            (read, key)
            for read, key in task.reads
            if read in self._tasks and (read, key) not in lists and not self._is_mapped(read)
        )
        if len(sources) == 1 and isinstance(sources[0], ResultLength) and not self._is_mapped(sources[0].task_id):
            return TaskPlan(task, reads, element_of=sources[0].task_id)
        return TaskPlan(task, reads, element_of="")

    def _is_mapped(self, task_id: str) -> bool:
        task = self._tasks[task_id]
        return task.mapped is not None or any(self._groups[g].mapped is not None for g in self._groups_around(task))

    def _groups_around(self, task: TaskSpec) -> list[str]:
        around, group_id = [], task.group
        while group_id:
            around.append(group_id)
            group_id = self._groups[group_id].parent
        return around


class SpecCache:
    """The specs used last. Specs never change, so nothing here can be out of date. May be used by many threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[str, KnownSpec] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, connection: Connection, hashes: Iterable[str]) -> dict[str, KnownSpec]:
        """These specs, by hash; those that the database does not have are left out."""
        found: dict[str, KnownSpec] = {}
        missing = []
        with self._lock:
            for wanted in hashes:
                known = self._known.get(wanted)
                if known is None:
                    missing.append(wanted)
                else:
                    self._known.move_to_end(wanted)
                    found[wanted] = known
        if missing:
            loaded = {name: KnownSpec(decode_spec(body)) for name, body in specs_of(connection, missing).items()}
            found |= loaded
            with self._lock:
                self._known |= loaded
                while len(self._known) > self._kept:
                    self._known.popitem(last=False)
        return found
