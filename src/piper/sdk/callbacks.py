"""Callbacks of deadline alerts: functions named by their path, so that they can be called elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from piper.model.spec import Json
from piper.sdk.data import to_data
from piper.sdk.importing import import_path, path_of


class Callback:
    """A function at the top level of a module, and arguments for it.

    Arguments:
        callback_callable: the function, or its dotted path.
        kwargs: arguments beside the context; data.

    Raises:
        ImportError: the path is not one.
        ValueError: the function cannot be found by its path, or an argument is called `context`.
    """

    def __init__(self, callback_callable: Callable[..., Any] | str, kwargs: Mapping[str, Any] | None = None) -> None:
        self.path = self._path_of(callback_callable)
        if kwargs and "context" in kwargs:
            raise ValueError("context is a reserved kwarg for this class")
        self.kwargs = dict(kwargs or {})

    @classmethod
    def verify_callable(cls, callback: Callable[..., Any]) -> None:
        """Raise unless the function is of the right kind."""

    @classmethod
    def _path_of(cls, callback: Callable[..., Any] | str) -> str:
        if not isinstance(callback, str):
            cls.verify_callable(callback)
            if "<" in callback.__qualname__:
                raise ValueError(f"{callback.__qualname__}: a callback must be a function at the top level of a module")
            return path_of(callback)
        path = callback.strip()
        if "." not in path or not all(part.isidentifier() for part in path.split(".")):
            raise ImportError(f"`{callback}` doesn't look like a valid dot path.")
        try:
            found = import_path(path)
        except ImportError:
            return path  # it may exist only where it will be called
        if not callable(found):
            raise AttributeError(f"Provided callback {found} is not callable.")
        cls.verify_callable(found)
        return path

    def as_data(self) -> dict[str, Json]:
        """What a server may know of it."""
        return {"path": self.path, "kwargs": to_data(self.kwargs)}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.path))


class AsyncCallback(Callback):
    """A coroutine function, called in the triggerer."""

    @classmethod
    def verify_callable(cls, callback: Callable[..., Any]) -> None:
        """Raise AttributeError unless it can be awaited."""
        if not (inspect.iscoroutinefunction(callback) or hasattr(callback, "__await__")):
            raise AttributeError(f"Provided callback {callback} is not awaitable.")

    def as_data(self) -> dict[str, Json]:
        """What a server may know of it."""
        return {"kind": "async", **super().as_data()}


class SyncCallback(Callback):
    """A function, called by a worker.

    Arguments:
        executor: the executor whose worker it is.
    """

    def __init__(
        self,
        callback_callable: Callable[..., Any] | str,
        kwargs: Mapping[str, Any] | None = None,
        executor: str | None = None,
    ) -> None:
        super().__init__(callback_callable, kwargs)
        self.executor = executor

    def as_data(self) -> dict[str, Json]:
        """What a server may know of it."""
        return {"kind": "sync", **super().as_data(), "executor": self.executor}
