"""Callbacks that no process of a task is there to call: which there are, and what becomes of them.

A task's own process calls the task's callbacks. What remains is what happens from outside: a run ends; a task's worker
is lost, its process is killed, a trigger ends it. For each there is a *callback*: an instance beside those of the
tasks, made in the step whose outcome it is about, and so written in the same transaction. It goes through the same
table of states and is executed on a worker; but no task watches it, the run does not wait for it, it counts against no
limit of the run, and no clear or mark means it.

It is called at least once: if its worker is lost it is admitted again at once. A callback that raises has been called;
it fails, which is for people to see, and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from piper.core.task import Admitted, Circumstances, Stale, transition
from piper.model.events import Failed, Lost, TaskEvent, TriggerFired
from piper.model.run import Callback, Run, TaskInstance
from piper.model.spec import TaskSpec, WorkflowSpec
from piper.model.states import CallbackKind, RunState, TaskState

SPEC = TaskSpec("", "", priority=1 << 20)
"""As what callbacks are granted: before everything else, in the default pool."""

TOLD = frozenset({"success", "task_failure", "timed_out", "all_tasks_deadlocked"})
"""Reasons for which the end of a run is called back: not when a person has ended it."""

_KINDS = {
    TaskState.SUCCESS: CallbackKind.SUCCESS,
    TaskState.FAILED: CallbackKind.FAILURE,
    TaskState.UP_FOR_RETRY: CallbackKind.RETRY,
    TaskState.SKIPPED: CallbackKind.SKIPPED,
}


def of_task(
    spec: TaskSpec, before: TaskInstance, after: TaskInstance, event: TaskEvent, now: datetime
) -> Callback | None:
    """What is to be called since this has come to a task from outside; None if its own process has called it."""
    outside = isinstance(event, Lost | TriggerFired) or (isinstance(event, Failed) and event.outside)
    return of_task_ended(spec, before, after, getattr(event, "error", ""), now) if outside else None


def of_task_ended(
    spec: TaskSpec, before: TaskInstance, after: TaskInstance, error: str, now: datetime
) -> Callback | None:
    """What is to be called since a task has been given this state without its process's knowing."""
    kind = _KINDS.get(after.state)
    if kind is None or kind not in spec.callbacks or after.state is before.state:
        return None
    return Callback(
        kind,
        now,
        task_id=before.task_id,
        map_index=before.map_index,
        subject=before.identity,
        max_tries=before.max_tries,
        error=error,
    )


def of_run(spec: WorkflowSpec, run: Run, instances: Iterable[TaskInstance], now: datetime) -> Callback | None:
    """What is to be called since a run has ended.

    Arguments:
        instances: those of the run, looked at only if there is something to call.
    """
    kind = CallbackKind.SUCCESS if run.state is RunState.SUCCESS else CallbackKind.FAILURE
    if kind not in spec.callbacks or run.reason not in TOLD:
        return None
    last = _last_that_mattered(run.state, instances)
    return Callback(
        kind,
        now,
        task_id=last.task_id if last else "",
        map_index=last.map_index if last else -1,
        subject=last.identity if last else None,
        max_tries=last.max_tries if last else 0,
        of_run=run.state,
        reason=run.reason,
    )


def made(callback: Callback, number: int, ordinal: int) -> TaskInstance:
    """The instance of a new callback, to be executed."""
    return TaskInstance(
        id=number,
        task_id=f"@{callback.name}",  # no task can be called so
        map_index=ordinal,
        state=TaskState.SCHEDULED,
        try_number=1,
        callback=callback,
    )


def after_report(ti: TaskInstance, event: TaskEvent, now: datetime) -> TaskInstance:
    """What becomes of a callback by a report. Raises NoSuchTransition."""
    at = Circumstances(SPEC, now, "")
    after, _ = transition(ti, event if ti.identity == event.identity else Stale(), at)
    if after.state is TaskState.UP_FOR_RETRY:
        after, _ = transition(after, Admitted(), at)
    return after


def _last_that_mattered(state: RunState, instances: Iterable[TaskInstance]) -> TaskInstance | None:
    """The instance that ended last, of those that failed if the run has."""
    failed = (TaskState.FAILED, TaskState.UPSTREAM_FAILED) if state is RunState.FAILED else ()

    def weight(ti: TaskInstance) -> tuple[bool, bool, datetime, int]:
        assert ti.ended_at is not None
        return ti.state in failed, ti.state is TaskState.FAILED, ti.ended_at, ti.id

    return max((ti for ti in instances if ti.ended_at is not None), key=weight, default=None)
