"""What constructors and functions take, asked once per class or function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
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


@lru_cache(maxsize=4096)
def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """`inspect.signature`, remembered: a function may become thousands of tasks."""
    return inspect.signature(function)
