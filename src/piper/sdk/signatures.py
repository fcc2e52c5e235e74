"""What constructors and functions take, asked once per class or function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from piper.sdk.operator import BaseOperator


@lru_cache(maxsize=None)
def constructor_arguments(operator: type[BaseOperator]) -> dict[str, inspect.Parameter]:
    """The arguments that an operator adds to the common ones, of all its ancestors, the oldest first."""
    found: dict[str, inspect.Parameter] = {}
    for ancestor in reversed(operator.__mro__):
        init = vars(ancestor).get("__init__")
        if init is None or ancestor is BaseOperator or not issubclass(ancestor, BaseOperator):
            continue
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found[name] = parameter
    found.pop("task_id", None)
    return found


_signatures: dict[CodeType, inspect.Signature] = {}


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """`inspect.signature`, remembered: a function may become thousands of tasks, and so may one that a
    factory defines anew each time."""
    if type(function) is not FunctionType or function.__defaults__ or function.__kwdefaults__ or function.__dict__:
        return _signature_of_object(function)
    found = _signatures.get(function.__code__)
    if found is None:
        found = _signatures[function.__code__] = inspect.signature(function)
    return found


_signature_of_object = lru_cache(maxsize=1024)(inspect.signature)
