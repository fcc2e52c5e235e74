"""A folder that a connection names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from piper.sdk.connection import Connection
from piper.sdk.exceptions import AirflowNotFoundException
from piper.sdk.hook import BaseHook


class FSHook(BaseHook):
    """A folder: the `path` in the extra of a connection of type `fs`.

    Arguments:
        fs_conn_id: id of the connection. The default one is `/` as long as nobody has made it, as in Airflow, which
            makes it for every new installation.
    """

    conn_name_attr = "fs_conn_id"
    default_conn_name = "fs_default"
    conn_type = "fs"
    hook_name = "File (path)"

    def __init__(self, fs_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn = self._connection(fs_conn_id)
        self.basepath: str = self.conn.extra_dejson.get("path", "")

    def _connection(self, conn_id: str) -> Connection:
        """The connection of that id. Nobody need make the default one: it is the root, as Airflow sets it up."""
        try:
            return self.get_connection(conn_id)
        except AirflowNotFoundException:
            if conn_id != self.default_conn_name:
                raise
            return Connection(conn_id=conn_id, conn_type=self.conn_type, extra='{"path": "/"}')

    def get_conn(self) -> None:
        """Nothing: there is no session to open."""

    def get_path(self) -> str:
        """The folder."""
        return self.basepath

    def test_connection(self) -> tuple[bool, str]:
        """Whether the folder is there, and a sentence about it."""
        if not self.basepath:
            return False, "File Path is undefined."
        exists = Path(self.basepath).exists()
        return exists, f"Path {self.basepath} {'is existing' if exists else 'does not exist'}."
