"""Intervals: elapsed time, and steps on the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.model.errors import InvalidSchedule
from piper.model.schedule import DataInterval, DeltaTimetable
from piper.timetables import EPOCH, check, first_after, last_before_or_at, manual_interval, ticks_after

START = datetime(2024, 1, 31, 9, 30, tzinfo=UTC)


def days(timetable: DeltaTimetable, moment: datetime, anchor: datetime, count: int) -> list[str]:
    there = ZoneInfo(timetable.timezone)
    return [f"{tick.astimezone(there):%m-%d %H:%M}" for tick in islice(ticks_after(timetable, moment, anchor), count)]


def test_ticks_are_counted_from_the_start_date_whoever_asks_when() -> None:
    every = DeltaTimetable(timedelta(hours=7))
    assert first_after(every, START - timedelta(seconds=1), START) == START
    assert first_after(every, START, START) == START + timedelta(hours=7)
    asked = START + timedelta(days=100, minutes=11)
    assert first_after(every, asked, START) == START + 343 * timedelta(hours=7)
    assert last_before_or_at(every, asked, START) == START + 342 * timedelta(hours=7)


def test_without_a_start_date_two_workflows_with_the_same_interval_still_meet() -> None:
    every = DeltaTimetable(timedelta(minutes=90))
    assert last_before_or_at(every, datetime(2024, 5, 1, 12, 7, tzinfo=UTC)) == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert last_before_or_at(every, EPOCH) == EPOCH


def test_elapsed_time_knows_no_change_of_clocks() -> None:
    daily = DeltaTimetable(timedelta(days=1), timezone="Europe/Zurich")
    start = datetime(2024, 3, 29, 12, tzinfo=ZoneInfo("Europe/Zurich")).astimezone(UTC)
    assert days(daily, start, start, 3) == ["03-30 12:00", "03-31 13:00", "04-01 13:00"]


def test_months_keep_the_time_of_day_and_a_short_month_leaves_no_trace() -> None:
    monthly = DeltaTimetable(months=1, timezone="Europe/Zurich")
    assert days(monthly, START, START, 4) == ["02-29 10:30", "03-31 10:30", "04-30 10:30", "05-31 10:30"]
    assert days(DeltaTimetable(months=12), START, datetime(2024, 2, 29, tzinfo=UTC), 2) == [
        "02-29 00:00",
        "02-28 00:00",
    ]


def test_months_and_days_can_be_combined() -> None:
    assert days(DeltaTimetable(timedelta(days=2), months=1), START, START, 3) == [
        "03-02 09:30",
        "04-04 09:30",
        "05-06 09:30",
    ]


@pytest.mark.parametrize(
    "timetable",
    [
        DeltaTimetable(timedelta(0)),
        DeltaTimetable(timedelta(seconds=-1)),
        DeltaTimetable(months=-1),
        DeltaTimetable(timedelta(days=-40), months=1),
        DeltaTimetable(timedelta(days=40), months=-1),
    ],
)
def test_an_interval_that_does_not_lead_forward_is_refused(timetable: DeltaTimetable) -> None:
    with pytest.raises(InvalidSchedule, match="must be positive, not"):
        check(timetable)


def test_a_manual_run_is_about_one_step_back_from_its_own_moment() -> None:
    moment = datetime(2024, 3, 31, 8, tzinfo=UTC)
    spans = DeltaTimetable(timedelta(hours=6), data_interval=True)
    assert manual_interval(spans, moment) == DataInterval(moment - timedelta(hours=6), moment)
    months = DeltaTimetable(months=1, data_interval=True)
    assert manual_interval(months, moment) == DataInterval(datetime(2024, 2, 29, 8, tzinfo=UTC), moment)
    assert manual_interval(DeltaTimetable(timedelta(hours=6)), moment) == DataInterval(moment, moment)


steps = st.builds(
    DeltaTimetable,
    st.timedeltas(timedelta(seconds=1), timedelta(days=40)),
    st.sampled_from([0, 0, 1, 3, 12, 24]),
    timezone=st.sampled_from(["UTC", "Europe/Zurich", "Pacific/Apia", "America/Sao_Paulo"]),
)
moments = st.datetimes(datetime(1980, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(steps, moments, moments)
def test_steps_increase_and_are_the_same_seen_from_anywhere(
    timetable: DeltaTimetable, moment: datetime, anchor: datetime
) -> None:
    check(timetable)
    found = list(islice(ticks_after(timetable, moment, anchor), 4))
    assert found[0] > moment
    for before, after in pairwise(found):
        assert before < after
        assert last_before_or_at(timetable, after - timedelta(microseconds=1), anchor) == before
        assert last_before_or_at(timetable, after, anchor) == after
        assert first_after(timetable, before, anchor) == after
