"""Branching by the time of day or by a date."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any, Unpack

from piper.operators.moments import aware, moment_of_run
from piper.sdk.arguments import OperatorArguments
from piper.sdk.branch import BaseBranchOperator, Branches
from piper.sdk.exceptions import AirflowException

Bound = datetime | time | None


class BranchDateTimeOperator(BaseBranchOperator):
    """Follows one of two branches, depending on whether it is now between two bounds.

    Bounds that are times of day are those of the current day, in the DAG's time zone; an upper one before the
    lower one is that of the next day.

    Arguments:
        follow_task_ids_if_true: ids of tasks or groups to follow between the bounds.
        follow_task_ids_if_false: ids of tasks or groups to follow otherwise.
        target_lower: the lower bound, inclusive; None for none.
        target_upper: the upper bound, inclusive; None for none.
        use_task_logical_date: look at the run's logical date in place of the clock.
    """

    def __init__(
        self,
        *,
        task_id: str,
        follow_task_ids_if_true: str | Iterable[str],
        follow_task_ids_if_false: str | Iterable[str],
        target_lower: Bound,
        target_upper: Bound,
        use_task_logical_date: bool = False,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        if target_lower is None and target_upper is None:
            raise AirflowException(
                "Both target_upper and target_lower are None. At least one must be defined to be compared to the "
                "current datetime"
            )
        self.target_lower = target_lower
        self.target_upper = target_upper
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.use_task_logical_date = use_task_logical_date

    def choose_branch(self, context: Any) -> Branches:
        """The branch for this moment."""
        now = moment_of_run(context) if self.use_task_logical_date else datetime.now(UTC)
        lower, upper = target_times_as_dates(now, self.target_lower, self.target_upper)
        zone = self.dag.timezone
        after = lower is None or aware(lower, zone) <= now
        before = upper is None or now <= aware(upper, zone)
        return self.follow_task_ids_if_true if after and before else self.follow_task_ids_if_false


def target_times_as_dates(base_date: datetime, lower: Bound, upper: Bound) -> tuple[datetime | None, datetime | None]:
    """The bounds as datetimes: times of day on the day of `base_date`, the upper one never before the lower one."""
    begin = datetime.combine(base_date, lower) if isinstance(lower, time) else lower
    end = datetime.combine(base_date, upper) if isinstance(upper, time) else upper
    both_given = isinstance(lower, datetime) and isinstance(upper, datetime)
    if begin is not None and end is not None and not both_given and end < begin:
        end += timedelta(days=1)
    return begin, end
