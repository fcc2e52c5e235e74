"""From ticks to the dates of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.model.schedule import (
    AssetKey,
    AssetOrTimeTimetable,
    AssetTimetable,
    ContinuousTimetable,
    CronTimetable,
    CustomTimetable,
    DataInterval,
    DeltaTimetable,
    EventsTimetable,
    NeverTimetable,
    OnceTimetable,
    RunDates,
    Schedule,
    Timetable,
)
from piper.timetables import (
    dates_after,
    dates_between,
    first_after,
    following_interval,
    has_dates,
    latest_dates,
    manual_interval,
    next_dates,
)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 1, 10, 8, 30, tzinfo=UTC)

DAILY = CronTimetable(("0 0 * * *",))
DAILY_SPANS = CronTimetable(("0 0 * * *",), data_interval=True)
HOURLY = CronTimetable(("0 * * * *",))


def january(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def exactly(moment: datetime) -> RunDates:
    return RunDates(moment, DataInterval(moment, moment), moment)


def span(start: datetime, end: datetime) -> RunDates:
    return RunDates(start, DataInterval(start, end), end)


# --- what a tick means --------------------------------------------------------------------------


def test_a_trigger_timetables_run_is_about_the_moment_itself() -> None:
    schedule = Schedule(DAILY, start=NEW_YEAR, catchup=True)
    assert next_dates(schedule, None, NOW) == exactly(january(1))
    assert next_dates(schedule, exactly(january(1)), NOW) == exactly(january(2))


def test_a_trigger_timetables_run_can_reach_back_and_takes_its_date_from_there() -> None:
    reaching = CronTimetable(("0 2 * * *",), interval=DAY)
    dates = next_dates(Schedule(reaching, start=NEW_YEAR, catchup=True), None, NOW)
    assert dates == RunDates(january(1, 2) - DAY, DataInterval(january(1, 2) - DAY, january(1, 2)), january(1, 2))


def test_a_run_about_a_span_is_due_at_its_end_and_has_its_start_for_a_date() -> None:
    schedule = Schedule(DAILY_SPANS, start=NEW_YEAR, catchup=True)
    first = next_dates(schedule, None, NOW)
    assert first == span(january(1), january(2))
    assert next_dates(schedule, first, NOW) == span(january(2), january(3))


def test_a_span_never_begins_before_the_start_date() -> None:
    schedule = Schedule(DAILY_SPANS, start=january(1, 5), catchup=True)
    assert next_dates(schedule, None, NOW) == span(january(2), january(3))


def test_spans_of_a_delta_begin_at_the_start_date() -> None:
    schedule = Schedule(DeltaTimetable(5 * HOUR, data_interval=True), start=january(1, 2), catchup=True)
    assert next_dates(schedule, None, NOW) == span(january(1, 2), january(1, 7))


# --- catchup, bounds, first runs ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("timetable", "latest"),
    [
        (DAILY, exactly(january(10))),
        (DAILY_SPANS, span(january(9), january(10))),
        (DeltaTimetable(DAY), exactly(january(10))),
        (DeltaTimetable(DAY, data_interval=True), span(january(9), january(10))),
        (CronTimetable(("0 6 * * *", "0 7 * * MON-WED")), exactly(january(10, 7))),
    ],
)
def test_without_catchup_the_next_run_is_the_latest_one_missed(timetable: Timetable, latest: RunDates) -> None:
    schedule = Schedule(timetable, start=NEW_YEAR)
    assert next_dates(schedule, None, NOW) == latest
    assert latest_dates(schedule, NOW) == latest
    upcoming = next_dates(schedule, latest, NOW)
    assert upcoming is not None
    assert upcoming.run_after > NOW


def test_the_first_run_is_not_before_a_start_date_in_the_future() -> None:
    assert next_dates(Schedule(DAILY, start=january(20, 1)), None, NOW) == exactly(january(21))
    assert next_dates(Schedule(DAILY, start=january(20)), None, NOW) == exactly(january(20))


def test_both_bounds_are_inclusive() -> None:
    schedule = Schedule(DAILY, start=january(3), end=january(5), catchup=True)
    first = next_dates(schedule, None, NOW)
    assert first is not None
    assert [first, *dates_after(schedule, first)] == [exactly(january(day)) for day in (3, 4, 5)]


def test_a_workflow_that_comes_after_its_end_date_is_not_run() -> None:
    assert next_dates(Schedule(DAILY, start=NEW_YEAR, end=january(5)), None, NOW) is None


@pytest.mark.parametrize(
    ("timetable", "latest"),
    [
        (DAILY, exactly(january(5))),
        (DAILY_SPANS, span(january(5), january(6))),
        (
            CustomTimetable("x.Y", ticks=(exactly(january(2)), exactly(january(4)), exactly(january(6)))),
            exactly(january(4)),
        ),
    ],
)
def test_the_latest_run_is_never_after_the_end_date(timetable: Timetable, latest: RunDates) -> None:
    assert latest_dates(Schedule(timetable, start=NEW_YEAR, end=january(5, 12)), NOW) == latest


@pytest.mark.parametrize(
    ("run_immediately", "minute", "expected"),
    [
        (None, 5, 8),
        (None, 6, 8),  # a tenth of an hour
        (None, 7, 9),
        (False, 6, 8),
        (True, 59, 8),
        (timedelta(minutes=20), 20, 8),
        (timedelta(minutes=20), 21, 9),
    ],
)
def test_without_a_start_date_a_tick_just_past_is_run_and_one_long_past_is_not(
    run_immediately: bool | timedelta | None, minute: int, expected: int
) -> None:
    schedule = Schedule(CronTimetable(("0 * * * *",), run_immediately=run_immediately))
    assert next_dates(schedule, None, NOW.replace(minute=minute)) == exactly(january(10, expected))


def test_without_a_start_date_the_span_just_complete_comes_first() -> None:
    assert next_dates(Schedule(DAILY_SPANS), None, NOW) == span(january(9), january(10))
    assert next_dates(Schedule(DeltaTimetable(DAY, data_interval=True), catchup=True), None, NOW) == span(
        january(9), january(10)
    )
    assert next_dates(Schedule(DeltaTimetable(HOUR, interval=DAY)), None, NOW) == RunDates(
        january(9, 8), DataInterval(january(9, 8), january(10, 8)), january(10, 8)
    )


def test_events_that_were_over_when_the_workflow_came_are_run_only_with_catchup() -> None:
    events = EventsTimetable((january(2), january(8), january(12)))
    assert next_dates(Schedule(events), None, NOW) == exactly(january(12))
    assert next_dates(Schedule(events, start=NEW_YEAR), None, NOW) == exactly(january(12))
    assert next_dates(Schedule(events, catchup=True), None, NOW) == exactly(january(2))
    assert next_dates(Schedule(events), exactly(january(2)), NOW) == exactly(january(8))


def test_a_table_that_has_run_out_has_no_next_date() -> None:
    table = CustomTimetable("x.Y", ticks=(span(january(2), january(3)), span(january(4), january(5))))
    assert next_dates(Schedule(table), None, NOW) == span(january(4), january(5))
    assert next_dates(Schedule(table, catchup=True), None, NOW) == span(january(2), january(3))
    assert next_dates(Schedule(table), span(january(4), january(5)), NOW) is None


def test_once_is_at_the_start_date_or_now_and_never_again() -> None:
    assert next_dates(Schedule(OnceTimetable(), start=january(20)), None, NOW) == exactly(january(20))
    assert next_dates(Schedule(OnceTimetable()), None, NOW) == exactly(NOW)
    assert next_dates(Schedule(OnceTimetable(), end=NEW_YEAR), None, NOW) is None
    assert next_dates(Schedule(OnceTimetable()), exactly(NEW_YEAR), NOW) is None


def test_continuous_runs_are_about_what_has_passed_since_the_one_before() -> None:
    schedule = Schedule(ContinuousTimetable(), start=NEW_YEAR, end=january(11))
    first = next_dates(schedule, None, NOW)
    assert first == RunDates(NEW_YEAR, DataInterval(NEW_YEAR, NOW), NOW)
    later = NOW + HOUR
    assert next_dates(schedule, first, later) == RunDates(NOW, DataInterval(NOW, later), later)
    assert next_dates(schedule, first, january(12)) is None


def test_two_continuous_runs_never_have_the_same_date() -> None:
    schedule = Schedule(ContinuousTimetable())
    first = next_dates(schedule, None, NOW)
    assert first == exactly(NOW)
    second = next_dates(schedule, first, NOW)
    assert second is not None
    assert second.logical_date > first.logical_date
    assert next_dates(schedule, second, NOW + HOUR).logical_date > second.logical_date  # type: ignore[union-attr]


def test_time_has_no_say_in_never_and_in_assets_alone() -> None:
    assert next_dates(Schedule(), None, NOW) is None
    assert next_dates(Schedule(NeverTimetable(), start=NEW_YEAR, catchup=True), None, NOW) is None
    assert next_dates(Schedule(AssetTimetable(AssetKey("a")), start=NEW_YEAR), None, NOW) is None
    both = Schedule(AssetOrTimeTimetable(DAILY, AssetKey("a")), start=NEW_YEAR)
    assert next_dates(both, None, NOW) == exactly(january(10))


# --- after an edit ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timetable", "last", "expected"),
    [
        (HOURLY, exactly(january(9)), exactly(january(9, 1))),
        (DAILY_SPANS, exactly(january(9)), span(january(10), january(11))),  # the 9th has had a run
        (DAILY_SPANS, span(january(9, 3), january(9, 4)), span(january(10), january(11))),
        (DAILY, span(january(8), january(9)), exactly(january(10))),  # at the 9th something has run
        (CronTimetable(("0 0 * * *",), timezone="America/New_York"), exactly(january(9)), exactly(january(9, 5))),
    ],
)
def test_what_follows_an_edit_is_later_in_date_and_in_time(
    timetable: Timetable, last: RunDates, expected: RunDates
) -> None:
    schedule = Schedule(timetable, start=NEW_YEAR, catchup=True)
    assert next_dates(schedule, last, NOW) == expected


def test_a_date_belongs_to_a_schedule_when_a_tick_and_the_bounds_allow_it() -> None:
    schedule = Schedule(DAILY, start=january(2), end=january(4))
    assert has_dates(schedule, exactly(january(3)))
    assert not has_dates(schedule, exactly(january(1)))
    assert not has_dates(schedule, exactly(january(5)))
    assert not has_dates(schedule, exactly(january(3, 1)))
    assert not has_dates(schedule, span(january(3), january(4)))
    assert not has_dates(Schedule(OnceTimetable()), exactly(january(3)))


# --- ranges, manual runs, what follows ----------------------------------------------------------


def test_a_backfills_dates_are_those_in_its_range_whatever_the_schedules_bounds() -> None:
    schedule = Schedule(DAILY, start=january(20), end=january(21))
    assert list(dates_between(schedule, january(1), january(3))) == [exactly(january(day)) for day in (1, 2, 3)]
    spans = Schedule(DAILY_SPANS, start=january(20))
    assert list(dates_between(spans, january(1), january(2))) == [span(january(d), january(d + 1)) for d in (1, 2)]
    delta = Schedule(DeltaTimetable(DAY), start=january(20, 7))
    assert list(dates_between(delta, january(1), january(2))) == [exactly(january(1, 7))]
    assert list(dates_between(schedule, january(3), january(1))) == []
    assert list(dates_between(Schedule(OnceTimetable()), january(1), january(3))) == []


@pytest.mark.parametrize(
    ("timetable", "expected"),
    [
        (DAILY, DataInterval(NOW, NOW)),
        (CronTimetable(("0 0 * * *",), interval=HOUR), DataInterval(NOW - HOUR, NOW)),
        (DAILY_SPANS, DataInterval(january(9), january(10))),
        (NeverTimetable(), DataInterval(NOW, NOW)),
        (AssetOrTimeTimetable(DAILY_SPANS, AssetKey("a")), DataInterval(january(9), january(10))),
    ],
)
def test_a_manual_run_is_about_the_latest_complete_span_or_the_moment(
    timetable: Timetable, expected: DataInterval
) -> None:
    assert manual_interval(timetable, NOW) == expected


def test_the_interval_that_follows_is_the_next_ticks() -> None:
    assert following_interval(Schedule(DAILY), DataInterval(january(9), january(9))) == DataInterval(
        january(10), january(10)
    )
    spans = Schedule(DAILY_SPANS, start=NEW_YEAR)
    assert following_interval(spans, DataInterval(january(9), january(10))) == DataInterval(january(10), january(11))
    assert following_interval(spans, DataInterval(january(9, 5), january(9, 7))) == DataInterval(
        january(10), january(11)
    )
    reaching = Schedule(CronTimetable(("0 * * * *",), interval=DAY))
    assert following_interval(reaching, DataInterval(january(8), january(9))) == DataInterval(
        january(8, 1), january(9, 1)
    )
    assert following_interval(Schedule(OnceTimetable()), DataInterval(NOW, NOW)) is None


# --- what always holds --------------------------------------------------------------------------

span_crons = st.builds(
    lambda text, zone: CronTimetable((text,), timezone=zone, data_interval=True),
    st.sampled_from(["30 2 * * *", "0 0 * * *", "*/15 * * * *", "0 */3 * * *", "0,30 1-3 * * SUN", "0 0 L * *"]),
    st.sampled_from(["America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "UTC"]),
)
span_deltas = st.builds(
    lambda every, months: DeltaTimetable(every, months=months, data_interval=True),
    st.timedeltas(timedelta(minutes=1), timedelta(days=20)),
    st.sampled_from([0, 0, 1]),
)
moments = st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(st.one_of(span_crons, span_deltas), moments)
def test_spans_are_longer_than_nothing_and_each_begins_where_the_one_before_ended(
    timetable: CronTimetable | DeltaTimetable, start: datetime
) -> None:
    schedule = Schedule(timetable, start=start, catchup=True)
    first = next_dates(schedule, None, start)
    assert first is not None
    runs = [first, *islice(dates_after(schedule, first), 6)]
    assert runs[0].interval.start >= start
    for before, after in pairwise(runs):
        assert before.interval.end == after.interval.start
        assert next_dates(schedule, before, start) == after
    for dates in runs:
        assert dates.interval.start < dates.interval.end == dates.run_after
        assert dates.logical_date == dates.interval.start
        if isinstance(timetable, CronTimetable):
            assert manual_interval(timetable, dates.run_after) == dates.interval
        assert has_dates(schedule, dates)
    assert list(dates_between(schedule, runs[0].logical_date, runs[-1].logical_date)) == runs


@given(st.one_of(span_crons, span_deltas), moments, st.integers(0, 30), st.integers(0, 600))
def test_without_catchup_the_answer_is_the_last_of_those_with_catchup_that_are_due(
    timetable: CronTimetable | DeltaTimetable, start: datetime, days: int, minutes: int
) -> None:
    now = start + timedelta(days=days, minutes=minutes)
    all_of_them = Schedule(timetable, start=start, catchup=True)
    first = next_dates(all_of_them, None, now)
    assert first is not None
    latest = first
    for dates in dates_after(all_of_them, first):
        if dates.run_after > now:
            break
        latest = dates
    assert next_dates(Schedule(timetable, start=start), None, now) == latest


def test_ticks_of_a_custom_timetable_are_when_its_runs_are_due() -> None:
    table = CustomTimetable("x.Y", ticks=(span(january(2), january(3)),))
    assert first_after(table, january(2)) == january(3)
