"""Hooks: how operators speak to other systems, by way of a connection."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any, ClassVar

from piper.sdk.connection import Connection
from piper.sdk.exceptions import AirflowException
from piper.sdk.spelling import did_you_mean


class BaseHook:
    """Base of hooks: derive from it and implement `get_conn`.

    Arguments:
        logger_name: name of the logger of its messages.
    """

    conn_name_attr: ClassVar[str] = "conn_id"
    """The argument of its constructor that takes the id of a connection."""
    conn_type: ClassVar[str] = ""
    hook_name: ClassVar[str] = ""

    def __init__(self, logger_name: str | None = None) -> None:
        self._logger_name = logger_name

    @property
    def log(self) -> logging.Logger:
        """The logger of its messages."""
        name = getattr(self, "_logger_name", None)
        return logging.getLogger(name or f"airflow.task.hooks.{type(self).__module__}.{type(self).__name__}")

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """The connection of that id.

        Raises:
            AirflowNotFoundException: there is none.
        """
        return Connection.get(conn_id)

    @classmethod
    async def aget_connection(cls, conn_id: str) -> Connection:
        """`get_connection`, in a coroutine."""
        return await Connection.async_get(conn_id)

    @classmethod
    def get_hook(cls, conn_id: str, hook_params: dict[str, Any] | None = None) -> Any:
        """The hook for that connection's type."""
        return cls.get_connection(conn_id).get_hook(hook_params=hook_params)

    @classmethod
    async def aget_hook(cls, conn_id: str, hook_params: dict[str, Any] | None = None) -> Any:
        """`get_hook`, in a coroutine."""
        connection = await cls.aget_connection(conn_id)
        return connection.get_hook(hook_params=hook_params)

    def get_conn(self) -> Any:
        """The other system's own connection object."""
        raise NotImplementedError(f"{type(self).__name__} has no get_conn()")


_hooks: dict[str, str] = {}


def register_hook(conn_type: str, path: str) -> None:
    """Say which hook is for a type of connections.

    Arguments:
        conn_type: as in `Connection.conn_type`.
        path: dotted path of the hook's class.
    """
    _hooks[conn_type] = path


def hook_class_for(conn_type: str | None) -> type[Any]:
    """The hook for a type of connections.

    Raises:
        AirflowException: none is known.
    """
    path = _hooks.get(conn_type or "")
    if path is None:
        raise AirflowException(f"Unknown hook type {did_you_mean(str(conn_type), _hooks)}")
    module, _, name = path.rpartition(".")
    found: type[Any] = getattr(import_module(module), name)
    return found
