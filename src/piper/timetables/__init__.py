"""When: what follows from a schedule, as a pure function of moments.

A timetable is, first of all, a set of *ticks*: instants in UTC, each a moment at which a run becomes
due. The modules `cron`, `delta` and `events` answer two questions about them, the first after a moment
and the latest not after it, and everything else is made of those two. `dates` turns ticks into the dates
of runs (logical date, data interval, due moment), within a schedule's start and end. `zones` is what
all that is said of local time rests on.

What holds (correctness I2-I5), and the tests that show it:

* Ticks strictly increase, and both questions see the same ticks: walking back from any answer leads
  through the same moments. So data intervals are longer than nothing, and each begins where the one
  before ended, across any change of clocks.
* A local time is not an instant: in autumn one has two, in spring some have none. Nothing here
  computes with a local time that has not been placed in a stretch of constant offset first.
* Nothing depends on where a computation began: a tick is a tick whether one looks the minute before or
  after an outage of ten years. There is no limit to how many may have been missed.
* `next_dates` never answers a date that is not later than the last one, whoever made that.

No clock, no I/O but the time zone data that Python ships or the system has; `now` is an argument.
"""

from __future__ import annotations

import difflib
from datetime import timedelta

from piper.model.errors import InvalidSchedule
from piper.model.schedule import (
    ContinuousTimetable,
    CronTimetable,
    CustomTimetable,
    DeltaTimetable,
    EventsTimetable,
    OnceTimetable,
    Timetable,
    TimeTimetable,
)
from piper.timetables import cron, delta, events
from piper.timetables.cron import PRESETS
from piper.timetables.dates import (
    dates_after,
    dates_between,
    first_after,
    following_interval,
    has_dates,
    last_before_or_at,
    latest_dates,
    manual_interval,
    next_dates,
    ticks_after,
    time_part,
)
from piper.timetables.delta import EPOCH
from piper.timetables.zones import zone

__all__ = [
    "EPOCH",
    "PRESETS",
    "check",
    "dates_after",
    "dates_between",
    "first_after",
    "following_interval",
    "has_dates",
    "last_before_or_at",
    "latest_dates",
    "manual_interval",
    "next_dates",
    "preset",
    "ticks_after",
    "time_part",
    "zone",
]


def check(timetable: Timetable) -> None:
    """Whether a timetable can be followed.

    Raises:
        InvalidSchedule: a cron expression has a wrong field or never fires, a time zone does not
            exist, an interval is not positive, or moments are not in order.
    """
    part = time_part(timetable)
    match part:
        case CronTimetable():
            cron.check(part)
        case DeltaTimetable():
            delta.check(part)
        case EventsTimetable() | CustomTimetable():
            events.check(part)
    if isinstance(part, CronTimetable | DeltaTimetable) and part.interval < timedelta(0):
        raise InvalidSchedule(f"a run cannot reach forward: its interval is {part.interval}, which is negative")


def preset(name: str, timezone: str = "UTC") -> TimeTimetable:
    """The timetable that a name such as `@daily` stands for, as `schedule="@daily"` means it.

    Raises:
        InvalidSchedule: there is no such preset; the message has the nearest one.
    """
    match name:
        case "@once":
            return OnceTimetable()
        case "@continuous":
            return ContinuousTimetable()
        case _ if name in PRESETS:
            return CronTimetable((PRESETS[name],), timezone=timezone)
    known = ["@once", "@continuous", *PRESETS]
    close = difflib.get_close_matches(name, known, n=1)
    raise InvalidSchedule(
        f"{name!r} is not a preset; " + (f"did you mean {close[0]!r}?" if close else ", ".join(known))
    )
