"""A value that is computed when it is first looked at.

For the few context values that cost a question to the server (`prev_start_date_success`): a callable with
`**kwargs` is handed all of them and hardly ever looks.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

_UNKNOWN = object()


class Lazy:
    """Stands for the value of `make()`, which is called at most once, and behaves like it.

    As with any stand-in, `is None` tells nothing: write `== None`, or ask for its truth.
    """

    __slots__ = ("_make", "_value")

    def __init__(self, make: Callable[[], Any]) -> None:
        object.__setattr__(self, "_make", make)
        object.__setattr__(self, "_value", _UNKNOWN)

    def __getattr__(self, name: str) -> Any:
        return getattr(resolved(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(resolved(self), name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(resolved(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return resolved(self).__reduce_ex__(protocol)

    def __hash__(self) -> int:
        return hash(resolved(self))

    def __eq__(self, other: object) -> bool:
        return bool(resolved(self) == resolved(other))

    def __format__(self, form: str) -> str:
        return format(resolved(self), form)


def resolved(value: Any) -> Any:
    """The value itself, where `value` may stand for one."""
    if type(value) is not Lazy:
        return value
    if value._value is _UNKNOWN:
        object.__setattr__(value, "_value", value._make())
    return value._value


def _forward(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Lazy, *arguments: Any) -> Any:
        return function(resolved(self), *map(resolved, arguments))

    return method


def _reflect(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Lazy, other: Any) -> Any:
        return function(resolved(other), resolved(self))

    return method


_FORWARDED: dict[str, Callable[..., Any]] = {
    "__str__": str,
    "__repr__": repr,
    "__bool__": bool,
    "__len__": len,
    "__iter__": iter,
    "__int__": int,
    "__float__": float,
    "__index__": operator.index,
    "__getitem__": operator.getitem,
    "__contains__": operator.contains,
    "__ne__": operator.ne,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__add__": operator.add,
    "__sub__": operator.sub,
    "__mul__": operator.mul,
    "__neg__": operator.neg,
}
for _name, _function in _FORWARDED.items():
    setattr(Lazy, _name, _forward(_function))
for _name, _binary in {"__radd__": operator.add, "__rsub__": operator.sub, "__rmul__": operator.mul}.items():
    setattr(Lazy, _name, _reflect(_binary))
