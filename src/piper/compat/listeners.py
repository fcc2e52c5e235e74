"""Listeners: functions of a plugin that are called as a task runs (`@hookimpl`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from piper.sdk.execution import listening

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def hookimpl(function: Function) -> Function: ...


@overload
def hookimpl(function: None = None, **options: Any) -> Callable[[Function], Function]: ...


def hookimpl(function: Any = None, **options: Any) -> Any:
    """Marks a function as one that is to be called; its name says when."""
    if function is None:
        return hookimpl
    return function


class ListenerManager:
    """The listeners of this process."""

    @property
    def has_listeners(self) -> bool:
        """Whether there are any."""
        return bool(listening.listeners)

    def add_listener(self, listener: Any) -> None:
        """Have another one, a module or an object."""
        if listener not in listening.listeners:
            listening.listeners.append(listener)

    def clear(self) -> None:
        """Have none."""
        listening.listeners.clear()


_manager = ListenerManager()


def get_listener_manager() -> ListenerManager:
    """The listeners of this process."""
    return _manager
