"""Cron across every change of clocks from 2000 to 2037, against a scan minute by minute (correctness I4).

Covered: all 8 zones of I4, every one of their offset changes (some 510), every expression below, in both
directions, within 4 hours of the change, where all the trouble is. Of the 3 days to each side every
expression is scanned at a fifth of the changes, each time another fifth; an odd number, since changes
alternate between spring and autumn. (All of it at all of them holds, too, and takes a minute.)
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest

from piper.model.schedule import CronTimetable
from piper.timetables import first_after, last_before_or_at, ticks_after
from tests.unit.timetables.oracle import Oracle, Watch, offset_changes, watch

ZONES = {
    "America/New_York": 76,
    "America/Sao_Paulo": 40,
    "America/Toronto": 76,
    "Australia/Lord_Howe": 76,
    "Australia/Sydney": 76,
    "Europe/London": 76,
    "Europe/Zurich": 76,
    "Pacific/Apia": 23,
}
"""And how many changes each has, give or take what new editions of the time zone data say."""

FIXED = (
    "30 2 * * *",
    "0 0 * * *",
    "15 0,1,2,3 * * *",
    "59 23 L * *",
    "0-59/20 1-3 * * *",
    "45 1 * * 0",
    "5 2 1-7 * SUN",
    "0 3 1-15/2 3,4,9-11 1-5",
    "30 1 * * SUN#2",
)
RHYTHMS = (
    "* * * * *",
    "*/15 * * * *",
    "0 * * * *",
    "45 */2 * * *",
    "*/30 0 * * SUN",  # Sao_Paulo puts its clocks forward at midnight of a Sunday
    "*/7 2,3 * * SAT,SUN",
    "30 */3 1,8 * 0",
    "* 1-2 * * *",
)

NEAR = timedelta(hours=4)


@pytest.mark.parametrize("zone", ZONES)
def test_cron_ticks_as_a_watcher_of_the_wall_clock_would_have_it(zone: str) -> None:
    seen = 0
    for change in offset_changes(zone, 2000, 2037):
        seen += 1
        for position, text in enumerate((*FIXED, *RHYTHMS)):
            is_their_turn = (seen + position) % 5 == 0
            watched = watch(zone, change, timedelta(days=3) if is_their_turn else NEAR)
            expected = Oracle(text).ticks(watched)
            timetable = CronTimetable((text,), timezone=zone)
            assert _ticks_within(timetable, watched) == expected, (text, zone, change)
            _check_both_directions(timetable, expected, watched)
    assert seen >= ZONES[zone] - 2


def test_several_expressions_tick_where_any_of_them_does_and_once_where_two_do() -> None:
    zone = "America/New_York"
    texts = ("30 2 * * *", "0 3 * * *", "*/15 2 * * *")
    for change in offset_changes(zone, 2023, 2025):
        watched = watch(zone, change, timedelta(days=3))
        expected = sorted({tick for text in texts for tick in Oracle(text).ticks(watched)})
        timetable = CronTimetable(texts, timezone=zone)
        assert _ticks_within(timetable, watched) == expected
        _check_both_directions(timetable, expected, watched)


def _ticks_within(timetable: CronTimetable, watched: Watch) -> list[datetime]:
    return list(takewhile(lambda tick: tick <= watched.end, ticks_after(timetable, watched.begin)))


def _check_both_directions(timetable: CronTimetable, expected: list[datetime], watched: Watch) -> None:
    """Ask for the tick after and the tick before moments around the change, on ticks and between them."""
    for moment in _moments(expected, watched.change):
        after = next((tick for tick in expected if tick > moment), None)
        before = next((tick for tick in reversed(expected) if tick <= moment), None)
        if after is not None:
            assert first_after(timetable, moment) == after, (timetable, moment)
        if before is not None:
            assert last_before_or_at(timetable, moment) == before, (timetable, moment)


def _moments(expected: list[datetime], change: datetime) -> Iterator[datetime]:
    near = [tick for tick in expected if abs(tick - change) <= NEAR]
    yield from near[:: max(1, len(near) // 8)]
    for minutes in (-61, -31, -1, 0, 1, 29, 59, 60, 61, 91, 121):
        yield change + timedelta(minutes=minutes, seconds=13, microseconds=7)
    yield change


def test_the_oracle_itself_reads_expressions_as_people_do() -> None:
    oracle = Oracle("0-59/20 9 1-7 * MON")  # day of month or day of week
    assert oracle.names(datetime(2024, 5, 2, 9, 40))
    assert oracle.names(datetime(2024, 5, 13, 9, 0))
    assert not oracle.names(datetime(2024, 5, 14, 9, 0))
    assert not oracle.names(datetime(2024, 5, 13, 9, 30))
    assert Oracle("0 0 L * *").names(datetime(2024, 2, 29))
    assert Oracle("0 0 * * 7").names(datetime(2024, 5, 12))


def test_the_oracle_sees_the_clock_jump_and_fall_back() -> None:
    spring = watch("Europe/Zurich", datetime(2024, 3, 31, 1, tzinfo=UTC), timedelta(days=1))
    assert Oracle("30 2 * * *").ticks(spring) == [
        datetime(2024, 3, 30, 1, 30, tzinfo=UTC),
        datetime(2024, 3, 31, 1, 0, tzinfo=UTC),
        datetime(2024, 4, 1, 0, 30, tzinfo=UTC),
    ]
    autumn = watch("Europe/Zurich", datetime(2024, 10, 27, 1, tzinfo=UTC), timedelta(days=1))
    assert Oracle("30 2 27 * *").ticks(autumn) == [datetime(2024, 10, 27, 0, 30, tzinfo=UTC)]
    assert Oracle("30 * 27 * *").ticks(autumn)[2:5] == [
        datetime(2024, 10, 27, 0, 30, tzinfo=UTC),
        datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
        datetime(2024, 10, 27, 2, 30, tzinfo=UTC),
    ]
