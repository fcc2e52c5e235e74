"""Operators for the tests of the authoring language, and short ways to a spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from piper.model.spec import TaskSpec, WorkflowSpec
from piper.sdk.dags import DAG
from piper.sdk.operator import BaseOperator
from piper.sdk.specs import spec_of


class Shell(BaseOperator):
    """Runs a command.

    Arguments:
        command: what to run.
        env: environment variables.
        callback: called with the output.
    """

    template_fields: Sequence[str] = ("command", "env")
    template_ext: Sequence[str] = (".sh",)
    ui_color = "#f0ede4"

    def __init__(
        self, *, command: str = "true", env: dict[str, str] | None = None, callback: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.env = env
        self.callback = callback


class Loud(Shell):
    """A shell that shouts."""

    def __init__(self, *, volume: int = 11, retries: int = 3, **kwargs: Any) -> None:
        super().__init__(retries=retries, **kwargs)
        self.volume = volume


def shell(task_id: str, **arguments: Any) -> Shell:
    """A task, in the DAG around it."""
    return Shell(task_id=task_id, **arguments)


def spec(dag: DAG) -> WorkflowSpec:
    """The stored form of a DAG."""
    return spec_of(dag, file="dags/test.py")


def task_of(dag: DAG, task_id: str) -> TaskSpec:
    """The stored form of one of its tasks."""
    return spec(dag).task(task_id)


def upstream(dag: DAG) -> dict[str, tuple[str, ...]]:
    """Who waits for whom."""
    return {task.task_id: task.upstream for task in spec(dag).tasks}
