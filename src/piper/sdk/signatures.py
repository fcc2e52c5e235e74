"""What constructors and functions take, asked once per class or function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, lru_cache
from types import CodeType, FunctionType
from typing import Any


def ancestry(kind: type, base: type) -> list[type]:
    """The classes from `base`, itself left out, to `kind`: the oldest first."""
    return [ancestor for ancestor in reversed(kind.__mro__) if ancestor is not base and issubclass(ancestor, base)]


@cache
def constructor_arguments(kind: type, base: type) -> dict[str, inspect.Parameter]:
    """The arguments that a class and its ancestors down from `base` add to those of `base`, the oldest first."""
    found: dict[str, inspect.Parameter] = {}
    for ancestor in ancestry(kind, base):
        init = vars(ancestor).get("__init__")
        if init is None:
            continue
        _, *parameters = inspect.signature(init).parameters.values()
        found.update({one.name: one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)})
    found.pop("task_id", None)
    return found


_signatures: dict[tuple[Any, ...], tuple[CodeType, inspect.Signature]] = {}
"""By code and defaults. (The code object is kept, so that its id stays its own.)"""


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """`inspect.signature`, remembered: a function may become thousands of tasks, and so may one that a
    factory defines anew each time."""
    if type(function) is not FunctionType or function.__dict__:
        return _signature_of_object(function)
    defaults, named = function.__defaults__ or (), function.__kwdefaults__ or {}
    key = (id(function.__code__), *defaults, *map(type, defaults), *named.items(), *map(type, named.values()))
    try:
        found = _signatures.get(key)
    except TypeError:  # a default that cannot be a key
        return _signature_of_object(function)
    if found is None:
        found = _signatures[key] = function.__code__, inspect.signature(function)
    return found[1]


_signature_of_object = lru_cache(maxsize=1024)(inspect.signature)
