"""Cron: what can be written, and the cases in which others have gone wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.model.errors import InvalidSchedule
from piper.model.schedule import ContinuousTimetable, CronTimetable, DataInterval, OnceTimetable, RunDates, Schedule
from piper.timetables import (
    PRESETS,
    check,
    first_after,
    last_before_or_at,
    manual_interval,
    next_dates,
    preset,
    ticks_after,
)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def ticks(text: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    """The next ticks as local times, which is how people check them."""
    found = islice(ticks_after(CronTimetable((text,), timezone=zone), at(after, zone)), count)
    return [f"{tick.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M%z}" for tick in found]


# --- what others have got wrong (correctness I4) ------------------------------------------------


def test_airflow_70089_a_manual_run_after_a_gap_is_about_a_whole_day() -> None:
    nightly = CronTimetable(("0 2 * * *",), timezone="America/New_York", data_interval=True)
    interval = manual_interval(nightly, datetime(2024, 3, 10, 7, 30, tzinfo=UTC))
    assert interval == DataInterval(datetime(2024, 3, 9, 7, tzinfo=UTC), datetime(2024, 3, 10, 7, tzinfo=UTC))
    schedule = Schedule(nightly, start=datetime(2024, 3, 1, tzinfo=UTC), catchup=True)
    following = next_dates(schedule, RunDates(interval.start, interval, interval.end), interval.end)
    assert following is not None
    assert following.interval == DataInterval(interval.end, datetime(2024, 3, 11, 6, tzinfo=UTC))


def test_airflow_70089_a_tick_in_a_fold_does_not_fire_before_its_time() -> None:
    early = CronTimetable(("0 1 * * *",), timezone="America/New_York", run_immediately=True)
    now = datetime(2024, 11, 3, 5, 30, tzinfo=UTC)
    assert last_before_or_at(early, now) == datetime(2024, 11, 3, 5, tzinfo=UTC)
    assert next_dates(Schedule(early), None, now - timedelta(hours=1)) == _exactly(datetime(2024, 11, 2, 5, tzinfo=UTC))


@pytest.mark.parametrize("minutes", range(0, 240, 10))
def test_airflow_30088_planning_around_a_gap_neither_fails_nor_fires_early(minutes: int) -> None:
    timetable = CronTimetable(("20 */4 * * *",), timezone="America/Los_Angeles", data_interval=True)
    now = datetime(2023, 3, 12, 7, tzinfo=UTC) + timedelta(minutes=minutes)
    dates = next_dates(Schedule(timetable, start=datetime(2023, 3, 1, tzinfo=UTC)), None, now)
    assert dates is not None
    assert dates.interval.start < dates.interval.end <= now
    assert first_after(timetable, dates.run_after) > now  # type: ignore[operator]


def test_airflow_30195_every_two_hours_goes_on_after_a_gap() -> None:
    assert ticks("0 */2 * * *", "2023-03-11 23:00", 4, "America/Toronto") == [
        "2023-03-12 00:00-0500",
        "2023-03-12 04:00-0400",
        "2023-03-12 06:00-0400",
        "2023-03-12 08:00-0400",
    ]


def test_airflow_7999_several_hours_keep_their_place_on_the_wall_clock_after_a_gap() -> None:
    assert ticks("0 7-8 * * *", "2020-03-07 07:30", 3, "America/Los_Angeles") == [
        "2020-03-07 08:00-0800",
        "2020-03-08 07:00-0700",
        "2020-03-08 08:00-0700",
    ]
    assert ticks("0 7,9 * * *", "2020-03-07 08:00", 3, "America/Los_Angeles") == [
        "2020-03-07 09:00-0800",
        "2020-03-08 07:00-0700",
        "2020-03-08 09:00-0700",
    ]


def test_airflow_38098_a_time_that_does_not_exist_is_run_right_after_the_gap_and_one_that_comes_twice_once() -> None:
    assert ticks("0 2 * * *", "2024-03-09 12:00", 2, "America/Chicago") == [
        "2024-03-10 03:00-0500",
        "2024-03-11 02:00-0500",
    ]
    assert ticks("0 1 * * *", "2024-11-02 12:00", 2, "America/Chicago") == [
        "2024-11-03 01:00-0500",
        "2024-11-04 01:00-0600",
    ]


def test_airflow_35558_a_range_of_hours_goes_on_after_a_fold() -> None:
    assert ticks("0 7-21 * * *", "2023-10-28 20:30", 2, "Europe/Paris") == [
        "2023-10-28 21:00+0200",
        "2023-10-29 07:00+0100",
    ]


def test_a_question_asked_within_a_fold_is_not_answered_with_its_first_pass() -> None:
    second_pass = datetime(2024, 11, 3, 6, 30, tzinfo=UTC)  # 01:30 for the second time
    timetable = CronTimetable(("45 1 * * *",), timezone="America/New_York")
    assert first_after(timetable, second_pass) == at("2024-11-04 01:45", "America/New_York")


def test_a_rhythm_does_not_tick_in_a_gap_at_midnight() -> None:
    assert ticks("*/30 0 * * SUN", "2017-10-12 00:00", 2, "America/Sao_Paulo") == [
        "2017-10-22 00:00-0200",
        "2017-10-22 00:30-0200",
    ]


def test_a_gap_of_half_an_hour_hides_no_tick_of_the_hour_after_it() -> None:
    assert ticks("*/20 3 * * *", "2024-10-06 01:55", 3, "Australia/Lord_Howe") == [
        "2024-10-06 03:00+1100",
        "2024-10-06 03:20+1100",
        "2024-10-06 03:40+1100",
    ]


def test_a_day_that_never_was_has_its_one_run_at_its_end() -> None:
    """Samoa went from 29 to 31 December 2011."""
    assert ticks("0 9 * * *", "2011-12-29 08:00", 3, "Pacific/Apia") == [
        "2011-12-29 09:00-1000",
        "2011-12-31 00:00+1400",
        "2011-12-31 09:00+1400",
    ]
    assert ticks("0 */8 * * *", "2011-12-29 10:00", 3, "Pacific/Apia") == [
        "2011-12-29 16:00-1000",
        "2011-12-31 00:00+1400",
        "2011-12-31 08:00+1400",
    ]


# --- what can be written ------------------------------------------------------------------------


def test_seconds_are_the_sixth_field_as_airflow_has_it() -> None:
    after = datetime(2024, 5, 1, 12, 0, 20, tzinfo=UTC)
    assert first_after(CronTimetable(("* * * * * 15,45",)), after) == datetime(2024, 5, 1, 12, 0, 45, tzinfo=UTC)
    assert last_before_or_at(CronTimetable(("0 0 12 * * 1",)), after) == datetime(2024, 4, 12, 0, 0, 1, tzinfo=UTC)


def test_the_last_day_and_the_nth_weekday_of_a_month_can_be_named() -> None:
    assert ticks("0 0 L * *", "2024-02-10", 2) == ["2024-02-29 00:00+0000", "2024-03-31 00:00+0000"]
    assert ticks("0 0 * * MON#2", "2024-05-01", 2) == ["2024-05-13 00:00+0000", "2024-06-10 00:00+0000"]
    assert ticks("0 0 * * 5L", "2024-05-01", 2) == ["2024-05-31 00:00+0000", "2024-06-28 00:00+0000"]


def test_day_of_month_and_day_of_week_are_alternatives_unless_one_begins_with_a_star() -> None:
    assert ticks("0 0 13 * FRI", "2024-09-05", 3) == [
        "2024-09-06 00:00+0000",
        "2024-09-13 00:00+0000",
        "2024-09-20 00:00+0000",
    ]
    assert ticks("0 0 */13 * FRI", "2024-09-05", 1) == ["2024-09-27 00:00+0000"]


def test_a_leap_day_is_found_years_ahead_and_years_back() -> None:
    leap = CronTimetable(("0 0 29 2 *",), timezone="Europe/Zurich")
    assert first_after(leap, at("2096-03-01")) == at("2104-02-29", "Europe/Zurich")
    assert last_before_or_at(leap, at("1903-01-01")) == at("1896-02-29", "Europe/Zurich")


@pytest.mark.parametrize(("name", "expression"), PRESETS.items())
def test_a_preset_stands_for_its_expression(name: str, expression: str) -> None:
    assert preset(name, "Europe/Zurich") == CronTimetable((expression,), timezone="Europe/Zurich")
    moment = at("2024-05-17 08:30")
    assert first_after(CronTimetable((name,)), moment) == first_after(CronTimetable((expression,)), moment)


def test_presets_that_are_not_cron_have_timetables_of_their_own() -> None:
    assert preset("@once") == OnceTimetable()
    assert preset("@continuous") == ContinuousTimetable()
    with pytest.raises(InvalidSchedule, match="did you mean '@daily'"):
        preset("@dayly")


@pytest.mark.parametrize(
    ("timetable", "says"),
    [
        (CronTimetable(("0 25 * * *",)), r"'25' cannot be the hour of the cron expression '0 25 \* \* \*': use 0-23"),
        (CronTimetable(("61 * * * *",)), "'61' cannot be the minute"),
        (CronTimetable(("0 0 32 * *",)), "'32' cannot be the day-of-month"),
        (CronTimetable(("0 0 * FOO *",)), "'FOO' cannot be the month .* JAN-DEC"),
        (CronTimetable(("0 0 * * L5",)), "'L5' cannot be the day-of-week .*5L"),
        (CronTimetable(("0 0 * * * 60",)), "'60' cannot be the second"),
        (CronTimetable(("0 0 * *",)), "4 fields, not the 5 of 'minute hour"),
        (CronTimetable(("every day",)), "'every day' is not a cron expression"),
        (CronTimetable(("@dialy",)), "'@dialy' is not a preset; did you mean '@daily'"),
        (CronTimetable(("0 0 30 2 *",)), r"'0 0 30 2 \*' never fires"),
        (CronTimetable(("0 0 */31 4 *", "0 0 31 4,6 */2")), r"'0 0 31 4,6 \*/2' never fires"),
        (CronTimetable(()), "at least one"),
        (CronTimetable(("@daily",), timezone="Europe/Zürich"), "did you mean 'Europe/Zurich'"),
        (CronTimetable(("@daily",), timezone="new york"), "did you mean 'America/New_York'"),
        (CronTimetable(("@daily",), timezone="Europe"), "is not a time zone"),
        (CronTimetable(("@daily",), timezone="../../etc/passwd"), "is not a time zone"),
        (CronTimetable(("@daily",), interval=timedelta(days=-1)), "negative"),
    ],
)
def test_what_is_wrong_with_a_cron_timetable_is_said(timetable: CronTimetable, says: str) -> None:
    with pytest.raises(InvalidSchedule, match=says):
        check(timetable)


@given(st.lists(st.text("0123456789*/,-#LWSUNMON ", max_size=8), min_size=4, max_size=7).map(" ".join))
def test_any_text_is_a_cron_expression_or_is_refused(text: str) -> None:
    timetable = CronTimetable((text,))
    try:
        check(timetable)
    except InvalidSchedule:
        return
    assert first_after(timetable, datetime(2000, 1, 1, tzinfo=UTC)) is not None


# --- what always holds --------------------------------------------------------------------------

minutes = st.sampled_from(["*", "0", "30", "*/7", "59", "0,20,40", "10-50/10", "5"])
hours = st.sampled_from(["*", "0", "1", "2", "*/2", "1-3", "0,23", "2,3", "*/5", "0-23"])
days = st.sampled_from(["*", "1", "*/3", "10-20", "L", "29"])
weekdays = st.sampled_from(["*", "SUN", "1-5", "0,6", "7#2"])
expressions = st.builds("{} {} {} * {}".format, minutes, hours, days, weekdays)
zones = st.sampled_from(
    (
        *("UTC", "+05:45", "America/New_York", "Europe/Zurich", "Australia/Lord_Howe", "America/Sao_Paulo"),
        *("Pacific/Apia", "Africa/Casablanca", "America/St_Johns", "Antarctica/Troll", "Asia/Tehran", "Asia/Gaza"),
    )
)
crons = st.builds(
    lambda texts, zone: CronTimetable(tuple(texts), timezone=zone), st.lists(expressions, min_size=1, max_size=3), zones
)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC))


@given(crons, moments)
def test_ticks_increase_and_are_the_same_seen_from_anywhere(timetable: CronTimetable, moment: datetime) -> None:
    found = list(islice(ticks_after(timetable, moment), 6))
    assert found[0] > moment
    for before, after in pairwise(found):
        assert before < after
        assert last_before_or_at(timetable, after - timedelta(microseconds=1)) == before
        assert last_before_or_at(timetable, after) == after
        assert first_after(timetable, before) == after
        assert first_after(timetable, before + (after - before) / 2) == after


def _exactly(moment: datetime) -> RunDates:
    return RunDates(moment, DataInterval(moment, moment), moment)
