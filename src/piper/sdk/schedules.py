"""From `schedule=` to a timetable."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from functools import lru_cache
from typing import Any

from piper.sdk.built_in_timetables import (
    AssetTriggeredTimetable,
    ContinuousTimetable,
    CronTriggerTimetable,
    DeltaTriggerTimetable,
    NullTimetable,
    OnceTimetable,
    is_relativedelta,
)
from piper.sdk.timetables import Timetable, zone_name


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
    if isinstance(schedule, timedelta) or is_relativedelta(schedule):
        return DeltaTriggerTimetable(schedule)
    from piper.sdk.assets import condition_or_none  # most DAGs have nothing to do with assets

    if (condition := condition_or_none(schedule)) is not None:
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
