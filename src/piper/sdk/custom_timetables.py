"""Timetables of an author's own, as data.

The scheduler never runs user code. The serializer's child asks a custom timetable for its coming runs
when the file is published, and again before they run out; what the scheduler sees is the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from piper.model import schedule as data
from piper.sdk.arguments import moment
from piper.sdk.exceptions import AirflowTimetableInvalid
from piper.sdk.importing import path_of
from piper.sdk.timetables import DagRunInfo, DataInterval, TimeRestriction, Timetable

MOST_TICKS = 5000
"""Rows of a table. A timetable that ticks every minute has as many in three days."""

MOST_STEPS = 20_000
"""Calls of user code for one table."""


class Window(NamedTuple):
    """The span of a table: from `begin` to `until`, made anew at `refresh`."""

    begin: datetime
    until: datetime
    refresh: datetime


def tabulate(
    timetable: Timetable,
    restriction: TimeRestriction,
    *,
    now: datetime,
    after: DataInterval | None = None,
) -> data.CustomTimetable:
    """A custom timetable's runs around `now`, as data.

    The table reaches from the month before to the month after the next one, or if that is too much
    from the day before to the day after. It depends on the month (the day) of `now` only, so that a
    file published twice gives the same spec. With catchup it begins at the first run, or goes on from
    `after`, and ends where it is full.

    Arguments:
        restriction: the DAG's bounds.
        after: go on from the run about this interval rather than from the beginning.

    Raises:
        AirflowTimetableInvalid: an answer is not a run, its dates do not advance, or it ticks too often.
    """
    for window in _windows(now):
        rows: list[data.RunDates] = []
        for row in _ask(timetable, restriction, window.begin, after):
            if row.run_after > window.until:
                return _table(timetable, rows, window.refresh)
            if restriction.catchup or row.run_after >= window.begin:
                rows.append(row)
            if len(rows) == MOST_TICKS:
                break
        else:
            return _table(timetable, rows, window.refresh)
        if restriction.catchup:
            return _table(timetable, rows, rows[MOST_TICKS // 2].run_after)
    raise AirflowTimetableInvalid(f"{type(timetable).__name__} ticks more than {MOST_TICKS} times in three days")


def _windows(now: datetime) -> tuple[Window, Window]:
    """A wide window and a narrow one."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = timedelta(days=1)
    month = today.replace(day=1)
    following = (month + 31 * day).replace(day=1)
    return (
        Window((month - day).replace(day=1), (following + 62 * day).replace(day=1), following),
        Window(today - day, today + 2 * day, today + day),
    )


def _table(timetable: Timetable, rows: list[data.RunDates], refresh: datetime) -> data.CustomTimetable:
    return data.CustomTimetable(
        timetable=path_of(type(timetable)),
        ticks=tuple(rows),
        refresh_after=refresh,
        description=timetable.description or timetable.summary,
        active_runs_limit=timetable.active_runs_limit,
    )


def _ask(
    timetable: Timetable, restriction: TimeRestriction, begin: datetime, after: DataInterval | None
) -> Iterator[data.RunDates]:
    """The runs that user code names, one after the other.

    Every run since the start date is asked for, also without catchup: a rule such as "every third
    workday" needs its beginning. One that ticks so often that this would take too long is asked from
    `begin` on instead.
    """
    bounds = TimeRestriction(_for_user(restriction.earliest), _for_user(restriction.latest), True)
    if restriction.earliest is None:
        bounds = bounds._replace(catchup=restriction.catchup)
    last = DagRunInfo(after.end, DataInterval(*map(_for_user, after))) if after is not None else None
    previous: data.RunDates | None = None
    for step in range(MOST_STEPS):
        found = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=bounds)
        if found is None:
            return
        row = _row(timetable, found, previous)
        if step == MOST_STEPS // 2 and row.run_after < begin:
            bounds, last, previous = bounds._replace(earliest=_for_user(begin)), None, None
            continue
        yield row
        last, previous = found, row


def _row(timetable: Timetable, answer: Any, previous: data.RunDates | None) -> data.RunDates:
    name = type(timetable).__name__
    if not hasattr(answer, "data_interval"):
        raise AirflowTimetableInvalid(f"{name}.next_dagrun_info() must return a DagRunInfo or None, not {answer!r}")
    interval = answer.data_interval
    if interval is None:
        raise AirflowTimetableInvalid(
            f"{name}: a run without a data interval needs partitions, which Piper has not yet"
        )
    moments = [answer.run_after, interval.start, interval.end]
    if any(one.tzinfo is None for one in moments):
        raise AirflowTimetableInvalid(f"{name}: {answer!r} has a date without a time zone")
    run_after, start, end = map(moment, moments)
    if previous is not None and (start <= previous.logical_date or run_after <= previous.run_after):
        raise AirflowTimetableInvalid(
            f"{name}.next_dagrun_info() does not advance: after {previous.logical_date} it answers {start}"
        )
    return data.RunDates(start, data.DataInterval(start, end), run_after)


def manual_interval(timetable: Timetable, run_after: datetime) -> data.DataInterval:
    """What a run made by hand at that moment is about, by the author's own rule."""
    found = timetable.infer_manual_data_interval(run_after=_for_user(run_after))
    return data.DataInterval(moment(found.start), moment(found.end))


def _for_user(at: datetime | None) -> Any:
    """A date as Airflow hands it to timetables: pendulum's, whose `add` and `start_of` they use."""
    import pendulum  # only publication of a custom timetable needs it

    return None if at is None else pendulum.instance(at)
