"""Waiting for a day of the week."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Unpack

from piper.operators.moments import WeekDay, moment_of_run
from piper.sdk.arguments import OperatorArguments
from piper.sdk.sensor import BaseSensorOperator


class DayOfWeekSensor(BaseSensorOperator):
    """Waits until it is one of certain days of the week.

    Arguments:
        week_day: English name of a day, a WeekDay, or several of them.
        use_task_logical_date: look at the run's logical date in place of today's in UTC.
    """

    def __init__(
        self,
        *,
        task_id: str,
        week_day: str | WeekDay | Iterable[str] | Iterable[WeekDay],
        use_task_logical_date: bool = False,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.week_day = week_day
        self.use_task_logical_date = use_task_logical_date
        self._days = WeekDay.validate_week_day(week_day)

    def poke(self, context: Any) -> bool:
        """Whether it is one of the days."""
        day = moment_of_run(context) if self.use_task_logical_date else datetime.now(UTC)
        self.log.info("Poking until weekday is in %s, it is %s", self.week_day, WeekDay(day.isoweekday()).name)
        return day.isoweekday() in self._days
