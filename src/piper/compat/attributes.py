"""Attributes of DAGs, runs and task instances in Airflow 1 and 2, as values derived from today's.

They are asked for only where there is no such attribute today, so that they cost nothing elsewhere. Those that the
metadata database answered are there too, and say when they are called that user code has none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from piper.compat.database import refuse

if TYPE_CHECKING:
    from piper.model.schedule import Timetable
    from piper.sdk.dags import DAG

Former = dict[str, tuple[str, Callable[[Any], Any]]]
"""Attribute → what to use now, and how its value is made."""


def _timetable(dag: DAG) -> Timetable:
    from piper.sdk.specs import spec_of  # asked for by few

    return spec_of(dag, file=dag.fileloc).schedule.timetable


def _following_schedule(dag: DAG, dttm: datetime) -> datetime | None:
    """The first moment of a DAG's schedule after another."""
    from piper import timetables  # asked for by few

    return timetables.first_after(_timetable(dag), dttm, dag.start_date or timetables.EPOCH)


def _previous_schedule(dag: DAG, dttm: datetime) -> datetime | None:
    """The last moment of a DAG's schedule before another."""
    from piper import timetables  # asked for by few

    return timetables.last_before_or_at(
        _timetable(dag), dttm - timedelta(microseconds=1), dag.start_date or timetables.EPOCH
    )


def _seconds(ti: Any) -> float | None:
    return (ti.end_date - ti.start_date).total_seconds() if ti.end_date and ti.start_date else None


DAG_ATTRIBUTES: Former = {
    "concurrency": ("max_active_tasks", lambda dag: dag.max_active_tasks),
    "filepath": ("fileloc", lambda dag: dag.fileloc),
    "following_schedule": ("data_interval_end of the context", lambda dag: partial(_following_schedule, dag)),
    "full_filepath": ("fileloc", lambda dag: dag.fileloc),
    "is_subdag": ("nothing: there are no subdags", lambda dag: False),
    "normalized_schedule_interval": ("schedule", lambda dag: dag.schedule),
    "parent_dag": ("nothing: there are no subdags", lambda dag: None),
    "previous_schedule": ("data_interval_start of the context", lambda dag: partial(_previous_schedule, dag)),
    "schedule_interval": ("schedule", lambda dag: dag.schedule),
    "subdags": ("nothing: there are no subdags", lambda dag: []),
}
RUN_ATTRIBUTES: Former = {
    "execution_date": ("logical_date", lambda run: run.logical_date),
    "external_trigger": ("run_type == DagRunType.MANUAL", lambda run: run.run_type.value == "manual"),
    "id": ("run_id", lambda run: run.run_id),
    "is_backfill": ("run_type == DagRunType.BACKFILL", lambda run: run.run_type.value == "backfill"),
}
INSTANCE_ATTRIBUTES: Former = {
    "duration": ("end_date - start_date", lambda ti: _seconds(ti)),
    "execution_date": ("dag_run.logical_date", lambda ti: ti.dag_run.logical_date),
    "get_dagrun": ("dag_run", lambda ti: lambda session=None: ti.dag_run),
    "job_id": ("nothing: tasks have no jobs", lambda ti: None),
    "log": ("logging.getLogger(__name__)", lambda ti: logging.getLogger("airflow.task")),
    "test_mode": ("nothing: a task is not told", lambda ti: False),
}
FORMER = {"DAG": DAG_ATTRIBUTES, "DagRun": RUN_ATTRIBUTES, "TaskInstance": INSTANCE_ATTRIBUTES}
IN_THE_DATABASE = {
    "DAG": (
        "clear",
        "get_active_runs",
        "get_dagrun",
        "get_is_paused",
        "get_last_dagrun",
        "get_num_active_runs",
        "get_task_instances",
        "is_active",
        "is_paused",
        "latest_execution_date",
        "run",
    ),
    "DagRun": (
        "find",
        "get_dag",
        "get_previous_dagrun",
        "get_state",
        "get_task_instance",
        "get_task_instances",
        "refresh_from_db",
        "set_state",
        "update_state",
    ),
    "TaskInstance": (
        "are_dependencies_met",
        "current_state",
        "get_previous_execution_date",
        "previous_ti",
        "refresh_from_db",
        "set_state",
    ),
}
"""What needs Airflow's database, and says so when it is called."""


def value_of(owner: object, kind: str, name: str) -> tuple[str, Any] | None:
    """What to use now, and the value that a former attribute has; None if it is none. Of the database: when called."""
    if name in IN_THE_DATABASE[kind]:
        return "", lambda *_, **__: refuse(f"{kind}.{name}")
    former = FORMER[kind].get(name)
    return (former[0], former[1](owner)) if former is not None else None
