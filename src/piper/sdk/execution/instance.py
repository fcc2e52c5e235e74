"""The task instance, as user code sees it: `ti` in the context."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from piper.model import wire
from piper.model.ids import UNMAPPED
from piper.model.spec import RETURN_KEY
from piper.model.states import RunState, TaskState
from piper.sdk.execution import xcoms
from piper.sdk.execution.channel import ask, ask_maybe
from piper.sdk.execution.current import Execution, current_channel
from piper.sdk.execution.dag_run import DagRun, previous_run
from piper.sdk.placeholders import NOTSET, NotSet
from piper.sdk.spelling import former_attribute


@dataclass(frozen=True)
class OtherWorkflow:
    """What a task may know of another workflow."""

    dag_id: str
    is_paused: bool
    task_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()


class RuntimeTaskInstance:
    """One task of one run, while it is executed.

    Arguments:
        execution: the execution that goes on.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._run: DagRun | None = None
        self.state: str = TaskState.RUNNING.value
        """In callbacks how it ended: success, skipped, failed, or up_for_retry."""
        self.end_date: datetime | None = None
        """In callbacks when it ended."""
        self.rendered_map_index: str | None = None
        """What `map_index_template` gave: the instance's name for people."""

    # --- what it is -----------------------------------------------------------------------------

    @property
    def execution(self) -> Execution:
        """Piper's own view of it."""
        return self._execution

    @property
    def id(self) -> int:
        """Its number in this installation."""
        return self._execution.facts.identity.instance

    @property
    def task(self) -> Any:
        """The operator that is executed."""
        return self._execution.task

    @task.setter
    def task(self, task: Any) -> None:
        self._execution.task = task

    @property
    def task_id(self) -> str:
        """Id of the task."""
        return self._execution.facts.task.task_id

    @property
    def dag_id(self) -> str:
        """Id of the workflow."""
        return self._execution.facts.run.workflow_id

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._execution.facts.run.run_id

    @property
    def map_index(self) -> int:
        """Which of the mapped task's instances; -1 if the task is not mapped."""
        return self._execution.facts.map_index

    @property
    def is_mapped(self) -> bool:
        """Whether the task has several instances."""
        return self._execution.mapped

    @property
    def try_number(self) -> int:
        """Which try this is, from 1."""
        return self._execution.facts.identity.try_number

    @property
    def max_tries(self) -> int:
        """It is tried again after a failure while try_number ≤ max_tries."""
        return self._execution.facts.max_tries

    @property
    def start_date(self) -> datetime:
        """When user code was first entered in this try."""
        return self._execution.facts.started_at

    @property
    def operator(self) -> str:
        """Name of the operator's class."""
        return self.task.task_type  # type: ignore[no-any-return]

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return self._execution.facts.task.queue

    @property
    def pool(self) -> str:
        """The pool whose slots it holds."""
        return self._execution.facts.task.pool

    @property
    def pool_slots(self) -> int:
        """How many slots it holds."""
        return self._execution.facts.task.pool_slots

    @property
    def priority_weight(self) -> int:
        """Its effective priority."""
        return self._execution.facts.task.priority

    @property
    def dag_run(self) -> DagRun:
        """The run."""
        if self._run is None:
            self._run = DagRun.of(self._execution.facts.run, self._execution.facts.team)
        return self._run

    @property
    def hostname(self) -> str:
        """Name of the machine it runs on."""
        import socket  # lazy: templates of notifications ask for it, tasks hardly ever

        return socket.gethostname()

    @property
    def log_url(self) -> str:
        """Path of its log on the web server. Its address is not known here."""
        from urllib.parse import quote  # lazy, as above

        mapped = f"/{self.map_index}" if self.map_index != UNMAPPED else ""
        return f"/workflows/{quote(self.dag_id)}/runs/{quote(self.run_id, safe='')}/tasks/{self.task_id}{mapped}"

    mark_success_url = log_url

    def __getattr__(self, name: str) -> Any:
        return former_attribute(self, "TaskInstance", name)

    def __repr__(self) -> str:
        mapped = f" map_index={self.map_index}" if self.map_index != UNMAPPED else ""
        return f"<TaskInstance: {self.dag_id}.{self.task_id} {self.run_id}{mapped} [running]>"

    # --- its context ----------------------------------------------------------------------------

    def get_template_context(self) -> Any:
        """The context, the same object that `execute` was handed."""
        return self._execution.context

    def render_templates(self, context: Any = None, jinja_env: Any = None) -> Any:
        """Render the task's template fields, and return the task."""
        self.task.render_template_fields(context if context is not None else self._execution.context, jinja_env)
        return self.task

    # --- XComs ----------------------------------------------------------------------------------

    def xcom_push(self, key: str, value: Any) -> None:
        """Leave a value for later tasks; they see it when this execution has ended.

        Raises:
            TypeError: it has no JSON form.
            ValueError: it is too large.
        """
        xcoms.push(self._execution, key, value)

    def xcom_pull(
        self,
        task_ids: str | Iterable[str] | None = None,
        dag_id: str | None = None,
        key: str = RETURN_KEY,
        include_prior_dates: bool = False,
        *,
        map_indexes: int | Iterable[int] | NotSet | None = NOTSET,
        default: Any = None,
        run_id: str | None = None,
    ) -> Any:
        """Values that tasks have left.

        Arguments:
            task_ids: one task or several; None is this task.
            dag_id: of another workflow.
            key: under which key; by default the task's result.
            include_prior_dates: take the latest of earlier runs if this one has none.
            map_indexes: of a mapped task, whose; None for one that is not mapped. By default all there are.
            default: in place of a value that is not there.
            run_id: of another run.

        Returns:
            One value if one task (and at most one index) is asked for, else a list. All values of one mapped
            task are a list by map index, and a single value if there is but one.
        """
        dag_id, run_id = self._elsewhere(dag_id, run_id)
        several = not isinstance(task_ids, str | None)
        wanted = [self.task_id] if task_ids is None else [task_ids] if isinstance(task_ids, str) else list(task_ids)
        where = {"workflow_id": dag_id, "run_id": run_id}
        if not isinstance(map_indexes, NotSet):
            one_index = isinstance(map_indexes, int | None)
            indexes = [map_indexes] if isinstance(map_indexes, int | None) else list(map_indexes)
            values = [
                self._pull(task_id, key, index, include_prior_dates, where, default)
                for task_id in wanted
                for index in indexes
            ]
            return values[0] if one_index and not several else values
        values = []
        for task_id in wanted:
            values += self._pull_all(task_id, key, include_prior_dates, where, default)
        return values[0] if not several and len(values) == 1 else values

    async def axcom_push(self, key: str, value: Any) -> None:
        """As `xcom_push`, for coroutines."""
        self.xcom_push(key, value)

    async def axcom_pull(self, *arguments: Any, **named: Any) -> Any:
        """As `xcom_pull`, for coroutines."""
        return self.xcom_pull(*arguments, **named)

    def _elsewhere(self, dag_id: str | None, run_id: str | None) -> tuple[str, str]:
        """Workflow and run, each empty if it is this one."""
        return (
            "" if dag_id in (None, self.dag_id) else str(dag_id),
            "" if run_id in (None, self.run_id) else str(run_id),
        )

    def _pull(self, task_id: str, key: str, index: int | None, prior: bool, where: dict[str, str], default: Any) -> Any:
        value = xcoms.pull(self._execution, task_id, key, map_index=index, include_prior_dates=prior, **where)
        return default if value is xcoms.ABSENT else value

    def _pull_all(self, task_id: str, key: str, prior: bool, where: dict[str, str], default: Any) -> list[Any]:
        """The values of all instances of a task, and the default if there are none."""
        if task_id == self.task_id and not any(where.values()):
            return [self._pull(task_id, key, self.map_index, prior, where, default)]
        if prior or (self._is_single(task_id) and not any(where.values())):
            return [self._pull(task_id, key, None, prior, where, default)]
        return list(xcoms.LazyXComSequence(self._execution, task_id, key, **where)) or [default]

    def _is_single(self, task_id: str) -> bool:
        """Whether a task of this workflow has one instance. Asked of the code: no question to the server."""
        dag = self.task.get_dag()
        task = dag.task_dict.get(task_id) if dag is not None else None
        return task is not None and not task.get_needs_expansion()

    # --- what happened before and elsewhere -----------------------------------------------------

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        """When a sensor in reschedule mode first poked; None if this is the first time."""
        return self.start_date if self._execution.facts.reschedules else None

    def get_previous_dagrun(self, state: str | None = None) -> DagRun | None:
        """The run before this one by logical date; with a state, the last before it that ended so."""
        run = previous_run(self._execution.channel, state)
        return None if run is None else DagRun.of(run)

    @staticmethod
    def get_ti_count(
        dag_id: str,
        map_index: int | None = None,
        task_ids: list[str] | None = None,
        task_group_id: str | None = None,
        logical_dates: list[datetime] | None = None,
        run_ids: list[str] | None = None,
        states: list[str] | None = None,
    ) -> int:
        """How many task instances of a workflow match.

        Raises:
            NotFound: the workflow has no such group.
        """
        asked = wire.CountInstances(
            dag_id,
            task_ids=tuple(task_ids or ()),
            group_id=task_group_id or "",
            logical_dates=tuple(logical_dates or ()),
            run_ids=tuple(run_ids or ()),
            states=tuple(map(TaskState, states or ())),
        )
        return ask(current_channel(), asked, int)

    @staticmethod
    def get_dr_count(
        dag_id: str,
        logical_dates: list[datetime] | None = None,
        run_ids: list[str] | None = None,
        states: list[str] | None = None,
    ) -> int:
        """How many runs of a workflow match."""
        asked = wire.CountRuns(
            dag_id,
            logical_dates=tuple(logical_dates or ()),
            run_ids=tuple(run_ids or ()),
            states=tuple(map(RunState, states or ())),
        )
        return ask(current_channel(), asked, int)

    @staticmethod
    def get_dagrun_state(dag_id: str, run_id: str) -> str:
        """State of a run.

        Raises:
            LookupError: there is no such run.
        """
        run = ask_maybe(current_channel(), wire.GetRun(dag_id, run_id), wire.RunContext)
        if run is None:
            raise LookupError(f"workflow {dag_id!r} has no run {run_id!r}")
        return run.state.value

    @staticmethod
    def get_dag(dag_id: str) -> OtherWorkflow:
        """What a task may know of another workflow.

        Raises:
            LookupError: there is no such workflow.
        """
        found = ask_maybe(current_channel(), wire.FindWorkflow(dag_id), wire.WorkflowFound)
        if found is None:
            raise LookupError(f"there is no workflow {dag_id!r}")
        return OtherWorkflow(dag_id, found.paused, found.task_ids, found.group_ids)
