"""Which runs are born: a schedule, a cursor and the time give runs to create and the next cursor.

A workflow's cursor holds the dates of the last run that time has called for and of the next one. It is
stored in its row and moves only in the transaction that creates the runs (correctness I1, I2), so no
date is lost and none is called for twice, however long nobody looked and whoever looks next. The
database refuses a second run for a date, as when a person has made one by hand; the cursor passes
it all the same, since it follows the calls and not the creations.

It only ever moves forward (I5): what is called for is later than the last, in logical date and in
time, whichever schedules the two belong to.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from piper.model.schedule import ContinuousTimetable, RunDates, Schedule
from piper.timetables import dates_after, has_dates, latest_dates, next_dates, time_part


class Cursor(Struct, frozen=True, omit_defaults=True):
    """How far a workflow has got with its schedule."""

    last: RunDates | None = None
    """The latest dates called for; None before the first."""
    next: RunDates | None = None
    """The dates to call for next; None if there are none, or none until something happens."""


class Due(Struct, frozen=True):
    """The dates to make runs for, in order, and the cursor to store with them."""

    runs: tuple[RunDates, ...]
    cursor: Cursor


def plan(schedule: Schedule, cursor: Cursor, now: datetime, unfinished: int = 0) -> Cursor:
    """The cursor of a workflow that is new (`Cursor()`), or whose schedule may have been edited.

    Arguments:
        unfinished: how many runs that time has called for have not ended; only `@continuous` asks.
    """
    if unfinished and _is_continuous(schedule):
        return Cursor(cursor.last)
    upcoming = next_dates(schedule, cursor.last, now)
    planned = cursor.next
    # A date that was planned and missed is not forgotten because the file was published again meanwhile:
    # without a start date, or after the end date, `next_dates` knows nothing of it.
    if planned is not None and has_dates(schedule, planned):
        is_earlier = upcoming is None or planned.run_after < upcoming.run_after
        upcoming = planned if is_earlier else upcoming
    return Cursor(cursor.last, upcoming)


def due_runs(schedule: Schedule, cursor: Cursor, now: datetime, room: int, unfinished: int = 0) -> Due:
    """The runs that are due at `now`, and the cursor after them.

    With catchup every date that is due, in order; without, only the latest. When `room` does not hold
    them all, the cursor's next is still due: call again when there is room.

    Arguments:
        room: how many runs may be created now, at most.
        unfinished: how many runs that time has called for have not ended. Only `@continuous` asks: it
            has no next date while one is unfinished, and should be asked again when that has ended.
    """
    if _is_continuous(schedule):
        cursor = plan(schedule, cursor, now, unfinished)
    first = cursor.next
    if first is None or first.run_after > now or room < 1:
        return Due((), cursor)
    if _is_continuous(schedule):
        return Due((first,), Cursor(first))
    if not schedule.catchup:
        latest = latest_dates(schedule, now)
        if latest is not None and latest.run_after > first.run_after:
            first = latest
        return Due((first,), Cursor(first, next(dates_after(schedule, first), None)))
    runs = [first]
    for dates in dates_after(schedule, first):
        if dates.run_after > now or len(runs) == room:
            return Due(tuple(runs), Cursor(runs[-1], dates))
        runs.append(dates)
    return Due(tuple(runs), Cursor(runs[-1]))


def _is_continuous(schedule: Schedule) -> bool:
    return isinstance(time_part(schedule.timetable), ContinuousTimetable)
