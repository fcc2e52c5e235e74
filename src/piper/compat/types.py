"""Small things that code imports from here and there in Airflow."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

import pendulum

from piper.sdk.execution.time_limit import time_limit
from piper.sdk.placeholders import NOTSET

ArgNotSet = type(NOTSET)
TIMEZONE = pendulum.UTC


def is_arg_set(value: Any) -> bool:
    """Whether an argument was given."""
    return value is not NOTSET


class TaskInstanceKey(NamedTuple):
    """What a task instance is known by."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int = 1
    map_index: int = -1


class DagRunTriggeredByType(Enum):
    """Who made a run."""

    CLI = "cli"
    OPERATOR = "operator"
    REST_API = "rest_api"
    UI = "ui"
    TEST = "test"
    TIMETABLE = "timetable"
    ASSET = "asset"
    BACKFILL = "backfill"


@contextmanager
def timeout(seconds: float = 1, error_message: str = "Timeout") -> Iterator[None]:
    """Raise AirflowTaskTimeout in the block when it takes longer."""
    from datetime import timedelta  # one caller

    with time_limit(timedelta(seconds=seconds)):
        yield


def get_hostname() -> str:
    """Name of the machine."""
    return socket.gethostname()


def to_boolean(astring: str | None) -> bool:
    """Whether a text means yes."""
    return str(astring).lower() in {"on", "t", "true", "y", "yes", "1"}
