"""Running one task instance: its code, or the trigger that it waits for."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from importlib import import_module

import msgspec
from msgspec.structs import replace

from piper.model import wire
from piper.model.events import Deferred, Failed, Rescheduled, Succeeded, TaskEvent, TriggerFired
from piper.model.run import TaskInstance
from piper.model.spec import AssetRef, TaskSpec
from piper.sdk.execution import serde
from piper.sdk.execution.current import answer_outside_of_tasks
from piper.sdk.execution.failure import describe
from piper.sdk.execution.runner import run_task as run_execution
from piper.sdk.operator import AbstractOperator
from piper.sdk.trigger import BaseTaskEndEvent, BaseTrigger, TriggerEvent
from piper.testing.answers import Answers, MemoryChannel, context_of
from piper.testing.clocks import Clock


class Performer:
    """Runs the tasks of one run, and keeps what they leave behind.

    Arguments:
        answers: to what they ask.
        clock: that they go by.
    """

    def __init__(self, answers: Answers, clock: Clock) -> None:
        self._answers = answers
        self._clock = clock
        self._began: dict[tuple[int, int], datetime] = {}
        self._deferrals: dict[int, Deferred] = {}

    def perform(self, operator: AbstractOperator, spec: TaskSpec, ti: TaskInstance) -> TaskEvent:
        """Enter the task's code once; what came of it."""
        answers, record = self._answers, self._answers.record
        if ti.leg == 0:
            answers.forget(ti.task_id, ti.map_index)
        now = self._clock.now()
        granted = wire.TaskContext(
            identity=ti.identity,
            task=spec,
            map_index=ti.map_index,
            max_tries=ti.max_tries,
            run=context_of(record.run),
            team="",
            code=wire.CodeRef(file=record.spec.source.file),
            started_at=self._began.setdefault((ti.id, ti.try_number), now),
            resume=ti.resume,
            reschedules=ti.leg if ti.resume is None else 0,
            assets=tuple(_whole(ref) for ref in (*spec.inlets, *spec.outlets) if isinstance(ref, AssetRef)),
        )
        channel = MemoryChannel(answers, ti.task_id, ti.map_index)
        said = run_execution(operator, granted, channel)
        report = msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=wire.Report)  # as over a socket
        self._keep(ti, report)
        return report.event

    def await_trigger(self, ti: TaskInstance) -> TriggerFired | None:
        """Wait for what a deferred task waits for; None if that takes longer than it may."""
        deferred = self._deferrals[ti.id]
        patience = None if ti.due is None else (ti.due - self._clock.now()).total_seconds()
        answer_outside_of_tasks(MemoryChannel(self._answers, ti.task_id, ti.map_index))
        try:
            fired = asyncio.run(_first_event(deferred, patience))
        except TimeoutError:
            return None
        except Exception as error:
            return TriggerFired(ti.identity, error=describe(error))
        finally:
            answer_outside_of_tasks(None)
        if isinstance(fired, BaseTaskEndEvent):
            for key, value in (fired.xcoms or {}).items():
                self._answers.push(ti.task_id, ti.map_index, wire.XComPush(key, serde.encode(value)))
        return TriggerFired(ti.identity, payload=serde.to_json(fired.payload), end_state=fired.end_state)

    def _keep(self, ti: TaskInstance, report: wire.Report) -> None:
        record = self._answers.record
        record.reports[ti.id] = report
        for xcom in report.xcoms:
            self._answers.push(ti.task_id, ti.map_index, xcom)
        match report.event:
            case Succeeded(assets=events):
                self._answers.emit(events, ti.task_id, ti.map_index, self._clock.now())
            case Failed(error=error):
                record.errors[ti.id] = error
            case Deferred() as deferred:
                self._deferrals[ti.id] = deferred


def _whole(ref: AssetRef) -> AssetRef:
    """What a reference by name or URI alone stands for here, where nothing is published: an asset of that name."""
    return replace(ref, name=ref.name or ref.uri, uri=ref.uri or ref.name)


def leg_after(ti: TaskInstance, event: Deferred | Rescheduled, fired: TriggerFired | None) -> TaskInstance:
    """The instance as it is entered again, where nobody decides about more than this one."""
    resume = None
    if isinstance(event, Deferred):
        resume = {"method": event.method, "arguments": event.method_arguments}
        if fired is None:
            resume |= {"error": "the trigger did not fire in time", "timeout": True}
        else:
            resume |= {"error": fired.error} if fired.error else {"event": fired.payload}
    return msgspec.structs.replace(ti, leg=ti.leg + 1, resume=resume)


async def _first_event(deferred: Deferred, patience: float | None) -> TriggerEvent:
    """What a trigger, made again from its stored form as in the triggerer, says first."""
    module, _, name = deferred.trigger.rpartition(".")
    trigger: BaseTrigger = getattr(import_module(module), name)(**(serde.from_json(deferred.arguments) or {}))
    async with asyncio.timeout(patience):
        try:
            async for event in trigger.run():
                return event
        finally:
            await trigger.cleanup()
    raise RuntimeError(f"{trigger!r} ended without an event")


def due_of(deferred: Deferred, now: datetime) -> datetime | None:
    """Until when a deferral waits."""
    return None if deferred.timeout is None else now + max(deferred.timeout, timedelta(0))
