"""Every so often: ticks at the anchor + n × the step, for every whole number n.

The anchor is the schedule's start date, or EPOCH where it has none. Airflow counts from whatever
moment its scheduler looks (with `catchup=False`), so that two workflows with the same `timedelta`
never have the same logical date and an ExternalTaskSensor between them waits for ever; counted from a
date that is written down they meet, and a restart changes nothing.

A step without months is elapsed time, to which time zones are nothing. One with months is a step on
the calendar of the timetable's zone: the same time of day there, and a day that a month lacks
becomes its last (31 January, 28 February, 31 March: each counted from the anchor, not from the tick
before, so that a short month leaves no trace).
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from piper.model.errors import InvalidSchedule
from piper.model.schedule import DeltaTimetable
from piper.timetables.zones import DAY, zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SHORTEST_MONTH = timedelta(days=28)


def ticks_after(timetable: DeltaTimetable, moment: datetime, anchor: datetime) -> Iterator[datetime]:
    """Every tick after `moment`, in order."""
    for n in count(_number_at(timetable, moment, anchor) + 1):
        yield step(timetable, anchor, n)


def last_before_or_at(timetable: DeltaTimetable, moment: datetime, anchor: datetime) -> datetime:
    """The latest tick not after `moment`."""
    return step(timetable, anchor, _number_at(timetable, moment, anchor))


def check(timetable: DeltaTimetable) -> None:
    """Raise InvalidSchedule unless every step leads forward and the zone exists."""
    zone(timetable.timezone)
    # A month is at least 28 days, and no clock is ever put forward by more than one.
    forward = timetable.months * SHORTEST_MONTH - DAY + timetable.every if timetable.months else timetable.every
    if timetable.months < 0 or forward <= timedelta(0):
        written = f"{timetable.months} months and {timetable.every}" if timetable.months else str(timetable.every)
        raise InvalidSchedule(f"the interval of a schedule must be positive, not {written}")


def step(timetable: DeltaTimetable, moment: datetime, n: int) -> datetime:
    """The moment `n` steps after `moment`, in UTC; before it when `n` is negative."""
    if not timetable.months:
        return moment + n * timetable.every
    there = zone(timetable.timezone)
    local = moment.astimezone(there).replace(tzinfo=None)
    year, month = divmod(local.year * 12 + local.month - 1 + n * timetable.months, 12)
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    local = local.replace(year=year, month=month + 1, day=day) + n * timetable.every
    # A local time in a gap is read by the clock before it and so lies after it; in a fold it is the first.
    return local.replace(tzinfo=there).astimezone(UTC)


def _number_at(timetable: DeltaTimetable, moment: datetime, anchor: datetime) -> int:
    """The greatest n whose tick is not after `moment`."""
    if not timetable.months:
        return (moment - anchor) // timetable.every
    n = (moment - anchor) // (timetable.months * timedelta(days=30.436875) + timetable.every)
    while step(timetable, anchor, n) > moment:
        n -= 1
    while step(timetable, anchor, n + 1) <= moment:
        n += 1
    return n
