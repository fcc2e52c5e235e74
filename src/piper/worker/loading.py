"""The code that a task's process runs: one file of one snapshot, loaded, or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from piper import compat
from piper.model.errors import AuthorError
from piper.model.run import Identity
from piper.model.spec import TaskSpec
from piper.model.states import RunType
from piper.model.wire import CodeRef, Lookup, Request, RunContext, TaskContext
from piper.operators.python import PythonOperator
from piper.sdk import loader
from piper.sdk.dags import DAG
from piper.sdk.execution import runner
from piper.sdk.execution.current import looking_up

if TYPE_CHECKING:
    from piper.sdk.operator import AbstractOperator


class Code:
    """What a zygote has loaded; with an empty `file` nothing."""

    def __init__(self, snapshots: str, file: str = "", dags: dict[str, DAG] | None = None) -> None:
        self._snapshots = snapshots
        self._file = file
        self._dags = dags or {}

    def operator(self, context: TaskContext) -> AbstractOperator:
        """The task's operator: out of its file, or made from its spec if that says everything.

        Raises:
            AuthorError: the file does not load here, or does not define that workflow and task.
        """
        workflow, task = context.run.workflow_id, context.task
        if not task.code:
            return loader.hydrate(task, workflow)
        operator = self.dag(context).task_dict.get(task.task_id)
        if operator is None:
            error = f"workflow {workflow!r} has no task {task.task_id!r} when it is loaded on the worker"
            raise AuthorError(error, file=self._file or context.code.file)
        return operator

    def dag(self, context: TaskContext) -> DAG:
        """The workflow, out of its file.

        Raises:
            AuthorError: the file does not load here, or does not define that workflow.
        """
        workflow, task = context.run.workflow_id, context.task
        if self._file:
            file, dags = self._file, self._dags
        else:  # isolation="spawn", or an unfit file: it is loaded in the task's own process, for that task alone
            file = context.code.file
            root = Path(self._snapshots, context.code.snapshot)
            compat.install()
            dags = loader.load_file(root, file, dag_id=workflow, task_id=task.task_id).dags
        dag = dags.get(workflow)
        if dag is None:
            raise AuthorError(f"it does not define workflow {workflow!r} when it is loaded on the worker", file=file)
        return dag


def load(snapshots: str, snapshot: str, file: str, look_up: Callable[[Lookup], Never]) -> Code:
    """Load a file of a snapshot, or nothing if `file` is empty.

    Arguments:
        look_up: what to do when the file wants to know something for which it takes a task to ask.

    Raises:
        AuthorError: it does not load.
    """
    compat.install()  # of tasks that run without their file, too: their templates may use former names
    with looking_up(look_up):
        dags = loader.load_file(Path(snapshots, snapshot), file).dags if file else {}
        runner.preload(operator for dag in dags.values() for operator in dag.task_dict.values())
    return Code(snapshots, file, dags)


def rehearse() -> None:
    """Run a task that does nothing, so that what executions make on first use is there before the forks.

    Caches of types and attributes, loggers, paths through the code: without this each child makes them anew, in
    memory that it must copy first (a tenth of all that it copies).
    """
    now = datetime.now(UTC)
    run = RunContext("rehearsal", "rehearsal", RunType.MANUAL, None, None, now)
    spec = TaskSpec("rehearsal", "piper.operators.python.PythonOperator")
    context = TaskContext(Identity(0, 1, 0), spec, -1, 0, run, "", CodeRef(), now)
    # Whatever a file has done to its process: that this fails is no reason for its tasks to fail.
    with suppress(Exception):
        operator = PythonOperator(
            task_id="rehearsal", python_callable=_nothing, dag=DAG("rehearsal", auto_register=False)
        )
        for _ in range(2):
            runner.run_task(operator, context, _NoChannel())


def _nothing() -> None: ...


class _NoChannel:
    """The channel of a task that has nothing to ask."""

    def ask(self, request: Request) -> Any:
        raise NotImplementedError

    def tell(self, request: Request) -> None:
        raise NotImplementedError


def error_of_loading(error: BaseException) -> str:
    """One line that says what is wrong and where."""
    if not isinstance(error, AuthorError):
        return f"{type(error).__name__}: {error}"
    place = f"{error.file}, line {error.line}" if error.line else error.file
    return f"{error} ({place})" if place else str(error)
