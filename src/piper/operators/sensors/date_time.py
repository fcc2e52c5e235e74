"""Waiting for a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn, Unpack

from piper.operators.moments import aware, parse_moment
from piper.operators.triggers.temporal import DateTimeTrigger
from piper.sdk.arguments import OperatorArguments
from piper.sdk.sensor import BaseSensorOperator
from piper.sdk.trigger import StartTriggerArgs


class DateTimeSensor(BaseSensorOperator):
    """Waits for a moment. Of a moment that has passed, as in a backfill, it waits for nothing.

    Example::

        DateTimeSensor(task_id="wait", target_time="{{ data_interval_end.tomorrow().replace(hour=1) }}")

    Arguments:
        target_time: the moment, a datetime or ISO text; without a zone it is in UTC. (templated)
    """

    template_fields: Sequence[str] = ("target_time",)

    def __init__(self, *, task_id: str, target_time: str | datetime, **arguments: Unpack[OperatorArguments]) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.target_time = target_time

    def poke(self, context: Any) -> bool:
        """Whether it has come."""
        self.log.info("Checking if the time (%s) has come", self.target_time)
        return datetime.now(UTC) > self._moment

    @property
    def _moment(self) -> datetime:
        target: Any = self.target_time
        if isinstance(target, datetime):
            return aware(target, UTC)
        if isinstance(target, str):
            return parse_moment(target)
        raise TypeError(f"Expected str or datetime.datetime type for target_time. Got {type(target)}")


class DateTimeSensorAsync(DateTimeSensor):
    """Waits for a moment without holding a worker.

    Arguments:
        target_time: the moment, a datetime or ISO text. (templated)
        start_from_trigger: wait from the beginning, without a worker to start the wait.
        end_from_trigger: end without a worker, too.
        trigger_kwargs: the trigger's arguments when the task is mapped and starts from its trigger.
    """

    start_trigger_args = StartTriggerArgs(
        trigger_cls="piper.operators.triggers.temporal.DateTimeTrigger", next_method="execute_complete"
    )

    def __init__(
        self,
        *,
        task_id: str,
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        trigger_kwargs: dict[str, Any] | None = None,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)  # type: ignore[call-arg]  # target_time is among them
        self.start_from_trigger = start_from_trigger
        self.end_from_trigger = end_from_trigger
        if start_from_trigger:
            waiting = {"target_time": self.target_time, "end_from_trigger": end_from_trigger}
            self.start_trigger_args = replace(self.start_trigger_args, trigger_kwargs=waiting)

    def execute(self, context: Any) -> NoReturn:
        """Wait for the moment."""
        trigger = DateTimeTrigger(self._moment, end_from_trigger=self.end_from_trigger)
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Go on after the wait: there is nothing to do."""
