"""Operators described as data: the JSON Schema of their arguments, icon, colours and documentation.

Everything that shows forms or checks arguments without importing user code (the designer, the web
server, the docs) knows operators by these descriptions only, a team's own included. They are made of
what the class says of itself: constructor signatures, annotations and docstrings, those of its base
classes included.
"""

from __future__ import annotations

import builtins
import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import cache
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal

from msgspec import Struct, field

from piper.model.spec import Json
from piper.sdk.abstract_operator import AbstractOperator
from piper.sdk.arguments import OPERATOR_ARGUMENTS, OperatorArguments
from piper.sdk.importing import path_of
from piper.sdk.operator import BaseOperator
from piper.sdk.signatures import ancestry


class OperatorSchema(Struct, frozen=True, omit_defaults=True):
    """What is known of an operator without importing it."""

    path: str
    """Dotted path of its class."""
    name: str
    """For people."""
    arguments: dict[str, Json] = field(default_factory=dict)
    """JSON Schema of an object whose properties are its arguments, the common ones under `$defs`."""
    template_fields: tuple[str, ...] = ()
    summary: str = ""
    """First paragraph of its documentation."""
    doc: str = ""
    icon: str = ""
    color: str = "#fff"
    text_color: str = "#000"
    sensor: bool = False
    branches: bool = False
    inert: bool = False
    deferrable: bool = False


@cache
def schema_of(operator: type[BaseOperator]) -> OperatorSchema:
    """The description of an operator."""
    doc = inspect.cleandoc(operator.__doc__ or "") if "__doc__" in vars(operator) else ""
    return OperatorSchema(
        path=path_of(operator),
        name=str(getattr(operator, "custom_operator_name", operator.__name__)),
        arguments=arguments_schema(operator),
        template_fields=_template_fields(operator),
        summary=doc.partition("\n\n")[0].replace("\n", " "),
        doc=doc,
        icon=str(getattr(operator, "icon", "")),
        color=operator.ui_color,
        text_color=operator.ui_fgcolor,
        sensor=operator.sensor_spec is not BaseOperator.sensor_spec,
        branches=operator.branches,
        inert=operator.inert,
        deferrable="deferrable" in operator.own_arguments(),
    )


def _template_fields(operator: type[BaseOperator]) -> tuple[str, ...]:
    fields = operator.template_fields
    return (fields,) if isinstance(fields, str) else tuple(fields)


def arguments_schema(operator: type[BaseOperator]) -> dict[str, Json]:
    """JSON Schema of the arguments that an operator adds to the common ones."""
    described = _described_arguments(operator)
    hints = _hints_of_constructors(operator)
    properties: dict[str, Json] = {}
    required: list[str] = []
    templated = set(_template_fields(operator))
    for name, parameter in operator.own_arguments().items():
        if name in OPERATOR_ARGUMENTS:
            continue
        schema = schema_of_type(hints.get(name, Any))
        if parameter.default is parameter.empty:
            required.append(name)
        elif _is_json(parameter.default) and parameter.default is not None:
            schema["default"] = parameter.default
        if text := described.get(name):
            schema["description"] = text
        if name in templated:
            schema["templated"] = True
        properties[name] = schema
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


@cache
def common_arguments_schema() -> dict[str, Json]:
    """JSON Schema of the arguments that all operators take."""
    described = _described_in(OperatorArguments.__doc__ or "")
    hints = _evaluated(OperatorArguments.__annotations__, vars(inspect.getmodule(OperatorArguments)))
    properties: dict[str, Json] = {"task_id": {"type": "string", "minLength": 1, "maxLength": 250}}
    for name, hint in hints.items():
        if name in ("dag", "task_group", "default_args", "sla", "pre_execute", "post_execute", "retry_policy"):
            continue
        if name.startswith("on_"):
            continue
        schema = schema_of_type(hint)
        default = getattr(AbstractOperator, name, None)
        if isinstance(default, timedelta):
            schema["default"] = default.total_seconds()
        elif isinstance(default, Enum):
            schema["default"] = default.value
        elif _is_json(default) and default is not None:
            schema["default"] = default
        schema["description"] = described.get(name, "")
        properties[name] = schema
    return {"type": "object", "properties": properties, "required": ["task_id"]}


# --- types --------------------------------------------------------------------------------------

_SIMPLE: dict[Any, dict[str, Json]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    None: {"type": "null"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array", "uniqueItems": True},
    dict: {"type": "object"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    timedelta: {"type": "number", "format": "seconds"},
}


def schema_of_type(hint: Any) -> dict[str, Json]:
    """JSON Schema of an annotation; {} where nothing can be said."""
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return schema_of_type(arguments[0])
    if origin in (typing.Union, UnionType):
        return _any_of([schema_of_type(one) for one in arguments])
    if origin is Literal:
        return {"enum": [one.value if isinstance(one, Enum) else one for one in arguments]}
    kind = origin or hint
    if not isinstance(kind, type):
        return {}
    if issubclass(kind, Enum):
        return {"enum": [one.value for one in kind]}
    if issubclass(kind, PurePath):
        return {"type": "string"}
    if issubclass(kind, Mapping):
        values = schema_of_type(arguments[1]) if len(arguments) == 2 else {}
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if issubclass(kind, Sequence | set | frozenset) or kind in (typing.Iterable, typing.Collection):
        return _array_of(arguments)
    if getattr(kind, "__module__", "") == "collections.abc" and kind.__name__ in ("Iterable", "Collection"):
        return _array_of(arguments)
    if kind.__module__ == "collections.abc" and kind.__name__ == "Callable":
        return {"code": True}
    return {}


def _array_of(arguments: tuple[Any, ...]) -> dict[str, Json]:
    items = schema_of_type(arguments[0]) if arguments else {}
    return {"type": "array", "items": items} if items else {"type": "array"}


def _any_of(schemas: list[dict[str, Json]]) -> dict[str, Json]:
    distinct = [schema for position, schema in enumerate(schemas) if schema not in schemas[:position]]
    if {} in distinct:
        return {}
    if all(schema.keys() == {"type"} for schema in distinct):
        kinds = [schema["type"] for schema in distinct]
        return {"type": kinds[0] if len(kinds) == 1 else kinds}
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _is_json(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(one) for key, one in value.items())
    return value is None or type(value) in (str, int, float, bool)


# --- annotations --------------------------------------------------------------------------------


def _hints_of_constructors(operator: type[BaseOperator]) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for ancestor in ancestry(operator, BaseOperator):
        init = vars(ancestor).get("__init__")
        if init is not None:
            function = inspect.unwrap(init)
            hints.update(_evaluated(getattr(function, "__annotations__", {}), getattr(function, "__globals__", {})))
    return hints


def _evaluated(annotations: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Annotations as objects. Names that only type checkers see (`if TYPE_CHECKING:`) count as Any."""
    evaluated: dict[str, Any] = {}
    for name, annotation in annotations.items():
        if isinstance(annotation, typing.ForwardRef):
            annotation = annotation.__forward_arg__
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, {}, _Names(names))  # noqa: S307 - what typing.get_type_hints does
            except Exception:
                annotation = Any
        evaluated[name] = annotation
    return evaluated


class _Names(dict[str, Any]):
    """The names that an annotation may use; whatever a type checker alone could know is `_Unknown`."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)  # evaluation then looks there itself
        return _Unknown


class _Unknown:
    """A type that cannot be known: it may be subscripted and joined."""

    def __class_getitem__(cls, item: Any) -> Any:
        return Any


# --- docstrings ---------------------------------------------------------------------------------

_REST = re.compile(r"^\s*:param\s+(?:[^:]*\s)?(\w+):\s*(.*)$")
_GOOGLE = re.compile(r"^\s{2,}(\w+)(?:\s*\([^)]*\))?:\s+(.*)$")


def _described_arguments(operator: type[BaseOperator]) -> dict[str, str]:
    described: dict[str, str] = {}
    for ancestor in ancestry(operator, BaseOperator):
        for thing in (ancestor, vars(ancestor).get("__init__")):
            described.update(_described_in(getattr(thing, "__doc__", None) or ""))
    return described


def _described_in(doc: str) -> dict[str, str]:
    """Argument → text, from `:param name: …` lines or an `Arguments:` section."""
    described: dict[str, str] = {}
    name = ""
    section = False
    for line in inspect.cleandoc(doc).splitlines():
        heading = line.strip()
        if heading in ("Args:", "Arguments:", "Parameters:"):
            section, name = True, ""
            continue
        match = _REST.match(line) or (_GOOGLE.match(line) if section else None)
        if match:
            name = match.group(1)
            described[name] = match.group(2).strip()
        elif not heading or (section and not line.startswith(" ")):
            section, name = section and not heading, ""
        elif name:
            described[name] = f"{described[name]} {heading}".strip()
    return described
