"""What cron does, found by looking at a clock on the wall once a minute: slow, simple, independent.

Nothing of Piper and nothing of CronSim is in here, only the rule of correctness I4, told as a story. A
rhythm (an expression whose minutes or hours begin with `*`) ticks whenever the wall clock shows a time
that it names. A fixed expression ticks when the wall clock comes to, or has jumped over, a local time that
it names and has not been at before.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def values(field: str, low: int, high: int) -> set[int]:
    """The numbers that a field of an expression names."""
    named: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        else:
            begin = int(first)
            end = int(last) if last else high if step else begin
        named.update(range(begin, end + 1, int(step or 1)))
    return named


class Oracle:
    """One cron expression of five fields."""

    def __init__(self, text: str) -> None:
        minute, hour, self.day, month, weekday = text.split()
        self.is_fixed = not minute.startswith("*") and not hour.startswith("*")
        self.times = {h * 60 + m for h in values(hour, 0, 23) for m in values(minute, 0, 59)}
        self.months = values(month, 1, 12)
        for number, name in enumerate(DAYS):
            weekday = weekday.replace(name, str(number))
        self.weekday = weekday
        self.both = self.day.startswith("*") or weekday.startswith("*")
        self.names_day = cache(self.names_day)  # type: ignore[method-assign]

    def names_day(self, day: date) -> bool:
        """Whether the expression names that day: by its number or its weekday, or by both if one is `*`."""
        if day.month not in self.months:
            return False
        last = calendar.monthrange(day.year, day.month)[1]
        by_number = day.day == last if self.day == "L" else day.day in values(self.day, 1, 31)
        weekday = day.isoweekday() % 7
        if "#" in self.weekday:
            wanted, nth = self.weekday.split("#")
            by_weekday = weekday == int(wanted) and (day.day - 1) // 7 + 1 == int(nth)
        else:
            by_weekday = weekday in {number % 7 for number in values(self.weekday, 0, 7)}
        return (by_number and by_weekday) if self.both else (by_number or by_weekday)

    def names(self, local: datetime) -> bool:
        """Whether the expression names that minute on the wall."""
        return local.hour * 60 + local.minute in self.times and self.names_day(local.date())

    def ticks(self, watch: Watch) -> list[datetime]:
        """The instants within the watch, its first minute excepted, at which the expression ticks."""
        ticks = []
        reached = watch.minutes[0].local
        for instant, local, minute_of_day in watch.minutes[1:]:
            # Nearly every minute is the one after the one before, and none of those that are named.
            named = minute_of_day in self.times and self.names_day(local.date())
            if not self.is_fixed:
                due = named
            elif local <= reached:  # the clock has been put back
                due = False
            elif local - reached == MINUTE:
                due = named
            else:  # the clock has been put forward
                due = named or any(self.names(local - n * MINUTE) for n in range((local - reached) // MINUTE))
            if due:
                ticks.append(instant)
            reached = max(reached, local)
        return ticks


class Minute(NamedTuple):
    """One look at the clock: when, what it showed, and that without the date (0-1439)."""

    instant: datetime
    local: datetime
    minute_of_day: int


class Watch(NamedTuple):
    """What a wall clock showed, minute by minute."""

    zone: str
    change: datetime
    minutes: list[Minute]

    @property
    def begin(self) -> datetime:
        return self.minutes[0].instant

    @property
    def end(self) -> datetime:
        return self.minutes[-1].instant


def offset_changes(zone: str, first_year: int, last_year: int) -> Iterator[datetime]:
    """The first minute after every change of a zone's offset, found by asking every hour."""
    there = ZoneInfo(zone)
    instant = datetime(first_year, 1, 1, tzinfo=UTC)
    before = instant.astimezone(there).utcoffset()
    while instant.year <= last_year:
        instant += HOUR
        offset = instant.astimezone(there).utcoffset()
        if offset != before:
            minute = instant - HOUR
            while minute.astimezone(there).utcoffset() == before:
                minute += MINUTE
            yield minute
        before = offset


@lru_cache(maxsize=2)
def watch(zone: str, change: datetime, span: timedelta) -> Watch:
    """Look at the wall clock of a zone every minute, from `span` before a change to `span` after it."""
    there = ZoneInfo(zone)
    minutes = []
    for n in range(-(span // MINUTE), span // MINUTE + 1):
        instant = change + n * MINUTE
        local = instant.astimezone(there).replace(tzinfo=None)
        minutes.append(Minute(instant, local, local.hour * 60 + local.minute))
    return Watch(zone, change, minutes)
