"""Variables and connections as templates see them: `var` and `conn` in the context."""

from __future__ import annotations

from typing import Any

from piper.sdk.connection import Connection
from piper.sdk.exceptions import AirflowNotFoundException
from piper.sdk.execution.lookups import VariableNotFound, get_variable
from piper.sdk.placeholders import NOTSET


class VariableAccessor:
    """`var.value.name` and `var.json.name` in templates."""

    def __init__(self, *, deserialize_json: bool) -> None:
        self._deserialize_json = deserialize_json

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):  # Python's and Jinja's own questions
            raise AttributeError(key)
        return get_variable(key, deserialize_json=self._deserialize_json)

    def get(self, key: str, default: Any = NOTSET) -> Any:
        """The variable, or the default if there is none."""
        try:
            return get_variable(key, deserialize_json=self._deserialize_json)
        except VariableNotFound:
            if default is NOTSET:
                raise
            return default

    def __repr__(self) -> str:
        return "<variables>"


class ConnectionAccessor:
    """`conn.my_id.host` in templates."""

    def __getattr__(self, conn_id: str) -> Any:
        if conn_id.startswith("__"):
            raise AttributeError(conn_id)
        return Connection.get(conn_id)

    def get(self, conn_id: str, default_conn: Any = None) -> Any:
        """The connection, or the default if there is none."""
        try:
            return Connection.get(conn_id)
        except AirflowNotFoundException:
            return default_conn

    def __repr__(self) -> str:
        return "<connections>"
