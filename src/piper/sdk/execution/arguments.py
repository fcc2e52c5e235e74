"""Which keyword arguments a task's function is called with: context keys by name, and what the author gave."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from types import CodeType, FunctionType
from typing import Any

from piper.sdk.execution.context import Context
from piper.sdk.signatures import signature_of


def keyword_arguments(
    function: Callable[..., Any], positional: Collection[Any], available: Mapping[str, Any]
) -> dict[str, Any]:
    """The keyword arguments that a function takes out of those available; all of them if it has `**kwargs`.

    Arguments:
        positional: what it is called with besides; only their number counts.
        available: the context, with the author's own arguments merged into it.

    Raises:
        ValueError: a positional argument has the name of an available one, so that it would be given twice.
    """
    if type(function) is FunctionType and not positional and not hasattr(function, "__wrapped__"):
        return _named_in_code(function.__code__, available)
    parameters = _signature(function).parameters
    taken: Collection[str] = ()
    if positional:
        _refuse_reserved(parameters, len(positional), available)
        taken = set(islice(parameters, len(positional)))
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return _former(available, taken) | dict(available)
    return {name: available[name] for name in parameters if name in available and name not in taken}


def _former(available: Mapping[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """Keys of former Airflow versions, for a function that takes all there are."""
    if not isinstance(available, Context):
        return {}
    return {name: value for name, value in available.former().items() if name not in taken}


def _named_in_code(code: CodeType, available: Mapping[str, Any]) -> dict[str, Any]:
    """As above, of a plain function called with keywords alone: its code says all, and needs no signature."""
    if code.co_flags & inspect.CO_VARKEYWORDS:
        return _former(available, ()) | dict(available)
    first = code.co_posonlyargcount
    names = code.co_varnames[first : code.co_argcount + code.co_kwonlyargcount]
    return {name: available[name] for name in names if name in available}


def _refuse_reserved(parameters: Mapping[str, inspect.Parameter], count: int, available: Mapping[str, Any]) -> None:
    # Keys of former Airflow versions can be asked for, but must not take a name from an author's own parameter.
    reserved = available.keys() if isinstance(available, Context) else available
    for name, parameter in islice(parameters.items(), count):
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD) and name in reserved:
            raise ValueError(f"The key {name!r} in args is a part of kwargs and therefore reserved.")


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return signature_of(function)
    except TypeError:  # an object that is not hashable
        return inspect.signature(function)
