"""Running one execution of a task, from its facts to its report.

The steps, in Airflow's order: expand a mapped operator to the instance's own; validate params; render the template
fields; `pre_execute`; `on_execute_callback`; `execute`, or the method that a deferral named, within
`execution_timeout`; `post_execute`; push the result; gather asset events. What was raised on the way becomes an
event (`outcome`), the callbacks for it are called, and all that is left behind travels in the report.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import structs

from piper.model import wire
from piper.model.events import AssetEventOut, Deferred, Failed, Skipped, Succeeded, TaskEvent
from piper.model.ids import UNMAPPED
from piper.model.run import Identity
from piper.model.spec import Json, TaskSpec
from piper.model.states import RunType, TaskState
from piper.sdk.exceptions import (
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTerminated,
    AirflowTaskTimeout,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
    TaskDeferred,
)
from piper.sdk.execution import listening, outcome, serde, xcoms
from piper.sdk.execution.calling import call, notify_by_email, run_callbacks, settle
from piper.sdk.execution.channel import Channel
from piper.sdk.execution.context import Context, as_datetime
from piper.sdk.execution.current import Execution, current_execution, executing
from piper.sdk.execution.environment import variables_of
from piper.sdk.execution.failure import describe
from piper.sdk.execution.instance import RuntimeTaskInstance
from piper.sdk.execution.masking import begin_masking, redact
from piper.sdk.execution.needs import needs_of
from piper.sdk.execution.rendered import rendered_fields
from piper.sdk.execution.templating import create_environment
from piper.sdk.execution.time_limit import time_limit
from piper.sdk.operator import TRIGGER_FAILED, BaseOperator

if TYPE_CHECKING:
    from piper.sdk.operator import AbstractOperator

log = logging.getLogger("piper.task")

LONGEST_LABEL = 250
"""Characters of a mapped instance's name."""


def run_task(operator: AbstractOperator, context: wire.TaskContext, channel: Channel) -> wire.Report:
    """Run one execution and say how it ended.

    Arguments:
        operator: the task as its file defines it, mapped operators still mapped.
        context: what the Task API granted.
        channel: to the Task API.

    Raises:
        KeyboardInterrupt: the process is to end. Whatever else user code raises is part of the report.
    """
    execution = begin(operator, context, channel)
    started = datetime.now(UTC)
    with executing(execution):
        variables = variables_of(execution)
        os.environ.update(variables)
        try:
            event = _run_to_end(execution)
        finally:
            for name in variables:
                os.environ.pop(name, None)
    return _report(execution, event, started)


def begin(operator: Any, facts: wire.TaskContext, channel: Channel) -> Execution:
    """An execution with its context. Arguments: as of `run_task`."""
    execution = Execution(operator, facts, channel)
    execution.context = Context(execution)
    execution.ti = RuntimeTaskInstance(execution)
    return execution


def terminate() -> None:
    """End the task that runs in this process: its operator stops what it started, then its code is left.

    For the handler of SIGTERM, in the main thread.

    Raises:
        AirflowTaskTerminated: in the task's code, whose `finally` clauses run. Nothing is raised if no task runs, nor
            a second time: the first must not be disturbed while it stops what the task started.
    """
    execution = current_execution()
    if execution is None or execution.told_to_end:
        return
    execution.told_to_end = True
    _kill(execution)
    raise AirflowTaskTerminated("the task was told to end (SIGTERM)")


def preload(operators: Iterable[AbstractOperator]) -> None:
    """Do once, before their processes are forked, what the executions of these tasks would each do anew.

    Arguments:
        operators: all tasks of one file.
    """
    from piper.sdk.execution import mapping

    del mapping  # the import was the point
    dags: dict[int, Any] = {}
    templates = dates = False
    for operator in operators:
        dag = operator.get_dag()
        if dag is not None:
            dags[id(dag)] = dag
        needs = needs_of(operator)
        templates, dates = templates or needs.templates, dates or needs.dates
    for dag in dags.values():
        _ = dag.mapped_over
    if templates:
        create_environment().from_string("{{ x }}").render(x=1)
    if dates:
        as_datetime(datetime.now(UTC))


def rehearse() -> None:
    """Run a task that does nothing, so that the next one finds this process's memory ready.

    For a process that has been forked and waits: whatever it touches first it must copy, which takes a task's
    first run twenty times as long as its second.
    """
    now = datetime.now(UTC)
    run = wire.RunContext("rehearsal", "rehearsal", RunType.MANUAL, now, None, now)
    spec = TaskSpec("rehearsal", "piper.sdk.execution.runner.Rehearsal")
    facts = wire.TaskContext(Identity(0, 1, 0), spec, UNMAPPED, 0, run, "", wire.CodeRef(), now)
    run_task(_rehearsal, facts, _NOBODY)


class Rehearsal(BaseOperator):
    """Does nothing."""

    def execute(self, context: Any) -> None:
        """Look at what most tasks look at."""
        _ = context["ti"], context["ds"], "x" in context


class _Nobody:
    """A channel for tasks that ask nothing."""

    def ask(self, request: wire.Request) -> Any:
        raise AssertionError(f"the rehearsal asked {request}")

    def tell(self, request: wire.Request) -> None:
        raise AssertionError(f"the rehearsal told {request}")


_NOBODY = _Nobody()
_rehearsal = Rehearsal.make({"task_id": "rehearsal"})


# --- the steps ----------------------------------------------------------------------------------


def _run_to_end(execution: Execution) -> TaskEvent:
    """Run the task, and call back what wants to know how it ended."""
    begin_masking()
    error: BaseException | None = None
    try:
        event: TaskEvent = _succeed(execution, _enter(execution))
    except KeyboardInterrupt:
        _kill(execution)
        raise
    except BaseException as raised:
        event, error = _conclude(execution, raised)
    if not outcome.pauses(event):
        _push_links(execution)
        _call_back(execution, event, error)
    if getattr(execution.task, "overwrite_rtif_after_execution", False):  # its fields get values while it runs
        execution.rendered = rendered_fields(execution.task)
    return event


def _enter(execution: Execution) -> Any:
    """Prepare the task, run it, and return its result."""
    _prepare(execution)
    _try_to_name_instance(execution)
    if execution.facts.inactive_assets:
        from piper.sdk.execution.asset_events import refuse_inactive  # few tasks have assets

        refuse_inactive(execution)
    task, context = execution.task, execution.context
    if listening.listeners:
        listening.tell("on_task_instance_running", previous_state=TaskState.QUEUED, task_instance=execution.ti)
    if task._pre_execute_hook is not None:
        call(task._pre_execute_hook, execution, context)
    if _overrides(task, "pre_execute"):
        call(task.pre_execute, execution, context)
    if task.on_execute_callback:
        run_callbacks(execution, task.on_execute_callback, "on_execute_callback")
    result = (
        settle(_work(execution)) if task.execution_timeout is None else _work_within(task.execution_timeout, execution)
    )
    if task._post_execute_hook is not None:
        call(task._post_execute_hook, execution, context, result)
    if _overrides(task, "post_execute"):
        call(task.post_execute, execution, context, result)
    return result


def _prepare(execution: Execution) -> None:
    """Make the operator of this instance, with all its fields rendered."""
    operator = execution.operator
    if operator.is_mapped:
        from piper.sdk.execution.mapping import unmap  # few tasks are mapped

        execution.task, pulled = unmap(execution, operator)
        execution.context.renew()
    else:
        execution.task, pulled = operator.prepare_for_execution(), set()
    if execution.facts.run.conf or execution.task._task_params or _has_params(execution):
        _ = execution.context["params"]  # params that are not valid fail the task before it begins
    task = execution.task
    if pulled:
        task._do_render_template_fields(task, task.template_fields, execution.context, None, pulled)
    else:
        task.render_template_fields(execution.context)
    execution.rendered = rendered_fields(task)


def _work_within(limit: timedelta, execution: Execution) -> Any:
    """As `_work`, for no longer than the limit."""
    try:
        with time_limit(limit):
            return settle(_work(execution))
    except AirflowTaskTimeout:
        _kill(execution)
        raise


def _work(execution: Execution) -> Any:
    """Call `execute`, or after a deferral the method that it named."""
    task, context, resume = execution.task, execution.context, execution.facts.resume
    if not resume:
        return task.execute(context)
    arguments = serde.from_json(resume.get("arguments")) or {}
    if "error" in resume:
        failure = {"error": resume["error"], "timeout": bool(resume.get("timeout"))}
        return task.resume_execution(TRIGGER_FAILED, failure, context)
    arguments["event"] = serde.from_json(resume.get("event"))
    return task.resume_execution(resume["method"], arguments, context)


def _succeed(execution: Execution, result: Any) -> Succeeded:
    """Leave the result behind, and say that the task ended well."""
    length = xcoms.push_result(execution, result, mapped_over=_is_mapped_over(execution))
    _name_instance(execution)
    return _succeeded(execution, length)


def _succeeded(execution: Execution, length: int | None = None) -> Succeeded:
    assets: tuple[AssetEventOut, ...] = ()
    if execution.task.outlets or execution.outlet_events is not None:
        from piper.sdk.execution.asset_events import events_of  # few tasks have outlets

        assets = events_of(execution)
    return Succeeded(execution.facts.identity, length, execution.decision, assets)


def _conclude(execution: Execution, raised: BaseException) -> tuple[TaskEvent, BaseException | None]:
    """The event for what was raised, and the error if it is one."""
    try:
        event = _signal(execution, raised)
        if event is not None:
            return event, None
    except Exception as trouble:  # a deferral whose trigger cannot be stored, say
        raised = trouble
    log.error("Task failed:\n%s", describe(raised))
    _try_to_name_instance(execution)
    event = outcome.failed(execution.facts.identity, raised, _policy_verdict(execution, raised))
    if isinstance(raised, AirflowTaskTerminated):
        event = structs.replace(event, outside=True)
    return event, raised


def _signal(execution: Execution, raised: BaseException) -> TaskEvent | None:
    """The event for an exception that is no error but says what is to happen."""
    identity = execution.facts.identity
    match raised:
        case AirflowSkipException():
            log.info("Skipping this task: %s", raised)
            return outcome.skipped(identity, raised)
        case DownstreamTasksSkipped():
            if execution.decision is None:
                execution.decision = outcome.decision_to_skip(raised.tasks)
            return _succeeded(execution)
        case AirflowRescheduleException():
            return outcome.rescheduled(identity, raised)
        case TaskDeferred():
            return _defer(identity, raised)
        case TaskAwaitingInput():
            raise NotImplementedError("Piper cannot wait for a person's input yet (human in the loop)")
    return None


def _defer(identity: Identity, wait: TaskDeferred) -> Deferred:
    trigger, arguments = wait.trigger.serialize()
    log.info("Waiting for %s", trigger)
    return outcome.deferred(identity, wait, trigger, serde.to_json(arguments), serde.to_json(wait.kwargs or {}))


def _push_links(execution: Execution) -> None:
    """Leave the operator's links to other systems, under the keys where the UI looks for them."""
    for link in execution.task.operator_extra_links:
        try:
            target = link.get_link(operator=execution.task, ti_key=execution.ti)
            if target:
                xcoms.push(execution, link.xcom_key, target)
        except Exception as trouble:
            log.error("The link %r cannot be made:\n%s", link.name, describe(trouble))


def _call_back(execution: Execution, event: TaskEvent, error: BaseException | None) -> None:
    """Call what the task, and what plugins, want called for this outcome.

    Not the task's callbacks when the task has been ended from outside: whoever did that knows whether it has failed.
    """
    task, context = execution.task, execution.context
    retried = isinstance(event, Failed) and outcome.is_retried(event, execution.facts.max_tries)
    if type(event) in _ENDS:  # callbacks say how it ended, and how long it took
        execution.ti.state = (TaskState.UP_FOR_RETRY if retried else _ENDS[type(event)]).value
        execution.ti.end_date = datetime.now(UTC)
    if error is not None:
        context["exception"] = error
    if listening.listeners:
        listening.tell(
            f"on_task_instance_{_ENDS[type(event)].value}",
            previous_state=TaskState.RUNNING,
            task_instance=execution.ti,
            error=error,
        )
    match event:
        case Succeeded() if task.on_success_callback:
            run_callbacks(execution, task.on_success_callback, "on_success_callback")
        case Skipped() if task.on_skipped_callback:
            run_callbacks(execution, task.on_skipped_callback, "on_skipped_callback")
        case Failed() if not event.outside:
            kind = "on_retry_callback" if retried else "on_failure_callback"
            run_callbacks(execution, getattr(task, kind), kind)
            if error is not None and task.email and (task.email_on_retry if retried else task.email_on_failure):
                notify_by_email(execution, error)


_ENDS: dict[type, TaskState] = {
    Succeeded: TaskState.SUCCESS,
    Skipped: TaskState.SKIPPED,
    Failed: TaskState.FAILED,
}


def _report(execution: Execution, event: TaskEvent, started: datetime) -> wire.Report:
    return wire.Report(
        event,
        xcoms=tuple(execution.pushed.values()),
        pid=os.getpid(),
        started_at=started,
        ended_at=datetime.now(UTC),
        error=getattr(event, "error", ""),
        inputs=_noted(execution.inputs),
        outputs=_noted(execution.outputs),
        parameters=_noted(execution.parameters),
        metrics=_noted(execution.metrics),
        rendered=execution.rendered,
        label=execution.label,
    )


# --- parts of steps -----------------------------------------------------------------------------


def _overrides(task: BaseOperator, method: str) -> bool:
    """Whether the task's class has its own version of a hook."""
    return getattr(type(task), method) is not getattr(BaseOperator, method)


def _has_params(execution: Execution) -> bool:
    dag = execution.task.get_dag()
    return dag is not None and dag.has_params


def _is_mapped_over(execution: Execution) -> bool:
    """Whether other tasks need this one's result to know how many instances they have."""
    dag = execution.task.get_dag()
    return dag is not None and execution.task.task_id in dag.mapped_over


def _policy_verdict(execution: Execution, error: BaseException) -> Any:
    """What the task's retry policy says about an error; None if it has none, or fails itself."""
    policy = execution.task.retry_policy
    if policy is None:
        return None
    facts = execution.facts
    try:
        verdict = policy.evaluate(
            exception=error,
            try_number=facts.identity.try_number,
            max_tries=facts.max_tries,
            context=execution.context,
        )
    except Exception as trouble:
        log.error("The retry policy failed, so that retries are as usual:\n%s", describe(trouble))
        return None
    if verdict is not None and verdict.reason:
        log.info("Retry policy: %s (%s)", verdict.action.value, verdict.reason)
    return verdict


def _kill(execution: Execution) -> None:
    """Let the operator stop what it has started elsewhere. One that is still mapped has not begun."""
    if execution.task.is_mapped:
        return
    try:
        execution.task.on_kill()
    except Exception as trouble:
        log.error("on_kill failed:\n%s", describe(trouble))


def _name_instance(execution: Execution) -> None:
    """Render `map_index_template`, which may use what the task has put into the context."""
    template = execution.task.map_index_template
    if template:
        name = str(execution.task.render_template(template, execution.context))[:LONGEST_LABEL]
        execution.label = execution.ti.rendered_map_index = name


def _try_to_name_instance(execution: Execution) -> None:
    """As above, before the task has run or after it failed: trouble with the name is then not what matters."""
    try:
        _name_instance(execution)
    except Exception as trouble:
        log.debug("map_index_template cannot be rendered now: %s", trouble)


def _noted(values: Mapping[str, Json]) -> Json:
    return redact(dict(values)) if values else None
