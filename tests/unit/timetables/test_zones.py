"""Stretches of constant offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.model.errors import InvalidSchedule
from piper.timetables.zones import stretches_back, stretches_from, zone

names = st.sampled_from(
    ["Europe/Zurich", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "Asia/Kolkata", "-03:30"]
)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(names, moments)
def test_stretches_follow_each_other_without_a_hole_and_tell_the_wall_clock(name: str, moment: datetime) -> None:
    ahead = list(islice(stretches_from(name, moment), 5))
    assert ahead[0].start <= moment < ahead[0].end
    for stretch, following in pairwise(ahead):
        assert stretch.end == following.start
        assert following.shown == stretch.local(stretch.end)
    for stretch in ahead:
        for instant in (stretch.start, stretch.end - timedelta(seconds=1)):
            assert stretch.local(instant) == instant.astimezone(zone(name)).replace(tzinfo=None)
            assert stretch.instant(stretch.local(instant)) == instant
    assert next(stretches_back(name, moment)) == ahead[0]


def test_what_was_shown_before_a_stretch_tells_a_gap_from_a_fold() -> None:
    first, summer, winter = islice(stretches_from("Europe/Zurich", datetime(2024, 1, 1, tzinfo=UTC)), 3)
    assert first.shown == first.local(first.start)
    assert (summer.shown, summer.local(summer.start)) == (datetime(2024, 3, 31, 2), datetime(2024, 3, 31, 3))
    assert (winter.shown, winter.local(winter.start)) == (datetime(2024, 10, 27, 3), datetime(2024, 10, 27, 2))


def test_the_border_of_a_year_is_neither_a_gap_nor_a_fold() -> None:
    old_year, new_year = islice(stretches_from("Europe/Zurich", datetime(2024, 12, 24, tzinfo=UTC)), 2)
    assert old_year.end == new_year.start == datetime(2025, 1, 1, tzinfo=UTC)
    assert new_year.shown == new_year.local(new_year.start)


def test_a_day_that_a_zone_left_out_is_a_gap_like_any_other() -> None:
    """It was never 31 December 1994 on Kiritimati."""
    before, after = islice(stretches_from("Pacific/Kiritimati", datetime(1994, 12, 31, 9, tzinfo=UTC)), 2)
    assert before.end == after.start == datetime(1994, 12, 31, 10, tzinfo=UTC)
    assert after.local(after.start) - after.shown == timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "offset"), [("+05:30", (5, 30)), ("-0330", (-3, -30)), ("UTC+02:00", (2, 0)), ("GMT-11:00", (-11, 0))]
)
def test_a_fixed_offset_is_a_zone(name: str, offset: tuple[int, int]) -> None:
    assert zone(name) == timezone(timedelta(hours=offset[0], minutes=offset[1]))


def test_names_are_those_of_the_iana_database_and_a_mistake_is_answered_with_the_nearest() -> None:
    assert zone("UTC") is UTC
    assert zone("America/New_York") == ZoneInfo("America/New_York")
    with pytest.raises(InvalidSchedule, match="'Europe/Zuerich' is not a time zone; did you mean 'Europe/Zurich'"):
        zone("Europe/Zuerich")
    with pytest.raises(InvalidSchedule, match="did you mean 'Asia/Tokyo'"):
        zone("tokyo")
    with pytest.raises(InvalidSchedule, match="use an IANA name such as"):
        zone("+25:00")
