"""The arguments of a DAG: their names, types and words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from piper.model.spec import ComputeMode
from piper.model.states import RunType
from piper.sdk.arguments import Callbacks


class DagArguments(TypedDict, total=False):
    """Arguments of a DAG.

    :param description: one line about it.
    :param schedule: when it runs: a cron expression, a preset (`@daily`), a timedelta, a timetable,
        an asset, a list or expression of assets; None: only when it is triggered.
    :param start_date: no logical date before; its time zone is that of the schedule. Naive: UTC.
    :param end_date: no logical date after.
    :param default_args: defaults of its tasks' arguments.
    :param template_searchpath: folders where template files are looked for, beside the file's own.
    :param template_undefined: Jinja class for names that a template asks for in vain; default: an error.
    :param user_defined_macros: names for its templates.
    :param user_defined_filters: filters for its templates.
    :param max_active_tasks: most task instances in flight per run.
    :param max_active_runs: most runs at a time.
    :param max_consecutive_failed_dag_runs: after so many failed runs in a row it is paused; 0: never.
    :param dagrun_timeout: a run that takes longer fails.
    :param sla_miss_callback: no effect (removed in Airflow 3).
    :param catchup: run every tick since `start_date`, not only the latest.
    :param on_success_callback: called with the context when a run has succeeded.
    :param on_failure_callback: called with the context when a run has failed.
    :param deadline: alerts for runs that are late.
    :param doc_md: documentation as Markdown, or the name of a file that ends in `.md`.
    :param params: parameters of its runs.
    :param access_control: roles and what they may do with it.
    :param is_paused_upon_creation: whether it begins paused.
    :param jinja_environment_kwargs: arguments of the Jinja environment of its templates.
    :param render_template_as_native_obj: templates give Python objects rather than text.
    :param tags: words to find it by, of at most 100 characters.
    :param owner_links: owner → link.
    :param auto_register: whether `with DAG(...)` registers it with its file.
    :param fail_fast: end all running tasks when one has failed.
    :param allowed_run_types: the only types of runs that may be made.
    :param dag_display_name: the name that people see.
    :param disable_bundle_versioning: run cleared tasks with the newest code.
    :param rerun_with_latest_version: the same, for reruns; None: as the bundle's kind has it.
    :param freshness: upstream tables and how late each may be, `{"sales": timedelta(hours=2)}` (Piper).
    :param compute_mode: in which data centres it runs: single, chosen, dual (Piper).
    :param compute_centres: the chosen ones (Piper).
    """

    description: str | None
    schedule: Any
    start_date: datetime | None
    end_date: datetime | None
    default_args: Mapping[str, Any] | None
    template_searchpath: str | Iterable[str] | None
    template_undefined: Any
    user_defined_macros: Mapping[str, Any] | None
    user_defined_filters: Mapping[str, Any] | None
    max_active_tasks: int | None
    max_active_runs: int | None
    max_consecutive_failed_dag_runs: int | None
    dagrun_timeout: timedelta | None
    sla_miss_callback: Any
    catchup: bool
    on_success_callback: Callbacks
    on_failure_callback: Callbacks
    deadline: Any
    doc_md: str | None
    params: Mapping[str, Any] | None
    access_control: Mapping[str, Any] | None
    is_paused_upon_creation: bool | None
    jinja_environment_kwargs: Mapping[str, Any] | None
    render_template_as_native_obj: bool
    tags: Collection[str] | None
    owner_links: Mapping[str, str] | None
    auto_register: bool
    fail_fast: bool
    allowed_run_types: RunType | str | Collection[RunType | str] | None
    dag_display_name: str | None
    disable_bundle_versioning: bool
    rerun_with_latest_version: bool | None
    freshness: Mapping[str, timedelta]
    compute_mode: ComputeMode | str
    compute_centres: Collection[str]


DAG_ARGUMENTS = frozenset(DagArguments.__annotations__)

KINDS: dict[str, tuple[type, ...]] = {
    "description": (str,),
    "max_active_tasks": (int,),
    "max_active_runs": (int,),
    "max_consecutive_failed_dag_runs": (int,),
    "dagrun_timeout": (timedelta,),
    "catchup": (bool,),
    "doc_md": (str,),
    "dag_display_name": (str,),
    "user_defined_macros": (Mapping,),
    "user_defined_filters": (Mapping,),
    "owner_links": (Mapping,),
    "params": (Mapping,),
    "freshness": (Mapping,),
}
