"""What `@task` needs to know of a function: how arguments bind, and whether its result has several outputs.

Some parameters are filled by Piper when the task runs: those named like a key of the context. For the
author's call they are optional.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from piper.sdk.signatures import signature_of
from piper.sdk.spelling import did_you_mean

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Call(typing.NamedTuple):
    """How a `@task` function may be called in the file."""

    signature: inspect.Signature
    required: frozenset[str]
    """Parameters that must be given although `signature` has a default for them (after optional ones)."""
    order: tuple[str, ...]
    """Names of the positional parameters."""

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError unless the function can be called like that."""
        self.signature.bind(*args, **kwargs)
        missing = self.required - set(self.order[: len(args)]) - kwargs.keys()
        if missing:
            raise TypeError(f"missing required argument(s): {', '.join(sorted(missing))}")


def call_of(function: Callable[..., Any]) -> Call:
    """How a function may be called in the file.

    Raises:
        ValueError: a parameter is named like a key of the context and has a default other than None.
    """
    signature = signature_of(function)
    known = _calls.get(id(signature))
    if known is None or known[0] is not signature:
        known = _calls[id(signature)] = signature, _call_of(signature)
    return known[1]


_calls: dict[int, tuple[inspect.Signature, Call]] = {}
"""By identity: to compare signatures, or to hash one, costs more than all the rest."""


def _call_of(signature: inspect.Signature) -> Call:
    from piper.sdk.execution.context import KNOWN_CONTEXT_KEYS  # the first @task of a file brings it in

    parameters: list[inspect.Parameter] = []
    required: set[str] = set()
    optional = False
    for parameter in signature.parameters.values():
        if parameter.name in KNOWN_CONTEXT_KEYS and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            if parameter.default not in (None, parameter.empty):
                raise ValueError(f"Context key parameter {parameter.name} can't have a default other than None")
            parameter = parameter.replace(default=None)
        elif optional and parameter.kind in _POSITIONAL and parameter.default is parameter.empty:
            required.add(parameter.name)
            parameter = parameter.replace(default=None)
        optional = optional or (parameter.kind in _POSITIONAL and parameter.default is not parameter.empty)
        parameters.append(parameter)
    order = tuple(parameter.name for parameter in parameters if parameter.kind in _POSITIONAL)
    return Call(signature.replace(parameters=parameters), frozenset(required), order)


def check_names(function: Callable[..., Any], called: str, names: Sequence[str]) -> None:
    """Raise TypeError if the function has no parameter of one of these names."""
    parameters = signature_of(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    unknown = [did_you_mean(name, parameters) for name in names if name not in parameters]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise TypeError(f"{called}() got unexpected keyword argument{plural} {', '.join(unknown)}")


def has_multiple_outputs(function: Callable[..., Any]) -> bool:
    """Whether a function says in its annotation that it returns a mapping."""
    annotation = getattr(function, "__annotations__", {}).get("return")
    if annotation is None:
        return False
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(function, "__globals__", {}))  # noqa: S307 - what typing does
        except Exception:  # a name that only type checkers see
            return False
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, Mapping)
