"""Ticks that are written down: a list of events, or a custom timetable's table.

A custom timetable is user code, so the serializer's child asks it beforehand, up to a horizon; what
arrives here is data. When the table has run out there is no next tick until a longer one is published.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from itertools import islice, pairwise
from operator import attrgetter

from piper.model.errors import InvalidSchedule
from piper.model.schedule import CustomTimetable, DataInterval, EventsTimetable, RunDates

run_after = attrgetter("run_after")


def ticks_after(timetable: EventsTimetable, moment: datetime) -> Iterator[datetime]:
    """Every event after `moment`, in order."""
    return islice(timetable.dates, bisect_right(timetable.dates, moment), None)


def last_before_or_at(timetable: EventsTimetable, moment: datetime) -> datetime | None:
    """The latest event not after `moment`, if there is one."""
    position = bisect_right(timetable.dates, moment)
    return timetable.dates[position - 1] if position else None


def manual_interval(timetable: EventsTimetable, moment: datetime) -> DataInterval:
    """What a manual run is about: the moment, or if it may only be an event, the latest (or the first)."""
    if timetable.restrict_to_events and timetable.dates:
        moment = last_before_or_at(timetable, moment) or timetable.dates[0]
    return DataInterval(moment, moment)


def rows_after(timetable: CustomTimetable, moment: datetime) -> Iterator[RunDates]:
    """The rows of the table that are due after `moment`, in order."""
    return islice(timetable.ticks, bisect_right(timetable.ticks, moment, key=run_after), None)


def last_row_before_or_at(timetable: CustomTimetable, moment: datetime) -> RunDates | None:
    """The latest row of the table that is due at `moment`, if there is one."""
    position = bisect_right(timetable.ticks, moment, key=run_after)
    return timetable.ticks[position - 1] if position else None


def check(timetable: EventsTimetable | CustomTimetable) -> None:
    """Raise InvalidSchedule unless the moments are in order, and no two are the same."""
    if isinstance(timetable, EventsTimetable):
        for one, other in pairwise(timetable.dates):
            if one >= other:
                raise InvalidSchedule(f"the events of a schedule must be in order and distinct: {one}, then {other}")
        return
    for before, after in pairwise(timetable.ticks):
        if before.run_after >= after.run_after or before.logical_date >= after.logical_date:
            raise InvalidSchedule(f"{timetable.timetable} must give each run a later date: {before}, then {after}")
