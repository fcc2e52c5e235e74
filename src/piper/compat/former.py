"""What Airflow 1 and 2 had and no module has now. Only the table of former names leads here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from tempfile import TemporaryDirectory as TemporaryDirectory
from typing import Any, TypeVar

import pendulum

from piper.operators.empty import EmptyOperator
from piper.sdk.built_in_timetables import AssetOrTimeSchedule
from piper.sdk.configuration import conf
from piper.sdk.timetables import Timetable

Init = TypeVar("Init", bound=Callable[..., Any])

INSTEAD = {
    "DatasetOrTimeSchedule": "airflow.timetables.assets.AssetOrTimeSchedule",
    "DummyOperator": "airflow.providers.standard.operators.empty.EmptyOperator",
    "TemporaryDirectory": "tempfile.TemporaryDirectory",
    "apply_defaults": "nothing: operators apply their defaults by themselves",
    "days_ago": "a fixed start_date, or pendulum.today('UTC').subtract(days=n)",
    "get": "airflow.configuration.conf.get",
    "getboolean": "airflow.configuration.conf.getboolean",
    "getfloat": "airflow.configuration.conf.getfloat",
    "getint": "airflow.configuration.conf.getint",
    "date_range": "a timetable, or pendulum.interval(start, end).range('days')",
    "is_venv_installed": "nothing: Piper has no virtual environments yet, and answers no",
    "parse_execution_date": "airflow.sdk.timezone.parse",
    "round_time": "the methods of pendulum's DateTime, as start_of('hour')",
}
"""What to use now."""

get, getboolean, getfloat, getint = conf.get, conf.getboolean, conf.getfloat, conf.getint


class DatasetOrTimeSchedule(AssetOrTimeSchedule):
    """AssetOrTimeSchedule, when assets were called datasets."""

    def __init__(self, *, timetable: Timetable, datasets: Any) -> None:
        super().__init__(timetable=timetable, assets=datasets)


def is_venv_installed() -> bool:
    """Whether a task can have a virtual environment: not in Piper, so that a file leaves such tasks out."""
    return False


class DummyOperator(EmptyOperator):
    """EmptyOperator, as it was called."""


def apply_defaults(function: Init) -> Init:
    """The function itself: it decorated `__init__` of operators."""
    return function


def days_ago(n: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0) -> datetime:
    """A moment of the day `n` days ago, in UTC."""
    return pendulum.now("UTC").replace(hour=hour, minute=minute, second=second, microsecond=microsecond) - timedelta(
        days=n
    )


def date_range(
    start_date: datetime, end_date: datetime | None = None, num: int | None = None, delta: timedelta | None = None
) -> list[datetime]:
    """Moments from a start, up to an end or so many, each `delta` after the one before (by default a day)."""
    step = delta or timedelta(days=1)
    if num is not None:
        return [start_date + i * step for i in range(num)]
    last = end_date or pendulum.now("UTC")
    moments = []
    while start_date <= last:
        moments.append(start_date)
        start_date += step
    return moments


def parse_execution_date(execution_date_str: str) -> pendulum.DateTime:
    """A date from text."""
    from piper.sdk.timezone import parse  # asked for by few

    return parse(execution_date_str)


def round_time(dt: datetime, delta: timedelta, start_date: datetime | None = None) -> datetime:
    """The latest moment not after `dt` that is a whole number of `delta`s after a start."""
    start = start_date or dt.replace(hour=0, minute=0, second=0, microsecond=0)
    return start + ((dt - start) // delta) * delta
