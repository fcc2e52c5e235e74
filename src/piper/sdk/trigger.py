"""Triggers: what a deferred task waits for, as coroutines in a process that runs thousands of them.

A trigger is stored as the path of its class and its arguments (`serialize`), and made again from these in the
triggerer. There `run` is awaited; the first event that it yields resumes the task, in a process of its own. After
a restart or a takeover a trigger begins again, and for a moment it may run twice: `run` must bear that. It must
never block, since all triggers share one event loop.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from piper.model.states import TaskState
from piper.sdk.execution.templating import Templater


@dataclass
class StartTriggerArgs:
    """How a task begins with a trigger, without taking a worker first (`start_from_trigger`).

    Arguments:
        trigger_cls: dotted path of the trigger's class.
        next_method: the operator's method to enter when it has fired.
        trigger_kwargs: the trigger's arguments.
        next_kwargs: further arguments of that method.
        timeout: how long to wait at most.
    """

    trigger_cls: str
    next_method: str
    trigger_kwargs: dict[str, Any] | None = None
    next_kwargs: dict[str, Any] | None = None
    timeout: timedelta | None = None


class TriggerEvent:
    """What a trigger says when it fires: the `event` argument of the method that the task resumes with.

    Arguments:
        payload: a JSON value, or one that XComs can hold.
    """

    end_state: TaskState | None = None
    """The state that the task ends in without being resumed; None resumes it."""

    def __init__(self, payload: Any) -> None:
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.payload == self.payload

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}<{self.payload!r}>"


class BaseTaskEndEvent(TriggerEvent):
    """An event that ends the task without a worker.

    Arguments:
        xcoms: values that the task leaves, by key.
    """

    def __init__(self, *, xcoms: dict[str, Any] | None = None) -> None:
        super().__init__(self.end_state.value if self.end_state else None)
        self.xcoms = xcoms


class TaskSuccessEvent(BaseTaskEndEvent):
    """Ends the task as a success."""

    end_state = TaskState.SUCCESS


class TaskFailedEvent(BaseTaskEndEvent):
    """Ends the task as a failure."""

    end_state = TaskState.FAILED


class TaskSkippedEvent(BaseTaskEndEvent):
    """Ends the task as skipped."""

    end_state = TaskState.SKIPPED


class BaseTrigger(Templater, ABC):
    """Base of all triggers: implement `serialize` and `run`."""

    def __init__(self, **kwargs: Any) -> None:
        self.task_instance: Any = None
        """Whose trigger it is, as far as the triggerer knows it."""
        self.trigger_id: int | None = None

    @property
    def log(self) -> logging.Logger:
        """The logger of its messages, which the task's log shows."""
        return logging.getLogger(type(self).__module__)

    @abstractmethod
    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The dotted path of its class, and the arguments to make it again with."""

    @abstractmethod
    def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield an event. An async generator; it must not block."""

    async def cleanup(self) -> None:
        """Called whenever it ends here: it has fired, timed out, or another process takes over."""

    async def on_kill(self) -> None:
        """Called when a person ends the waiting task: stop what was started elsewhere."""

    def __repr__(self) -> str:
        path, arguments = self.serialize()
        return f"<{path} {', '.join(f'{name}={value}' for name, value in arguments.items())}>"


class BaseEventTrigger(BaseTrigger):
    """Base of triggers that may also watch assets: each event that they yield is one of the asset."""
