"""Going on only in the latest run of a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from piper.sdk.branch import BaseBranchOperator, Branches
from piper.sdk.exceptions import AirflowException
from piper.sdk.timetables import DataInterval, TimeRestriction


class LatestOnlyOperator(BaseBranchOperator):
    """Skips what is directly below, unless the run is the latest of its schedule.

    A run is the latest from the start of its own data interval to the end of the following one, and always if
    none follows. Runs that people trigger go on in any case.
    """

    ui_color = "#e9ffdb"

    def execute(self, context: Any) -> Any:
        """Decide, where there is something below to decide about."""
        if context["dag_run"].run_type == "manual" and not self.downstream_task_ids:
            return None  # made from its spec alone, it does not know what is below: that is not skipped
        return super().execute(context)

    def choose_branch(self, context: Any) -> Branches:
        """Everything directly below, or nothing."""
        run = context["dag_run"]
        everything = sorted(self.downstream_task_ids)
        if run.run_type == "manual":
            self.log.info("Manually triggered DAG_Run: allowing execution to proceed.")
            return everything
        if not context["ti"].execution.facts.task.code:
            raise AirflowException("LatestOnlyOperator needs the schedule of its DAG: define the task in a Python file")
        window = self._window(run)
        if window is None:
            self.log.info("Last scheduled execution: allowing execution to proceed.")
            return everything
        left, right = window
        now = datetime.now(UTC)
        self.log.info("Checking latest only with left_window: %s right_window: %s now: %s", left, right, now)
        if left < now <= right:
            self.log.info("Latest, allowing execution to proceed.")
            return everything
        self.log.info("Not latest execution, skipping downstream.")
        return []

    def _window(self, run: Any) -> tuple[datetime, datetime] | None:
        """From when to when the run is the latest; None if no other follows."""
        date = run.logical_date or run.run_after
        interval = DataInterval(run.data_interval_start or date, run.data_interval_end or date)
        following = self.dag.timetable.next_dagrun_info(
            last_automated_data_interval=interval,
            restriction=TimeRestriction(earliest=interval.end, latest=None, catchup=True),
        )
        if following is None or following.data_interval is None:
            return None
        return interval.start, following.data_interval.end
