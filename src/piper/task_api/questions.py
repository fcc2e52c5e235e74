"""What a running task may ask: one function per question, each limited to the task's own team.

A question never changes anything. Its answer is a struct of `wire`, or builtins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from piper.model import wire
from piper.model.errors import Invalid, NotFound
from piper.model.ids import UNMAPPED
from piper.secrets import Keys
from piper.store import visible
from piper.store.executions import Execution, RunFacts
from piper.store.visible import RunFilter
from piper.store.xcoms import XComKey, count_values, find_xcoms, latest_run_with, span_of_values
from piper.task_api.assets import events_for
from piper.task_api.lookups import look_up
from piper.task_api.specs import KnownSpec, SpecCache
from piper.task_api.values import TooLarge, XComValues

PAGE_BYTES = 4 << 20
"""Bytes of values in one answer to GetXComs, and at least one value."""

ANSWER_BYTES = wire.MAX_FRAME - (1 << 16)
"""Bytes that one value may have to fit into a frame."""

PAGE_VALUES = 1000


class Asker(NamedTuple):
    """The execution in whose name a question is asked."""

    execution: Execution
    run: RunFacts

    @property
    def team(self) -> str:
        """Whose objects it may read."""
        return self.run.team

    @property
    def name(self) -> str:
        """The task as people know it."""
        return f"{self.run.context.workflow_id}/{self.run.context.run_id}/{self.execution.task_id}"


class Questions:
    """Answers questions."""

    def __init__(self, keys: Keys, values: XComValues, specs: SpecCache) -> None:
        self._keys = keys
        self._values = values
        self._specs = specs
        self._answers: dict[type, Callable[[Connection, Asker, Any], Any]] = {
            wire.GetXCom: self._xcom,
            wire.GetXComs: self._xcoms,
            wire.GetVariable: self._lookup,
            wire.GetConnection: self._lookup,
            wire.GetRun: _run,
            wire.CountRuns: _count_runs,
            wire.CountInstances: self._count_instances,
            wire.FindWorkflow: self._workflow,
            wire.GetPreviousRun: _previous_run,
            wire.GetInstanceStates: _instance_states,
            wire.GetAssetEvents: _asset_events,
        }

    def answer(self, connection: Connection, asker: Asker, question: wire.Request) -> Any:
        """The answer to one question.

        Raises:
            CallerError: it cannot be answered as it was put.
        """
        answer = self._answers.get(type(question))
        if answer is None:
            raise Invalid(f"{type(question).__name__} is not a question that a task may ask")
        return answer(connection, asker, question)

    def _xcom(self, connection: Connection, asker: Asker, question: wire.GetXCom) -> wire.XComFound:
        map_index = UNMAPPED if question.map_index is None else question.map_index
        run = _run_number(connection, asker, question)
        key = XComKey(run, question.task_id, question.key, map_index)
        stored = find_xcoms(connection, [key]).get(key)
        if stored is None:
            return wire.XComFound(None)
        if question.element is not None:
            return self._values.element(stored, question.element)
        if self._values.size(stored) > ANSWER_BYTES:
            raise TooLarge(
                f"XCom {question.key!r} of task {question.task_id!r} has {self._values.size(stored):,} bytes, "
                f"{ANSWER_BYTES:,} can be handed over at once: map over it, or pass where the data lies"
            )
        return wire.XComFound(self._values.text(stored), stored.length)

    def _xcoms(self, connection: Connection, asker: Asker, question: wire.GetXComs) -> wire.XComsFound:
        run = _run_number(connection, asker, question)
        total = count_values(connection, run, question.task_id, question.key)
        start = max(0, question.start)
        stop = total if question.stop is None else min(question.stop, total)
        limit = min(stop - start, PAGE_VALUES)
        values: list[tuple[int, bytes]] = []
        room = PAGE_BYTES
        if limit > 0:
            found = span_of_values(connection, run, question.task_id, question.key, start, limit, room)
            for map_index, stored in found:
                room -= self._values.size(stored)
                if values and room < 0:
                    break
                values.append((map_index, self._values.text(stored)))
        return wire.XComsFound(total, tuple(values))

    def _lookup(self, connection: Connection, asker: Asker, lookup: wire.Lookup) -> Any:
        return look_up(connection, self._keys, asker.team, lookup)

    def _count_instances(self, connection: Connection, asker: Asker, question: wire.CountInstances) -> int:
        task_ids = list(question.task_ids)
        if question.group_id:
            spec = self._spec_of(connection, asker, question.workflow_id)
            if spec is None or not spec.has_group(question.group_id):
                raise NotFound(f"workflow {question.workflow_id!r} has no task group {question.group_id!r}")
            task_ids += spec.tasks_in(question.group_id)
        runs = RunFilter(question.workflow_id, question.logical_dates, question.run_ids)
        return visible.count_instances(connection, asker.team, runs, task_ids, question.states)

    def _workflow(self, connection: Connection, asker: Asker, question: wire.FindWorkflow) -> wire.WorkflowFound | None:
        found = visible.find_workflow(connection, asker.team, question.workflow_id)
        spec = self._spec_of(connection, asker, question.workflow_id)
        if found is None or spec is None:
            return None
        return wire.WorkflowFound(
            workflow_id=found.workflow_id,
            paused=found.paused,
            task_ids=tuple(task.task_id for task in spec.spec.tasks),
            group_ids=tuple(group.group_id for group in spec.spec.groups),
        )

    def _spec_of(self, connection: Connection, asker: Asker, workflow_id: str) -> KnownSpec | None:
        found = visible.find_workflow(connection, asker.team, workflow_id)
        return None if found is None else self._specs.get(connection, [found.spec_hash]).get(found.spec_hash)


_NO_RUN = 0
"""A run number that no run has: a question about it finds nothing."""


def _run_number(connection: Connection, asker: Asker, question: wire.GetXCom | wire.GetXComs) -> int:
    """The run whose XComs are asked for: the asker's own, one named, or the latest that has the value."""
    own = asker.run.context
    workflow_id, run_id = question.workflow_id or own.workflow_id, question.run_id or own.run_id
    if isinstance(question, wire.GetXCom) and question.include_prior_dates and own.logical_date is not None:
        map_index = UNMAPPED if question.map_index is None else question.map_index
        key = XComKey(_NO_RUN, question.task_id, question.key, map_index)
        return latest_run_with(connection, workflow_id, asker.team, own.logical_date, key) or _NO_RUN
    if (workflow_id, run_id) == (own.workflow_id, own.run_id):
        return asker.execution.run
    return visible.find_run_number(connection, asker.team, workflow_id, run_id) or _NO_RUN


def _run(connection: Connection, asker: Asker, question: wire.GetRun) -> wire.RunContext | None:
    if not question.run_id and question.logical_date is None:
        raise Invalid("a run is asked for by its run id or by its logical date; neither was given")
    return visible.find_run(connection, asker.team, question.workflow_id, question.run_id, question.logical_date)


def _count_runs(connection: Connection, asker: Asker, question: wire.CountRuns) -> int:
    runs = RunFilter(question.workflow_id, question.logical_dates, question.run_ids)
    return visible.count_runs(connection, asker.team, runs, question.states)


def _previous_run(connection: Connection, asker: Asker, question: wire.GetPreviousRun) -> wire.RunContext | None:
    own = asker.run.context
    if own.logical_date is None:
        return None
    return visible.previous_run(connection, asker.team, own.workflow_id, own.logical_date, question.state)


def _instance_states(
    connection: Connection, asker: Asker, question: wire.GetInstanceStates
) -> dict[str, dict[int, str]]:
    return visible.instance_states(connection, asker.execution.run, question.task_ids)  # type: ignore[return-value]


def _asset_events(connection: Connection, asker: Asker, question: wire.GetAssetEvents) -> list[wire.AssetEventFound]:
    return events_for(connection, asker.team, asker.execution.run, question)
