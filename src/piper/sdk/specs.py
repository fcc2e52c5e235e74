"""From what an author wrote to what is stored: `spec_of`.

Only what was given is looked at; defaults are the defaults of the spec. What goes wrong here is the
author's to mend, so each error says the task, the argument, the file and the line.

Tasks are in `task_specs`; this module has what concerns the whole: order, schedule, params, groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from piper.model import schedule as data
from piper.model.check import check_workflow, topological_order
from piper.model.errors import AuthorError, InvalidSpec
from piper.model.spec import (
    EdgeLabel,
    FreshnessSpec,
    GroupSpec,
    Json,
    ParamSpec,
    SourceLocation,
    WorkflowSpec,
)
from piper.sdk.built_in_timetables import AssetOrTimeSchedule
from piper.sdk.custom_timetables import tabulate
from piper.sdk.data import NotData, to_data
from piper.sdk.group import MappedTaskGroup, TaskGroup
from piper.sdk.params import Param
from piper.sdk.place import line_of
from piper.sdk.placeholders import NOTSET
from piper.sdk.schemas import OperatorSchema, schema_of
from piper.sdk.spelling import did_you_mean
from piper.sdk.task_fields import Surroundings, doc_of
from piper.sdk.task_specs import class_of, task_spec
from piper.sdk.timetables import BuiltInTimetable, TimeRestriction, Timetable, is_custom, zone_name
from piper.sdk.weights import priorities

if TYPE_CHECKING:
    from piper.sdk.abstract_operator import AbstractOperator
    from piper.sdk.dags import DAG


def spec_of(dag: DAG, *, file: str, now: datetime | None = None) -> WorkflowSpec:
    """The stored form of a DAG.

    Arguments:
        file: the file that makes it, relative to its bundle's root.
        now: the moment from which a custom timetable is asked for its coming runs; by default now.

    Raises:
        InvalidSpec, InvalidSchedule: it is not well formed; with file and line.
    """
    source = SourceLocation(file, line_of(dag._place))
    try:
        tasks = _in_order(dag)
        weights = priorities(tasks)
        around = Surroundings(dag, file)
        specs = tuple([task_spec(task, around, weights[task.task_id]) for task in tasks])
        spec = WorkflowSpec(dag.dag_id, source, tasks=specs, **_fields(dag, tasks, now))
        check_workflow(spec)
    except AuthorError as error:
        if error.file is None:
            error.file, error.line = source.file, error.line or source.line or None
        raise
    except Exception as error:
        raise InvalidSpec(f"workflow {dag.dag_id!r}: {error}", file=source.file, line=source.line or None) from error
    return spec


def operator_schemas(dags: Iterable[DAG]) -> dict[str, OperatorSchema]:
    """Dotted path → description of every operator that these DAGs use."""
    classes = {class_of(task) for dag in dags for task in dag.task_dict.values()}
    schemas = (schema_of(operator) for operator in classes)
    return {schema.path: schema for schema in sorted(schemas, key=lambda schema: schema.path)}


def _in_order(dag: DAG) -> list[AbstractOperator]:
    """The tasks, each after those that it waits for; as they were written, where that is so already."""
    seen: set[str] = set()
    for task_id, task in dag.task_dict.items():
        if not task.upstream_task_ids <= seen:
            break
        seen.add(task_id)
    else:
        return list(dag.task_dict.values())
    for task in dag.task_dict.values():
        for unknown in task.upstream_task_ids - dag.task_dict.keys():
            hint = did_you_mean(unknown, dag.task_dict)
            raise InvalidSpec(
                f"task {task.task_id!r} waits for {hint}, which is not in {dag.dag_id!r}",
                line=line_of(task._task_place),
            )
    written = {task_id: position for position, task_id in enumerate(dag.task_dict)}
    upstream = {
        task_id: sorted(task.upstream_task_ids, key=written.__getitem__) for task_id, task in dag.task_dict.items()
    }
    lines = {task_id: line_of(task._task_place) for task_id, task in dag.task_dict.items()}
    return [dag.task_dict[task_id] for task_id in topological_order(upstream, lines)]


def _fields(dag: DAG, tasks: list[AbstractOperator], now: datetime | None) -> dict[str, Any]:
    """What a workflow has beside its tasks; where the DAG has a default, so has the spec."""
    given = dag.__dict__
    fields: dict[str, Any] = {field: given[name] for name, field in _SAME.items() if given.get(name) is not None}
    schedule = _schedule_of(dag, tasks, now)
    if schedule != _NEVER:
        fields["schedule"] = schedule
    if dag.timezone is not UTC:
        fields["timezone"] = zone_name(dag.timezone)
    owner = dag.owner
    if owner not in ("airflow", ""):
        fields["owner"] = owner
    if dag.tags:
        fields["tags"] = tuple(sorted(dag.tags))
    if dag.has_params:
        fields["params"] = {name: _param_spec(name, param) for name, param in dag.params.items()}
    if any(isinstance(child, TaskGroup) for child in dag.task_group.children.values()):
        fields["groups"] = tuple(_group_spec(group) for group in dag.task_group_dict.values())
    if dag.edge_info:
        fields["edge_labels"] = _edge_labels(dag)
    callbacks = tuple(name for name in ("success", "failure") if getattr(dag, f"on_{name}_callback"))
    if callbacks:
        fields["callbacks"] = callbacks
    if result := [task.task_id for task in tasks if task.returns_dag_result]:
        fields["result_task"] = _only(dag, result)
    if dag.allowed_run_types:
        fields["allowed_run_types"] = tuple(sorted(dag.allowed_run_types))
    if dag.deadline:
        fields["deadlines"] = tuple(alert.as_data() for alert in dag.deadline)
    if dag.access_control:
        fields["access_control"] = _access_control(dag.access_control)
    if dag.freshness:
        fields["freshness"] = tuple(FreshnessSpec(table, sla) for table, sla in dag.freshness.items())
    if dag.compute_centres:
        fields["compute_centres"] = tuple(dag.compute_centres)
    return fields


_SAME = {
    "_dag_display_name": "display_name",
    "description": "description",
    "doc_md": "doc",
    "owner_links": "owner_links",
    "max_active_runs": "max_active_runs",
    "max_active_tasks": "max_active_tasks",
    "max_consecutive_failed_dag_runs": "max_consecutive_failed_runs",
    "dagrun_timeout": "run_timeout",
    "fail_fast": "fail_fast",
    "is_paused_upon_creation": "paused_upon_creation",
    "compute_mode": "compute_mode",
}
"""Attributes of a DAG that a spec has under another name, or the same."""


def _only(dag: DAG, results: list[str]) -> str:
    if len(results) > 1:
        raise InvalidSpec(f"{dag.dag_id!r} has one result, not several: {', '.join(map(repr, results))}")
    return results[0]


# --- schedule -----------------------------------------------------------------------------------

_NEVER = data.Schedule()


def _schedule_of(dag: DAG, tasks: list[AbstractOperator], now: datetime | None) -> data.Schedule:
    timetable = dag.timetable
    start, end = dag.start_date, dag.end_date
    if start is None:
        start = min((task._task_start for task in tasks if task._task_start is not None), default=None)
    if end is None and tasks:
        ends = [task._task_end for task in tasks if task._task_end is not None]
        end = max(ends) if len(ends) == len(tasks) else None
    restriction = TimeRestriction(start, end, dag.catchup)
    summary = dag.schedule if isinstance(dag.schedule, str) else timetable.summary
    return data.Schedule(
        timetable=_timetable_data(timetable, zone_name(dag.timezone), restriction, now),
        start=start,
        end=end,
        catchup=dag.catchup,
        summary=summary,
    )


def _timetable_data(
    timetable: Timetable, timezone: str, restriction: TimeRestriction, now: datetime | None
) -> data.Timetable:
    if is_custom(timetable):
        timetable.validate()
        return tabulate(timetable, restriction, now=now or datetime.now(UTC))
    if isinstance(timetable, AssetOrTimeSchedule) and is_custom(timetable.timetable):
        part = _timetable_data(timetable.timetable, timezone, restriction, now)
        assert isinstance(part, data.CustomTimetable)
        return data.AssetOrTimeTimetable(part, timetable.condition())
    assert isinstance(timetable, BuiltInTimetable)
    timetable.validate_once()
    return timetable.as_data(timezone)


# --- params, groups, labels ---------------------------------------------------------------------


def _param_spec(name: str, param: Param) -> ParamSpec:
    kinds = param.schema.get("type")
    nullable = kinds is None or kinds == "null" or (isinstance(kinds, list) and "null" in kinds)
    missing = param.value is NOTSET or (param.value is None and not nullable)
    try:
        schema: Json = to_data(param.schema)
    except NotData as error:
        raise InvalidSpec(f"the schema of param {name!r} is not JSON: it has {error}") from None
    return ParamSpec(
        schema=schema,
        default=None if missing else param.value,
        required=missing,
        description=param.description or "",
    )


def _group_spec(group: TaskGroup) -> GroupSpec:
    parent = group.parent_group
    return GroupSpec(
        group_id=group.group_id,
        parent=parent.group_id if parent is not None else "",
        display_name=group.group_display_name,
        tooltip=group.tooltip or doc_of(group),
        mapped=group.expand_input.length if isinstance(group, MappedTaskGroup) else None,
    )


def _edge_labels(dag: DAG) -> tuple[EdgeLabel, ...]:
    return tuple(
        EdgeLabel(upstream, downstream, info["label"])
        for upstream, edges in sorted(dag.edge_info.items())
        for downstream, info in sorted(edges.items())
        if info.get("label")
    )


def _access_control(given: Mapping[str, Any]) -> dict[str, Json]:
    """Role → resource → actions; Airflow 2's role → actions means those on DAGs."""
    return {
        role: {"DAGs": sorted(what)}
        if not isinstance(what, Mapping)
        else {resource: sorted(actions) for resource, actions in what.items()}
        for role, what in given.items()
    }
