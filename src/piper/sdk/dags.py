"""DAGs: workflows as authors write them.

A DAG that was entered (`with DAG(...)`) or made by a `@dag` function registers itself with the file
being loaded; any other is found if the file keeps it in a global.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack

from piper.model.ids import check_workflow_id
from piper.model.spec import RETURN_KEY, ComputeMode
from piper.model.states import RunType, TriggerRule
from piper.sdk import scope
from piper.sdk.arguments import listed, moment
from piper.sdk.batteries import PLAY_DAG
from piper.sdk.built_in_timetables import AssetTriggeredTimetable
from piper.sdk.dag_arguments import DAG_ARGUMENTS, KINDS, DagArguments
from piper.sdk.documents import document
from piper.sdk.exceptions import (
    AirflowDagCycleException,
    DuplicateTaskIdFound,
    FailFastDagInvalidTriggerRule,
    NodeNotFound,
    TaskNotFound,
)
from piper.sdk.group import MappedTaskGroup, TaskGroup
from piper.sdk.importing import import_path
from piper.sdk.params import DagParam, ParamsDict
from piper.sdk.place import Place, file_of, place_of
from piper.sdk.placeholders import NOTSET
from piper.sdk.schedules import as_timetable
from piper.sdk.spelling import former_attribute, named, nearest, only_known
from piper.sdk.timetables import Timetable
from piper.sdk.xcom_arg import PlainXComArg

if TYPE_CHECKING:
    import jinja2

    from piper.sdk.abstract_operator import AbstractOperator

TAG_LENGTH = 100

XComArgType = TypeVar("XComArgType", bound=PlainXComArg)


class DAG:
    """A workflow: tasks, what depends on what, and when it runs.

    Example::

        with DAG("hello", schedule="@daily", start_date=datetime(2026, 1, 1)):
            BashOperator(task_id="greet", bash_command="echo hello on {{ ds }}")

    Arguments:
        dag_id: 1 to 250 letters, digits, `_`, `-` or `.`.
        unnamed: arguments by position, which Airflow 1 and 2 took and Airflow 3 refuses.
        arguments: see `DagArguments`.

    Raises:
        TypeError: an argument is unknown, or of a wrong type, or has to be named.
        ValueError: an argument has a value that it may not have.
    """

    description: str | None = None
    schedule: Any = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    template_searchpath: Sequence[str] = ()
    template_undefined: Any = None
    user_defined_macros: Mapping[str, Any] | None = None
    user_defined_filters: Mapping[str, Any] | None = None
    max_active_tasks: int = 16
    max_active_runs: int = 16
    max_consecutive_failed_dag_runs: int = 0
    dagrun_timeout: timedelta | None = None
    sla_miss_callback: None = None
    catchup: bool = False
    on_success_callback: Any = None
    on_failure_callback: Any = None
    deadline: Sequence[Any] = ()
    doc_md: str | None = None
    access_control: Mapping[str, Any] | None = None
    is_paused_upon_creation: bool | None = None
    jinja_environment_kwargs: Mapping[str, Any] | None = None
    render_template_as_native_obj: bool = False
    owner_links: Mapping[str, str] = MappingProxyType({})
    auto_register: bool = True
    fail_fast: bool = False
    allowed_run_types: frozenset[RunType] | None = None
    disable_bundle_versioning: bool = False
    rerun_with_latest_version: bool | None = None
    freshness: Mapping[str, timedelta] = MappingProxyType({})
    compute_mode: ComputeMode = ComputeMode.SINGLE
    compute_centres: Sequence[str] = ()

    partial: bool = False
    _dag_display_name: str | None = None
    _params: ParamsDict | None = None
    _timetable: Timetable | None = None

    def __init__(self, dag_id: str, *unnamed: Any, **arguments: Unpack[DagArguments]) -> None:
        self.dag_id = check_workflow_id(dag_id)
        if unnamed:
            arguments = named(f"DAG({dag_id!r})", unnamed, dict(arguments))  # type: ignore[assignment]
        if not arguments.keys() <= DAG_ARGUMENTS:
            given: dict[str, Any] = dict(arguments)
            arguments = only_known(f"DAG({dag_id!r})", given, DAG_ARGUMENTS)  # type: ignore[assignment]
        self._place: Place | None = place_of(sys._getframe(1))
        self.default_args: dict[str, Any] = {}
        self.task_dict: dict[str, AbstractOperator] = {}
        self.used_ids: set[str] = set()
        self._suffixes: dict[str, int] = {}
        self.edge_info: dict[str, dict[str, dict[str, Any]]] = {}
        self.timezone: tzinfo = UTC
        self.tags: set[str] = set()
        self.task_group = TaskGroup.create_root(self)
        self._take(arguments)

    def _take(self, arguments: DagArguments) -> None:
        fields = self.__dict__
        for name, value in arguments.items():
            if value is None:
                continue
            kinds = KINDS.get(name)
            if kinds is not None and not isinstance(value, kinds):
                raise TypeError(
                    f"DAG {self.dag_id!r}: {name} must be {' or '.join(kind.__name__ for kind in kinds)}, not {value!r}"
                )
            prepare = _PREPARE.get(name)
            if prepare is not None:
                prepare(self, value)
            else:
                fields[name] = value
        self._settle_dates()
        if self._params is not None or "params" in self.default_args:
            self._settle_params()
        if self.schedule is not None:
            self._check_schedule()
        if self.allowed_run_types is not None:
            self._check_run_types(self.allowed_run_types)

    def _settle_dates(self) -> None:
        """The start date may come from `default_args`; its time zone is that of the schedule."""
        defaults = self.default_args
        given = self.__dict__.get("start_date") or defaults.get("start_date")
        if given is not None:
            self.start_date = moment(given)
            zone = getattr(given, "tzinfo", None)
            if zone is not None:
                self.timezone = zone
        if self.end_date is not None:
            self.end_date = moment(self.end_date)
        for name in ("start_date", "end_date"):
            if defaults.get(name) is not None:
                defaults[name] = moment(defaults[name])

    def _settle_params(self) -> None:
        params = ParamsDict(self._params)
        params.update(ParamsDict(self.default_args.pop("params", None) or {}))
        self._params = params

    def _check_schedule(self) -> None:
        timetable = self.timetable
        if self.catchup and timetable.can_be_scheduled and self.start_date is None:
            raise ValueError(f"DAG {self.dag_id!r}: start_date is required when catchup=True")
        limit = timetable.active_runs_limit
        if limit is not None and limit < self.max_active_runs:
            if "max_active_runs" in self.__dict__:
                raise ValueError(
                    f"Invalid max_active_runs: {type(timetable).__name__} requires max_active_runs <= {limit}"
                )
            self.max_active_runs = limit
        if self._params is not None and timetable.can_be_scheduled:
            self._check_params(self._params)

    def _check_params(self, params: ParamsDict) -> None:
        try:
            params.validate()
        except ValueError as error:
            raise ValueError(
                f"Dag {self.dag_id!r} is not allowed to define a Schedule, as there are required params "
                f"without default values, or the default values are not valid: {error}"
            ) from error

    def _check_run_types(self, allowed: frozenset[RunType]) -> None:
        if isinstance(self.timetable, AssetTriggeredTimetable):
            needed, why = RunType.ASSET_TRIGGERED, "it is scheduled by assets"
        elif self.timetable.can_be_scheduled:
            needed, why = RunType.SCHEDULED, "it has a schedule"
        else:
            needed, why = RunType.MANUAL, "it has no schedule"
        if needed not in allowed:
            raise ValueError(f"DAG {self.dag_id!r}: allowed_run_types must include {needed.value!r}, since {why}")

    # --- facts ----------------------------------------------------------------------------------

    @property
    def timetable(self) -> Timetable:
        """When it runs."""
        if self._timetable is None:
            self._timetable = as_timetable(self.schedule, self.timezone)
        return self._timetable

    @property
    def dag_display_name(self) -> str:
        """The name that people see."""
        return self._dag_display_name or self.dag_id

    @property
    def params(self) -> ParamsDict:
        """The parameters of its runs."""
        if self._params is None:
            self._params = ParamsDict()
        return self._params

    @params.setter
    def params(self, value: Mapping[str, Any]) -> None:
        self._params = ParamsDict(value)

    @property
    def has_params(self) -> bool:
        """Whether there are any."""
        return bool(self._params)

    @property
    def fileloc(self) -> str:
        """The file that makes it, as an absolute path."""
        return self._fileloc or file_of(self._place)

    @fileloc.setter
    def fileloc(self, value: str) -> None:
        self._fileloc = value

    _fileloc: str = ""

    @property
    def folder(self) -> str:
        """The folder of its file: where its templates are looked for."""
        return os.path.dirname(self.fileloc)

    @property
    def owner(self) -> str:
        """The owners of its tasks, with commas between."""
        return ", ".join(sorted({task.owner for task in self.task_dict.values()}))

    @property
    def has_on_success_callback(self) -> bool:
        """Whether it has such callbacks."""
        return self.on_success_callback is not None

    @property
    def has_on_failure_callback(self) -> bool:
        """Whether it has such callbacks."""
        return self.on_failure_callback is not None

    # --- tasks ----------------------------------------------------------------------------------

    @property
    def tasks(self) -> list[AbstractOperator]:
        """Its tasks, in the order in which they were written."""
        return list(self.task_dict.values())

    @property
    def task_ids(self) -> list[str]:
        """Their ids."""
        return list(self.task_dict)

    @property
    def roots(self) -> list[AbstractOperator]:
        """Tasks that wait for nothing."""
        return [task for task in self.task_dict.values() if not task.upstream_task_ids]

    @property
    def leaves(self) -> list[AbstractOperator]:
        """Tasks that nothing waits for."""
        return [task for task in self.task_dict.values() if not task.downstream_task_ids]

    @property
    def teardowns(self) -> list[AbstractOperator]:
        """Tasks that clean up."""
        return [task for task in self.task_dict.values() if task.is_teardown]

    @property
    def task_group_dict(self) -> dict[str, TaskGroup]:
        """Its groups by id, parents first."""
        return {name: group for name, group in self.task_group.get_task_group_dict().items() if name}

    def has_task(self, task_id: str) -> bool:
        """Whether it has a task of that id."""
        return task_id in self.task_dict

    def has_task_group(self, task_group_id: str) -> bool:
        """Whether it has a group of that id."""
        return task_group_id in self.task_group_dict

    def get_task(self, task_id: str) -> AbstractOperator:
        """The task of that id.

        Raises:
            TaskNotFound: there is none.
        """
        try:
            return self.task_dict[task_id]
        except KeyError:
            other = nearest(task_id, self.task_dict)
            hint = f" (did you mean {other!r}?)" if other else ""
            raise TaskNotFound(f"Task {task_id} not found{hint}") from None

    def __getitem__(self, node_id: str) -> AbstractOperator | TaskGroup:
        node = self.task_dict.get(node_id) or self.task_group_dict.get(node_id)
        if node is None:
            raise NodeNotFound(f"Task or group {node_id!r} not found")
        return node

    def add_task(self, task: AbstractOperator, group: TaskGroup | None = None) -> None:
        """Take a task in.

        Raises:
            DuplicateTaskIdFound: it has a task or a group of that id already.
            FailFastDagInvalidTriggerRule: it is `fail_fast` and the task's rule is not `all_success`.
        """
        if task._dag is None and group is None and task.task_group is None:
            group = scope.current_group(self)
            if group.group_id:
                task.task_id = group.child_id(task.task_id)
        task_id = task.task_id
        if task_id in self.used_ids and self.task_dict.get(task_id) is not task:
            raise DuplicateTaskIdFound(f"Task id '{task_id}' has already been added to the DAG {self.dag_id!r}")
        if self.fail_fast:
            FailFastDagInvalidTriggerRule.check(fail_fast=True, trigger_rule=task.trigger_rule)
        self.task_dict[task_id] = task
        self.claim_id(task_id)
        task._dag = self
        if group is not None:
            group.add(task)

    def add_tasks(self, tasks: Iterable[AbstractOperator]) -> None:
        """Take tasks in."""
        for task in tasks:
            self.add_task(task)

    def claim_id(self, full_id: str) -> None:
        """Note that a task or group has this id."""
        self.used_ids.add(full_id)
        base, separator, number = full_id.rpartition("__")
        if separator and number.isdecimal():
            self._suffixes[base] = max(self._suffixes.get(base, 0), int(number))

    def next_free_id(self, name: str, group: TaskGroup) -> str:
        """`name__1`, or the suffix after the highest that is in use, for a task or group in `group`."""
        base, separator, number = name.rpartition("__")
        if not (separator and number.isdecimal()):
            base = name
        return f"{base}__{self._suffixes.get(group.child_id(base), 0) + 1}"

    def set_dependency(self, upstream_task_id: str, downstream_task_id: str) -> None:
        """Let one of its tasks wait for another."""
        self.get_task(upstream_task_id).set_downstream(self.get_task(downstream_task_id))

    def set_edge_info(self, upstream_task_id: str, downstream_task_id: str, info: dict[str, Any]) -> None:
        """Put words on an arrow: `{"label": …}`."""
        self.edge_info.setdefault(upstream_task_id, {})[downstream_task_id] = info

    def get_edge_info(self, upstream_task_id: str, downstream_task_id: str) -> dict[str, Any]:
        """The words on an arrow, or {}."""
        return self.edge_info.get(upstream_task_id, {}).get(downstream_task_id, {})

    def topological_sort(self) -> tuple[AbstractOperator, ...]:
        """Its tasks, each after those that it waits for.

        Raises:
            AirflowDagCycleException: there is a cycle.
        """
        from piper.model.check import topological_order  # not needed to run a task
        from piper.model.errors import InvalidSpec

        try:
            order = topological_order({task_id: task.upstream_task_ids for task_id, task in self.task_dict.items()}, {})
        except InvalidSpec as error:
            raise AirflowDagCycleException(f"Cycle detected in Dag {self.dag_id!r}: {error}") from None
        return tuple(self.task_dict[task_id] for task_id in order)

    def check_cycle(self) -> None:
        """Raise AirflowDagCycleException if tasks wait for one another in a circle."""
        self.topological_sort()

    def validate(self) -> None:
        """Raise ValueError if it is not coherent: its timetable, its setups, its links."""
        self.timetable.validate()
        for task in self.task_dict.values():
            if not task.is_setup:
                continue
            for below in task.downstream_list:
                if not below.is_teardown and below.trigger_rule != TriggerRule.ALL_SUCCESS:
                    raise ValueError(
                        "Setup tasks must be followed with trigger rule ALL_SUCCESS: "
                        f"{below.task_id!r} has {below.trigger_rule.value!r}"
                    )

    def param(self, name: str, default: Any = NOTSET) -> DagParam:
        """A stand-in for the value that a run has for a param; with `default`, the param is made."""
        return DagParam(self, name, default)

    def add_result(self, result: XComArgType) -> XComArgType:
        """Make a task's return value the result of the run."""
        if result.key != RETURN_KEY:
            raise ValueError(f"only a task's return value can be the result of a run, not {result!r}")
        result.operator.returns_dag_result = True
        return result

    @property
    def task(self) -> Any:
        """`@dag.task`: the `@task` decorator, bound to this DAG."""
        from piper.sdk.decorators import task  # a file of classic operators alone does without

        return partial(task, dag=self)

    # --- with DAG(...) --------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        return former_attribute(self, "DAG", name)

    def __enter__(self) -> Self:
        scope.push_dag(self)
        return self

    def __exit__(self, *_: object) -> None:
        scope.pop_dag()
        if self.auto_register:
            scope.register(self)

    def __iter__(self) -> Iterator[AbstractOperator]:
        return iter(self.task_dict.values())

    def __repr__(self) -> str:
        return f"<DAG: {self.dag_id}>"

    def __lt__(self, other: DAG) -> bool:
        return self.dag_id < other.dag_id

    # --- running --------------------------------------------------------------------------------

    @cached_property
    def mapped_over(self) -> frozenset[str]:
        """Ids of the tasks whose results others are mapped over. For a running task: the DAG is complete."""
        from piper.sdk.mapping import MappedOperator  # asked once per process

        nodes = (*self.task_dict.values(), *self.task_group_dict.values())
        inputs = [node.expand_input for node in nodes if isinstance(node, MappedOperator | MappedTaskGroup)]
        return frozenset(source.task_id for one in inputs for source, _ in one.references())

    def get_template_env(self, *, force_sandboxed: bool = False) -> jinja2.Environment:
        """The Jinja environment of its templates."""
        from piper.sdk.execution.templating import create_environment  # only in a running task

        return create_environment(
            native=self.render_template_as_native_obj and not force_sandboxed,
            search_path=[self.folder, *self.template_searchpath],
            undefined=self.template_undefined,
            options=self.jinja_environment_kwargs,
            macros=self.user_defined_macros,
            filters=self.user_defined_filters,
        )

    def resolve_template_files(self) -> None:
        """Read the template files that its tasks name."""
        for task in self.task_dict.values():
            task.resolve_template_files()

    def test(self, *arguments: Any, **named: Any) -> Any:
        """Run it once in this process, without a server; see `piper.testing.dag_test` for the arguments."""
        return import_path(PLAY_DAG)(self, *arguments, **named)

    def cli(self) -> NoReturn:
        """Refused: Piper's command line knows every DAG by its file."""
        raise RuntimeError(f"run this DAG with: piper run {self.fileloc}")


def _prepare_default_args(dag: DAG, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"DAG {dag.dag_id!r}: default_args must be a dict, not {value!r}")
    dag.default_args = dict(value)


def _prepare_params(dag: DAG, value: Any) -> None:
    dag._params = ParamsDict(value)


def _prepare_tags(dag: DAG, value: Any) -> None:
    if isinstance(value, str):
        raise TypeError(f"DAG {dag.dag_id!r}: tags must be a list of texts, not {value!r}: write tags=[{value!r}]")
    dag.tags = set(value)
    for tag in dag.tags:
        if not isinstance(tag, str) or len(tag) > TAG_LENGTH:
            raise ValueError(f"DAG {dag.dag_id!r}: tag {tag!r} cannot be longer than {TAG_LENGTH} characters")


def _prepare_owner_links(dag: DAG, value: Mapping[str, str]) -> None:
    from urllib.parse import urlsplit  # few DAGs have links

    for owner, link in value.items():
        parts = urlsplit(link)
        if not (parts.path if parts.scheme == "mailto" else parts.scheme and parts.netloc):
            raise ValueError(
                f"DAG {dag.dag_id!r}: the link {link!r} of owner {owner!r} is no URL and no mailto: address"
            )
    dag.owner_links = dict(value)


def _prepare_searchpath(dag: DAG, value: Any) -> None:
    dag.template_searchpath = [value] if isinstance(value, str) else list(value)


def _prepare_run_types(dag: DAG, value: Any) -> None:
    dag.allowed_run_types = frozenset(RunType(one) for one in listed(value))


def _prepare_sla_callback(dag: DAG, value: Any) -> None:
    warnings.warn("SLAs are gone since Airflow 3.0; see deadline alerts", stacklevel=5)


_PREPARE: dict[str, Callable[[DAG, Any], None]] = {
    "default_args": _prepare_default_args,
    "params": _prepare_params,
    "tags": _prepare_tags,
    "owner_links": _prepare_owner_links,
    "template_searchpath": _prepare_searchpath,
    "allowed_run_types": _prepare_run_types,
    "sla_miss_callback": _prepare_sla_callback,
    "doc_md": lambda dag, value: setattr(dag, "doc_md", document(value)),
    "dag_display_name": lambda dag, value: setattr(dag, "_dag_display_name", value),
    "deadline": lambda dag, value: setattr(dag, "deadline", listed(value)),
    "compute_mode": lambda dag, value: setattr(dag, "compute_mode", ComputeMode(value)),
    "compute_centres": lambda dag, value: setattr(dag, "compute_centres", listed(value)),
    "fail_fast": lambda dag, value: setattr(dag, "fail_fast", bool(value)),
}
"""What is more than a plain assignment."""
