"""One trigger: made from its row, awaited until it says something, cleaned up."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from piper.model.events import TriggerFired
from piper.model.run import Identity
from piper.model.states import TaskState
from piper.model.wire import MAX_WAIT, MAX_XCOM, Report, XComPush
from piper.sdk.execution import serde
from piper.sdk.execution.failure import describe, last_line
from piper.sdk.execution.masking import mask
from piper.sdk.trigger import BaseTaskEndEvent, BaseTrigger, TriggerEvent
from piper.triggerer.protocol import Wait

FAREWELL_SECONDS = 10.0
"""For `on_kill`, and then for `cleanup`."""

log = logging.getLogger("piper.triggerer")

FindClass = Callable[[Wait], Awaitable[type[BaseTrigger]]]


@dataclass(frozen=True)
class WaitingTask:
    """`trigger.task_instance`: the task that waits, as far as its trigger may know it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


class EventTooLarge(Exception):
    """A trigger says more than can be kept until its task goes on."""


class Running:
    """A trigger that runs here.

    Arguments:
        find: imports its class.
        say: takes lines for the log of its task.
        report: takes what is to be reported when it has fired or failed.
    """

    def __init__(
        self, wait: Wait, find: FindClass, say: Callable[[Identity, bytes], None], report: Callable[[Report], None]
    ) -> None:
        self.wait = wait
        self.identity = wait.identity
        self.killed = False
        """A person has ended its task."""
        self.told_to_end = False
        self.reported = False
        """It has fired: the log of the attempt is now the worker's."""
        self.was_slow = False
        self._find = find
        self._say = say
        self._report = report

    def say(self, data: bytes) -> None:
        """Lines for the log of its task."""
        self._say(self.identity, data)

    async def run(self) -> None:
        """Run it until it has fired, failed, or is cancelled. Never raises."""
        trigger: BaseTrigger | None = None
        try:
            trigger = await self._make()
            event = await first_event(trigger)
            self._fire(event_of(self.identity, event))
        except BaseException as error:
            if not (isinstance(error, asyncio.CancelledError) and self.told_to_end):
                log.error("Trigger failed:\n%s", describe(error))
                text = mask(last_line(error))
                self._fire(Report(TriggerFired(self.identity, error=text), error=text))
            elif trigger is not None and self.killed:
                await _part("on_kill", trigger.on_kill)
        finally:
            if trigger is not None:
                await _part("cleanup", trigger.cleanup)

    async def _make(self) -> BaseTrigger:
        wait = self.wait
        kind = await self._find(wait)
        trigger = kind(**(serde.from_json(wait.arguments) or {}))
        trigger.task_instance = WaitingTask(
            wait.workflow_id, wait.run_id, wait.task_id, wait.map_index, wait.identity.try_number
        )
        trigger.trigger_id = wait.identity.instance
        return trigger

    def _fire(self, report: Report) -> None:
        self._report(report)
        self.reported = True


async def first_event(trigger: BaseTrigger) -> TriggerEvent:
    """What a trigger says first.

    Raises:
        TypeError: it is not made as a trigger must be made.
        RuntimeError: it ends without having said anything.
    """
    events: Any = trigger.run()
    if not hasattr(events, "__aiter__"):
        if inspect.iscoroutine(events):
            events.close()
        raise TypeError(f"{type(trigger).__name__}.run must be an async generator: `async def` with `yield`")
    try:
        async for event in events:
            if isinstance(event, TriggerEvent):
                return event
            raise TypeError(f"{type(trigger).__name__}.run yields {type(event).__name__}, which is no TriggerEvent")
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
    raise RuntimeError(f"{type(trigger).__name__} ended without an event")


def event_of(identity: Identity, event: TriggerEvent) -> Report:
    """What is to be reported of an event.

    Raises:
        TypeError: what it says has no JSON form.
        EventTooLarge: it says more than MAX_WAIT bytes.
    """
    if isinstance(event, BaseTaskEndEvent):
        xcoms = tuple(_pushed(key, value) for key, value in (event.xcoms or {}).items())
        error = "its trigger said so" if event.end_state is TaskState.FAILED else ""
        return Report(TriggerFired(identity, error=error, end_state=event.end_state), xcoms=xcoms, error=error)
    check_size(event.payload, MAX_WAIT)
    payload = serde.to_json(event.payload)
    size = len(msgspec.json.encode(payload))
    if size > MAX_WAIT:
        raise EventTooLarge(_too_large(f"{size:,}", MAX_WAIT))
    return Report(TriggerFired(identity, payload))


def check_size(value: Any, most: int) -> None:
    """Refuse what is far too large before a copy of it is made.

    Raises:
        EventTooLarge: its texts, bytes and elements alone are more than `most`.
    """
    left = most
    rest: list[Any] = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, (str, bytes, bytearray, memoryview)):
            left -= len(item)
        elif isinstance(item, dict):
            left -= len(item)
            if left >= 0:
                rest += item.keys()
                rest += item.values()
        elif isinstance(item, (list, tuple, set, frozenset)):
            left -= len(item)
            if left >= 0:
                rest += islice(item, most)
        else:
            left -= 1
        if left < 0:
            raise EventTooLarge(_too_large(f"more than {most:,}", most))


def _too_large(size: str, most: int) -> str:
    return (
        f"what the trigger says has {size} bytes of JSON, {most:,} are allowed: "
        "store the data elsewhere and say where it lies"
    )


def _pushed(key: str, value: Any) -> XComPush:
    check_size(value, MAX_XCOM)
    length = len(value) if isinstance(value, (list, dict)) else None
    return XComPush(key, serde.encode(value), length)


async def _part(name: str, method: Callable[[], Awaitable[None]]) -> None:
    """Call a method that ends a trigger; whatever goes wrong there changes nothing."""
    try:
        await asyncio.wait_for(method(), FAREWELL_SECONDS)
    except TimeoutError:
        log.warning("%s took longer than %g s", name, FAREWELL_SECONDS)
    except (Exception, asyncio.CancelledError) as error:
        log.warning("%s failed:\n%s", name, describe(error))
