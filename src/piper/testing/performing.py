"""Running one task instance: its code, or the trigger that it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import cached_property
from importlib import import_module
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from piper.model import wire
from piper.model.events import Deferred, Failed, Rescheduled, Succeeded, TaskEvent, TriggerFired
from piper.model.run import Identity, TaskInstance
from piper.model.spec import AssetRef, TaskSpec
from piper.sdk.execution import serde
from piper.sdk.execution.current import answer_outside_of_tasks
from piper.sdk.execution.failure import describe
from piper.sdk.execution.runner import run_task as run_execution
from piper.sdk.operator import AbstractOperator
from piper.sdk.trigger import BaseTaskEndEvent, BaseTrigger, TriggerEvent
from piper.testing.answers import Answers, MemoryChannel, context_of
from piper.testing.clocks import Clock

T = TypeVar("T")


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
        self._triggers: dict[Identity, asyncio.Task[TriggerEvent]] = {}
        """Those that are waited for, in the order in which their tasks were deferred."""

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

    def await_triggers(self, waiting: Iterable[TaskInstance], until: datetime | None) -> TriggerFired | None:
        """Wait for what deferred tasks wait for, beside each other.

        Arguments:
            until: when to wait no longer.

        Returns:
            What was said first; None if nobody has said anything by then.
        """
        due = {ti.identity: ti for ti in waiting}
        for identity in self._triggers.keys() - due.keys():
            self._end(self._triggers.pop(identity))
        for identity, ti in due.items():
            if identity not in self._triggers:
                self._triggers[identity] = self._begin_trigger(ti)
        patience = None if until is None else max((until - self._clock.now()).total_seconds(), 0)
        fired = self._let_run(_first_of(list(self._triggers.values()), patience))
        if fired is None:
            return None
        identity = next(each for each, trigger in self._triggers.items() if trigger is fired)
        return self._what_it_said(due[identity], self._triggers.pop(identity))

    def close(self) -> None:
        """End what is still waited for."""
        if "_loop" not in self.__dict__:
            return
        for trigger in self._triggers.values():
            self._end(trigger)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """That of all triggers: there is none in most runs."""
        return self._clock.loop()

    def _begin_trigger(self, ti: TaskInstance) -> asyncio.Task[TriggerEvent]:
        channel = MemoryChannel(self._answers, ti.task_id, ti.map_index)
        return self._loop.create_task(_first_event(self._deferrals[ti.id], channel))

    def _end(self, trigger: asyncio.Task[TriggerEvent]) -> None:
        """Cancel it, and let it clean up."""
        trigger.cancel()
        self._let_run(asyncio.wait([trigger]))

    def _let_run(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Let triggers run, and be answered what they ask."""
        answer_outside_of_tasks(_ChannelOfTriggers())
        try:
            return self._loop.run_until_complete(waiting)
        finally:
            answer_outside_of_tasks(None)

    def _what_it_said(self, ti: TaskInstance, trigger: asyncio.Task[TriggerEvent]) -> TriggerFired:
        try:
            fired = trigger.result()
        except Exception as error:
            return TriggerFired(ti.identity, error=describe(error))
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


class _ChannelOfTriggers:
    """For code of a trigger: the channel of the one that asks, as all of them share a process."""

    def ask(self, request: wire.Request) -> Any:
        return _channel.get().ask(request)

    def tell(self, request: wire.Request) -> None:
        _channel.get().tell(request)


_channel: ContextVar[MemoryChannel] = ContextVar("piper_channel_of_trigger")


async def _first_of(
    triggers: Sequence[asyncio.Task[TriggerEvent]], patience: float | None
) -> asyncio.Task[TriggerEvent] | None:
    """The first of them that has ended after at most `patience` seconds."""
    await asyncio.wait(triggers, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    return next((trigger for trigger in triggers if trigger.done()), None)


async def _first_event(deferred: Deferred, channel: MemoryChannel) -> TriggerEvent:
    """What a trigger, made again from its stored form as in the triggerer, says first."""
    _channel.set(channel)
    module, _, name = deferred.trigger.rpartition(".")
    trigger: BaseTrigger = getattr(import_module(module), name)(**(serde.from_json(deferred.arguments) or {}))
    try:
        async for event in trigger.run():
            return event
    finally:
        await trigger.cleanup()
    raise RuntimeError(f"{trigger!r} ended without an event")


def due_of(deferred: Deferred, now: datetime) -> datetime | None:
    """Until when a deferral waits."""
    return None if deferred.timeout is None else now + max(deferred.timeout, timedelta(0))
