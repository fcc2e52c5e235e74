"""The code that a task's process runs: one file of one snapshot, loaded, or none.

The only module here, with `child`, that knows the authoring language.
"""

from __future__ import annotations

import os
import traceback
from typing import Any

from piper.model.errors import AuthorError
from piper.model.wire import TaskContext
from piper.sdk import loader


class Code:
    """What a zygote has loaded; an empty `file` stands for nothing."""

    def __init__(self, snapshots: str, file: str = "", dags: dict[str, Any] | None = None) -> None:
        self.snapshots = snapshots
        self.file = file
        self._dags = dags or {}

    def operator(self, context: TaskContext) -> Any:
        """The task's operator: out of its file, or made from its spec if that says everything.

        Raises:
            AuthorError: the file does not define that workflow and task.
            Exception: whatever the file raises while it is loaded, if that is still to be done.
        """
        if not context.task.code:
            return loader.hydrate(context.task)
        if not self.file:  # isolation="spawn": the file is loaded in the task's own process
            self._dags = load(self.snapshots, context.code.snapshot, context.code.file)._dags
            self.file = context.code.file
        workflow, task = context.run.workflow_id, context.task.task_id
        dag = self._dags.get(workflow)
        if dag is None:
            raise AuthorError(f"{self.file} does not define workflow {workflow!r} when it is loaded on the worker")
        operator = dag.task_dict.get(task)
        if operator is None:
            raise AuthorError(f"workflow {workflow!r} has no task {task!r} when {self.file} is loaded on the worker")
        return operator


def load(snapshots: str, snapshot: str, file: str) -> Code:
    """Load a file of a snapshot, or nothing if `file` is empty."""
    if not file:
        return Code(snapshots)
    return Code(snapshots, file, loader.load_file(os.path.join(snapshots, snapshot), file))


def error_of_loading(error: BaseException, file: str) -> str:
    """One line that says what is wrong and where in the user's files."""
    if isinstance(error, SyntaxError):
        return f"{file} does not load: {error}"
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.endswith(file):
            place = f" ({file}, line {frame.lineno})"
    return f"{file} does not load: {type(error).__name__}: {error}{place}"
