"""Cron expressions in a time zone.

CronSim parses the expression and says which local times it names; it is asked within one stretch of
constant offset at a time (`zones`), in naive local time, where nothing can be ambiguous. What happens
where the clock is put forward or back is decided here, by the rule of Debian's cron, which needs one
number: the local time that clocks had shown before the stretch began.

* A *fixed* expression (neither minutes nor hours begin with `*`) names local times, each of which is
  to happen once. It continues where the clocks had got to: times that a gap left out come at once,
  together, as one tick right after it; times that a fold shows again have had their tick.
* Any other names a rhythm, and follows real time: it begins with the first local time that the
  stretch really shows. Both passes of a fold tick, nothing in a gap does.

CronSim can do without this when given zone-aware datetimes, but then goes wrong where a gap is not
on the hour or is at midnight, when it starts within a fold, and backwards (the tests have examples).
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from cronsim import CronSim, CronSimError

from piper.model.errors import InvalidSchedule
from piper.model.schedule import CronTimetable
from piper.timetables.zones import MICROSECOND, SECOND, Stretch, stretches_back, stretches_from, zone

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Names that stand for a cron expression, and may be written in its place."""

FIELDS = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (the last day) or LW (the last weekday)",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 (0 and 7 are Sunday) or SUN-SAT, MON#2 (the second Monday) or 5L (the last Friday)",
}
"""The fields in CronSim's order, which has seconds first, and what may stand in them."""


def ticks_after(timetable: CronTimetable, moment: datetime) -> Iterator[datetime]:
    """Every tick after `moment` in order, each once, also where several expressions name it."""
    several = [_ticks_after(text, timetable.timezone, moment) for text in timetable.expressions]
    return several[0] if len(several) == 1 else _distinct(heapq.merge(*several))


def last_before_or_at(timetable: CronTimetable, moment: datetime) -> datetime | None:
    """The latest tick not after `moment`; None if there was none in the 50 years before."""
    several = (_last_before_or_at(text, timetable.timezone, moment) for text in timetable.expressions)
    return max((tick for tick in several if tick is not None), default=None)


def check(timetable: CronTimetable) -> None:
    """Raise InvalidSchedule unless the zone exists and every expression can be understood and ever fires."""
    zone(timetable.timezone)
    if not timetable.expressions:
        raise InvalidSchedule("a cron timetable needs at least one cron expression")
    for text in timetable.expressions:
        _read(text)


class _Expression(NamedTuple):
    """An expression as CronSim wants it, and which of the two rules above it obeys."""

    cronsim: str
    fixed: bool

    def opening(self, stretch: Stretch) -> datetime:
        """The first local time that counts in a stretch."""
        return stretch.shown if self.fixed else stretch.local(stretch.start)


def _ticks_after(text: str, zone_name: str, moment: datetime) -> Iterator[datetime]:
    expression = _read(text)
    for stretch in stretches_from(zone_name, moment):
        first, closing = stretch.local(stretch.start), stretch.local(stretch.end)
        after = expression.opening(stretch) - SECOND
        if stretch.start <= moment:
            after = max(after, stretch.local(moment))
        latest = None
        for local in CronSim(expression.cronsim, after):
            if local >= closing:
                break
            # Times left out by a gap come at its end, together.
            tick = stretch.instant(max(first, local))
            if tick != latest:
                yield tick
            latest = tick
        else:
            return  # CronSim has given up: nothing in the next 50 years


def _last_before_or_at(text: str, zone_name: str, moment: datetime) -> datetime | None:
    expression = _read(text)
    for stretch in stretches_back(zone_name, moment):
        latest = min(stretch.local(moment), stretch.local(stretch.end) - MICROSECOND)
        local = next(CronSim(expression.cronsim, latest.replace(microsecond=0) + SECOND, reverse=True), None)
        if local is None:
            return None
        if local >= expression.opening(stretch):
            return stretch.instant(max(local, stretch.local(stretch.start)))
    return None


def _distinct(ticks: Iterator[datetime]) -> Iterator[datetime]:
    latest = None
    for tick in ticks:
        if tick != latest:
            yield tick
        latest = tick


@lru_cache(maxsize=4096)
def _read(text: str) -> _Expression:
    fields = PRESETS.get(text, text).split()
    if len(fields) == 6:
        # Airflow writes seconds last, CronSim first. Such an expression always follows real time.
        fields = [fields[-1], *fields[:-1]]
    elif len(fields) != 5:
        raise InvalidSchedule(_wrong_shape(text))
    try:
        _parse(fields)
    except CronSimError as error:
        raise InvalidSchedule(_wrong_field(text, fields, str(error))) from None
    return _Expression(" ".join(fields), len(fields) == 5 and not fields[0].startswith("*") and fields[1][0] != "*")


def _parse(fields: list[str]) -> None:
    CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC))  # raises CronSimError; nobody asks it for ticks


def _wrong_shape(text: str) -> str:
    if text.startswith("@"):
        close = difflib.get_close_matches(text, [*PRESETS, "@once", "@continuous"], n=1)
        return f"{text!r} is not a preset" + (f"; did you mean {close[0]!r}?" if close else "")
    return (
        f"{text!r} is not a cron expression: it has {len(text.split())} fields, not the 5 of "
        "'minute hour day-of-month month day-of-week' (a sixth may give seconds)"
    )


def _wrong_field(text: str, fields: list[str], complaint: str) -> str:
    name = complaint.removeprefix("Bad ")
    allowed = FIELDS.get(name)
    if allowed is None:
        return f"{text!r} is not a cron expression: {complaint}"
    if name == "day-of-month":
        try:
            _parse([*fields[:-2], "*", fields[-1]])
        except CronSimError:
            pass
        else:
            return f"the cron expression {text!r} never fires: no month that it names has such a day"
    value = fields[list(FIELDS).index(name) - (6 - len(fields))]
    return f"{value!r} cannot be the {name} of the cron expression {text!r}: use {allowed}, *, lists, ranges, /steps"
