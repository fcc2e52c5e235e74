"""Schedules as authors write them, as data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from dateutil.relativedelta import relativedelta

from piper.model import schedule as data
from piper.model.errors import InvalidSpec
from piper.sdk.built_in_timetables import (
    AssetOrTimeSchedule,
    ContinuousTimetable,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    MultipleCronTriggerTimetable,
    NullTimetable,
    OnceTimetable,
)
from piper.sdk.custom_timetables import MOST_TICKS, manual_interval, tabulate
from piper.sdk.dags import DAG
from piper.sdk.exceptions import AirflowTimetableInvalid
from piper.sdk.specs import spec_of
from piper.sdk.timetables import DagRunInfo, DataInterval, TimeRestriction, Timetable, zone_name
from tests.unit.sdk.operators import spec

START = datetime(2026, 1, 1, tzinfo=UTC)
ZURICH = ZoneInfo("Europe/Zurich")


def stored(schedule: Any, start: datetime = START) -> Any:
    return spec(DAG("d", schedule=schedule, start_date=start)).schedule.timetable


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (None, data.NeverTimetable()),
        ("@once", data.OnceTimetable()),
        ("@daily", data.CronTimetable(("@daily",))),
        ("0 6 * * 1-5", data.CronTimetable(("0 6 * * 1-5",))),
        (timedelta(hours=2), data.DeltaTimetable(timedelta(hours=2))),
        (relativedelta(months=1, days=2), data.DeltaTimetable(timedelta(days=2), months=1)),
        (relativedelta(years=1), data.DeltaTimetable(months=12)),
        (NullTimetable(), data.NeverTimetable()),
        (OnceTimetable(), data.OnceTimetable()),
        (CronTriggerTimetable("@hourly"), data.CronTimetable(("@hourly",))),
        (
            CronTriggerTimetable(
                "@daily", timezone="Asia/Tokyo", interval=timedelta(days=1), run_immediately=timedelta(hours=1)
            ),
            data.CronTimetable(
                ("@daily",), "Asia/Tokyo", interval=timedelta(days=1), run_immediately=timedelta(hours=1)
            ),
        ),
        (CronTriggerTimetable("@daily", ZURICH), data.CronTimetable(("@daily",), "Europe/Zurich")),
        (CronDataIntervalTimetable("@daily", "UTC"), data.CronTimetable(("@daily",), data_interval=True)),
        (
            MultipleCronTriggerTimetable("0 6 * * *", "30 9 * * *", timezone="UTC"),
            data.CronTimetable(("0 6 * * *", "30 9 * * *")),
        ),
        (DeltaTriggerTimetable(timedelta(days=1)), data.DeltaTimetable(timedelta(days=1))),
        (
            DeltaTriggerTimetable(timedelta(days=1), interval=timedelta(hours=1)),
            data.DeltaTimetable(timedelta(days=1), interval=timedelta(hours=1)),
        ),
        (
            DeltaDataIntervalTimetable(timedelta(days=1)),
            data.DeltaTimetable(timedelta(days=1), data_interval=True),
        ),
        (
            EventsTimetable(
                [datetime(2026, 3, 1), datetime(2026, 2, 1), datetime(2026, 3, 1)], restrict_to_events=True
            ),
            data.EventsTimetable(
                (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
                restrict_to_events=True,
                description="2 events",
            ),
        ),
    ],
)
def test_schedules_are_stored_as_data(schedule: Any, expected: data.Timetable) -> None:
    assert stored(schedule) == expected


def test_continuous_runs_are_stored() -> None:
    made = spec(DAG("d", schedule=ContinuousTimetable(), start_date=START))
    assert made.schedule.timetable == data.ContinuousTimetable()
    assert made.max_active_runs == 1


def test_a_schedule_is_followed_in_the_zone_of_the_start_date() -> None:
    zurich = datetime(2026, 1, 1, tzinfo=ZURICH)
    assert stored("@daily", zurich).timezone == "Europe/Zurich"
    assert stored(timedelta(days=1), zurich).timezone == "Europe/Zurich"
    assert stored(CronTriggerTimetable("@daily"), zurich).timezone == "UTC"
    assert stored("@daily", pendulum.datetime(2026, 1, 1, tz="Europe/Paris")).timezone == "Europe/Paris"


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (UTC, "UTC"),
        (ZURICH, "Europe/Zurich"),
        (timezone(timedelta(hours=5, minutes=30)), "+05:30"),
        (timezone(-timedelta(hours=3)), "-03:00"),
        (timezone(timedelta(0)), "UTC"),
        (pendulum.timezone("Europe/Amsterdam"), "Europe/Amsterdam"),
        (pendulum.timezone(3600), "+01:00"),
        (pendulum.UTC, "UTC"),
    ],
)
def test_zones_have_names(zone: tzinfo, name: str) -> None:
    assert zone_name(zone) == name


def test_what_a_person_reads() -> None:
    def summary(schedule: Any) -> str:
        return spec(DAG("d", schedule=schedule, start_date=START)).schedule.summary

    assert summary("@daily") == "@daily"
    assert summary(timedelta(hours=2)) == "every 2:00:00"
    assert summary(MultipleCronTriggerTimetable("0 6 * * *", "0 9 * * *", timezone="UTC")) == "0 6 * * *, 0 9 * * *"


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("0 6 * *", "4 fields, not the 5"),
        ("0 25 * * *", "'25' cannot be the hour"),
        ("@dayly", "did you mean '@daily'"),
        (CronTriggerTimetable("@daily", "Europe/Zuerich"), "not a time zone"),
        (timedelta(0), "must be positive"),
        (timedelta(hours=-1), "must be positive"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused_when_it_is_stored(schedule: Any, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as caught:
        stored(schedule)
    assert (caught.value.file, bool(caught.value.line)) == ("dags/test.py", True)


def test_a_calendar_date_is_no_span() -> None:
    with pytest.raises(ValueError, match="is not a span: use the plural names"):
        DAG("d", schedule=relativedelta(day=1))
    with pytest.raises(TypeError, match="expected a timedelta"):
        DeltaTriggerTimetable(5)
    with pytest.raises(ValueError, match="cron expression required"):
        MultipleCronTriggerTimetable(timezone="UTC")
    with pytest.raises(TypeError, match="expected a cron expression"):
        CronTriggerTimetable(5)  # type: ignore[arg-type]


# --- custom timetables --------------------------------------------------------------------------


class Weekdays(Timetable):
    """Every day but Saturday and Sunday, about that day."""

    description = "Weekdays"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        if last_automated_data_interval is not None:
            day = last_automated_data_interval.end
        elif restriction.earliest is not None:
            day = restriction.earliest.start_of("day")  # type: ignore[attr-defined]
        else:
            return None
        while day.weekday() > 4:
            day = day.add(days=1)  # type: ignore[attr-defined]
        if restriction.latest is not None and day > restriction.latest:
            return None
        return DagRunInfo.interval(day, day.add(days=1))  # type: ignore[attr-defined]

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        day = run_after.start_of("day")  # type: ignore[attr-defined]
        return DataInterval(day.subtract(days=1), day)


NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)


def test_a_custom_timetable_becomes_a_table() -> None:
    made = spec_of(DAG("d", schedule=Weekdays(), start_date=START), file="d.py", now=NOW).schedule.timetable
    assert isinstance(made, data.CustomTimetable)
    assert made.timetable == f"{__name__}.Weekdays"
    assert made.description == "Weekdays"
    assert made.ticks[0].run_after == datetime(2026, 2, 3, tzinfo=UTC)
    assert made.ticks[0].logical_date == datetime(2026, 2, 2, tzinfo=UTC)
    assert made.ticks[-1].run_after == datetime(2026, 5, 30, tzinfo=UTC)
    assert all(row.logical_date.weekday() < 5 for row in made.ticks)
    assert made.refresh_after == datetime(2026, 4, 1, tzinfo=UTC)


def test_the_table_is_the_same_all_month() -> None:
    dag = DAG("d", schedule=Weekdays(), start_date=START)
    first = spec_of(dag, file="d.py", now=datetime(2026, 3, 1, tzinfo=UTC))
    assert spec_of(dag, file="d.py", now=datetime(2026, 3, 31, 23, tzinfo=UTC)) == first
    assert spec_of(dag, file="d.py", now=datetime(2026, 4, 1, tzinfo=UTC)) != first


def test_with_catchup_the_table_begins_at_the_start() -> None:
    table = tabulate(Weekdays(), TimeRestriction(START, None, True), now=NOW)
    assert table.ticks[0].logical_date == START
    later = tabulate(
        Weekdays(),
        TimeRestriction(START, None, True),
        now=NOW,
        after=DataInterval(NOW - timedelta(days=1), NOW),
    )
    assert later.ticks[0].logical_date >= NOW


def test_a_table_ends_with_the_dag() -> None:
    table = tabulate(Weekdays(), TimeRestriction(START, datetime(2026, 2, 10, tzinfo=UTC), False), now=NOW)
    assert table.ticks[-1].logical_date == datetime(2026, 2, 10, tzinfo=UTC)
    assert tabulate(Weekdays(), TimeRestriction(None, None, False), now=NOW).ticks == ()


class Often(Timetable):
    """Every minute."""

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        if last_automated_data_interval is None:
            return DagRunInfo.exact(restriction.earliest)  # type: ignore[arg-type]
        return DagRunInfo.exact(last_automated_data_interval.end + timedelta(minutes=1))


def test_a_timetable_that_ticks_often_has_a_table_of_days() -> None:
    bounds = TimeRestriction(datetime(2020, 1, 1, tzinfo=UTC), None, False)
    table = tabulate(Often(), bounds, now=NOW)
    assert table.ticks[0].run_after == datetime(2026, 3, 17, tzinfo=UTC)
    assert table.ticks[-1].run_after == datetime(2026, 3, 20, tzinfo=UTC)
    assert table.refresh_after == datetime(2026, 3, 19, tzinfo=UTC)
    whole = tabulate(Often(), bounds._replace(catchup=True), now=NOW)
    assert len(whole.ticks) == MOST_TICKS
    assert whole.ticks[0].run_after == bounds.earliest
    assert whole.refresh_after == whole.ticks[MOST_TICKS // 2].run_after


def test_a_timetable_may_not_tick_all_the_time() -> None:
    class TooOften(Often):
        def next_dagrun_info(self, **arguments: Any) -> Any:
            last = arguments["last_automated_data_interval"]
            return DagRunInfo.exact(last.end + timedelta(seconds=1)) if last else super().next_dagrun_info(**arguments)

    with pytest.raises(AirflowTimetableInvalid, match="more than 5000 times"):
        tabulate(TooOften(), TimeRestriction(START, None, False), now=NOW)


def test_manual_runs_are_about_what_the_timetable_says() -> None:
    assert manual_interval(Weekdays(), NOW) == data.DataInterval(
        datetime(2026, 3, 17, tzinfo=UTC), datetime(2026, 3, 18, tzinfo=UTC)
    )
    assert manual_interval(Often(), NOW) == data.DataInterval(NOW, NOW)


class Answers(Timetable):
    """A timetable that always gives one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def next_dagrun_info(self, **_: Any) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("tomorrow", "must return a DagRunInfo or None, not 'tomorrow'"),
        (DagRunInfo(NOW, None), "needs partitions"),
        (DagRunInfo.exact(datetime(2026, 3, 1)), "without a time zone"),
        (DagRunInfo.exact(NOW), "does not advance"),
    ],
)
def test_a_wrong_answer_is_the_files_error(answer: Any, words: str) -> None:
    with pytest.raises(AirflowTimetableInvalid, match=words):
        tabulate(Answers(answer), TimeRestriction(START, None, False), now=NOW)
    with pytest.raises(InvalidSpec, match=words):
        spec_of(DAG("d", schedule=Answers(answer), start_date=START), file="d.py", now=NOW)


def test_an_error_in_a_timetable_is_the_files_error() -> None:
    class Broken(Timetable):
        def next_dagrun_info(self, **_: Any) -> Any:
            raise ZeroDivisionError("by zero")

    with pytest.raises(InvalidSpec, match="workflow 'd': by zero"):
        spec(DAG("d", schedule=Broken(), start_date=START))
    with pytest.raises(InvalidSpec, match=r"Timetable has no next_dagrun_info\(\)"):
        spec(DAG("d", schedule=Timetable(), start_date=START))


def test_a_class_may_build_upon_a_built_in_one() -> None:
    class NotFirst(CronTriggerTimetable):
        def next_dagrun_info(
            self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
        ) -> DagRunInfo | None:
            found = super().next_dagrun_info(
                last_automated_data_interval=last_automated_data_interval, restriction=restriction
            )
            while found is not None and found.run_after.day == 1:
                found = super().next_dagrun_info(
                    last_automated_data_interval=found.data_interval, restriction=restriction
                )
            return found

    made = spec_of(DAG("d", schedule=NotFirst("@daily"), start_date=START), file="d.py", now=NOW).schedule.timetable
    assert isinstance(made, data.CustomTimetable)
    assert made.ticks[0].run_after == datetime(2026, 2, 2, tzinfo=UTC)
    assert all(row.run_after.day != 1 for row in made.ticks)
    assert CronDataIntervalTimetable("@daily").infer_manual_data_interval(run_after=NOW) == DataInterval(
        datetime(2026, 3, 17, tzinfo=UTC), datetime(2026, 3, 18, tzinfo=UTC)
    )


def test_a_custom_timetable_with_assets() -> None:
    from piper.sdk.assets import Asset

    schedule = AssetOrTimeSchedule(timetable=Weekdays(), assets=Asset("a"))
    made = spec_of(DAG("d", schedule=schedule, start_date=START), file="d.py", now=NOW).schedule.timetable
    assert isinstance(made, data.AssetOrTimeTimetable)
    assert isinstance(made.timetable, data.CustomTimetable)
    assert len(made.timetable.ticks) > 40
