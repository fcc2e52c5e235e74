"""What a task and a mapped task have in common: where they belong, arrows, setup and teardown, defaults.

The defaults of the common arguments are attributes of `AbstractOperator`. A task has in its own dict
only what it was given, so that to make one costs little, and to store one means to look at little.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from piper.model.spec import DEFAULT_POOL
from piper.model.states import TriggerRule, WeightRule
from piper.sdk.arguments import CONVERTERS, listed, uniform
from piper.sdk.execution.templating import Templater
from piper.sdk.node import DependencyMixin, each
from piper.sdk.place import Place
from piper.sdk.xcom_arg import PlainXComArg

if TYPE_CHECKING:
    from piper.sdk.dags import DAG
    from piper.sdk.edges import EdgeModifier
    from piper.sdk.group import MappedTaskGroup, TaskGroup
    from piper.sdk.params import ParamsDict
    from piper.sdk.retry_policy import RetryPolicy

NOTHING: Mapping[str, Any] = MappingProxyType({})


class OwnList:
    """A list that a task has from when it is first looked at: authors append to it, and most never do."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, task: Any, owner: type) -> list[Any]:
        if task is None:
            return []
        found: list[Any] = task.__dict__.setdefault(self._name, [])
        return found

    def __set__(self, task: Any, value: Any) -> None:
        task.__dict__[self._name] = listed(value)


class AbstractOperator(Templater, DependencyMixin):
    """What a task and a mapped task have in common: the common arguments' defaults, arrows, setup and teardown."""

    task_id: str
    _dag: DAG | None = None
    task_group: TaskGroup | None = None
    _task_place: Place | None = None
    upstream_task_ids: set[str]
    downstream_task_ids: set[str]

    owner: str = "airflow"
    email: str | Iterable[str] | None = None
    email_on_retry: bool = True
    email_on_failure: bool = True
    retries: int = 0
    retry_delay: timedelta = timedelta(seconds=300)
    retry_exponential_backoff: float = 0
    max_retry_delay: timedelta | None = None
    retry_policy: RetryPolicy | None = None
    depends_on_past: bool = False
    ignore_first_depends_on_past: bool = False
    wait_for_past_depends_before_skipping: bool = False
    wait_for_downstream: bool = False
    priority_weight: int = 1
    weight_rule: Any = WeightRule.DOWNSTREAM
    queue: str = "default"
    pool: str = DEFAULT_POOL
    pool_slots: int = 1
    execution_timeout: timedelta | None = None
    on_execute_callback = OwnList()
    on_failure_callback = OwnList()
    on_success_callback = OwnList()
    on_retry_callback = OwnList()
    on_skipped_callback = OwnList()
    _pre_execute_hook: Callable[[Any], None] | None = None
    _post_execute_hook: Callable[[Any, Any], None] | None = None
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    resources: Any = None
    run_as_user: str | None = None
    map_index_template: str | None = None
    max_active_tis_per_dag: int | None = None
    max_active_tis_per_dagrun: int | None = None
    executor: str | None = None
    executor_config: Mapping[str, Any] = NOTHING
    do_xcom_push: bool = True
    multiple_outputs: bool = False
    inlets = OwnList()
    outlets = OwnList()
    doc: str | None = None
    doc_md: str | None = None
    doc_json: Any = None
    doc_yaml: Any = None
    doc_rst: str | None = None
    _task_display_name: str | None = None
    logger_name: str | None = None
    allow_nested_operators: bool = True
    render_template_as_native_obj: bool | None = None

    template_fields: Sequence[str] = ()
    template_ext: Sequence[str] = ()
    template_fields_renderers: ClassVar[Mapping[str, str]] = {}
    operator_extra_links: Sequence[Any] = ()
    ui_color: str = "#fff"
    ui_fgcolor: str = "#000"

    returns_dag_result: bool = False
    is_mapped: bool = False
    _is_setup: bool = False
    _is_teardown: bool = False
    _on_failure_fail_dagrun: bool = False
    _task_params: Mapping[str, Any] | None = None
    _task_start: datetime | None = None
    _task_end: datetime | None = None

    # --- where it belongs -----------------------------------------------------------------------

    @property
    def dag(self) -> DAG:
        """The DAG it belongs to.

        Raises:
            RuntimeError: it belongs to none.
        """
        if self._dag is None:
            raise RuntimeError(f"Operator {self} has not been assigned to a Dag yet")
        return self._dag

    @dag.setter
    def dag(self, dag: DAG) -> None:
        if self._dag is not None and self._dag is not dag:
            raise ValueError(f"The dag assigned to {self} can not be changed.")
        dag.add_task(self)

    def get_dag(self) -> DAG | None:
        """The DAG it belongs to, or None."""
        return self._dag

    def has_dag(self) -> bool:
        """Whether it belongs to a DAG."""
        return self._dag is not None

    @property
    def dag_id(self) -> str:
        """Id of its DAG; `adhoc_<owner>` outside of one."""
        return self._dag.dag_id if self._dag is not None else f"adhoc_{self.owner}"

    @property
    def node_id(self) -> str:
        """Its id among tasks and groups."""
        return self.task_id

    @property
    def task_display_name(self) -> str:
        """The name that people see."""
        return self._task_display_name or self.task_id

    @property
    def label(self) -> str:
        """The name beside its node: the display name, or the id without its group's prefix."""
        group = self.task_group
        if self._task_display_name:
            return self._task_display_name
        if group is not None and group.group_id and group.prefix_group_id:
            return self.task_id.removeprefix(f"{group.group_id}.")
        return self.task_id

    @property
    def start_date(self) -> datetime | None:
        """The later of its own and its DAG's start date."""
        own, outer = self._task_start, self._dag.start_date if self._dag is not None else None
        return max(own, outer) if own is not None and outer is not None else own or outer

    @start_date.setter
    def start_date(self, value: Any) -> None:
        self._task_start = None if value is None else uniform("start_date", value, repr(self))

    @property
    def end_date(self) -> datetime | None:
        """The earlier of its own and its DAG's end date."""
        own, outer = self._task_end, self._dag.end_date if self._dag is not None else None
        return min(own, outer) if own is not None and outer is not None else own or outer

    @end_date.setter
    def end_date(self, value: Any) -> None:
        self._task_end = None if value is None else uniform("end_date", value, repr(self))

    @property
    def params(self) -> ParamsDict:
        """The DAG's params and its own, which come first."""
        from piper.sdk.params import ParamsDict  # few tasks have params

        merged = ParamsDict()
        if self._dag is not None and self._dag.has_params:
            merged.update(self._dag.params)
        if self._task_params:
            merged.update(ParamsDict(self._task_params))
        return merged

    @params.setter
    def params(self, value: Mapping[str, Any] | None) -> None:
        self._task_params = value

    @property
    def task_type(self) -> str:
        """Name of the operator's class."""
        raise NotImplementedError

    @property
    def operator_name(self) -> str:
        """The operator's name for people: `custom_operator_name` if its class has one."""
        raise NotImplementedError

    # --- arrows ---------------------------------------------------------------------------------

    @property
    def roots(self) -> Sequence[AbstractOperator]:
        """Itself."""
        return (self,)

    @property
    def leaves(self) -> Sequence[AbstractOperator]:
        """Itself."""
        return (self,)

    def set_upstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let this task wait for `other`: a task, group, result, label, or a list of these."""
        for node in each(other):
            node.meet(self, other_is_upstream=False)
            for task in node.leaves:
                _join(task, self, edge_modifier)

    def set_downstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let `other` wait for this task."""
        for node in each(other):
            node.meet(self, other_is_upstream=True)
            for task in node.roots:
                _join(self, task, edge_modifier)

    @property
    def upstream_list(self) -> list[AbstractOperator]:
        """The tasks that it waits for."""
        return [self.dag.get_task(task_id) for task_id in self.upstream_task_ids]

    @property
    def downstream_list(self) -> list[AbstractOperator]:
        """The tasks that wait for it."""
        return [self.dag.get_task(task_id) for task_id in self.downstream_task_ids]

    def get_direct_relatives(self, upstream: bool = False) -> list[AbstractOperator]:
        """`upstream_list` or `downstream_list`."""
        return self.upstream_list if upstream else self.downstream_list

    def get_direct_relative_ids(self, upstream: bool = False) -> set[str]:
        """`upstream_task_ids` or `downstream_task_ids`."""
        return self.upstream_task_ids if upstream else self.downstream_task_ids

    def get_flat_relative_ids(self, *, upstream: bool = False) -> set[str]:
        """Ids of all tasks before, or after, this one."""
        tasks = self.dag.task_dict
        found: set[str] = set()
        waiting = list(self.get_direct_relative_ids(upstream))
        while waiting:
            task_id = waiting.pop()
            if task_id not in found:
                found.add(task_id)
                waiting += tasks[task_id].get_direct_relative_ids(upstream)
        return found

    def get_flat_relatives(self, upstream: bool = False) -> list[AbstractOperator]:
        """All tasks before, or after, this one."""
        return [self.dag.task_dict[task_id] for task_id in self.get_flat_relative_ids(upstream=upstream)]

    @property
    def output(self) -> PlainXComArg:
        """A reference to its result."""
        return PlainXComArg(self)

    # --- setup and teardown ---------------------------------------------------------------------

    @property
    def is_setup(self) -> bool:
        """Whether it prepares something for the tasks after it."""
        return self._is_setup

    @is_setup.setter
    def is_setup(self, value: bool) -> None:
        if value and self._is_teardown:
            raise ValueError(f"Cannot mark task '{self.task_id}' as setup; task is already a teardown.")
        self._is_setup = value

    @property
    def is_teardown(self) -> bool:
        """Whether it cleans up after the tasks before it."""
        return self._is_teardown

    @is_teardown.setter
    def is_teardown(self, value: bool) -> None:
        if value and self._is_setup:
            raise ValueError(f"Cannot mark task '{self.task_id}' as teardown; task is already a setup.")
        self._is_teardown = value

    @property
    def on_failure_fail_dagrun(self) -> bool:
        """Of a teardown: whether its failure fails the run."""
        return self._on_failure_fail_dagrun

    @on_failure_fail_dagrun.setter
    def on_failure_fail_dagrun(self, value: bool) -> None:
        if value and not self._is_teardown:
            raise ValueError(
                f"Cannot set task on_failure_fail_dagrun for '{self.task_id}' because it is not a teardown task."
            )
        self._on_failure_fail_dagrun = value

    def as_setup(self) -> Self:
        """Mark as setup."""
        self.is_setup = True
        return self

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool | None = None) -> Self:
        """Mark as teardown; `setups` become setups before it."""
        self.is_teardown = True
        self.trigger_rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
        if on_failure_fail_dagrun is not None:
            self.on_failure_fail_dagrun = on_failure_fail_dagrun
        for setup in each(setups) if setups is not None else ():
            setup.as_setup()
            setup.set_downstream(self)
        return self

    def __enter__(self) -> Any:
        """`with setup_task:` and `with teardown_task:`: the tasks made inside are in its scope."""
        from piper.sdk.setup_teardown import SetupTeardownContext  # few files use it

        return SetupTeardownContext.enter([self])

    def __exit__(self, *_: object) -> None:
        from piper.sdk.setup_teardown import SetupTeardownContext

        SetupTeardownContext.leave()

    # --- mapped groups --------------------------------------------------------------------------

    def iter_mapped_task_groups(self) -> Iterator[MappedTaskGroup]:
        """The mapped groups around it, innermost first."""
        if self.task_group is not None:
            yield from self.task_group.iter_mapped_task_groups()

    def get_closest_mapped_task_group(self) -> MappedTaskGroup | None:
        """The innermost mapped group around it."""
        return next(self.iter_mapped_task_groups(), None)

    def get_needs_expansion(self) -> bool:
        """Whether it becomes several instances: mapped itself, or in a mapped group."""
        return self.is_mapped or self.get_closest_mapped_task_group() is not None

    # --- inlets and outlets ---------------------------------------------------------------------

    def add_inlets(self, inlets: Iterable[Any]) -> None:
        """Declare more assets that it reads."""
        self.inlets = [*self.inlets, *inlets]

    def add_outlets(self, outlets: Iterable[Any]) -> None:
        """Declare more assets that it changes."""
        self.outlets = [*self.outlets, *outlets]

    @property
    def has_on_execute_callback(self) -> bool:
        """Whether it has such callbacks."""
        return bool(self.on_execute_callback)

    @property
    def has_on_failure_callback(self) -> bool:
        """Whether it has such callbacks."""
        return bool(self.on_failure_callback)

    @property
    def has_on_success_callback(self) -> bool:
        """Whether it has such callbacks."""
        return bool(self.on_success_callback)

    @property
    def has_on_retry_callback(self) -> bool:
        """Whether it has such callbacks."""
        return bool(self.on_retry_callback)

    @property
    def has_on_skipped_callback(self) -> bool:
        """Whether it has such callbacks."""
        return bool(self.on_skipped_callback)

    # --- taking arguments -----------------------------------------------------------------------

    def _take_arguments(self, arguments: Mapping[str, Any]) -> None:
        """Keep the common arguments, each made uniform."""
        fields = self.__dict__
        for name, value in arguments.items():
            if value is None:
                continue
            if name in CONVERTERS:
                fields[_STORED.get(name, name)] = uniform(name, value, f"task {self.task_id!r}")
            elif name == "sla":
                _warn_of_sla()
        if fields.get("wait_for_downstream"):
            fields["depends_on_past"] = True

    def _take_params(self, own: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> None:
        if own is not None and not isinstance(own, Mapping):
            raise TypeError(f"task {self.task_id!r}: params must be a mapping, not {type(own).__name__}")
        merged = {**(own or {}), **(defaults.get("params") or {})}
        if merged:
            self._task_params = merged


_STORED = {
    "start_date": "_task_start",
    "end_date": "_task_end",
    "pre_execute": "_pre_execute_hook",
    "post_execute": "_post_execute_hook",
    "task_display_name": "_task_display_name",
    "isolation": "_task_isolation",
    "memory_limit": "_task_memory_limit",
    "outputs": "_task_outputs",
    "metrics": "_task_metrics",
}
"""Arguments kept under another name: theirs is a property or a method, or one that Airflow does not have, so that
operators written for it may keep something of their own under that name. What Piper keeps begins with `_task_`,
since `_start_date`, `_params` and their like are found in many operators."""


def _join(up: AbstractOperator, down: AbstractOperator, label: EdgeModifier | None) -> None:
    dag = up._dag or down._dag
    if dag is None:
        raise ValueError(
            "Tried to create relationships between tasks that don't have Dags yet. "
            f"Set the Dag for at least one task and try again: {[up, down]}"
        )
    for task in (up, down):
        if task._dag is None:
            dag.add_task(task)
        elif task._dag is not dag:
            raise RuntimeError(
                f"Tried to set relationships between tasks in more than one Dag: {up!r} of {up.dag_id!r} "
                f"and {down!r} of {down.dag_id!r}"
            )
    up.downstream_task_ids.add(down.task_id)
    down.upstream_task_ids.add(up.task_id)
    if label is not None:
        dag.set_edge_info(up.task_id, down.task_id, {"label": label.label})


def _warn_of_sla() -> None:
    warnings.warn("SLAs are gone since Airflow 3.0; see deadline alerts", stacklevel=6)


def merge_defaults(dag: DAG | None, group: TaskGroup | None, own: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The defaults that apply: DAG < outer group < inner group < the operator's own."""
    defaults: Mapping[str, Any] = dag.default_args if dag is not None else NOTHING
    if group is not None and group.default_args:
        defaults = {**defaults, **group.default_args}
    if own:
        if not isinstance(own, Mapping):
            raise TypeError(f"default_args must be a mapping, got {type(own)}")
        defaults = {**defaults, **own}
    return defaults
