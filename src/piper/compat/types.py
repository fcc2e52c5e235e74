"""Small things that code imports from here and there in Airflow."""

from __future__ import annotations

import secrets
import socket
import string
import subprocess
from collections.abc import Iterator, Mapping, Sequence
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


def execute_in_subprocess(cmd: Sequence[str], cwd: str | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a program; what it prints goes where the task's own lines go.

    Raises:
        CalledProcessError: it ended with another exit code than 0.
    """
    subprocess.run(cmd, cwd=cwd, env=env, check=True)


def get_random_string(length: int = 8, choices: str = string.ascii_letters + string.digits) -> str:
    """Letters that nobody guesses."""
    return "".join(secrets.choice(choices) for _ in range(length))


def to_boolean(astring: str | None) -> bool:
    """Whether a text means yes."""
    return str(astring).lower() in {"on", "t", "true", "y", "yes", "1"}
