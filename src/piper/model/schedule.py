"""When a workflow runs, as data. What follows from it is computed by `piper.timetables`.

A schedule is one timetable (a tagged union: the `type` field of the JSON names which). Custom
timetables are user code, so what the scheduler sees of them is a table of ticks that the
serializer's child computed (`CustomTimetable`).

Intervals are half open, `[start, end)`. Every moment is an aware datetime in UTC; time zones appear
only as IANA names inside a timetable.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct


class DataInterval(Struct, frozen=True, array_like=True):
    """The span of data that a run is about: `[start, end)`; zero length where a run is about a moment."""

    start: datetime
    end: datetime


class RunDates(Struct, frozen=True, array_like=True):
    """The dates of one scheduled run."""

    logical_date: datetime
    interval: DataInterval
    run_after: datetime
    """Not before this moment."""


class NeverTimetable(Struct, frozen=True, tag="never"):
    """`schedule=None`: only people, programs and other workflows start it."""


class OnceTimetable(Struct, frozen=True, tag="once"):
    """`@once`: one run at the start date, or at the moment it is first seen."""


class ContinuousTimetable(Struct, frozen=True, tag="continuous"):
    """`@continuous`: the next run begins when the one before has ended."""


class CronTimetable(Struct, frozen=True, tag="cron", omit_defaults=True):
    """One or more cron expressions in one time zone; a moment that any of them names is a tick.

    With `data_interval` the run of a tick is about the span since the tick before and its logical
    date is that span's start (Airflow 2's default, `CronDataIntervalTimetable`); without, the run is
    about the moment itself, reaching back by `interval` (`CronTriggerTimetable`, Airflow 3's default).
    """

    expressions: tuple[str, ...]
    timezone: str = "UTC"
    data_interval: bool = False
    interval: timedelta = timedelta(0)
    run_immediately: bool | timedelta | None = None
    """Without a start date: whether the tick just past is run (a span: if it is not older than that)."""


class DeltaTimetable(Struct, frozen=True, tag="delta", omit_defaults=True):
    """Every so often, counted from the start date: `months` by the calendar, then `every`."""

    every: timedelta = timedelta(0)
    months: int = 0
    data_interval: bool = False
    interval: timedelta = timedelta(0)
    timezone: str = "UTC"


class EventsTimetable(Struct, frozen=True, tag="events", omit_defaults=True):
    """A list of moments, in order."""

    dates: tuple[datetime, ...]
    restrict_to_events: bool = False
    """A manual run takes the latest listed moment as its date rather than its own."""
    description: str = ""


class CustomTimetable(Struct, frozen=True, tag="custom", omit_defaults=True):
    """A user's timetable class, tabulated at publication up to a horizon.

    `ticks` are in order; the serializer is asked for more when `refresh_after` has come.
    """

    timetable: str
    ticks: tuple[RunDates, ...] = ()
    refresh_after: datetime | None = None
    description: str = ""
    active_runs_limit: int | None = None


class AssetKey(Struct, frozen=True, tag="asset", omit_defaults=True):
    """An asset, by name, by uri, or by both (a reference gives one and leaves the other empty)."""

    name: str = ""
    uri: str = ""


class AssetAliasKey(Struct, frozen=True, tag="alias"):
    """An alias: whatever assets have been attached to it at run time."""

    name: str


class AssetAll(Struct, frozen=True, tag="all"):
    """Fulfilled when every part is."""

    parts: tuple[AssetCondition, ...]


class AssetAny(Struct, frozen=True, tag="any"):
    """Fulfilled when one part is."""

    parts: tuple[AssetCondition, ...]


AssetCondition = AssetKey | AssetAliasKey | AssetAll | AssetAny


def keys_of(condition: AssetCondition | None) -> Iterator[AssetKey | AssetAliasKey]:
    """The assets and aliases that a condition is about."""
    if isinstance(condition, AssetAll | AssetAny):
        for part in condition.parts:
            yield from keys_of(part)
    elif condition is not None:
        yield condition


class AssetTimetable(Struct, frozen=True, tag="assets"):
    """A run begins when events have arrived that fulfil the condition."""

    condition: AssetCondition


TimeTimetable = (
    NeverTimetable
    | OnceTimetable
    | ContinuousTimetable
    | CronTimetable
    | DeltaTimetable
    | EventsTimetable
    | CustomTimetable
)


class AssetOrTimeTimetable(Struct, frozen=True, tag="assets_or_time"):
    """Runs by time and, besides, whenever the asset condition is fulfilled."""

    timetable: TimeTimetable
    condition: AssetCondition


Timetable = TimeTimetable | AssetTimetable | AssetOrTimeTimetable


class Schedule(Struct, frozen=True, omit_defaults=True):
    """A timetable and the bounds within which it is followed."""

    timetable: Timetable = NeverTimetable()
    start: datetime | None = None
    """No logical date before this moment."""
    end: datetime | None = None
    """No logical date after this moment (inclusive)."""
    catchup: bool = False
    """Whether every tick since `start` is run, or only the latest one missed."""
    summary: str = ""
    """What a person reads in a list: the cron expression, the preset, "every 2 hours"."""

    @property
    def refresh_after(self) -> datetime | None:
        """When a timetable of the author's is to be asked again, since what it has said runs out; None if never."""
        timetable = self.timetable.timetable if isinstance(self.timetable, AssetOrTimeTimetable) else self.timetable
        return timetable.refresh_after if isinstance(timetable, CustomTimetable) else None
