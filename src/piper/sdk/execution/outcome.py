"""How an execution ends, as a decision over what user code raised. Nothing here calls user code or logs.

| raised | event |
| --- | --- |
| nothing, DownstreamTasksSkipped | succeeded |
| AirflowSkipException | skipped |
| AirflowRescheduleException | rescheduled |
| TaskDeferred | deferred |
| AirflowFailException, AirflowSensorTimeout | failed, no retry |
| anything else, SystemExit(0) and AirflowTaskTimeout included | failed |
| KeyboardInterrupt | none: the process ends |

A retry policy may turn a failure into one without a retry, or give the retry a delay of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from piper.model.events import Deferred, Failed, Rescheduled, Skipped, TaskEvent
from piper.model.run import Decision, Identity
from piper.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from piper.sdk.execution.failure import last_line

_FINAL = (AirflowFailException, AirflowSensorTimeout)


def failed(identity: Identity, error: BaseException, verdict: Any = None) -> Failed:
    """The event of a failure.

    Arguments:
        verdict: a retry policy's `RetryDecision`, if it has one.
    """
    line = last_line(error)
    if isinstance(error, _FINAL):
        return Failed(identity, line, retry=False)
    action = getattr(getattr(verdict, "action", None), "value", None)
    if action == "fail":
        return Failed(identity, line, retry=False)
    return Failed(identity, line, delay=verdict.retry_delay if action == "retry" else None)


def is_retried(event: TaskEvent, max_tries: int) -> bool:
    """Whether another try follows."""
    return isinstance(event, Failed) and event.retry and max_tries > 0 and event.identity.try_number <= max_tries


def skipped(identity: Identity, error: AirflowSkipException) -> Skipped:
    """The event of a task that skipped itself."""
    return Skipped(identity, str(error))


def rescheduled(identity: Identity, error: AirflowRescheduleException) -> Rescheduled:
    """The event of a sensor that gives back its slot.

    Raises:
        TypeError: the moment it gives is no aware datetime.
    """
    due = error.reschedule_date
    if not isinstance(due, datetime) or due.tzinfo is None:
        raise TypeError(f"AirflowRescheduleException needs an aware datetime, not {due!r}")
    return Rescheduled(identity, due)


def deferred(identity: Identity, wait: TaskDeferred, trigger: str, arguments: Any, method_arguments: Any) -> Deferred:
    """The event of a task that waits for a trigger; its arguments are JSON values."""
    return Deferred(
        identity,
        trigger,
        arguments=arguments,
        method=wait.method_name,
        method_arguments=method_arguments,
        timeout=wait.timeout,
    )


def decision_to_skip(tasks: Iterable[str | tuple[str, int]]) -> Decision:
    """What `DownstreamTasksSkipped` asks for: a task id stands for all its instances."""
    return Decision(skipped=tuple(task if isinstance(task, str) else task[0] for task in tasks))


def pauses(event: TaskEvent) -> bool:
    """Whether user code is to be entered again in this try, so that nothing has ended yet."""
    return isinstance(event, Deferred | Rescheduled)
