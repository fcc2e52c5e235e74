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

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from piper.model import schedule as data
from piper.model.errors import InvalidSchedule
from piper.sdk.exceptions import AirflowTimetableInvalid

if TYPE_CHECKING:
    from piper.sdk.assets import BaseAsset


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


def is_custom(timetable: Timetable) -> bool:
    """Whether user code has to be asked when it runs."""
    kind = type(timetable)
    if not isinstance(timetable, BuiltInTimetable):
        return True
    return (
        kind.next_dagrun_info is not BuiltInTimetable.next_dagrun_info
        or kind.next_dagrun_info_v2 is not Timetable.next_dagrun_info_v2
    )
