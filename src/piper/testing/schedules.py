"""When a DAG would run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from piper.core.due import Cursor, due_runs, plan
from piper.model.schedule import RunDates, Schedule
from piper.sdk.specs import spec_of

if TYPE_CHECKING:
    from piper.sdk.dags import DAG

ROOM = 10_000
"""Most runs that are born at one moment."""

NEVER = datetime.max.replace(tzinfo=UTC)


def evaluate_schedule(dag: DAG, start: datetime, end: datetime) -> list[RunDates]:
    """The runs that a schedule would have made, of a DAG that is unpaused at `start` and watched until `end`.

    Each has a `logical_date`, an `interval` (with `start` and `end`) and the moment it is due, `run_after`. With
    catchup, the first moment makes the runs since the DAG's start date, too. Runs by assets are not foreseen.

    Arguments:
        start, end: aware.

    Raises:
        ValueError: they are not aware, or not in order.
        AuthorError: the DAG is not well formed.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end need a time zone: datetime(…, tzinfo=UTC)")
    if end < start:
        raise ValueError(f"the end, {end}, lies before the start, {start}")
    now = start.astimezone(UTC)
    schedule = _schedule_at(dag, now)
    cursor = plan(schedule, Cursor(), now)
    runs: list[RunDates] = []
    while True:
        due = due_runs(schedule, cursor, now, ROOM)
        runs += due.runs
        cursor = due.cursor
        following = cursor.next.run_after if cursor.next is not None else NEVER
        renewal = _renewal_of(schedule, now)
        if min(following, renewal) > end:
            return runs
        now = max(now, min(following, renewal))
        if renewal <= following:
            schedule = _schedule_at(dag, now)
            cursor = plan(schedule, cursor, now)


def _schedule_at(dag: DAG, now: datetime) -> Schedule:
    """The schedule as it would be published at that moment."""
    return spec_of(dag, file=dag.fileloc, now=now).schedule


def _renewal_of(schedule: Schedule, now: datetime) -> datetime:
    """When the schedule would be published again, since what a timetable of the author's has said runs out."""
    moment = schedule.refresh_after
    return moment if moment is not None and moment > now else NEVER
