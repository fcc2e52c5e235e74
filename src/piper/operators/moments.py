"""Moments as authors give them to operators: aware or naive, as datetimes, times of day, text or days of a week."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Any


@enum.unique
class WeekDay(enum.IntEnum):
    """Days of the week, numbered as in ISO 8601."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7

    @classmethod
    def get_weekday_number(cls, week_day_str: str) -> WeekDay:
        """The day of that English name, in any case.

        Raises:
            AttributeError: there is none.
        """
        try:
            return cls[week_day_str.upper()]
        except KeyError:
            days = ", ".join(day.name.capitalize() for day in cls)
            raise AttributeError(f'Invalid Week Day passed: "{week_day_str}"; the days are {days}') from None

    @classmethod
    def convert(cls, day: str | WeekDay) -> int:
        """The number of a day."""
        return day if isinstance(day, WeekDay) else cls.get_weekday_number(day)

    @classmethod
    def validate_week_day(cls, week_day: str | WeekDay | Iterable[str] | Iterable[WeekDay]) -> set[int]:
        """The numbers of one day or several.

        Raises:
            TypeError: it is neither.
            AttributeError: a name is not a day's.
        """
        if isinstance(week_day, str | WeekDay):
            return {cls.convert(week_day)}
        if not isinstance(week_day, Iterable):
            raise TypeError(
                f"Unsupported Type for week_day parameter: {type(week_day)}. "
                f"It should be a name, a WeekDay, or an iterable of these"
            )
        return {cls.convert(day) for day in week_day}


def aware(moment: datetime, zone: tzinfo) -> datetime:
    """The moment in UTC; one without a zone is in `zone`."""
    return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)


def parse_moment(text: str, zone: tzinfo = UTC) -> datetime:
    """A moment from ISO text.

    Raises:
        ValueError: it is not a moment.
    """
    try:
        return aware(datetime.fromisoformat(text), zone)
    except ValueError:
        raise ValueError(f"{text!r} is not a moment: write it like 2026-01-31T06:30:00+01:00") from None


def moment_of_run(context: Any) -> datetime:
    """The logical date of the run, or, of a run without one, the moment from which it may run."""
    moment: datetime = context.get("logical_date") or context["dag_run"].run_after
    return moment
