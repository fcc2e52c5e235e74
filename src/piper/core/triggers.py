"""When the trigger of a deferred task is to run, and when no more.

A trigger is wanted exactly as long as its instance is deferred: these effects are written in the transaction that
moves the instance, so that neither is ever there without the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from piper.model.events import Deferred
from piper.model.run import Identity, TaskInstance
from piper.model.spec import Json, TaskSpec
from piper.model.states import TaskState


@dataclass(frozen=True, slots=True)
class StartTrigger:
    """The instance waits for this trigger."""

    identity: Identity
    trigger: str
    """Dotted path of its class."""
    arguments: Json
    deadline: datetime | None
    """When the wait ends whether it has fired or not; the owner's timer sees to that."""


@dataclass(frozen=True, slots=True)
class StopTrigger:
    """The instance waits no more."""

    identity: Identity
    over: bool = False
    """Its try does not go on: it was cleared, marked, or ended by the trigger."""


def trigger_effects(
    before: TaskInstance, after: TaskInstance, event: object, spec: TaskSpec
) -> Iterator[StartTrigger | StopTrigger]:
    """What a transition from one state to another means for the trigger of the instance."""
    if before.state is TaskState.DEFERRED:
        yield StopTrigger(before.identity, over=after.state is not TaskState.UP_FOR_RESCHEDULE)
    if after.state is TaskState.DEFERRED:
        wait = event if isinstance(event, Deferred) else first_wait(spec, after.identity)
        assert wait is not None
        yield StartTrigger(after.identity, wait.trigger, wait.arguments, after.due)


def first_wait(spec: TaskSpec, identity: Identity) -> Deferred | None:
    """What a task waits for before it takes a worker for the first time; None if it begins on a worker."""
    said = spec.start_from_trigger
    if said is None:
        return None
    timeout = said.get("timeout")
    return Deferred(
        identity,
        said["trigger"],
        arguments=said.get("arguments"),
        method=said.get("method", ""),
        method_arguments=said.get("method_arguments"),
        timeout=None if timeout is None else timedelta(seconds=timeout),
    )
