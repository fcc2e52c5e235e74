"""XCom values as JSON and back.

A value is JSON as it stands, or it is wrapped: `{"__classname__": …, "__version__": …, "__data__": …}`, Airflow's
envelope, in which the class says how to read the data (`codecs` has those of the standard library and of a few
others; attrs, dataclasses, Pydantic models and classes with `serialize()` describe themselves).

Reading a value imports the class that it names, so only classes on the allow-list are read; what someone writes
into an XCom through the API must not choose what is imported into a task.

Values that are plain JSON, nearly all, skip the walk: their types are looked at in bulk, and msgspec does the rest.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any

import msgspec

from piper.model.spec import Json
from piper.sdk.execution.codecs import CODECS, Codec
from piper.sdk.execution.lazy import Lazy, resolved
from piper.sdk.importing import import_path, path_of

CLASSNAME = "__classname__"
VERSION = "__version__"
DATA = "__data__"

_MARK = b'"__classname__"'
_ATOMS = frozenset({str, int, bool, type(None)})
_SCALARS = _ATOMS | {float}
_CONTAINERS = frozenset({list, dict})
_LONG_NUMBER = re.compile(rb"\d{19}")
_ADVICE = (
    "return a JSON value, make the class a dataclass, or give it `serialize()` "
    "and a static `deserialize(data, version)`"
)

_allowed_patterns: list[str] = ["airflow.*", "piper.sdk.*"]
_allowed_classes: set[str] = set()


# --- to and from text ---------------------------------------------------------------------------


def encode(value: Any) -> bytes:
    """A value as JSON text.

    Raises:
        TypeError: it holds something that has no JSON form (a file, an enum, NaN, an integer beyond 64 bits), is
            nested too deeply, or contains itself.
    """
    try:
        text = msgspec.json.encode(value if _is_plain(value) else to_json(value))
    except RecursionError:
        raise TypeError(
            f"cannot store {type(value).__name__} as an XCom: it contains itself, or too many levels of lists and dicts"
        ) from None
    except ValueError as error:
        raise TypeError(f"cannot store {type(value).__name__} as an XCom: {error}") from None
    if _LONG_NUMBER.search(text):
        to_json(value)  # refuses integers beyond 64 bits, which neither MessagePack nor a browser can hold
    return text


def decode(text: bytes | str) -> Any:
    """The value of a JSON text that `encode` made.

    Raises:
        ImportError: it names a class that is not on the allow-list, or no longer exists.
        TypeError: it names a class that cannot be read.
    """
    value = msgspec.json.decode(text)
    mark: bytes | str = _MARK if isinstance(text, bytes) else _MARK.decode()
    # The mark may also stand in a plain string; then the walk finds no envelope and changes nothing.
    return from_json(value) if mark in text else value  # type: ignore[operator]


def _is_plain(value: Any) -> bool:
    """Whether a value is JSON as it stands. Types are compared in bulk, in C, since lists may be long."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is float:
        return isfinite(value)
    if kind is list:
        items: Sequence[Any] = value
    elif kind is dict:
        if value and (set(map(type, value)) != {str} or CLASSNAME in value):
            return False
        items = list(value.values())
    else:
        return False
    kinds = set(map(type, items))
    if kinds <= _ATOMS:
        return True
    if not kinds <= (_SCALARS | _CONTAINERS):
        return False
    if kinds == {float}:
        return all(map(isfinite, items))
    return all(_is_plain(item) for item in items if type(item) not in _ATOMS)


# --- to and from JSON values --------------------------------------------------------------------


def to_json(value: Any) -> Json:
    """A value built of JSON values and envelopes.

    Raises:
        TypeError: some part of it has no such form.
        ValueError: a dict has the reserved key `__classname__`.
    """
    kind = type(value)
    if kind is int:
        return _checked(value)
    if kind in _ATOMS:
        return value
    if kind is Lazy:
        return to_json(resolved(value))
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        if CLASSNAME in value:
            raise ValueError(f"the key {CLASSNAME!r} is reserved: rename it in the dict that is stored")
        return {str(key): to_json(item) for key, item in value.items()}
    codec = CODECS.get(path_of(kind))
    if codec is not None:
        return _wrap(path_of(kind), codec.version, to_json(codec.encode(value)))
    if isinstance(value, tuple):  # a named tuple; the class may be gone when it is read
        return _wrap("builtins.tuple", 1, [to_json(item) for item in value])
    if isinstance(value, (str, int, float)):
        return _primitive(value)
    return _describe(value, kind)


def from_json(value: Json) -> Any:
    """What `to_json` was given, with envelopes opened."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if CLASSNAME not in value or VERSION not in value:
        return {key: from_json(item) for key, item in value.items()}
    return _open(value[CLASSNAME], value[VERSION], from_json(value.get(DATA)))


def allow_class(kind: type) -> None:
    """Let this class be read from XComs in this process: what is declared in code needs no setting.

    Raises:
        ValueError: it is not at the top level of its module, so that no reader could import it.
    """
    name = path_of(kind)
    if kind.__qualname__ != kind.__name__:
        raise ValueError(f"{name} must be defined at the top level of its module to be read from an XCom")
    _allowed_classes.add(name)


def allow_classes(pattern: str) -> None:
    """Let every class be read from XComs whose dotted path matches this glob pattern."""
    _allowed_patterns.append(pattern)


def _wrap(name: str, version: int, data: Json) -> dict[str, Json]:
    return {CLASSNAME: name, VERSION: version, DATA: data}


def _checked(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 64:
        raise TypeError(f"the integer {value} needs more than 64 bits: store it as a string")
    return value


def _primitive(value: str | float) -> Json:
    """The plain form of a subclass of str, int or float, or of a float."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _checked(int(value))
    if not isfinite(value):
        raise TypeError(f"{value!r} has no JSON form: store None or a string in its place")
    return float(value)


def _describe(value: Any, kind: type) -> Json:
    """The envelope of an object whose class says itself how it is stored."""
    name = path_of(kind)
    version = getattr(kind, "__version__", 0)
    if _is_pydantic(kind):
        return _wrap(name, 1, to_json(value.model_dump(mode="json")))
    if callable(getattr(value, "serialize", None)):
        return _wrap(name, version, to_json(value.serialize()))
    if dataclasses.is_dataclass(kind):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(kind) if field.init}
        return _wrap(name, version, to_json(fields))
    if hasattr(kind, "__attrs_attrs__"):
        fields = {field.alias: getattr(value, field.name) for field in kind.__attrs_attrs__ if field.init}
        return _wrap(name, version, to_json(fields))
    as_list = getattr(value, "as_list", None)
    if isinstance(value, Sequence) and callable(as_list):  # a lazy sequence of XComs
        return to_json(as_list())
    raise TypeError(f"cannot store an object of type {name} as an XCom: {_advice(value)}")


def _advice(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return "return its `.value`"
    if callable(getattr(value, "tolist", None)):  # arrays, series
        return "return its `.tolist()`, or write it to a file and pass on its name"
    return _ADVICE


def _open(name: str, version: int, data: Any) -> Any:
    """The object of an envelope."""
    codec = CODECS.get(name)
    if codec is not None:
        return _decode_with(codec, name, version, data)
    if name not in _allowed_classes and not any(fnmatchcase(name, pattern) for pattern in _allowed_patterns):
        raise ImportError(
            f"{name} may not be read from an XCom: allow it with `piper.sdk.execution.serde.allow_class` in the "
            f"file of the task that reads it, or return plain JSON from the task that writes it"
        )
    kind = _import(name)
    if _is_pydantic(kind):
        return kind.model_validate(data)
    if callable(getattr(kind, "deserialize", None)):
        return kind.deserialize(data, version)
    if not (dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__")):
        raise TypeError(f"cannot read {name} from an XCom: {_ADVICE}")
    if version > getattr(kind, "__version__", 0):
        raise TypeError(f"the XCom holds {name} in version {version}, which is newer than the class")
    if not isinstance(data, Mapping):
        raise TypeError(f"the XCom's data for {name} are {type(data).__name__}, not the fields of an object")
    return kind(**data)


def _decode_with(codec: Codec, name: str, version: int, data: Any) -> Any:
    if version > codec.version:
        raise TypeError(f"the XCom holds {name} in version {version}: read it with the version that wrote it")
    return codec.decode(data, name)


def _import(name: str) -> Any:
    try:
        return import_path(name)
    except ImportError as error:
        raise ImportError(f"an XCom holds {name}, which cannot be imported here: {error}") from None


def _is_pydantic(kind: type) -> bool:
    # Without importing Pydantic: a model's class can only exist when it has been imported.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)
