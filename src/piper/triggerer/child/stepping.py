"""Whose step goes on: every coroutine that a trigger starts is wrapped, and tells of each step that it makes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from piper.triggerer.child.running import Running
    from piper.triggerer.protocol import Marks

SLOW_SECONDS = 0.5
"""A step that takes longer is mentioned in the log of its task, the first time."""

log = logging.getLogger("piper.triggerer")

current: ContextVar[Running | None] = ContextVar("piper_trigger", default=None)
"""The trigger that the calling code is part of."""


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine of a trigger, which says when it has its turn."""

    __slots__ = ("__name__", "__qualname__", "_coroutine", "_marks", "_owner")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], owner: Running, marks: Marks) -> None:
        self._coroutine = coroutine
        self._owner = owner
        self._marks = marks
        self.__name__ = getattr(coroutine, "__name__", "trigger")
        self.__qualname__ = getattr(coroutine, "__qualname__", "trigger")

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, value)

    def throw(self, *raised: Any) -> Any:
        return self._step(self._coroutine.throw, *raised)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        began = time.monotonic()
        self._marks.enter(self._owner.identity)
        try:
            return step(*arguments)
        except (SystemExit, KeyboardInterrupt) as ending:
            # It would end the loop, and every other trigger with it.
            raise RuntimeError(f"a trigger may not end its process: {ending!r}") from ending
        finally:
            self._marks.leave()
            seconds = time.monotonic() - began
            if seconds > SLOW_SECONDS and not self._owner.was_slow:
                self._owner.was_slow = True
                log.warning(
                    "This trigger has kept all others waiting for %.1f s: await what takes long, "
                    "with asyncio.to_thread if need be",
                    seconds,
                )


def use_stepped_tasks(loop: asyncio.AbstractEventLoop, marks: Marks) -> None:
    """Have every task that triggers make on this loop tell of its steps."""

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        context = options.get("context")
        owner = current.get() if context is None else context.get(current)
        if owner is not None:
            coroutine = Stepped(coroutine, owner, marks)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(make)
