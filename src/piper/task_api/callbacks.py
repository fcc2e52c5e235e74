"""Callbacks, as executions of their runs: what a worker is told to call."""

from __future__ import annotations

from datetime import timedelta

from msgspec import structs

from piper.model.run import Callback
from piper.model.spec import TaskSpec
from piper.model.wire import TaskContext
from piper.task_api.specs import KnownSpec, TaskPlan

TIME_LIMIT = timedelta(minutes=5)
"""For all callbacks of one kind about one thing together; then their process is ended."""


def plan_of(callback: Callback, spec: KnownSpec) -> TaskPlan:
    """The task that a callback is about, of which nothing is to be executed; its file is needed in any case."""
    known = spec.plan(callback.task_id)
    task = known.task if known is not None else TaskSpec(callback.task_id, "")
    return TaskPlan(structs.replace(task, code=True, execution_timeout=TIME_LIMIT), reads=(), element_of="")


def context_of(callback: Callback, context: TaskContext) -> TaskContext:
    """The context of the callback's own execution, made to be about what it is about."""
    run = context.run
    if callback.of_run is not None:
        run = structs.replace(run, state=callback.of_run, ended_at=callback.at)
    return structs.replace(
        context, callback=callback, map_index=callback.map_index, max_tries=callback.max_tries, run=run
    )
