"""Tasks as data.

Of a task's arguments those that are data go into its spec, the others stay in the file, which then has
to be loaded to run the task (`code`). A task whose arguments are all data, and whose operator is
installed with Piper, runs from its spec alone: see `hydrate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from piper.model.errors import InvalidSpec
from piper.model.spec import Json, SensorSpec, SourceLocation, TaskSpec
from piper.sdk.abstract_operator import AbstractOperator
from piper.sdk.arguments import OPERATOR_ARGUMENTS, duration
from piper.sdk.batteries import INSTALLED
from piper.sdk.branch import SkipMixin
from piper.sdk.data import NotData, NotSerializable, to_data
from piper.sdk.execution import serde
from piper.sdk.execution.listening import listeners
from piper.sdk.importing import path_of
from piper.sdk.mapping import DecoratedMappedOperator, DictOfLists, MappedOperator
from piper.sdk.operator import BaseOperator
from piper.sdk.place import line_of
from piper.sdk.task_fields import Surroundings, common_fields, invalid, params_of
from piper.sdk.xcom_arg import PLAIN, PlainXComArg, references_in

EXPAND = "__expand__"
EXPAND_KWARGS = "__expand_kwargs__"
"""Among the arguments of a mapped task: what it is mapped over, where that is data."""

_JSON = frozenset({str, int, bool, type(None)})


def task_spec(task: AbstractOperator, around: Surroundings, priority: int) -> TaskSpec:
    """The stored form of a task.

    Arguments:
        priority: its effective priority.

    Raises:
        InvalidSpec: an argument cannot be stored; with file and line.
    """
    try:
        return _task_spec(task, around, priority)
    except InvalidSpec:
        raise
    except Exception as error:
        raise invalid(task, around, str(error)) from error


def _task_spec(task: AbstractOperator, around: Surroundings, priority: int) -> TaskSpec:
    operator = class_of(task)
    fields = common_fields(task, around)
    template_fields = _names(task.template_fields)
    if template_fields:
        fields["template_fields"] = template_fields
    arguments, is_data = _arguments(task, operator, template_fields, around)
    arguments.update(fields.pop("arguments", ()))
    reads = _reads(task, template_fields)
    if reads:
        fields["reads"] = reads
    if task.is_mapped:
        is_data = _add_mapping(task, fields, arguments) and is_data  # type: ignore[arg-type]
    known = is_data and _path(operator).startswith(INSTALLED) and not operator.needs_dag
    code = not known or _needs_file(task, fields, template_fields, around)
    if around.native and not code and template_fields:
        arguments.setdefault("render_template_as_native_obj", True)
    if task._task_params is not None or (around.params is not None and not code):
        fields["params"] = params_of(task, around, code)
    if not code:
        fields["code"] = False
    if task.upstream_task_ids:
        fields["upstream"] = tuple(sorted(task.upstream_task_ids))
    if arguments:
        fields["arguments"] = arguments
    if priority != 1:
        fields["priority"] = priority
    group = task.task_group
    if group is not None and group.group_id:
        fields["group"] = group.group_id
    if task._task_place is not None:
        fields["source"] = SourceLocation(around.file, line_of(task._task_place))
    _add_nature(task, operator, fields)
    return TaskSpec(task.task_id, _path(operator), **fields)


# --- classes ------------------------------------------------------------------------------------


def class_of(task: AbstractOperator) -> type[BaseOperator]:
    """The operator's class, also of a mapped task."""
    return task.operator_class if isinstance(task, MappedOperator) else type(task)  # type: ignore[return-value]


_paths: dict[type, str] = {}


def _path(operator: type) -> str:
    path = _paths.get(operator)
    if path is None:
        path = _paths[operator] = path_of(operator)
    return path


def _names(template_fields: Any) -> tuple[str, ...]:
    return (template_fields,) if isinstance(template_fields, str) else tuple(template_fields)


# --- the operator's own arguments ---------------------------------------------------------------


def _arguments(
    task: AbstractOperator, operator: type, template_fields: tuple[str, ...], around: Surroundings
) -> tuple[dict[str, Json], bool]:
    """The arguments that are data, and whether those are all."""
    found: dict[str, Json] = {}
    complete = True
    for name, value in task.given.items():  # type: ignore[attr-defined]
        if name in OPERATOR_ARGUMENTS:
            continue
        if type(value) in _JSON:
            found[name] = value
            continue
        try:
            found[name] = to_data(value)
        except NotSerializable as error:
            raise invalid(
                task,
                around,
                f"argument {name!r} holds {error}, which cannot be in another process: make it in the task",
            ) from None
        except NotData:
            complete = False
    if not complete or not _path(operator).startswith(INSTALLED):
        for name in template_fields:
            if name not in found:
                _add_field(found, name, task.__dict__.get(name))
    return found, complete


def _add_field(found: dict[str, Json], name: str, value: Any) -> None:
    """A template field that an author's class computes: shown, if it is data."""
    if value:
        try:
            found[name] = to_data(value)
        except NotData:
            return


def _reads(task: AbstractOperator, template_fields: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The XComs that its arguments refer to."""
    values = task.given if isinstance(task, MappedOperator) else task.__dict__
    found: set[tuple[str, str]] = set()
    for name in template_fields:
        value = values.get(name)
        if value and type(value) not in PLAIN:
            found.update((source.task_id, key) for source, key in references_in(value))
    if isinstance(task, MappedOperator):
        found.update((source.task_id, key) for source, key in task.expand_input.references())
    return tuple(sorted(found)) if found else ()


def _add_mapping(task: MappedOperator, fields: dict[str, Any], arguments: dict[str, Json]) -> bool:
    """What the task is mapped over; whether it is all data. Literal elements stay in the file."""
    fields["mapped"] = task.length
    over = task.expand_input
    if isinstance(task, DecoratedMappedOperator):
        return False
    if isinstance(over, DictOfLists):
        if not all(isinstance(value, PlainXComArg) for value in over.value.values()):
            return False
        arguments[EXPAND] = {name: to_data(value) for name, value in over.value.items()}
        return True
    if isinstance(over.value, PlainXComArg):
        arguments[EXPAND_KWARGS] = to_data(over.value)
        return True
    return False


def _needs_file(
    task: AbstractOperator, fields: Mapping[str, Any], template_fields: tuple[str, ...], around: Surroundings
) -> bool:
    """Whether something beside the arguments is in the file: callbacks, hooks, macros, template files, listeners."""
    if listeners:
        return True  # those of plugins, which are loaded with the file
    if "callbacks" in fields or task._pre_execute_hook is not None or task._post_execute_hook is not None:
        return True
    if "retry" in fields and fields["retry"].policy:
        return True
    if around.needs_file and template_fields:
        return True
    extensions = tuple(task.template_ext)
    return bool(extensions) and any(
        _names_file(task.__dict__.get(name, task.given.get(name)), extensions)  # type: ignore[attr-defined]
        for name in template_fields
    )


def _names_file(value: Any, extensions: tuple[str, ...]) -> bool:
    if isinstance(value, str):
        return value.endswith(extensions)
    if isinstance(value, list | tuple):
        return any(_names_file(one, extensions) for one in value)
    if isinstance(value, dict):
        return any(_names_file(one, extensions) for one in value.values())
    return False


# --- what it is ---------------------------------------------------------------------------------


def _add_nature(task: AbstractOperator, operator: type[BaseOperator], fields: dict[str, Any]) -> None:
    """What follows from its class: inert, brancher, sensor; and setup, teardown."""
    if operator.inert and not _gives_work(task, fields):
        fields["inert"] = True
    if operator.branches or issubclass(operator, SkipMixin):
        fields["branches"] = True
    if task._is_setup:
        fields["setup"] = True
    if task._is_teardown:
        fields["teardown"] = True
        if task._on_failure_fail_dagrun:
            fields["on_failure_fail_run"] = True
    look_at: Any = task if isinstance(task, BaseOperator) else _Shared(task)
    if operator.sensor_spec is not BaseOperator.sensor_spec:
        fields["sensor"] = task.sensor_spec() if isinstance(task, BaseOperator) else look_at.sensor_spec()
    if getattr(look_at, "deferrable", False) is True:
        fields["deferrable"] = True
    for name in ("triggers_workflow", "waits_for_workflow"):
        other = getattr(look_at, name, "")
        if isinstance(other, str) and other and "{" not in other:
            fields[name] = other
    if getattr(look_at, "start_from_trigger", False) and getattr(look_at, "start_trigger_args", None):
        trigger = _trigger_data(look_at.start_trigger_args)
        if trigger is not None:
            fields["start_from_trigger"] = trigger


def _gives_work(task: AbstractOperator, fields: Mapping[str, Any]) -> bool:
    """Whether an otherwise inert task has something to execute."""
    callbacks = fields.get("callbacks", ())
    return bool(
        "execute" in callbacks
        or "success" in callbacks
        or fields.get("inlets")
        or fields.get("outlets")
        or task._pre_execute_hook is not None
        or task._post_execute_hook is not None
        or getattr(task, "must_be_rendered", False)
    )


class _Shared:
    """A mapped task as its class would see it: the arguments that all instances share are attributes."""

    def __init__(self, task: MappedOperator | Any) -> None:
        for name, parameter in task.operator_class.own_arguments().items():
            setattr(self, name, None if parameter.default is parameter.empty else parameter.default)
        self.__dict__.update(task.partial_kwargs)

    def sensor_spec(self) -> SensorSpec:
        """Of a mapped sensor: what all instances share. (Its class would have to make one to say more.)"""
        fields: dict[str, Any] = {}
        for name in ("mode", "poke_interval", "timeout", "soft_fail"):
            value = getattr(self, name, None)
            if value is not None:
                fields[name] = duration(value) if name in ("poke_interval", "timeout") else value
        return SensorSpec(**fields)


def _trigger_data(arguments: Any) -> dict[str, Json] | None:
    """What the task waits for from its beginning, in the form in which a deferral is stored.

    None if that is known only while the task runs (a template, a result of another task) or has no such form: then
    the task takes a worker first, which defers, or says what is wrong.
    """
    try:
        given = serde.to_json(arguments.trigger_kwargs or {}), serde.to_json(arguments.next_kwargs or {})
    except (TypeError, ValueError):
        return None
    text = msgspec.json.encode(given)
    if b"{{" in text or b"{%" in text:
        return None
    return {
        "trigger": arguments.trigger_cls,
        "arguments": given[0],
        "method": arguments.next_method,
        "method_arguments": given[1],
        "timeout": arguments.timeout.total_seconds() if arguments.timeout else None,
    }
