"""Callbacks that are executed by themselves, since no process of a task was there to call them.

The context is that of a task: of the one that the callback is about, or of the last one that mattered to the run that
has ended. It is not executed, nor are its template fields rendered. Besides, the context holds `exception` of what has
failed and, of a run that has ended, `reason`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from piper.model import wire
from piper.model.events import Failed, Succeeded, TaskEvent
from piper.model.run import Callback, Identity
from piper.sdk.dags import DAG
from piper.sdk.exceptions import AirflowException, AirflowTaskTerminated, AirflowTaskTimeout
from piper.sdk.execution.calling import run_callbacks
from piper.sdk.execution.channel import Channel
from piper.sdk.execution.current import executing
from piper.sdk.execution.environment import variables_of
from piper.sdk.execution.failure import describe
from piper.sdk.execution.masking import begin_masking
from piper.sdk.execution.runner import begin
from piper.sdk.execution.time_limit import time_limit
from piper.sdk.operator import BaseOperator

log = logging.getLogger("piper.task")


def call_back(dag: DAG, context: wire.TaskContext, channel: Channel) -> wire.Report:
    """Call what a workflow, or a task of it, wants called, each callback whatever the others do.

    Arguments:
        context: of the callback's execution; its `callback` says what is to be called.
        channel: to the Task API.

    Raises:
        KeyboardInterrupt: the process is to end.
    """
    callback = context.callback
    assert callback is not None
    started = datetime.now(UTC)
    subject = callback.subject or Identity(context.identity.instance, 0, 0)
    operator = dag.task_dict.get(callback.task_id) or BaseOperator.make({"task_id": callback.task_id or "none"})
    execution = begin(operator, structs.replace(context, identity=subject), channel)
    with executing(execution):
        os.environ.update(variables_of(execution))
        begin_masking()
        if callback.of_run is not None:
            execution.context["reason"] = callback.reason
        if callback.error:
            execution.context["exception"] = AirflowException(callback.error)
        wanted = _wanted(dag, operator, callback)
        error = _error_of(context, lambda: run_callbacks(execution, wanted, callback.name), len(wanted))
    if execution.pushed:
        log.warning("XComs that a callback pushes are not kept: its task has ended")
    event: TaskEvent = Failed(context.identity, error, retry=False) if error else Succeeded(context.identity)
    return wire.Report(event, pid=os.getpid(), started_at=started, ended_at=datetime.now(UTC), error=error)


def _wanted(dag: DAG, operator: Any, callback: Callback) -> list[Callable[..., Any]]:
    found = getattr(dag if callback.of_run is not None else operator, callback.name, None) or ()
    return list(found) if isinstance(found, Iterable) else [found]


def _error_of(context: wire.TaskContext, run: Callable[[], list[tuple[Any, Exception]]], count: int) -> str:
    """Run the callbacks within their time; one line that says what went wrong, empty if nothing did."""
    limit = context.task.execution_timeout
    try:
        if limit is None:
            failures = run()
        else:
            with time_limit(limit):
                failures = run()
    except AirflowTaskTimeout:
        log.error("the callbacks took longer than %s and were ended", limit)
        return f"the callbacks took longer than {limit}"
    except AirflowTaskTerminated as error:
        return str(error)
    except BaseException as error:  # SystemExit, too
        if isinstance(error, KeyboardInterrupt):
            raise
        log.error("a callback failed:\n%s", describe(error))
        return f"{type(error).__name__}: {error}"
    if not failures:
        return ""
    callback, raised = failures[0]
    name = getattr(callback, "__name__", type(callback).__name__)
    return f"{len(failures)} of {count} callbacks failed; {name}: {type(raised).__name__}: {raised}"
