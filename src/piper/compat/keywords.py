"""Calling functions with those of many arguments that they take."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from piper.sdk.execution.arguments import keyword_arguments

Result = TypeVar("Result")


class KeywordParameters:
    """The keyword arguments of a function, chosen from those that there are.

    Arguments:
        available: name → value of the chosen ones.
        wildcard: whether the function takes any (`**kwargs`).
    """

    def __init__(self, available: Mapping[str, Any], wildcard: bool) -> None:
        self._available = dict(available)
        self._wildcard = wildcard

    @classmethod
    def determine(cls, func: Callable[..., Any], args: Collection[Any], kwargs: Mapping[str, Any]) -> KeywordParameters:
        """Choose for a function that is called with these positional arguments besides.

        Raises:
            ValueError: a positional argument has the name of a keyword argument.
        """
        parameters = inspect.signature(func).parameters.values()
        wildcard = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        return cls(keyword_arguments(func, args, kwargs), wildcard)

    def unpacking(self) -> Mapping[str, Any]:
        """What to unpack into the call."""
        return self._available

    def serializing(self) -> Mapping[str, Any]:
        """What to hand to another process."""
        return self._available


def determine_kwargs(func: Callable[..., Any], args: Collection[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keyword arguments that a function takes of these."""
    return KeywordParameters.determine(func, args, kwargs).unpacking()


def make_kwargs_callable(func: Callable[..., Result]) -> Callable[..., Result]:
    """The function, which may now be called with more keyword arguments than it takes."""

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Result:
        return func(*args, **determine_kwargs(func, args, kwargs))

    return call
