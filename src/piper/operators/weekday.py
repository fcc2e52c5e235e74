"""Branching by the day of the week."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Unpack

from piper.operators.moments import WeekDay, moment_of_run
from piper.sdk.arguments import OperatorArguments
from piper.sdk.branch import BaseBranchOperator, Branches


class BranchDayOfWeekOperator(BaseBranchOperator):
    """Follows one of two branches, depending on the day of the week.

    Example::

        BranchDayOfWeekOperator(
            task_id="is_weekend",
            week_day={"Saturday", "Sunday"},
            follow_task_ids_if_true="relax",
            follow_task_ids_if_false="work",
        )

    Arguments:
        follow_task_ids_if_true: ids of tasks or groups to follow on these days.
        follow_task_ids_if_false: ids of tasks or groups to follow on others.
        week_day: English name of a day, a WeekDay, or several of them.
        use_task_logical_date: look at the run's logical date in place of today's, which is that of the DAG's
            time zone.
    """

    def __init__(
        self,
        *,
        task_id: str,
        follow_task_ids_if_true: str | Iterable[str],
        follow_task_ids_if_false: str | Iterable[str],
        week_day: str | WeekDay | Iterable[str] | Iterable[WeekDay],
        use_task_logical_date: bool = False,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.week_day = week_day
        self.use_task_logical_date = use_task_logical_date
        self._days = WeekDay.validate_week_day(week_day)

    def choose_branch(self, context: Any) -> Branches:
        """The branch for this day."""
        day = moment_of_run(context) if self.use_task_logical_date else datetime.now(UTC).astimezone(self.dag.timezone)
        return self.follow_task_ids_if_true if day.isoweekday() in self._days else self.follow_task_ids_if_false
