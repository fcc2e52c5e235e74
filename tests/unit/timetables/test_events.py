"""Ticks that are written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from piper.model.errors import InvalidSchedule
from piper.model.schedule import CustomTimetable, DataInterval, EventsTimetable, RunDates
from piper.timetables import check, first_after, last_before_or_at, manual_interval, ticks_after

HOUR = timedelta(hours=1)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
EVENTS = EventsTimetable((NOON, NOON + HOUR, NOON + 5 * HOUR))


def row(logical_date: datetime, due: datetime) -> RunDates:
    return RunDates(logical_date, DataInterval(logical_date, due), due)


TABLE = CustomTimetable("shop.OpeningHours", ticks=(row(NOON, NOON + HOUR), row(NOON + HOUR, NOON + 3 * HOUR)))


def test_events_tick_when_they_are_and_never_after_the_last() -> None:
    assert list(ticks_after(EVENTS, NOON)) == [NOON + HOUR, NOON + 5 * HOUR]
    assert first_after(EVENTS, NOON - HOUR) == NOON
    assert first_after(EVENTS, NOON + 5 * HOUR) is None
    assert last_before_or_at(EVENTS, NOON + 4 * HOUR) == NOON + HOUR
    assert last_before_or_at(EVENTS, NOON - HOUR) is None


def test_a_custom_timetable_ticks_when_its_table_says_that_runs_are_due() -> None:
    assert list(ticks_after(TABLE, NOON)) == [NOON + HOUR, NOON + 3 * HOUR]
    assert last_before_or_at(TABLE, NOON + 2 * HOUR) == NOON + HOUR


def test_a_manual_run_takes_the_latest_event_only_where_it_must() -> None:
    moment = NOON + 2 * HOUR
    assert manual_interval(EVENTS, moment) == DataInterval(moment, moment)
    restricted = EventsTimetable(EVENTS.dates, restrict_to_events=True)
    assert manual_interval(restricted, moment) == DataInterval(NOON + HOUR, NOON + HOUR)
    assert manual_interval(restricted, NOON - HOUR) == DataInterval(NOON, NOON)


def test_a_manual_run_of_a_custom_timetable_is_about_its_latest_row() -> None:
    assert manual_interval(TABLE, NOON + 2 * HOUR) == DataInterval(NOON, NOON + HOUR)
    assert manual_interval(TABLE, NOON) == DataInterval(NOON, NOON)


@pytest.mark.parametrize(
    "timetable",
    [
        EventsTimetable((NOON, NOON)),
        EventsTimetable((NOON, NOON - HOUR)),
        CustomTimetable("shop.OpeningHours", ticks=(row(NOON, NOON + HOUR), row(NOON, NOON + 2 * HOUR))),
        CustomTimetable("shop.OpeningHours", ticks=(row(NOON, NOON + HOUR), row(NOON + HOUR, NOON + HOUR))),
    ],
)
def test_moments_out_of_order_are_refused(timetable: EventsTimetable | CustomTimetable) -> None:
    with pytest.raises(InvalidSchedule, match=r"in order|later date"):
        check(timetable)
