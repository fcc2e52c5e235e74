"""How triggers ask the Task API: by way of the service, which adds the token and the others' questions."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from piper.model.errors import StaleIdentity, StoreUnavailable
from piper.model.wire import Answer, Mask, Request
from piper.sdk.execution.channel import error_of
from piper.triggerer.child.stepping import current
from piper.triggerer.protocol import Question


class TriggerChannel:
    """`piper.sdk.execution.channel.Channel` for the triggers of this process.

    Coroutines ask with `ask_async`. A plain `ask` is for threads; on the loop it makes all triggers wait for its
    answer, some milliseconds, since code that is written for tasks (a hook that looks up its connection) does so.

    Arguments:
        send: sends a question to the service.
        receive: waits for what the service sends, and handles it: for asking on the loop.
    """

    def __init__(self, send: Callable[[Question], None], receive: Callable[[], None]) -> None:
        self._send = send
        self._receive = receive
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def answered(self, answer: Answer) -> None:
        """An answer has come."""
        future = self._waiting.pop(answer.id, None)
        if future is not None and not future.done():
            future.set_result(answer)

    def gone(self) -> None:
        """No more answers will come."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(StoreUnavailable("the process that answers triggers is gone"))
        self._waiting.clear()

    async def ask_async(self, request: Request) -> Any:
        """Ask, and let others have their turns until the answer is there. Raises as `Channel.ask`."""
        return _result(await self._ask(request))

    def ask(self, request: Request) -> Any:
        """Ask and wait. Raises as `Channel.ask`."""
        if isinstance(request, Mask):
            return None  # what triggers write is masked here, before it is sent
        if threading.get_ident() != self._thread:
            return asyncio.run_coroutine_threadsafe(self.ask_async(request), self._loop).result()
        future = self._ask(request)
        while not future.done():
            self._receive()
        return _result(future.result())

    def tell(self, request: Request) -> None:
        """Nothing that a trigger says has no answer."""

    def _ask(self, request: Request) -> asyncio.Future[Answer]:
        running = current.get()
        if running is None:
            raise StaleIdentity("only a trigger that runs may ask: not a thread that it did not start by asyncio")
        number = next(self._numbers)
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[number] = future
        self._send(Question(number, running.identity, request))
        return future


def _result(answer: Answer) -> Any:
    if answer.problem is not None:
        raise error_of(answer.problem)
    return answer.result


def plain(value: object) -> datetime:
    """User code gives dates of pendulum's class, which is a datetime and yet not encoded as one."""
    if isinstance(value, datetime):
        return datetime.fromisoformat(value.isoformat())
    raise TypeError(f"{type(value).__name__} cannot be sent: {value!r}")
