"""The timetables that Piper knows: descriptions, which the scheduler follows without asking user code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from piper.model import schedule as data
from piper.sdk.arguments import duration, moment
from piper.sdk.exceptions import AirflowTimetableInvalid
from piper.sdk.timetables import BuiltInTimetable, Timetable, is_custom, zone_name

if TYPE_CHECKING:
    from piper.sdk.assets import BaseAsset


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
        from piper.sdk.assets import condition_of  # most DAGs have nothing to do with assets

        self.timetable = timetable
        self.asset_condition = condition_of(assets)
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


def is_relativedelta(value: Any) -> bool:
    return type(value).__name__ == "relativedelta" and hasattr(value, "leapdays")


def _elapsed(delta: Any) -> tuple[timedelta, int]:
    """(elapsed time, months) of a timedelta or relativedelta."""
    if isinstance(delta, timedelta):
        return delta, 0
    if not is_relativedelta(delta):
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
