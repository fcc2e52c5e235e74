"""Names of Airflow's metadata database. They can be imported, since annotations and old code do; nothing is behind.

User code has no database in Piper, as it has none in Airflow 3: a worker is told what it needs, and asks the Task
API for the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Never, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

ID_LEN = 250
NEW_SESSION: Any = None


def refuse(what: str) -> Never:
    """There is no database.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(
        f"{what} needs Airflow's metadata database: Direct database access via the ORM is not allowed in user code. "
        "Use the context (dag_run, ti), Variable and Connection, or the REST API"
    )


class _Refusing(type):
    """A class of which nothing can be had."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        refuse(f"{cls.__name__}.{name}")

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        refuse(cls.__name__)


class Base(metaclass=_Refusing):
    """Base of all tables."""


class Callback(Base):
    """A callback that waits."""


class DagModel(Base):
    """A DAG."""


class DagTag(Base):
    """A DAG's tag."""


class DagWarning(Base):
    """A warning about a DAG."""


class DBDagBag(Base):
    """DAGs that were stored."""


class DbCallbackRequest(Base):
    """A callback that waits."""


class Deadline(Base):
    """A deadline that waits."""


class HITLDetail(Base):
    """A question to a person."""


class Job(Base):
    """A process."""


class Log(Base):
    """A line of the audit log."""


class Pool(Base):
    """A pool."""


class RenderedTaskInstanceFields(Base):
    """Fields as they were rendered."""


class TaskInstanceHistory(Base):
    """An earlier try."""


class TaskReschedule(Base):
    """A sensor's wait."""


class Team(Base):
    """A team."""


class Trigger(Base):
    """A trigger that waits."""


class Session(Base):
    """A session."""


def clear_task_instances(*arguments: Any, **named: Any) -> Never:
    """Refused."""
    refuse("clear_task_instances")


def configure_orm(*arguments: Any, **named: Any) -> None:
    """Nothing to configure."""


def initdb(*arguments: Any, **named: Any) -> None:
    """Nothing to set up."""


def resetdb(*arguments: Any, **named: Any) -> None:
    """Nothing to reset."""


def create_session(*arguments: Any, **named: Any) -> Never:
    """Refused."""
    refuse("create_session")


def provide_session(function: Function) -> Function:
    """A function that wants a session: it can be defined, and called with a session of one's own."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if named.get("session") is None:
            refuse(f"{function.__name__}(), which wants a session")
        return function(*arguments, **named)

    return call  # type: ignore[return-value]
