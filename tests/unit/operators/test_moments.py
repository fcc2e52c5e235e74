"""Operators and sensors about time decide by the logical date or by the clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from piper.model.events import Deferred, Succeeded
from piper.model.schedule import DataInterval
from piper.model.states import RunType
from piper.operators import datetime as branch_datetime
from piper.operators import latest_only, weekday
from piper.operators.datetime import BranchDateTimeOperator, target_times_as_dates
from piper.operators.empty import EmptyOperator
from piper.operators.latest_only import LatestOnlyOperator
from piper.operators.moments import WeekDay, parse_moment
from piper.operators.sensors.date_time import DateTimeSensor, DateTimeSensorAsync
from piper.operators.sensors.time import TimeSensor, TimeSensorAsync
from piper.operators.sensors.time_delta import TimeDeltaSensor, TimeDeltaSensorAsync, WaitSensor
from piper.operators.sensors.weekday import DayOfWeekSensor
from piper.operators.weekday import BranchDayOfWeekOperator
from piper.sdk import CronDataIntervalTimetable
from piper.sdk.exceptions import AirflowException
from tests.unit.sdk.execution.stage import NOON, a_dag, a_run, error_of, facts, perform, pushed

FUTURE = datetime.now(UTC) + timedelta(days=365)


class FrozenClock(datetime):
    """`datetime` whose `now` is set."""

    moment: datetime = NOON

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.moment.astimezone(tz)


def followed(operator: Any, dag: Any, **changes: Any) -> Any:
    operator >> [EmptyOperator(task_id="yes", dag=dag), EmptyOperator(task_id="no", dag=dag)]
    report = perform(operator, **changes)
    assert isinstance(report.event, Succeeded), report.event
    return pushed(report)["skipmixin_key"]["followed"]


# --- between two moments ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "upper", "branch"),
    [
        (time(12), time(13), "yes"),
        (time(12, 30, 15), time(12, 30, 15), "yes"),
        (time(13), time(14), "no"),
        (time(11), time(12), "no"),
        (time(11), time(1), "yes"),  # into the next day
        (time(13), time(1), "no"),
        (None, time(13), "yes"),
        (time(13), None, "no"),
        (datetime(2024, 1, 1), datetime(2024, 12, 31), "yes"),
        (datetime(2024, 6, 1, tzinfo=UTC), None, "no"),
        (datetime(2024, 6, 1), datetime(2024, 1, 1), "no"),
    ],
    ids=str,
)
def test_the_branch_depends_on_the_moment(lower: Any, upper: Any, branch: str) -> None:
    with a_dag() as dag:
        operator = BranchDateTimeOperator(
            task_id="b",
            target_lower=lower,
            target_upper=upper,
            follow_task_ids_if_true="yes",
            follow_task_ids_if_false="no",
            use_task_logical_date=True,
        )
    assert followed(operator, dag) == [branch]


def test_times_of_day_are_those_of_the_dags_time_zone() -> None:
    with a_dag(start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))) as dag:
        operator = BranchDateTimeOperator(
            task_id="b",
            target_lower=time(21),  # 12:00 in UTC
            target_upper=time(22),
            follow_task_ids_if_true="yes",
            follow_task_ids_if_false="no",
            use_task_logical_date=True,
        )
    assert followed(operator, dag) == ["yes"]


def test_without_the_logical_date_the_clock_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_datetime, "datetime", FrozenClock)
    with a_dag() as dag:
        operator = BranchDateTimeOperator(
            task_id="b",
            target_lower=None,
            target_upper=NOON,
            follow_task_ids_if_true="yes",
            follow_task_ids_if_false="no",
        )
    assert followed(operator, dag) == ["yes"]


def test_a_branch_without_any_bound_is_refused() -> None:
    with pytest.raises(AirflowException, match="Both target_upper and target_lower are None"):
        BranchDateTimeOperator(
            task_id="b",
            target_lower=None,
            target_upper=None,
            follow_task_ids_if_true="a",
            follow_task_ids_if_false="b",
        )


def test_given_datetimes_are_not_moved() -> None:
    lower, upper = datetime(2026, 6, 1), datetime(2026, 1, 1)
    assert target_times_as_dates(NOON, lower, upper) == (lower, upper)


# --- days of the week ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "branch"),
    [
        ("Monday", "yes"),
        ("TUESDAY", "no"),
        ({"Sunday", "monday"}, "yes"),
        (WeekDay.MONDAY, "yes"),
        ({WeekDay.FRIDAY}, "no"),
    ],
    ids=str,
)
def test_the_branch_depends_on_the_day(days: Any, branch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for by_date in (True, False):
        monkeypatch.setattr(weekday, "datetime", FrozenClock)
        with a_dag() as dag:
            operator = BranchDayOfWeekOperator(
                task_id="b",
                week_day=days,
                follow_task_ids_if_true="yes",
                follow_task_ids_if_false="no",
                use_task_logical_date=by_date,
            )
        assert followed(operator, dag) == [branch]


def test_a_run_without_a_logical_date_counts_by_when_it_may_run() -> None:
    with a_dag() as dag:
        operator = BranchDayOfWeekOperator(
            task_id="b",
            week_day="Monday",
            follow_task_ids_if_true="yes",
            follow_task_ids_if_false="no",
            use_task_logical_date=True,
        )
    assert followed(operator, dag, run=a_run(logical_date=None, interval=None)) == ["yes"]


@pytest.mark.parametrize(("days", "error"), [("Moonday", AttributeError), (5, TypeError)])
def test_what_is_no_day_is_refused(days: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        BranchDayOfWeekOperator(task_id="b", week_day=days, follow_task_ids_if_true="a", follow_task_ids_if_false="b")


def test_a_sensor_waits_for_its_day() -> None:
    with a_dag():
        sensor = DayOfWeekSensor(task_id="s", week_day="Monday", use_task_logical_date=True)
    assert isinstance(perform(sensor).event, Succeeded)


# --- only the latest ----------------------------------------------------------------------------


def is_latest(now: datetime, monkeypatch: pytest.MonkeyPatch, schedule: Any = "@daily", **run: Any) -> bool:
    class Clock(FrozenClock):
        moment = now

    monkeypatch.setattr(latest_only, "datetime", Clock)
    with a_dag(schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        operator = LatestOnlyOperator(task_id="latest")
    day = datetime(2026, 5, 4, tzinfo=UTC)
    granted = a_run(**{"logical_date": day, "run_after": day, "interval": DataInterval(day, day), **run})
    return followed(operator, dag, run=granted) == ["no", "yes"]


MAY = [datetime(2026, 5, day, 12, tzinfo=UTC) for day in range(1, 10)]


def test_a_run_is_the_latest_until_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_latest(MAY[3], monkeypatch)
    assert is_latest(datetime(2026, 5, 5, tzinfo=UTC), monkeypatch)
    assert not is_latest(MAY[4], monkeypatch)


def test_a_run_about_an_interval_is_the_latest_until_the_end_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    day = datetime(2026, 5, 4, tzinfo=UTC)
    span = {"schedule": CronDataIntervalTimetable("@daily"), "interval": DataInterval(day, day + timedelta(days=1))}
    assert is_latest(MAY[4], monkeypatch, **span)
    assert not is_latest(MAY[6], monkeypatch, **span)


@pytest.mark.parametrize(
    ("kind", "latest"),
    [
        (RunType.MANUAL, True),
        (RunType.SCHEDULED, False),
        (RunType.BACKFILL, False),
        (RunType.OPERATOR_TRIGGERED, False),
    ],
)
def test_only_runs_that_people_trigger_go_on_in_any_case(
    kind: RunType, latest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_latest(MAY[8], monkeypatch, run_type=kind) is latest


def test_without_a_next_run_it_is_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_latest(MAY[8], monkeypatch, schedule=None)


def test_without_its_file_the_schedule_is_not_known() -> None:
    from piper.model.spec import TaskSpec
    from piper.sdk.hydrate import hydrate

    spec = TaskSpec("latest", "piper.operators.latest_only.LatestOnlyOperator", code=False)
    error = error_of(perform(hydrate(spec), facts("latest", spec=spec)))
    assert "LatestOnlyOperator needs the schedule of its DAG" in error


def test_a_run_by_hand_goes_on_even_where_the_task_was_made_from_its_spec_alone() -> None:
    from piper.model.spec import TaskSpec
    from piper.sdk.hydrate import hydrate

    spec = TaskSpec("latest", "piper.operators.latest_only.LatestOnlyOperator", code=False)
    report = perform(hydrate(spec), facts("latest", spec=spec, run=a_run(run_type=RunType.MANUAL)))
    assert report.event == Succeeded(report.event.identity)


# --- waiting for moments ------------------------------------------------------------------------


def waited(sensor_class: Any, **arguments: Any) -> Any:
    with a_dag():
        sensor = sensor_class(task_id="s", mode="reschedule", **arguments)
    return perform(sensor).event


@pytest.mark.parametrize(
    ("target", "over"),
    [
        (NOON - timedelta(days=900), True),
        ("{{ ds }}T00:00:00", True),
        ("2020-01-01", True),
        ("2020-01-01T06:00:00+01:00", True),
        (FUTURE, False),
        (FUTURE.isoformat(), False),
    ],
    ids=str,
)
def test_a_sensor_waits_for_a_moment(target: Any, over: bool) -> None:
    assert isinstance(waited(DateTimeSensor, target_time=target), Succeeded) is over


@pytest.mark.parametrize("target", ["soon", "2026-13-01"])
def test_a_moment_that_cannot_be_read_fails_the_sensor(target: str) -> None:
    with a_dag():
        sensor = DateTimeSensor(task_id="s", target_time=target)
    assert "is not a moment: write it like" in error_of(perform(sensor))


def test_a_moment_without_a_zone_is_in_utc() -> None:
    assert parse_moment("2026-05-05T12:00:00") == datetime(2026, 5, 5, 12, tzinfo=UTC)
    assert parse_moment("2026-05-05T12:00:00", ZoneInfo("Asia/Tokyo")) == datetime(2026, 5, 5, 3, tzinfo=UTC)


def test_a_sensor_can_wait_without_a_worker() -> None:
    event = waited(DateTimeSensorAsync, target_time=FUTURE)
    assert isinstance(event, Deferred)
    assert event.trigger == "piper.operators.triggers.temporal.DateTimeTrigger"
    assert event.method == "execute_complete"


def test_a_sensor_can_start_from_its_trigger() -> None:
    with a_dag():
        sensor = DateTimeSensorAsync(task_id="s", target_time="{{ ds }}", start_from_trigger=True)
        other = DateTimeSensorAsync(task_id="o", target_time=FUTURE)
    assert sensor.start_from_trigger
    assert sensor.start_trigger_args.trigger_kwargs == {"target_time": "{{ ds }}", "end_from_trigger": False}
    assert other.start_trigger_args.trigger_kwargs is None


def test_a_time_of_day_is_that_of_today_in_the_dags_time_zone() -> None:
    zone = ZoneInfo("Asia/Tokyo")
    with a_dag(start_date=datetime(2026, 1, 1, tzinfo=zone)):
        sensor = TimeSensor(task_id="s", target_time=time(9, 30))
    today = datetime.now(zone).date()
    assert sensor.target_datetime == datetime.combine(today, time(9, 30), zone)


def test_a_time_sensor_can_wait_without_a_worker() -> None:
    assert isinstance(waited(TimeSensor, target_time=time(23, 59, 59), deferrable=True), Deferred)
    with pytest.warns(DeprecationWarning, match="use TimeSensor"):
        assert isinstance(waited(TimeSensorAsync, target_time=time(0)), Deferred)


@pytest.mark.parametrize(("delta", "over"), [(timedelta(0), True), (0, True), ("{{ 10 ** 7 }}", False)])
def test_a_time_span_counts_from_the_end_of_the_interval(delta: Any, over: bool) -> None:
    assert isinstance(waited(TimeDeltaSensor, delta=delta), Succeeded) is over


def test_a_time_span_of_a_run_without_an_interval_counts_from_when_it_may_run() -> None:
    with a_dag():
        sensor = TimeDeltaSensor(task_id="s", delta=timedelta(0), mode="reschedule")
    late = perform(sensor, run=a_run(logical_date=None, interval=None, run_after=FUTURE))
    assert not isinstance(late.event, Succeeded)


def test_a_time_span_can_be_waited_for_without_a_worker() -> None:
    assert isinstance(waited(TimeDeltaSensor, delta=timedelta(days=4000), deferrable=True), Deferred)
    assert isinstance(waited(TimeDeltaSensor, delta=timedelta(0), deferrable=True), Succeeded)
    with pytest.warns(DeprecationWarning, match="use TimeDeltaSensor"):
        assert isinstance(waited(TimeDeltaSensorAsync, delta=timedelta(days=4000)), Deferred)


def test_a_wait_counts_from_its_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import time as clock

    slept: list[float] = []
    monkeypatch.setattr(clock, "sleep", slept.append)
    assert isinstance(waited(WaitSensor, time_to_wait=timedelta(seconds=5)), Succeeded)
    assert isinstance(waited(WaitSensor, time_to_wait=2), Succeeded)
    assert slept == [5, 120]
    event = waited(WaitSensor, time_to_wait=timedelta(seconds=5), deferrable=True)
    assert isinstance(event, Deferred)
    assert event.trigger == "piper.operators.triggers.temporal.DateTimeTrigger"
