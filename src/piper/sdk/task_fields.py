"""What was given of the common arguments, as fields of a task's spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from piper.model.errors import InvalidSpec
from piper.model.schedule import AssetAliasKey
from piper.model.spec import AssetRef, Json, RetrySpec
from piper.sdk.abstract_operator import AbstractOperator
from piper.sdk.arguments import uniform
from piper.sdk.data import NotData, to_data
from piper.sdk.execution.macros import Macros
from piper.sdk.params import ParamsDict
from piper.sdk.place import line_of
from piper.sdk.placeholders import NOTSET
from piper.sdk.weights import rule_name

if TYPE_CHECKING:
    from datetime import datetime

    from piper.sdk.dags import DAG


class Surroundings:
    """What the tasks of a DAG have in common."""

    __slots__ = ("end", "file", "native", "needs_file", "params", "start")

    def __init__(self, dag: DAG, file: str) -> None:
        self.file = file
        self.start: datetime | None = dag.start_date
        self.end: datetime | None = dag.end_date
        self.native = dag.render_template_as_native_obj
        self.params = dag.params if dag.has_params else None
        self.needs_file = bool(
            dag.user_defined_macros
            or dag.user_defined_filters
            or dag.template_searchpath
            or dag.jinja_environment_kwargs
            or dag.template_undefined
            or Macros.plugins  # which are loaded with the file, before it
        )
        """Its templates mean something only where the file is loaded."""


def invalid(task: AbstractOperator, around: Surroundings, reason: str) -> InvalidSpec:
    line = line_of(task._task_place) or None
    return InvalidSpec(f"task {task.task_id!r} of {task.dag_id!r}: {reason}", file=around.file, line=line)


def data_of(task: AbstractOperator, around: Surroundings, name: str, value: Any) -> Json:
    try:
        return to_data(value)
    except NotData as error:
        raise invalid(task, around, f"{name} must be data (JSON); it holds {error}") from None


_FIELDS = {
    "owner": "owner",
    "retries": "retries",
    "retry_delay": "delay",
    "retry_exponential_backoff": "multiplier",
    "max_retry_delay": "max_delay",
    "retry_policy": "policy",
    "_task_start": "start",
    "_task_end": "end",
    "depends_on_past": "depends_on_past",
    "ignore_first_depends_on_past": "ignore_first_depends_on_past",
    "wait_for_past_depends_before_skipping": "wait_for_past_depends_before_skipping",
    "wait_for_downstream": "wait_for_downstream",
    "priority_weight": "priority_weight",
    "weight_rule": "weight_rule",
    "queue": "queue",
    "pool": "pool",
    "pool_slots": "pool_slots",
    "execution_timeout": "execution_timeout",
    "on_execute_callback": "execute",
    "on_success_callback": "success",
    "on_failure_callback": "failure",
    "on_retry_callback": "retry",
    "on_skipped_callback": "skipped",
    "trigger_rule": "trigger_rule",
    "run_as_user": "run_as_user",
    "map_index_template": "map_index_template",
    "max_active_tis_per_dag": "max_active_per_workflow",
    "max_active_tis_per_dagrun": "max_active_per_run",
    "executor": "executor",
    "multiple_outputs": "multiple_outputs",
    "inlets": "inlets",
    "outlets": "outlets",
    "doc": "doc",
    "doc_md": "doc",
    "doc_json": "doc",
    "doc_yaml": "doc",
    "doc_rst": "doc",
    "_task_display_name": "display_name",
    "_task_isolation": "isolation",
    "_task_memory_limit": "memory_limit",
    "_task_outputs": "outputs",
    "_task_metrics": "metrics",
}
"""Attributes of a task that a spec has a field for."""

_RETRY = frozenset({"retries", "delay", "multiplier", "max_delay", "policy"})
_CALLBACKS = frozenset({"execute", "success", "failure", "retry", "skipped"})
_AS_ARGUMENTS = frozenset(
    {
        "allow_nested_operators",
        "do_xcom_push",
        "email",
        "email_on_failure",
        "email_on_retry",
        "executor_config",
        "logger_name",
        "render_template_as_native_obj",
        "resources",
    }
)
"""Common arguments that only a running task needs: a spec has them among its arguments."""


def common_fields(task: AbstractOperator, around: Surroundings) -> dict[str, Any]:
    """What was given of the common arguments, as fields of a spec."""
    fields: dict[str, Any] = {}
    for name, value in task.__dict__.items():
        field = _FIELDS.get(name)
        if field is None:
            if name in _AS_ARGUMENTS and value is not None:
                fields.setdefault("arguments", {})[name] = data_of(task, around, name, value)
            continue
        if value is None:
            continue
        if field in _RETRY:
            fields.setdefault("retry", {})[field] = value if field == "policy" else uniform(name, value, repr(task))
        elif field in _CALLBACKS:
            if value:
                fields.setdefault("callbacks", []).append(field)
        else:
            convert = _CONVERT.get(field)
            fields[field] = value if convert is None else convert(task, around, value)
    if "retry" in fields:
        retry = fields["retry"]
        retry["policy"] = retry.get("policy") is not None
        fields["retry"] = RetrySpec(**retry)
    if "callbacks" in fields:
        fields["callbacks"] = tuple(fields["callbacks"])
    if not fields.get("depends_on_past"):
        fields.pop("ignore_first_depends_on_past", None)
    elif not task.ignore_first_depends_on_past:
        fields["ignore_first_depends_on_past"] = False
    if "start" in fields and around.start is not None and fields["start"] <= around.start:
        del fields["start"]
    if "end" in fields and around.end is not None and fields["end"] >= around.end:
        del fields["end"]
    return fields


def _assets(
    task: AbstractOperator, around: Surroundings, values: Iterable[Any]
) -> tuple[AssetRef | AssetAliasKey, ...]:
    refs: list[AssetRef | AssetAliasKey] = []
    for value in values:
        reference = getattr(value, "references", None)
        if reference is None:
            raise invalid(task, around, f"{value!r} among its inlets or outlets is no asset")
        refs += reference()
    return tuple(refs)


def _outputs(task: AbstractOperator, around: Surroundings, value: Mapping[str, Any]) -> Json:
    return data_of(task, around, "outputs", dict(value))


def _doc(task: AbstractOperator, around: Surroundings, value: Any) -> str:
    return doc_of(task)


_CONVERT: dict[str, Callable[[AbstractOperator, Surroundings, Any], Any]] = {
    "trigger_rule": lambda task, _, value: uniform("trigger_rule", value, repr(task)),
    "isolation": lambda task, _, value: uniform("isolation", value, repr(task)),
    "weight_rule": lambda _task, _, value: rule_name(value),
    "metrics": lambda _task, _, value: tuple(value),
    "inlets": _assets,
    "outlets": _assets,
    "outputs": _outputs,
    "doc": _doc,
}


def doc_of(thing: Any) -> str:
    """The documentation of a task or group, whichever form it has."""
    for name in ("doc_md", "doc", "doc_rst", "doc_yaml", "doc_json"):
        text = getattr(thing, name, None)
        if text:
            return text if isinstance(text, str) else repr(text)
    return ""


def params_of(task: AbstractOperator, around: Surroundings, code: bool) -> dict[str, Json]:
    """The task's own params; of a task that runs from its spec alone the DAG's as well."""
    params = ParamsDict(None if code else around.params)
    params.update(ParamsDict(task._task_params))
    return {
        name: {
            "value": None if param.value is NOTSET else param.value,
            "schema": data_of(task, around, f"params[{name!r}]", param.schema),
            "description": param.description or "",
        }
        for name, param in params.items()
    }
