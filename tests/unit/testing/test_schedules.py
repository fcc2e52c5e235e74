"""When schedules fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest

from piper.sdk import DAG, Timetable
from piper.sdk.timetables import DagRunInfo
from piper.testing import evaluate_schedule

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)


def test_a_schedule_over_a_period_gives_the_runs_that_it_would_have_made() -> None:
    dag = DAG("daily", schedule="0 6 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC))
    runs = evaluate_schedule(dag, MONDAY, MONDAY + timedelta(days=2))
    assert [run.logical_date.day for run in runs] == [3, 4, 5]  # unpaused on Monday, it begins with the latest missed


def test_with_catchup_the_first_moment_makes_the_runs_since_the_start() -> None:
    dag = DAG("daily", schedule="@daily", start_date=MONDAY - timedelta(days=3), catchup=True)
    runs = evaluate_schedule(dag, MONDAY, MONDAY + timedelta(days=1))
    assert [run.logical_date.day for run in runs] == [1, 2, 3, 4, 5]


class MonthEnds(Timetable):
    """The last day of each month."""

    def next_dagrun_info(self, *, last_automated_data_interval: Any, restriction: Any) -> DagRunInfo:
        last = last_automated_data_interval
        day = pendulum.instance(restriction.earliest if last is None else last.start.add(days=1))
        return DagRunInfo.exact(day.end_of("month").start_of("day"))


@pytest.mark.parametrize("catchup", [True, False])
def test_a_timetable_of_ones_own_is_asked_again_as_time_goes_by(catchup: bool) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    dag = DAG("closing", schedule=MonthEnds(), start_date=start, catchup=catchup)
    runs = evaluate_schedule(dag, start, datetime(2027, 1, 1, tzinfo=UTC))
    assert [run.logical_date.month for run in runs] == [*range(1, 13)]


def test_a_dag_without_a_schedule_never_runs() -> None:
    assert evaluate_schedule(DAG("manual", schedule=None), MONDAY, MONDAY + timedelta(days=9)) == []


def test_clocks_that_are_put_forward_move_the_run_and_lose_none() -> None:
    zurich = ZoneInfo("Europe/Zurich")
    dag = DAG("dst", schedule="30 2 * * *", start_date=datetime(2026, 3, 28, tzinfo=zurich), catchup=True)
    runs = evaluate_schedule(dag, datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC))
    assert [f"{run.logical_date.astimezone(zurich):%d %H:%M}" for run in runs] == ["28 02:30", "29 03:00", "30 02:30"]


def test_a_period_has_a_time_zone_and_an_order() -> None:
    dag = DAG("daily", schedule="@daily")
    with pytest.raises(ValueError, match="time zone"):
        evaluate_schedule(dag, datetime(2026, 5, 4), MONDAY)
    with pytest.raises(ValueError, match="before the start"):
        evaluate_schedule(dag, MONDAY, MONDAY - timedelta(days=1))
