"""Waiting for a time of day."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any, Unpack

from piper.operators.triggers.temporal import DateTimeTrigger
from piper.sdk.arguments import OperatorArguments
from piper.sdk.sensor import BaseSensorOperator
from piper.sdk.trigger import StartTriggerArgs


class TimeSensor(BaseSensorOperator):
    """Waits for a time of day, in the DAG's time zone: that of the day on which the file was loaded.

    Arguments:
        target_time: the time of day.
        deferrable: wait without holding a worker.
        start_from_trigger: wait from the beginning, without a worker to start the wait.
        end_from_trigger: end without a worker, too.
        trigger_kwargs: the trigger's arguments when the task is mapped and starts from its trigger.
    """

    needs_dag = True
    start_trigger_args = StartTriggerArgs(
        trigger_cls="piper.operators.triggers.temporal.DateTimeTrigger", next_method="execute_complete"
    )

    def __init__(
        self,
        *,
        task_id: str,
        target_time: time,
        deferrable: bool = False,
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        trigger_kwargs: dict[str, Any] | None = None,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.target_time = target_time
        self.deferrable = deferrable
        self.start_from_trigger = start_from_trigger
        self.end_from_trigger = end_from_trigger
        dag = self.get_dag()
        zone = dag.timezone if dag is not None else UTC
        today = datetime.now(zone).date()
        self.target_datetime = datetime.combine(today, target_time, target_time.tzinfo or zone).astimezone(UTC)
        if start_from_trigger:
            waiting = {"moment": self.target_datetime, "end_from_trigger": end_from_trigger}
            self.start_trigger_args = replace(self.start_trigger_args, trigger_kwargs=waiting)

    def poke(self, context: Any) -> bool:
        """Whether it has come."""
        self.log.info("Checking if the time (%s) has come", self.target_datetime)
        return datetime.now(UTC) > self.target_datetime

    def execute(self, context: Any) -> Any:
        """Wait for the time."""
        if not self.deferrable:
            return super().execute(context)
        trigger = DateTimeTrigger(self.target_datetime, end_from_trigger=self.end_from_trigger)
        return self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Go on after the wait: there is nothing to do."""


class TimeSensorAsync(TimeSensor):
    """Deprecated: `TimeSensor` with `deferrable=True`.

    Arguments:
        target_time: the time of day.
    """

    def __init__(self, *, task_id: str, **arguments: Any) -> None:
        warnings.warn("use TimeSensor(deferrable=True) in place of TimeSensorAsync", DeprecationWarning, stacklevel=2)
        super().__init__(task_id=task_id, **{**arguments, "deferrable": True})
