"""When a DAG runs: timetables as authors write them.

The built-in ones are descriptions: `as_data` gives what the scheduler follows (`model.schedule`), and
`piper.timetables` knows what follows from it. A class of the author's own computes the next run in
Python (`next_dagrun_info`); the scheduler never calls that. The serializer's child does, ahead of time,
and publishes a table of ticks (`custom_timetables`).

Piper's defaults are those of Airflow 3: a cron expression is a moment, with a data interval of zero
length; `CronDataIntervalTimetable` has intervals. One thing differs: a timedelta counts from the start
date (in Airflow 3 from whatever moment the scheduler looks), so that two DAGs with the same schedule
have the same logical dates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from piper.model import schedule as data
from piper.model.errors import InvalidSchedule
from piper.sdk.arguments import duration, moment
from piper.sdk.exceptions import AirflowTimetableInvalid

if TYPE_CHECKING:
    from piper.sdk.assets import BaseAsset

# --- the words of custom timetables -------------------------------------------------------------


class DataInterval(NamedTuple):
    """The span of data that a run is about, `[start, end)`; both aware."""

    start: datetime
    end: datetime

    @classmethod
    def exact(cls, at: datetime) -> DataInterval:
        """A moment, as a span of zero length."""
        return cls(at, at)


class TimeRestriction(NamedTuple):
    """Bounds for logical dates, both inclusive, and whether missed ones are run."""

    earliest: datetime | None
    latest: datetime | None
    catchup: bool


class DagRunInfo(NamedTuple):
    """One run to be: not before `run_after`, about `data_interval`."""

    run_after: datetime
    data_interval: DataInterval | None
    partition_date: datetime | None = None
    partition_key: str | None = None

    @classmethod
    def exact(cls, at: datetime) -> DagRunInfo:
        """A run at a moment, about that moment."""
        return cls(at, DataInterval.exact(at))

    @classmethod
    def interval(cls, start: datetime, end: datetime) -> DagRunInfo:
        """A run about a span, right after its end."""
        return cls(end, DataInterval(start, end))

    @property
    def logical_date(self) -> datetime | None:
        """The start of the data interval."""
        return self.data_interval.start if self.data_interval else None


class Timetable:
    """When a DAG runs. Derive from it for a rule of your own, and implement `next_dagrun_info`.

    Example::

        class Workdays(Timetable):
            def next_dagrun_info(self, *, last_automated_data_interval, restriction):
                day = …
                return DagRunInfo.interval(start=day, end=day.add(days=1))

    The serializer calls it for the coming runs when the file is published; answers must not depend on
    anything but the arguments.
    """

    description: str = ""
    periodic: bool = True
    can_be_scheduled: bool = True
    active_runs_limit: int | None = None
    asset_condition: BaseAsset | None = None
    partitioned: bool = False
    run_ordering: tuple[str, ...] = ("data_interval_end", "logical_date")

    @property
    def summary(self) -> str:
        """What a person reads in a list."""
        return type(self).__name__

    def validate(self) -> None:
        """Raise AirflowTimetableInvalid if it cannot be followed. Called when the DAG is published."""

    def serialize(self) -> dict[str, Any]:
        """Accepted for Airflow's sake: Piper stores the table of ticks, not the object."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        """Accepted for Airflow's sake."""
        return cls()

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """What a run made by hand is about; by default the moment itself."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The run after the one about `last_automated_data_interval` (None: the first), or None if there is none."""
        raise NotImplementedError(f"{type(self).__name__} has no next_dagrun_info()")

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The same, given the last run whole."""
        last = last_dagrun_info.data_interval if last_dagrun_info is not None else None
        return self.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)


BaseTimetable = Timetable

_FAR = datetime(9999, 1, 1, tzinfo=UTC)
_ALWAYS_RIGHT = (data.NeverTimetable, data.OnceTimetable, data.ContinuousTimetable, data.AssetTimetable)


class BuiltInTimetable(Timetable):
    """A timetable that is a description: the scheduler follows it without this object."""

    def as_data(self, timezone: str) -> data.Timetable:
        """What the scheduler follows.

        Arguments:
            timezone: the DAG's, for timetables that do not name one.
        """
        raise NotImplementedError

    def validate(self) -> None:
        """Raise AirflowTimetableInvalid if the scheduler could not follow it."""
        timetable = self.as_data("UTC")
        if isinstance(timetable, _ALWAYS_RIGHT):
            return
        from piper.timetables import check  # only publication asks, and it loads a cron parser

        try:
            check(timetable)
        except InvalidSchedule as error:
            raise AirflowTimetableInvalid(str(error)) from None

    def validate_once(self) -> None:
        """`validate`, unless it has been found to be right: thousands of DAGs may share a timetable."""
        if "_valid" not in self.__dict__:
            self.validate()
            self.__dict__["_valid"] = True

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """What a run made by hand at that moment is about."""
        from piper.timetables import manual_interval

        found = manual_interval(self.as_data("UTC"), run_after)
        return DataInterval(found.start, found.end)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next run as the scheduler would have it, for classes that build upon this one."""
        from piper.timetables import dates_after, dates_between

        schedule = data.Schedule(self.as_data("UTC"), start=restriction.earliest, end=restriction.latest)
        if last_automated_data_interval is not None:
            start, end = last_automated_data_interval
            runs = dates_after(schedule, data.RunDates(start, data.DataInterval(start, end), end))
        elif restriction.earliest is not None:
            runs = dates_between(schedule, restriction.earliest, restriction.latest or _FAR)
        else:
            return None
        found = next(runs, None)
        if found is None:
            return None
        return DagRunInfo(found.run_after, DataInterval(found.interval.start, found.interval.end))


# --- built-in timetables ------------------------------------------------------------------------


class NullTimetable(BuiltInTimetable):
    """`schedule=None`: only when it is triggered."""

    can_be_scheduled = False
    periodic = False

    @property
    def summary(self) -> str:
        """Empty: there is no schedule."""
        return ""

    def as_data(self, timezone: str) -> data.Timetable:
        """Never."""
        return data.NeverTimetable()


class OnceTimetable(BuiltInTimetable):
    """`@once`: one run, at the start date."""

    periodic = False

    @property
    def summary(self) -> str:
        """The preset."""
        return "@once"

    def as_data(self, timezone: str) -> data.Timetable:
        """Once."""
        return data.OnceTimetable()


class ContinuousTimetable(BuiltInTimetable):
    """`@continuous`: the next run begins when the one before has ended."""

    active_runs_limit = 1

    @property
    def summary(self) -> str:
        """The preset."""
        return "@continuous"

    def as_data(self, timezone: str) -> data.Timetable:
        """One after the other."""
        return data.ContinuousTimetable()


class _Cron(BuiltInTimetable):
    def __init__(self, expressions: tuple[str, ...], timezone: str | tzinfo, **fields: Any) -> None:
        for expression in expressions:
            if not isinstance(expression, str):
                raise TypeError(f"expected a cron expression, not {expression!r}")
        self.timezone = zone_name(timezone)
        self._data = data.CronTimetable(expressions, timezone=self.timezone, **fields)

    @property
    def expression(self) -> str:
        """The cron expression; several with commas between."""
        return ", ".join(self._data.expressions)

    @property
    def summary(self) -> str:
        """The cron expression."""
        return self.expression

    def as_data(self, timezone: str) -> data.Timetable:
        """The expressions in their own time zone."""
        return self._data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.expression!r}, timezone={self.timezone!r})"


def _reach(interval: Any) -> dict[str, Any]:
    """`interval=`, if it is more than nothing: a default is not stored."""
    span = duration(interval)
    return {"interval": span} if span else {}


class CronTriggerTimetable(_Cron):
    """A run at each tick of a cron expression, about that moment. What a plain cron string means.

    Arguments:
        cron: five fields (a sixth may give seconds), or a preset such as `@daily`.
        timezone: IANA name or tzinfo.
        interval: how far back the data interval reaches from the tick.
        run_immediately: without a start date: whether the tick just past is run (True), or only if it
            is not older than this timedelta; else a tenth of the gap between ticks.
    """

    def __init__(
        self,
        cron: str,
        timezone: str | tzinfo = "UTC",
        *,
        interval: timedelta = timedelta(0),
        run_immediately: bool | timedelta | None = None,
    ) -> None:
        super().__init__((cron,), timezone, **_reach(interval), run_immediately=run_immediately or None)


class MultipleCronTriggerTimetable(_Cron):
    """A run at each moment that any of several cron expressions names.

    Arguments: as of `CronTriggerTimetable`.
    """

    def __init__(
        self,
        *crons: str,
        timezone: str | tzinfo,
        interval: timedelta = timedelta(0),
        run_immediately: bool | timedelta | None = None,
    ) -> None:
        if not crons:
            raise ValueError("cron expression required")
        super().__init__(crons, timezone, **_reach(interval), run_immediately=run_immediately or None)


class CronDataIntervalTimetable(_Cron):
    """A run after each interval between two ticks, about that interval: its logical date is the start.

    Arguments: as of `CronTriggerTimetable`.
    """

    def __init__(self, cron: str, timezone: str | tzinfo = "UTC") -> None:
        super().__init__((cron,), timezone, data_interval=True)


class _Delta(BuiltInTimetable):
    def __init__(self, delta: Any, interval: timedelta, *, data_interval: bool) -> None:
        self._delta = delta
        every, months = _elapsed(delta)
        self._data = data.DeltaTimetable(every=every, months=months, data_interval=data_interval, **_reach(interval))

    @property
    def summary(self) -> str:
        """The span in words."""
        return f"every {self._delta}"

    def as_data(self, timezone: str) -> data.Timetable:
        """The span; months are counted in the DAG's time zone."""
        from msgspec.structs import replace  # one line, few callers

        return replace(self._data, timezone=timezone) if timezone != "UTC" else self._data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._delta!r})"


class DeltaTriggerTimetable(_Delta):
    """A run every so often, counted from the start date, about that moment. What a timedelta means.

    Arguments:
        delta: a timedelta, or a dateutil relativedelta of months, days, hours and so on.
        interval: how far back the data interval reaches from the tick.
    """

    def __init__(self, delta: Any, *, interval: timedelta = timedelta(0)) -> None:
        super().__init__(delta, interval, data_interval=False)


class DeltaDataIntervalTimetable(_Delta):
    """A run after each span of that length, counted from the start date, about that span.

    Arguments:
        delta: as of `DeltaTriggerTimetable`.
    """

    def __init__(self, delta: Any) -> None:
        super().__init__(delta, timedelta(0), data_interval=True)


class EventsTimetable(BuiltInTimetable):
    """A run at each of these moments.

    Arguments:
        event_dates: the moments; naive ones are UTC.
        restrict_to_events: a run made by hand is about the latest of them rather than about now.
        presorted: accepted; they are put in order in any case.
        description: for people.
    """

    def __init__(
        self,
        event_dates: Iterable[datetime],
        *,
        restrict_to_events: bool = False,
        presorted: bool = False,
        description: str | None = None,
    ) -> None:
        self.event_dates = sorted({moment(date) for date in event_dates})
        self.restrict_to_events = restrict_to_events
        self.description = description or self.summary

    @property
    def summary(self) -> str:
        """How many there are."""
        return f"{len(self.event_dates)} events"

    def as_data(self, timezone: str) -> data.Timetable:
        """The moments."""
        return data.EventsTimetable(
            tuple(self.event_dates), restrict_to_events=self.restrict_to_events, description=self.description
        )


class AssetTriggeredTimetable(BuiltInTimetable):
    """A run when events have arrived that fulfil a condition on assets. What `schedule=[assets]` means."""

    can_be_scheduled = True
    periodic = False

    def __init__(self, assets: BaseAsset) -> None:
        self.asset_condition = assets

    @property
    def summary(self) -> str:
        """That assets decide."""
        return "Asset"

    def as_data(self, timezone: str) -> data.Timetable:
        """The condition."""
        return data.AssetTimetable(self.condition())

    def condition(self) -> data.AssetCondition:
        """The condition on assets, as data."""
        return cast("BaseAsset", self.asset_condition).condition()


class AssetOrTimeSchedule(BuiltInTimetable):
    """Runs by time and, besides, whenever a condition on assets is fulfilled.

    Arguments:
        timetable: when, by time.
        assets: an asset, several (all must have events), or an expression.
    """

    def __init__(self, *, timetable: Timetable, assets: Any) -> None:
        if not isinstance(timetable, Timetable):
            raise TypeError(f"timetable must be a timetable, not {timetable!r}")
        self.timetable = timetable
        self.asset_condition = asset_condition(assets)
        self.active_runs_limit = timetable.active_runs_limit

    @property
    def summary(self) -> str:
        """Both parts."""
        return f"Asset or {self.timetable.summary}"

    def validate(self) -> None:
        """Raise AirflowTimetableInvalid if the time part cannot be followed."""
        self.timetable.validate()

    def as_data(self, timezone: str) -> data.Timetable:
        """Both parts; of a custom timetable the caller fills in the table."""
        inner = self.timetable
        custom = is_custom(inner) or not isinstance(inner, BuiltInTimetable)
        part = data.NeverTimetable() if custom else cast("BuiltInTimetable", inner).as_data(timezone)
        if isinstance(part, data.AssetTimetable | data.AssetOrTimeTimetable):
            raise AirflowTimetableInvalid(f"{self.timetable!r} is not a timetable by time")
        return data.AssetOrTimeTimetable(part, self.condition())

    def condition(self) -> data.AssetCondition:
        """The condition on assets, as data."""
        return cast("BaseAsset", self.asset_condition).condition()


# --- from schedule= to a timetable --------------------------------------------------------------


def as_timetable(schedule: Any, timezone: tzinfo) -> Timetable:
    """The timetable that `DAG(schedule=…)` means.

    Raises:
        ValueError: it is none of the things that a schedule can be.
    """
    if schedule is None:
        return NullTimetable()
    if isinstance(schedule, str):
        return _named_timetable(schedule, zone_name(timezone))
    if isinstance(schedule, Timetable):
        return schedule
    if isinstance(schedule, timedelta) or _is_relativedelta(schedule):
        return DeltaTriggerTimetable(schedule)
    if (condition := _condition_or_none(schedule)) is not None:
        return AssetTriggeredTimetable(condition)
    raise ValueError(
        f"{schedule!r} is not a valid schedule: give a cron expression, a preset such as '@daily', a timedelta, "
        "a timetable, an asset or a list of assets"
    )


@lru_cache(maxsize=1024)
def _named_timetable(name: str, timezone: str) -> Timetable:
    if name == "@once":
        return OnceTimetable()
    if name == "@continuous":
        return ContinuousTimetable()
    return CronTriggerTimetable(name, timezone)


def asset_condition(assets: Any) -> BaseAsset:
    """An asset, a collection of assets (all of them), or an expression, as one condition.

    Raises:
        ValueError: something in there is no asset.
    """
    found = _condition_or_none(assets)
    if found is None:
        raise ValueError(f"expected an asset, a list of assets or an expression of assets, not {assets!r}")
    return found


def _condition_or_none(assets: Any) -> BaseAsset | None:
    from piper.sdk.assets import AssetAll, BaseAsset  # most DAGs have nothing to do with assets

    if isinstance(assets, BaseAsset):
        return assets
    if isinstance(assets, Collection) and not isinstance(assets, str | dict):
        if not all(isinstance(one, BaseAsset) for one in assets):
            raise ValueError("All elements in 'schedule' should be either assets, asset references, or asset aliases")
        if assets:
            return AssetAll(*assets)
    return None


def zone_name(timezone: str | tzinfo) -> str:
    """The name that `piper.timetables` knows a time zone by: IANA, or an offset such as `+05:30`."""
    if isinstance(timezone, str):
        return timezone
    if timezone is UTC:
        return "UTC"
    name = getattr(timezone, "key", None) or getattr(timezone, "zone", None)
    if isinstance(name, str):
        return name
    offset = timezone.utcoffset(datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=timezone))
    if not offset:
        return "UTC"
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _is_relativedelta(value: Any) -> bool:
    return type(value).__name__ == "relativedelta" and hasattr(value, "leapdays")


def _elapsed(delta: Any) -> tuple[timedelta, int]:
    """(elapsed time, months) of a timedelta or relativedelta."""
    if isinstance(delta, timedelta):
        return delta, 0
    if not _is_relativedelta(delta):
        raise TypeError(f"expected a timedelta or a relativedelta, not {delta!r}")
    absolute = ("year", "month", "day", "weekday", "hour", "minute", "second", "microsecond")
    if delta.leapdays or any(getattr(delta, name) is not None for name in absolute):
        raise ValueError(f"{delta!r} is not a span: use the plural names (days=, hours=…), or a cron expression")
    every = timedelta(
        days=delta.days,
        hours=delta.hours,
        minutes=delta.minutes,
        seconds=delta.seconds,
        microseconds=delta.microseconds,
    )
    return every, delta.years * 12 + delta.months


def is_custom(timetable: Timetable) -> bool:
    """Whether user code has to be asked when it runs."""
    kind = type(timetable)
    if not isinstance(timetable, BuiltInTimetable):
        return True
    return (
        kind.next_dagrun_info is not BuiltInTimetable.next_dagrun_info
        or kind.next_dagrun_info_v2 is not Timetable.next_dagrun_info_v2
    )
