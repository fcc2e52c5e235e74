"""What a backfill is about, and what it does with each date: values in, values out.

A backfill's dates follow from its schedule, its range and the moment when it was asked for, and from nothing
else: whoever expands it, and however often that is begun again, walks the same list. Its cursor is the logical
date of the last one dealt with. It is stored in the transaction that makes the runs, as a schedule's is (I2),
so a crash neither skips a date nor deals with one twice.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from operator import attrgetter

from msgspec import Struct

from piper.model.backfill import Fate, Reprocess
from piper.model.errors import Conflict, Invalid
from piper.model.nearest import did_you_mean
from piper.model.schedule import ContinuousTimetable, NeverTimetable, OnceTimetable, RunDates, Schedule
from piper.model.spec import Json, WorkflowSpec
from piper.model.states import RunState, RunType
from piper.timetables import dates_between, time_part

_logical_date = attrgetter("logical_date")

_WITHOUT_DATES: Mapping[type, str] = {
    NeverTimetable: "has no schedule by time",
    OnceTimetable: "runs once",
    ContinuousTimetable: "runs continuously",
}


EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between these every time zone and every timetable can compute."""


class Wish(Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    from_date: datetime
    to_date: datetime
    """Inclusive."""
    reprocess: Reprocess
    backwards: bool
    conf: Mapping[str, Json]


def refuse(spec: WorkflowSpec, wish: Wish, now: datetime) -> None:
    """Whether this can be done at all.

    Raises:
        Conflict: the workflow takes no backfill, or not such a one.
        Invalid: the range or a param is wrong.
    """
    workflow = f"workflow {spec.workflow_id!r}"
    without = _WITHOUT_DATES.get(type(time_part(spec.schedule.timetable)))
    if without is not None:
        raise Conflict(f"{workflow} {without}, so that there are no dates to fill: start a run of it by hand")
    if spec.allowed_run_types and RunType.BACKFILL not in spec.allowed_run_types:
        allowed = ", ".join(spec.allowed_run_types)
        raise Conflict(f"{workflow} takes no backfill: its author allows {allowed} runs")
    for moment in (wish.from_date, wish.to_date):
        if not EARLIEST <= moment <= LATEST:
            raise Invalid(f"{moment.isoformat()} is not a date to fill: a range lies between 1900 and 9000")
    if wish.from_date > wish.to_date:
        raise Invalid(f"the range ends before it begins: from {_shown(wish.from_date)} to {_shown(wish.to_date)}")
    if wish.from_date > now:
        raise Invalid(f"the range begins in the future, at {_shown(wish.from_date)}: no date in it is due yet")
    past = next((task.task_id for task in spec.tasks if task.depends_on_past or task.wait_for_downstream), None)
    if past is not None and wish.backwards:
        raise Conflict(f"task {past!r} of {workflow} depends on its past: fill the range forwards")
    if past is not None and wish.reprocess is Reprocess.NONE:
        raise Conflict(
            f"task {past!r} of {workflow} depends on its past, so that no date may be passed over: "
            "reprocess failed or completed runs"
        )
    unknown = [name for name in wish.conf if spec.params and name not in spec.params]
    if unknown:
        raise Invalid(f"{workflow} has no param {unknown[0]!r}{did_you_mean(unknown[0], spec.params)}")


def dates_to_fill(schedule: Schedule, from_date: datetime, to_date: datetime, due_at: datetime) -> Iterable[RunDates]:
    """The dates in a range, earliest first, that were due when the backfill was asked for.

    The schedule's own start and end do not bound it: a range before the start date is what a backfill is for.
    """
    first, last = from_date.astimezone(UTC), to_date.astimezone(UTC)  # timetables compute with moments in UTC
    return takewhile(lambda dates: dates.run_after <= due_at, dates_between(schedule, first, last))


def all_dates(schedule: Schedule, wish: Wish, due_at: datetime, limit: int) -> list[RunDates]:
    """Every date of a backfill, in the order in which they are dealt with.

    Raises:
        Invalid: there are none, or more than `limit`.
    """
    found = list(islice(dates_to_fill(schedule, wish.from_date, wish.to_date, due_at), limit + 1))
    between = f"from {_shown(wish.from_date)} to {_shown(wish.to_date)}"
    if not found:
        raise Invalid(f"the schedule has no date {between} that is due by now")
    if len(found) > limit:
        raise Invalid(
            f"there are more than {limit} dates {between}: fill a shorter range, or raise the setting "
            "core.backfill_limit"
        )
    return found[::-1] if wish.backwards else found


def following(dates: Sequence[RunDates], cursor: datetime | None, *, backwards: bool, limit: int) -> list[RunDates]:
    """The next dates to deal with, at most `limit`.

    Arguments:
        dates: all of them, earliest first.
        cursor: the logical date of the last one dealt with.
    """
    if backwards:
        end = len(dates) if cursor is None else bisect_left(dates, cursor, key=_logical_date)
        return list(reversed(dates[max(0, end - limit) : end]))
    begin = 0 if cursor is None else bisect_right(dates, cursor, key=_logical_date)
    return list(dates[begin : begin + limit])


def fate_of(existing: RunState | None, reprocess: Reprocess) -> Fate:
    """What is done about a date (airflow-semantics §3.22).

    Arguments:
        existing: the state of the run that the date has; None if it has none.
    """
    if existing is None:
        return Fate.CREATE
    if not existing.finished:
        return Fate.IN_FLIGHT
    if reprocess is Reprocess.COMPLETED or (reprocess is Reprocess.FAILED and existing is RunState.FAILED):
        return Fate.RERUN
    return Fate.EXISTS


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
