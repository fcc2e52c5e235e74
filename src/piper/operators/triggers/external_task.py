"""Waiting for tasks and runs of other workflows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from piper.model import wire
from piper.model.states import RunState, TaskState
from piper.sdk.execution.channel import ask, ask_async
from piper.sdk.execution.current import current_channel
from piper.sdk.importing import path_of
from piper.sdk.trigger import BaseTrigger, TriggerEvent

Count = wire.CountInstances | wire.CountRuns


@dataclass(frozen=True)
class Matching:
    """Which runs have what is waited for.

    Of tasks the share of the tasks counts: two tasks, of which one is, are half a run. Of a group a run counts
    when all its instances are. Without tasks and group the state of the run itself counts.
    """

    dag_id: str
    task_ids: Sequence[str] = ()
    group_id: str = ""
    logical_dates: Sequence[datetime] = ()
    run_ids: Sequence[str] = ()

    def questions(self, states: Collection[str]) -> list[Count]:
        """What must be asked, to know how many runs have it in one of these states."""
        dates, runs = tuple(self.logical_dates), tuple(self.run_ids)
        if self.task_ids:
            of_tasks = tuple(map(TaskState, states))
            return [wire.CountInstances(self.dag_id, tuple(self.task_ids), "", dates, runs, of_tasks)]
        if self.group_id:
            each: list[tuple[tuple[datetime, ...], tuple[str, ...]]] = [((date,), ()) for date in dates]
            each = each or [((), (run,)) for run in runs]
            return [
                wire.CountInstances(self.dag_id, (), self.group_id, of_date, of_run, of_states)
                for of_date, of_run in each
                for of_states in ((), tuple(map(TaskState, states)))
            ]
        return [wire.CountRuns(self.dag_id, dates, runs, tuple(map(RunState, states)))]

    def count(self, answers: Sequence[int]) -> float:
        """How many runs that is, by the answers to the questions."""
        if self.task_ids:
            return answers[0] / len(self.task_ids)
        if self.group_id:
            pairs = zip(answers[::2], answers[1::2], strict=True)
            return sum(there > 0 and there == are for there, are in pairs)
        return answers[0]

    def ask(self, states: Collection[str]) -> float:
        """How many runs have it in one of these states.

        Raises:
            NotFound: the workflow has no such group.
        """
        channel = current_channel()
        return self.count([ask(channel, question, int) for question in self.questions(states)])

    async def ask_async(self, states: Collection[str]) -> float:
        """As `ask`, without making others wait."""
        channel = current_channel()
        return self.count([await ask_async(channel, question, int) for question in self.questions(states)])


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
        matching = Matching(
            self.external_dag_id,
            tuple(self.external_task_ids or ()),
            self.external_task_group_id or "",
            tuple(self.logical_dates or ()),
            tuple(self.run_ids or ()),
        )
        return await matching.ask_async(states)


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
        runs = Matching(self.dag_id, logical_dates=tuple(self.execution_dates or ()), run_ids=tuple(self.run_ids or ()))
        while await runs.ask_async(self.states) != expected:
            await asyncio.sleep(self.poll_interval)
        states = {run_id: await self._state(run_id) for run_id in self.run_ids or ()}
        yield TriggerEvent((path, {**arguments, **states}))

    async def _state(self, run_id: str) -> str:
        found: Any = await ask_async(current_channel(), wire.GetRun(self.dag_id, run_id), object)
        if found is None:
            raise LookupError(f"workflow {self.dag_id!r} has no run {run_id!r}")
        return msgspec.convert(found, wire.RunContext).state.value
