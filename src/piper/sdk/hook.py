"""Hooks: how operators speak to other systems, by way of a connection."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from piper.sdk.connection import Connection


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
