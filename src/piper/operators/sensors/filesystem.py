"""Waiting for files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, Unpack

from piper.operators.hooks.filesystem import FSHook
from piper.operators.triggers.file import FileTrigger, find_file
from piper.sdk.arguments import OperatorArguments
from piper.sdk.exceptions import AirflowException
from piper.sdk.sensor import BaseSensorOperator


class FileSensor(BaseSensorOperator):
    """Waits until a file is there. A folder must have a file in it.

    Arguments:
        filepath: path of a file or folder, or a glob pattern, relative to the connection's path. (templated)
        fs_conn_id: connection whose extra has the `path`. (templated)
        recursive: whether `**` in the pattern matches folders of any depth.
        deferrable: look once, and then wait without holding a worker.
    """

    template_fields: Sequence[str] = ("filepath", "fs_conn_id")
    ui_color = "#91818a"

    def __init__(
        self,
        *,
        task_id: str,
        filepath: str,
        fs_conn_id: str = "fs_default",
        recursive: bool = False,
        deferrable: bool = False,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.filepath = filepath
        self.fs_conn_id = fs_conn_id
        self.recursive = recursive
        self.deferrable = deferrable

    @cached_property
    def path(self) -> str:
        """The whole path, or pattern."""
        return os.path.join(FSHook(self.fs_conn_id).get_path(), self.filepath)

    def poke(self, context: Any) -> bool:
        """Look once."""
        self.log.info("Poking for file %s", self.path)
        found = find_file(self.path, recursive=self.recursive)
        if found is not None:
            self.log.info("Found File %s", found)
        return found is not None

    def execute(self, context: Any) -> Any:
        """Wait for the file."""
        if not self.deferrable:
            return super().execute(context)
        if not self.poke(context):
            trigger = FileTrigger(self.path, recursive=self.recursive, poke_interval=self.poke_interval)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        return None

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Go on after the wait."""
        if not event:
            raise AirflowException(f"{self.task_id} task failed as {self.filepath} not found.")
        self.log.info("%s completed successfully as %s found.", self.task_id, self.filepath)
