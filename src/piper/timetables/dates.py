"""From ticks to the dates of runs, within a schedule's bounds.

What a tick means differs by kind. A *trigger* timetable's run is about the tick itself, reaching back
by `interval`; its start and end dates bound the ticks. With `data_interval` the run at a tick is about
the span since the tick before, which is also its logical date and what start and end bound. (All as
Airflow has it.)
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import dropwhile, takewhile

from piper.model.schedule import (
    AssetOrTimeTimetable,
    AssetTimetable,
    ContinuousTimetable,
    CronTimetable,
    CustomTimetable,
    DataInterval,
    DeltaTimetable,
    EventsTimetable,
    NeverTimetable,
    OnceTimetable,
    RunDates,
    Schedule,
    Timetable,
    TimeTimetable,
)
from piper.timetables import cron, delta, events
from piper.timetables.delta import EPOCH
from piper.timetables.zones import MICROSECOND

LEAST_PATIENCE = timedelta(minutes=5)


def time_part(timetable: Timetable) -> TimeTimetable:
    """The part of a timetable that time has a say in."""
    match timetable:
        case AssetOrTimeTimetable():
            return timetable.timetable
        case AssetTimetable():
            return NeverTimetable()
        case _:
            return timetable


# --- ticks --------------------------------------------------------------------------------------


def ticks_after(timetable: Timetable, moment: datetime, anchor: datetime = EPOCH) -> Iterator[datetime]:
    """Every tick after `moment`, in order; of a delta timetable those counted from `anchor`."""
    match time_part(timetable):
        case CronTimetable() as part:
            return cron.ticks_after(part, moment)
        case DeltaTimetable() as part:
            return delta.ticks_after(part, moment, anchor)
        case EventsTimetable() as part:
            return events.ticks_after(part, moment)
        case CustomTimetable() as part:
            return (row.run_after for row in events.rows_after(part, moment))
        case _:
            return iter(())


def first_after(timetable: Timetable, moment: datetime, anchor: datetime = EPOCH) -> datetime | None:
    """The first tick after `moment`, if there is one."""
    return next(ticks_after(timetable, moment, anchor), None)


def last_before_or_at(timetable: Timetable, moment: datetime, anchor: datetime = EPOCH) -> datetime | None:
    """The latest tick not after `moment`, if there is one."""
    match time_part(timetable):
        case CronTimetable() as part:
            return cron.last_before_or_at(part, moment)
        case DeltaTimetable() as part:
            return delta.last_before_or_at(part, moment, anchor)
        case EventsTimetable() as part:
            return events.last_before_or_at(part, moment)
        case CustomTimetable() as part:
            row = events.last_row_before_or_at(part, moment)
            return row.run_after if row else None
        case _:
            return None


# --- dates of runs ------------------------------------------------------------------------------


def next_dates(schedule: Schedule, last: RunDates | None, now: datetime) -> RunDates | None:
    """The dates of the run that comes after `last`, or of the first run; None when there is none.

    With catchup it is the one that follows; without, the latest of those that are due. What comes
    later than `last` in logical date and in time is all that may be answered, also when `last` was
    made by another schedule, so that an edit never runs a date again. For `@continuous`, call it when the
    last run has ended.
    """
    match time_part(schedule.timetable):
        case NeverTimetable():
            return None
        case OnceTimetable():
            dates = _exact(schedule.start or now) if last is None else None
            return dates if dates and _is_in_time(schedule, dates) else None
        case ContinuousTimetable():
            return _continuation(schedule, last, now)
    first = next(dates_after(schedule, last), None) if last else _first_dates(schedule, now)
    if first is None or schedule.catchup or first.run_after > now:
        return first
    latest = _latest(schedule, now)
    if latest is None or latest.run_after <= first.run_after:
        return first
    return latest if _is_in_time(schedule, latest) else None


def dates_after(schedule: Schedule, last: RunDates) -> Iterator[RunDates]:
    """The dates of every run that is to follow `last`, in order, within the schedule's bounds."""
    moment = last.run_after
    if schedule.start is not None:
        moment = max(moment, schedule.start - MICROSECOND)
    for dates in _runs_after(schedule, moment):
        if not _is_in_time(schedule, dates):
            return
        if dates.logical_date > last.logical_date and not _is_early(schedule, dates):
            yield dates


def latest_dates(schedule: Schedule, now: datetime) -> RunDates | None:
    """The dates of the latest run that is due at `now`, none later than the schedule's end."""
    latest = _latest(schedule, now)
    if latest is None or schedule.end is None or _is_in_time(schedule, latest):
        return latest
    if isinstance(part := time_part(schedule.timetable), CustomTimetable):
        return next((row for row in reversed(part.ticks) if row.logical_date <= schedule.end), None)
    # The run of the last tick within the bound; where runs are about spans, it is due a tick later.
    limit = first_after(part, schedule.end, _anchor(schedule)) if _is_about_spans(part) else schedule.end
    return _latest(schedule, limit) if limit else None


def dates_between(schedule: Schedule, start: datetime, end: datetime) -> Iterator[RunDates]:
    """The dates of every run from `start` to `end`, both inclusive, in order: what a backfill runs.

    The schedule's own bounds do not count here (start still anchors intervals). Runs that are not
    due yet (`run_after`) are answered, too. Nothing unless the timetable has ticks.
    """
    asked = Schedule(timetable=schedule.timetable, start=start, end=end)
    runs = _runs_after(schedule, start - MICROSECOND)
    return takewhile(lambda dates: _is_in_time(asked, dates), dropwhile(lambda dates: _is_early(asked, dates), runs))


def has_dates(schedule: Schedule, dates: RunDates) -> bool:
    """Whether a timetable with ticks has a run with exactly these dates, within the schedule's bounds."""
    if _is_early(schedule, dates) or not _is_in_time(schedule, dates):
        return False
    return next(_runs_after(schedule, dates.run_after - MICROSECOND), None) == dates


def manual_interval(timetable: Timetable, run_after: datetime) -> DataInterval:
    """What a run that somebody starts at `run_after` is about: the latest complete span, or the moment."""
    match time_part(timetable):
        case CronTimetable(data_interval=True) as part:
            end = cron.last_before_or_at(part, run_after) or run_after
            return DataInterval(cron.last_before_or_at(part, end - MICROSECOND) or end, end)
        case DeltaTimetable(data_interval=True) as part:
            return DataInterval(delta.step(part, run_after, -1), run_after)
        case CronTimetable() | DeltaTimetable() as part:
            return DataInterval(run_after - part.interval, run_after)
        case EventsTimetable() as part:
            return events.manual_interval(part, run_after)
        case CustomTimetable() as part:
            row = events.last_row_before_or_at(part, run_after)
            return row.interval if row else DataInterval(run_after, run_after)
        case _:
            return DataInterval(run_after, run_after)


def following_interval(schedule: Schedule, interval: DataInterval) -> DataInterval | None:
    """The interval of the run after the one about `interval`, bounds aside (what LatestOnly asks)."""
    about_spans = _is_about_spans(time_part(schedule.timetable))
    for dates in _runs_after(schedule, interval.end):
        if not about_spans or dates.interval.start >= interval.end:
            return dates.interval
    return None


# --- in detail ----------------------------------------------------------------------------------


def _anchor(schedule: Schedule) -> datetime:
    return schedule.start or EPOCH


def _exact(moment: datetime) -> RunDates:
    return RunDates(moment, DataInterval(moment, moment), moment)


def _is_about_spans(part: TimeTimetable) -> bool:
    return isinstance(part, CronTimetable | DeltaTimetable) and part.data_interval


def _bounded(schedule: Schedule, dates: RunDates) -> datetime:
    """The moment of a run that start and end dates bound."""
    match time_part(schedule.timetable):
        case CronTimetable(data_interval=False) | DeltaTimetable(data_interval=False) | ContinuousTimetable():
            return dates.run_after
        case _:
            return dates.logical_date


def _is_early(schedule: Schedule, dates: RunDates) -> bool:
    return schedule.start is not None and _bounded(schedule, dates) < schedule.start


def _is_in_time(schedule: Schedule, dates: RunDates) -> bool:
    return schedule.end is None or _bounded(schedule, dates) <= schedule.end


def _runs_after(schedule: Schedule, moment: datetime) -> Iterator[RunDates]:
    """The dates of every run that is due after `moment`, bounds aside, in order."""
    part = time_part(schedule.timetable)
    match part:
        case CustomTimetable():
            return events.rows_after(part, moment)
        case CronTimetable(data_interval=True) | DeltaTimetable(data_interval=True):
            return _spans_after(part, moment, _anchor(schedule))
        case CronTimetable() | DeltaTimetable():
            reach = part.interval
            return (
                RunDates(begin := tick - reach, DataInterval(begin, tick), tick)
                for tick in ticks_after(part, moment, _anchor(schedule))
            )
        case _:
            return map(_exact, ticks_after(part, moment))


def _spans_after(part: TimeTimetable, moment: datetime, anchor: datetime) -> Iterator[RunDates]:
    """Span after span, each beginning where the one before ended."""
    begin = last_before_or_at(part, moment, anchor)
    for tick in ticks_after(part, moment, anchor):
        if begin is not None:
            yield RunDates(begin, DataInterval(begin, tick), tick)
        begin = tick


def _latest(schedule: Schedule, moment: datetime) -> RunDates | None:
    """The dates of the latest run that is due at `moment`, bounds aside."""
    tick = last_before_or_at(schedule.timetable, moment, _anchor(schedule))
    return next(_runs_after(schedule, tick - MICROSECOND), None) if tick else None


def _first_dates(schedule: Schedule, now: datetime) -> RunDates | None:
    """The dates of the first run of all, without regard to catchup."""
    part = time_part(schedule.timetable)
    since = schedule.start
    if isinstance(part, EventsTimetable) and not schedule.catchup:
        since = max(since or now, now)  # events that were over when the workflow came are none of its business
    if since is None:
        match part:
            case CronTimetable(data_interval=False):
                since = _first_tick(part, now)
            case CronTimetable() | DeltaTimetable():
                # The span that is just complete, or the moment that has just passed.
                latest = _latest(schedule, now)
                since = _bounded(schedule, latest) if latest else now
            case _:
                since = datetime.min.replace(tzinfo=now.tzinfo) + timedelta(days=1)
    asked = Schedule(timetable=schedule.timetable, start=since)
    runs = dropwhile(lambda dates: _is_early(asked, dates), _runs_after(schedule, since - MICROSECOND))
    first = next(runs, None)
    return first if first and _is_in_time(schedule, first) else None


def _first_tick(part: CronTimetable, now: datetime) -> datetime:
    """Of a workflow without a start date: the tick just past, if it is not long past, or else the next.

    "Not long" is a span that the author has given, or a tenth of the way to the next, and five minutes
    at least. (Airflow documents False as "never the one past" and treats it as None; so do we.)
    """
    past, following = cron.last_before_or_at(part, now), next(cron.ticks_after(part, now), None)
    if past is None or following is None:
        return past or following or now
    if part.run_immediately is True:
        return past
    patience = part.run_immediately or max((following - past) / 10, LEAST_PATIENCE)
    return past if now - past <= patience else following


def _continuation(schedule: Schedule, last: RunDates | None, now: datetime) -> RunDates | None:
    """The next run of `@continuous`: about what has passed since the one before."""
    begin = schedule.start or now
    if last is not None:
        # A first run without a start date is about a moment, which the second may not have for its date, too.
        since = max(last.interval.end, last.logical_date + MICROSECOND)
        begin = max(since, schedule.start or since)
    end = max(begin, now)
    dates = RunDates(begin, DataInterval(begin, end), end)
    return dates if _is_in_time(schedule, dates) else None
