"""Waiting for a time span."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from piper.operators.triggers.temporal import DateTimeTrigger, TimeDeltaTrigger
from piper.sdk.arguments import OperatorArguments
from piper.sdk.sensor import BaseSensorOperator


class TimeDeltaSensor(BaseSensorOperator):
    """Waits until a time span after the end of the run's data interval, or after its `run_after`, is over.

    Arguments:
        delta: the time span; minutes, if a number, as a template gives it. (templated)
        deferrable: wait without holding a worker.
        end_from_trigger: end without a worker, too.
    """

    template_fields: Sequence[str] = ("delta",)

    def __init__(
        self,
        *,
        task_id: str,
        delta: timedelta | int | str,
        deferrable: bool = False,
        end_from_trigger: bool = False,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.delta = delta
        self.deferrable = deferrable
        self.end_from_trigger = end_from_trigger

    def poke(self, context: Any) -> bool:
        """Whether it is over."""
        end = self._end(context)
        self.log.info("Checking if the time (%s) has come", end)
        return datetime.now(UTC) > end

    def execute(self, context: Any) -> Any:
        """Wait for the time span."""
        if not self.deferrable:
            return super().execute(context)
        end = self._end(context)
        if datetime.now(UTC) > end:
            return True
        trigger = DateTimeTrigger(end, end_from_trigger=self.end_from_trigger)
        return self.defer(trigger=trigger, method_name="execute_complete", timeout=self.timeout)

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Go on after the wait: there is nothing to do."""

    def _end(self, context: Any) -> datetime:
        begin = context.get("data_interval_end") or context["dag_run"].run_after
        end: datetime = begin + _span(self.delta)
        return end


class TimeDeltaSensorAsync(TimeDeltaSensor):
    """Deprecated: `TimeDeltaSensor` with `deferrable=True`.

    Arguments:
        delta: the time span. (templated)
    """

    def __init__(self, *, task_id: str, **arguments: Any) -> None:
        warnings.warn(
            "use TimeDeltaSensor(deferrable=True) in place of TimeDeltaSensorAsync", DeprecationWarning, stacklevel=2
        )
        super().__init__(task_id=task_id, **{**arguments, "deferrable": True})


class WaitSensor(BaseSensorOperator):
    """Waits for a time span from its own start on.

    Arguments:
        time_to_wait: the time span; minutes, if a number. (templated)
        deferrable: wait without holding a worker.
    """

    template_fields: Sequence[str] = ("time_to_wait",)

    def __init__(
        self,
        *,
        task_id: str,
        time_to_wait: timedelta | int | str,
        deferrable: bool = False,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.time_to_wait = time_to_wait
        self.deferrable = deferrable

    def execute(self, context: Any) -> None:
        """Wait for the time span."""
        span = _span(self.time_to_wait)
        if self.deferrable:
            self.defer(trigger=TimeDeltaTrigger(span, end_from_trigger=True), method_name="execute_complete")
        time.sleep(span.total_seconds())

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Go on after the wait: there is nothing to do."""


def _span(value: timedelta | int | str) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(minutes=int(value))
