"""Waiting for tasks, groups and runs of other workflows, and marking who waits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Unpack
from urllib.parse import quote

from piper.model import wire
from piper.model.states import RunState, TaskState
from piper.operators.empty import EmptyOperator
from piper.operators.moments import moment_of_run
from piper.operators.triggers.external_task import Matching, WorkflowTrigger
from piper.sdk.arguments import OperatorArguments
from piper.sdk.exceptions import AirflowException, AirflowSkipException
from piper.sdk.execution.arguments import keyword_arguments
from piper.sdk.execution.channel import ask_maybe
from piper.sdk.sensor import BaseSensorOperator
from piper.sdk.signatures import signature_of
from piper.sdk.spelling import did_you_mean


class ExternalTaskNotFoundError(AirflowException):
    """The workflow has no such task."""


class ExternalTaskFailedError(AirflowException):
    """A task that is waited for has failed."""


class ExternalTaskGroupNotFoundError(AirflowException):
    """The workflow has no such group."""


class ExternalTaskGroupFailedError(AirflowException):
    """A group that is waited for has failed."""


class ExternalDagNotFoundError(AirflowException):
    """There is no such workflow."""


class ExternalDagFailedError(AirflowException):
    """A run that is waited for has failed."""


class DuplicateStateError(AirflowException):
    """A state is given two meanings."""


class ExternalDagLink:
    """The link to the workflow that is waited for, or that waits."""

    name = "External DAG"
    xcom_key = "_link_ExternalDagLink"

    def get_link(self, *, operator: Any, ti_key: Any) -> str:
        """Path of the workflow's page."""
        return f"/workflows/{quote(operator.external_dag_id)}"


class ExternalTaskSensor(BaseSensorOperator):
    """Waits until tasks, a group, or a run of another workflow have ended, of the run with the same logical date.

    Without tasks and group it waits for the run. A failure of what it waits for does not end the wait unless
    `failed_states` says so: whoever mends and repeats the failed task need not repeat the sensor.

    Example::

        ExternalTaskSensor(task_id="wait", external_dag_id="ingest", execution_delta=timedelta(hours=1))

    Arguments:
        external_dag_id: id of the workflow. (templated)
        external_task_id: id of a task to wait for. (templated)
        external_task_ids: ids of tasks to wait for. (templated)
        external_task_group_id: id of a group to wait for. (templated)
        allowed_states: states that end the wait well; by default success.
        skipped_states: states that end the wait by skipping the sensor.
        failed_states: states that end the wait by failing the sensor, or by skipping it with soft_fail.
        execution_delta: how much earlier the logical date is of the run to wait for.
        execution_date_fn: function of the own logical date, and of context keys by name, that gives the logical
            date, or several, to wait for.
        check_existence: fail at once if the workflow, a task or the group does not exist.
        poll_interval: deprecated: poke_interval.
        deferrable: wait without holding a worker.
    """

    template_fields: Sequence[str] = (
        "external_dag_id",
        "external_task_id",
        "external_task_ids",
        "external_task_group_id",
    )
    operator_extra_links: Sequence[Any] = (ExternalDagLink(),)
    ui_color = "#4db7db"

    def __init__(
        self,
        *,
        task_id: str,
        external_dag_id: str,
        external_task_id: str | None = None,
        external_task_ids: Collection[str] | None = None,
        external_task_group_id: str | None = None,
        allowed_states: Iterable[str] | None = None,
        skipped_states: Iterable[str] | None = None,
        failed_states: Iterable[str] | None = None,
        execution_delta: timedelta | None = None,
        execution_date_fn: Callable[..., Any] | None = None,
        check_existence: bool = False,
        poll_interval: float | None = None,
        deferrable: bool = False,
        poke_interval: timedelta | float = 60,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        if poll_interval is not None:
            warnings.warn("poll_interval is deprecated: use poke_interval", DeprecationWarning, stacklevel=2)
            poke_interval = poll_interval
        super().__init__(task_id=task_id, poke_interval=poke_interval, **arguments)
        self.external_dag_id = self.waits_for_workflow = external_dag_id
        self.external_task_id = external_task_id
        self.external_task_ids = _only_one(external_task_id, external_task_ids or None, external_task_group_id)
        self.external_task_group_id = external_task_group_id
        self.allowed_states = list(allowed_states or (TaskState.SUCCESS.value,))
        self.skipped_states = list(skipped_states or ())
        self.failed_states = list(failed_states or ())
        self._check_states()
        if execution_delta is not None and execution_date_fn is not None:
            raise ValueError(
                "Only one of `execution_delta` or `execution_date_fn` may be provided to ExternalTaskSensor; not both."
            )
        self.execution_delta = execution_delta
        self.execution_date_fn = execution_date_fn
        self.check_existence = check_existence
        self.deferrable = deferrable
        self.external_dates_filter: str | None = None
        """The logical dates that it waits for, as ISO text with commas between."""

    def execute(self, context: Any) -> Any:
        """Wait."""
        if not self.deferrable:
            return super().execute(context)
        self._check_existence(context)
        return self.defer(
            trigger=WorkflowTrigger(
                external_dag_id=self.external_dag_id,
                external_task_ids=self.external_task_ids,
                external_task_group_id=self.external_task_group_id,
                allowed_states=self.allowed_states,
                failed_states=self.failed_states,
                skipped_states=self.skipped_states,
                poke_interval=self.poke_interval,
                soft_fail=self.soft_fail,
                logical_dates=self._dates(context),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) if self.timeout else self.execution_timeout,
        )

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Go on after the wait."""
        status = (event or {}).get("status")
        if status == "success":
            self.log.info("External tasks %s has executed successfully.", self.external_task_ids)
        elif status == "skipped":
            raise AirflowSkipException("External job has skipped skipping.")
        elif self.soft_fail:
            raise AirflowSkipException("External job has failed skipping.")
        elif status == "failed":
            raise ExternalDagFailedError("External job has failed.")
        else:
            raise ExternalTaskNotFoundError(f"the trigger says nothing about {self._wanted()}: check its ids")

    def poke(self, context: Any) -> bool:
        """Whether what is waited for has ended well."""
        if self.external_task_ids and len(set(self.external_task_ids)) < len(self.external_task_ids):
            raise ValueError("Duplicate task_ids passed in external_task_ids parameter")
        self._check_existence(context)
        dates = self._dates(context)
        self.log.info("Poking for %s on %s ... ", self._wanted(), self.external_dates_filter)
        if self.failed_states and self._count(dates, self.failed_states) > 0:
            self._fail()
        if self.skipped_states and self._count(dates, self.skipped_states) > 0:
            raise AirflowSkipException(f"{self._wanted()} reached a state in our states-to-skip-on list. Skipping.")
        return self._count(dates, self.allowed_states) == len(dates)

    def _count(self, dates: list[datetime], states: Collection[str]) -> float:
        return Matching(
            self.external_dag_id,
            tuple(self.external_task_ids or ()),
            self.external_task_group_id or "",
            logical_dates=tuple(dates),
        ).ask(states)

    def _fail(self) -> None:
        if self.soft_fail:
            raise AirflowSkipException(f"{self._wanted()} failed. Skipping due to soft_fail.")
        if self.external_task_ids:
            raise ExternalTaskFailedError(f"{self._wanted()} failed.")
        if self.external_task_group_id:
            raise ExternalTaskGroupFailedError(f"{self._wanted()} failed.")
        raise ExternalDagFailedError(f"{self._wanted()} failed.")

    def _dates(self, context: Any) -> list[datetime]:
        """The logical dates of the runs to wait for."""
        own = moment_of_run(context)
        if self.execution_delta is not None:
            dates = [own - self.execution_delta]
        elif self.execution_date_fn is not None:
            dates = _listed(_call_with_context(self.execution_date_fn, own, context))
        else:
            dates = [own]
        self.external_dates_filter = ",".join(date.isoformat() for date in dates)
        return dates

    def _wanted(self) -> str:
        if self.external_task_ids:
            return f"tasks {list(self.external_task_ids)} in dag {self.external_dag_id!r}"
        if self.external_task_group_id:
            return f"task_group {self.external_task_group_id!r} in dag {self.external_dag_id!r}"
        return f"DAG {self.external_dag_id!r}"

    def _check_existence(self, context: Any) -> None:
        """Fail if what is waited for does not exist, when that is asked for."""
        if not self.check_existence:
            return
        channel = context["ti"].execution.channel
        found = ask_maybe(channel, wire.FindWorkflow(self.external_dag_id), wire.WorkflowFound)
        if found is None:
            raise ExternalDagNotFoundError(f"The external DAG {self.external_dag_id} does not exist.")
        for task_id in self.external_task_ids or ():
            if task_id not in found.task_ids:
                named = did_you_mean(task_id, found.task_ids)
                raise ExternalTaskNotFoundError(
                    f"The external task {named} in DAG {self.external_dag_id} does not exist."
                )
        group_id = self.external_task_group_id
        if group_id and group_id not in found.group_ids:
            named = did_you_mean(group_id, found.group_ids)
            raise ExternalTaskGroupNotFoundError(
                f"The external task group {named} in DAG {self.external_dag_id} does not exist."
            )

    def _check_states(self) -> None:
        states = [*self.allowed_states, *self.skipped_states, *self.failed_states]
        if len(set(states)) < len(states):
            raise DuplicateStateError(
                "Duplicate values provided across allowed_states, skipped_states and failed_states."
            )
        of_tasks = bool(self.external_task_ids or self.external_task_group_id)
        valid = [str(state.value) for state in (TaskState if of_tasks else RunState)]
        for state in states:
            if state not in valid:
                what = "tasks" if of_tasks else "runs, as neither tasks nor a group are given"
                raise ValueError(f"{did_you_mean(str(state), valid)} is no state of {what}: {', '.join(valid)}")


class ExternalTaskMarker(EmptyOperator):
    """Marks that a task of another workflow waits for this: clearing this recursively clears that one, too.

    Arguments:
        external_dag_id: id of the workflow that waits. (templated)
        external_task_id: id of the task that waits. (templated)
        logical_date: logical date of its run; by default the own one. (templated)
        recursion_depth: how many markers a recursive clear follows at most.
    """

    template_fields: Sequence[str] = ("external_dag_id", "external_task_id", "logical_date")
    operator_extra_links: Sequence[Any] = (ExternalDagLink(),)
    ui_color = "#4db7db"

    def __init__(
        self,
        *,
        task_id: str,
        external_dag_id: str,
        external_task_id: str,
        logical_date: str | datetime = "{{ logical_date.isoformat() }}",
        recursion_depth: int = 10,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        if not isinstance(logical_date, str | datetime):
            raise TypeError(f"Expected str or datetime.datetime type for logical_date. Got {type(logical_date)}")
        if recursion_depth <= 0:
            raise ValueError("recursion_depth should be a positive integer")
        self.external_dag_id = external_dag_id
        self.external_task_id = external_task_id
        self.logical_date = logical_date.isoformat() if isinstance(logical_date, datetime) else logical_date
        self.recursion_depth = recursion_depth

    @property
    def must_be_rendered(self) -> bool:
        """Whether a server cannot say what it marks before a worker has rendered its templates."""
        plain = ("{{ logical_date.isoformat() }}", "{{ logical_date }}", "{{ ts }}")
        templates = [self.external_dag_id, self.external_task_id]
        templates += [] if " ".join(self.logical_date.split()) in plain else [self.logical_date]
        return any("{{" in text or "{%" in text for text in templates)


def _only_one(task_id: str | None, task_ids: Collection[str] | None, group_id: str | None) -> Collection[str] | None:
    """The tasks to wait for. Raises ValueError when more than one of the three is given."""
    if task_id is not None and task_ids is not None:
        raise ValueError(
            "Only one of `external_task_id` or `external_task_ids` may be provided to ExternalTaskSensor; "
            "use external_task_id or external_task_ids or external_task_group_id."
        )
    wanted = [task_id] if task_id is not None else task_ids
    if group_id is not None and wanted is not None:
        raise ValueError(
            "Only one of `external_task_group_id` or `external_task_ids` may be provided to ExternalTaskSensor; "
            "use external_task_id or external_task_ids or external_task_group_id."
        )
    return wanted


def _call_with_context(function: Callable[..., Any], date: datetime, context: Any) -> Any:
    """Call a function with a date, and with those context keys that its other parameters name."""
    first, *others = signature_of(function).parameters.values()
    available: dict[str, Any] = {"context": context}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in others):
        available |= context
    else:
        available |= {parameter.name: context[parameter.name] for parameter in others if parameter.name in context}
    for taken in (first.name, "logical_date", "execution_date"):
        available.pop(taken, None)
    return function(date, **keyword_arguments(function, (), available))


def _listed(dates: Any) -> list[datetime]:
    return list(dates) if isinstance(dates, list | tuple) else [dates]
