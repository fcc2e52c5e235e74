"""Waiting for tasks and runs of other workflows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any

from piper.sdk.execution.instance import RuntimeTaskInstance
from piper.sdk.importing import path_of
from piper.sdk.trigger import BaseTrigger, TriggerEvent


def count_matching(
    dag_id: str,
    states: Collection[str],
    *,
    task_ids: Collection[str] | None = None,
    group_id: str | None = None,
    logical_dates: Collection[datetime] | None = None,
    run_ids: Collection[str] | None = None,
) -> float:
    """How many runs have what is waited for in one of these states.

    Of tasks the share of the tasks counts: two tasks, of which one is, are half a run. Of a group a run counts
    when all its instances are. Without tasks and group the state of the run itself counts.

    Raises:
        NotFound: the workflow has no such group.
    """
    dates, runs = list(logical_dates or ()), list(run_ids or ())
    if task_ids:
        count = RuntimeTaskInstance.get_ti_count(
            dag_id, task_ids=list(task_ids), logical_dates=dates, run_ids=runs, states=list(states)
        )
        return count / len(task_ids)
    if group_id:
        each: list[dict[str, Any]] = [{"logical_dates": [date]} for date in dates] or [
            {"run_ids": [run]} for run in runs
        ]
        return sum(_group_is(dag_id, group_id, states, which) for which in each)
    return RuntimeTaskInstance.get_dr_count(dag_id, logical_dates=dates, run_ids=runs, states=list(states))


def _group_is(dag_id: str, group_id: str, states: Collection[str], which: dict[str, Any]) -> bool:
    there = RuntimeTaskInstance.get_ti_count(dag_id, task_group_id=group_id, **which)
    return there > 0 and there == RuntimeTaskInstance.get_ti_count(
        dag_id, task_group_id=group_id, states=list(states), **which
    )


class WorkflowTrigger(BaseTrigger):
    """Fires once tasks, a group or a run of another workflow are in certain states.

    Arguments:
        external_dag_id: the workflow.
        run_ids: the runs.
        logical_dates: logical dates of the runs.
        external_task_ids: tasks to wait for.
        external_task_group_id: group to wait for.
        failed_states: states that end the wait as failed, as soon as one is found.
        skipped_states: states that end the wait as skipped, as soon as one is found.
        allowed_states: states that all must have for the wait to end well.
        poke_interval: seconds between looks.
        soft_fail: kept for the sensor.
    """

    def __init__(
        self,
        external_dag_id: str,
        run_ids: list[str] | None = None,
        execution_dates: list[datetime] | None = None,
        logical_dates: list[datetime] | None = None,
        external_task_ids: Collection[str] | None = None,
        external_task_group_id: str | None = None,
        failed_states: Collection[str] | None = None,
        skipped_states: Collection[str] | None = None,
        allowed_states: Collection[str] | None = None,
        poke_interval: float = 2.0,
        soft_fail: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.external_dag_id = external_dag_id
        self.run_ids = run_ids
        self.logical_dates = logical_dates or execution_dates
        self.external_task_ids = external_task_ids
        self.external_task_group_id = external_task_group_id
        self.failed_states = failed_states
        self.skipped_states = skipped_states
        self.allowed_states = allowed_states
        self.poke_interval = poke_interval
        self.soft_fail = soft_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its class and arguments."""
        names = (
            *("external_dag_id", "run_ids", "logical_dates", "external_task_ids", "external_task_group_id"),
            *("failed_states", "skipped_states", "allowed_states", "poke_interval", "soft_fail"),
        )
        return path_of(type(self)), {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the states are as they must be."""
        expected = len(self.run_ids or self.logical_dates or ())
        while True:
            for status, states in (("failed", self.failed_states), ("skipped", self.skipped_states)):
                if states and await self._count(states) > 0:
                    yield TriggerEvent({"status": status})
                    return
            if await self._count(self.allowed_states or ("success",)) == expected:
                yield TriggerEvent({"status": "success"})
                return
            await asyncio.sleep(self.poke_interval)

    async def _count(self, states: Collection[str]) -> float:
        # In a thread: a question to the Task API waits for its answer.
        return await asyncio.to_thread(
            count_matching,
            self.external_dag_id,
            states,
            task_ids=self.external_task_ids,
            group_id=self.external_task_group_id,
            logical_dates=self.logical_dates,
            run_ids=self.run_ids,
        )


class DagStateTrigger(BaseTrigger):
    """Fires once runs of another workflow are all in one of certain states.

    Arguments:
        dag_id: the workflow.
        states: the states.
        run_ids: the runs.
        execution_dates: logical dates of the runs, in place of their ids.
        poll_interval: seconds between looks.
    """

    def __init__(
        self,
        dag_id: str,
        states: Collection[str],
        run_ids: list[str] | None = None,
        execution_dates: list[datetime] | None = None,
        poll_interval: float = 5.0,
    ) -> None:
        super().__init__()
        self.dag_id = dag_id
        self.states = states
        self.run_ids = run_ids
        self.execution_dates = execution_dates
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its class and arguments."""
        names = ("dag_id", "states", "run_ids", "execution_dates", "poll_interval")
        return path_of(type(self)), {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the runs are in one of the states; the event has the state of each."""
        path, arguments = self.serialize()
        expected = len(self.run_ids or self.execution_dates or ())
        while await asyncio.to_thread(self._count) != expected:
            await asyncio.sleep(self.poll_interval)
        states = {run_id: await asyncio.to_thread(self._state, run_id) for run_id in self.run_ids or ()}
        yield TriggerEvent((path, {**arguments, **states}))

    def _count(self) -> float:
        return count_matching(self.dag_id, self.states, logical_dates=self.execution_dates, run_ids=self.run_ids)

    def _state(self, run_id: str) -> str:
        return RuntimeTaskInstance.get_dagrun_state(self.dag_id, run_id)
