"""Values as data: what of a task's arguments can stand in a spec, and back again.

Plain JSON stands for itself. A few more types that authors use all the time are dicts with one key
that begins with two underscores:

    {"__xcom__": [task id, key]}            a result of another task; with "mapped": true of a mapped one
    {"__dag_param__": name}                 the value that a run has for a param
    {"__timedelta__": seconds}  {"__datetime__": ISO}  {"__date__": ISO}  {"__time__": ISO}
    {"__tuple__": […]}  {"__set__": […]}  {"__path__": text}
    {"__dict__": [[key, value], …]}         a dict that could be mistaken for one of these, or has other keys

Everything else is code: it stays in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from enum import Enum
from math import isfinite
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from piper.model.spec import Json
from piper.sdk.params import DagParam
from piper.sdk.placeholders import NOTSET
from piper.sdk.xcom_arg import PlainXComArg, XComArg


class NotData(Exception):
    """A value is code, or holds some."""


class NotSerializable(NotData):
    """A value belongs to the process that made it, and could not be in a task's process at all."""


_SAME = frozenset({str, int, bool, type(None)})


def to_data(value: Any) -> Json:
    """The value as data.

    Raises:
        NotSerializable: it is or holds an open file, a lock, a generator or another thing of this process.
        NotData: it is or holds a callable, a class, an object.
    """
    kind = type(value)
    if kind in _SAME:
        return value
    encode = _ENCODERS.get(kind)
    if encode is not None:
        return encode(value)
    for base, encode in _BASES:
        if isinstance(value, base):
            return encode(value)
    raise _refusal(value)


def _float(value: float) -> Json:
    if not isfinite(value):
        raise NotData(f"{value!r} is no JSON number")
    return value


def _list(value: Any) -> Json:
    return [to_data(one) for one in value]


def _dict(value: dict[Any, Any]) -> Json:
    if all(type(key) is str and not key.startswith("__") for key in value):
        return {key: to_data(one) for key, one in value.items()}
    return {"__dict__": [[to_data(key), to_data(one)] for key, one in value.items()]}


def _set(value: Any) -> Json:
    return {"__set__": sorted((to_data(one) for one in value), key=repr)}


def _datetime(value: datetime) -> Json:
    return {"__datetime__": value.isoformat()}


def _result(value: PlainXComArg) -> Json:
    reference = {"__xcom__": [value.operator.task_id, value.key]}
    return {**reference, "mapped": True} if value.operator.is_mapped else reference


def _dag_param(value: DagParam) -> Json:
    return {"__dag_param__": value.name}


_ENCODERS: dict[type, Callable[[Any], Json]] = {
    float: _float,
    list: _list,
    dict: _dict,
    tuple: lambda value: {"__tuple__": _list(value)},
    set: _set,
    frozenset: _set,
    timedelta: lambda value: {"__timedelta__": value.total_seconds()},
    datetime: _datetime,
    date: lambda value: {"__date__": value.isoformat()},
    time: lambda value: {"__time__": value.isoformat()},
    PlainXComArg: _result,
    DagParam: _dag_param,
}

_BASES: tuple[tuple[type, Callable[[Any], Json]], ...] = (
    (PurePath, lambda value: {"__path__": str(value)}),
    (datetime, _datetime),  # pendulum's
    (timedelta, lambda value: {"__timedelta__": value.total_seconds()}),
)


def _refusal(value: Any) -> NotData:
    """Why a value cannot be data.

    Python itself knows which objects cannot leave their process: those that refuse to be copied by
    pickle at the first step. An object of a class that merely holds one is given the benefit of the
    doubt, as it is made anew wherever the file is loaded.
    """
    kind = type(value).__qualname__
    if isinstance(value, XComArg | type | Enum | ModuleType) or callable(value):
        return NotData(kind)
    try:
        value.__reduce_ex__(4)
    except Exception as error:
        return NotSerializable(f"a {kind} ({error})" if isinstance(error, TypeError) else f"a {kind}")
    return NotData(kind)


# --- back again ---------------------------------------------------------------------------------

Resolver = Callable[[str, str, bool], Any]
"""(task id, key, whether of a mapped task) → the reference that stands for that result."""


def from_data(value: Json, refer: Resolver) -> Any:
    """The value that `to_data` made data of.

    Arguments:
        refer: makes references to results of other tasks.
    """
    if isinstance(value, list):
        return [from_data(one, refer) for one in value]
    if not isinstance(value, dict):
        return value
    for tag, decode in _DECODERS.items():
        if tag in value:
            return decode(value, value[tag], refer)
    return {key: from_data(one, refer) for key, one in value.items()}


def _refer(whole: dict[str, Any], inner: Any, refer: Resolver) -> Any:
    return refer(inner[0], inner[1], whole.get("mapped", False))


_DECODERS: dict[str, Callable[[dict[str, Any], Any, Resolver], Any]] = {
    "__xcom__": _refer,
    "__dag_param__": lambda _, inner, refer: ParamReference(inner),
    "__timedelta__": lambda _, inner, refer: timedelta(seconds=inner),
    "__datetime__": lambda _, inner, refer: datetime.fromisoformat(inner),
    "__date__": lambda _, inner, refer: date.fromisoformat(inner),
    "__time__": lambda _, inner, refer: time.fromisoformat(inner),
    "__tuple__": lambda _, inner, refer: tuple(from_data(inner, refer)),
    "__set__": lambda _, inner, refer: set(from_data(inner, refer)),
    "__path__": lambda _, inner, refer: Path(inner),
    "__dict__": lambda _, inner, refer: {from_data(key, refer): from_data(one, refer) for key, one in inner},
}


class ParamReference(DagParam):
    """A `DagParam` of a task that was made again from data, outside of its DAG."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.default = NOTSET
