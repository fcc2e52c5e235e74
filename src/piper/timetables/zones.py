"""Time zones as stretches: spans in which local time is UTC plus one constant.

Inside a stretch the wall clock runs evenly, so calendar arithmetic on naive local times is exact
there; all that is hard about daylight saving happens between two stretches. `zoneinfo` does not tell
when a zone's offset changes, so a year is probed day by day and each change found by bisection,
once per zone and year.

Instants are aware datetimes in UTC; local times are naive.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from piper.model.errors import InvalidSchedule

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)

FIRST_YEAR, LAST_YEAR = 3, 9998
"""Years between which every local time can be represented, whatever the offset."""

FIXED_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})")


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """The time zone of an IANA name, or of a fixed offset such as `+05:30`.

    Raises:
        InvalidSchedule: there is none of that name; the message has the nearest one.
    """
    if name in ("UTC", "Etc/UTC"):
        return UTC
    if fixed := FIXED_OFFSET.fullmatch(name):
        sign, hours, minutes = fixed.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset < DAY:
            return timezone(-offset if sign == "-" else offset)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, such as "Europe"
        raise InvalidSchedule(f"{name!r} is not a time zone{_nearest(name)}") from None


def _nearest(name: str) -> str:
    """A suggestion to end the message with."""
    known = {known.lower(): known for known in sorted(zoneinfo.available_timezones())}
    # People write the city alone at least as often as they misspell the whole name.
    cities = {full.rsplit("/", 1)[-1]: full for full in known}
    wanted = name.lower().replace(" ", "_")
    for names in (known, cities):
        if close := difflib.get_close_matches(wanted, names, n=1, cutoff=0.75):
            found = close[0]
            return f"; did you mean {known[cities[found] if names is cities else found]!r}?"
    return "; use an IANA name such as 'Europe/Zurich', or an offset such as '+02:00'"


class Stretch(NamedTuple):
    """A span of instants, `[start, end)`, in which local time is the instant plus `offset`."""

    start: datetime
    end: datetime
    offset: timedelta
    shown: datetime
    """The local time up to which (exclusive) wall clocks had got before this stretch began.

    Later than the stretch's first local time after a fold: what lies between is shown a second time.
    Earlier than it after a gap: what lies between is never shown.
    """

    def local(self, instant: datetime) -> datetime:
        """What the wall clock of this stretch shows at that instant."""
        return instant.replace(tzinfo=None) + self.offset

    def instant(self, local: datetime) -> datetime:
        """When the wall clock of this stretch shows that."""
        return (local - self.offset).replace(tzinfo=UTC)


def stretches_from(name: str, moment: datetime) -> Iterator[Stretch]:
    """The stretch of the zone `name` that holds `moment` (in UTC), and all after it."""
    for year in range(max(moment.year, FIRST_YEAR), LAST_YEAR + 1):
        yield from (stretch for stretch in _stretches(name, year) if stretch.end > moment)


def stretches_back(name: str, moment: datetime) -> Iterator[Stretch]:
    """The stretch of the zone `name` that holds `moment` (in UTC), and all before it, latest first."""
    for year in range(min(moment.year, LAST_YEAR), FIRST_YEAR - 1, -1):
        yield from (stretch for stretch in reversed(_stretches(name, year)) if stretch.start <= moment)


@lru_cache(maxsize=8192)
def _stretches(name: str, year: int) -> tuple[Stretch, ...]:
    """The stretches of one year in UTC.

    Borders of years cut them, too, which nothing notices: no clock has been put back in the last hours
    before one since 1912, so that nothing that a fold shows again lies beyond the stretch after it.
    """
    begin, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    borders = [begin, *(change for change in _changes(name, begin, end) if change != begin), end]
    return tuple(
        Stretch(start, stop, _offset(name, start), start.replace(tzinfo=None) + _offset(name, start - SECOND))
        for start, stop in pairwise(borders)
    )


def _changes(name: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    """The instants from `begin` until before `end` at which a zone's offset changes, in order."""
    if isinstance(zone(name), timezone):
        return
    day = begin - SECOND
    while day < end:
        before, low, high = _offset(name, day), day, day + DAY
        if _offset(name, high) == before:
            day = high
            continue
        while high - low > SECOND:
            middle = low + timedelta(seconds=(high - low) // SECOND // 2)
            low, high = (middle, high) if _offset(name, middle) == before else (low, middle)
        if high < end:
            yield high
        day = high  # there may be another change within the same day


def _offset(name: str, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone(name)).utcoffset()
    assert offset is not None
    return offset
