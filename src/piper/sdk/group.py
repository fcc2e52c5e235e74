"""Task groups: tasks under one name, which prefixes their ids and can stand at either end of an arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from piper.model.errors import InvalidName
from piper.model.ids import check_group_id
from piper.model.states import TriggerRule
from piper.sdk import scope
from piper.sdk.abstract_operator import AbstractOperator
from piper.sdk.documents import document
from piper.sdk.exceptions import DuplicateTaskIdFound, NodeNotFound, TaskAlreadyInTaskGroup
from piper.sdk.node import DependencyMixin, each

if TYPE_CHECKING:
    from piper.sdk.dags import DAG
    from piper.sdk.edges import EdgeModifier
    from piper.sdk.mapping import ExpandInput


class TaskGroup(DependencyMixin):
    """Tasks that belong together.

    Example::

        with DAG("report"):
            with TaskGroup("load") as load:
                orders = BashOperator(task_id="orders", bash_command="…")  # its id is load.orders
            load >> summary

    Arguments:
        group_id: 1 to 200 letters, digits, `_` or `-`.
        prefix_group_id: whether the ids of its tasks and groups begin with its own.
        parent_group: the group around it; within `with TaskGroup(...)` this is implied.
        dag: its DAG; within `with DAG(...)` this is implied.
        default_args: defaults of its tasks' arguments, before those of the DAG and of outer groups.
        tooltip: shown over its node.
        doc_md: documentation as Markdown, or the name of a file that ends in `.md`.
        add_suffix_on_collision: take the id `name__1`, `name__2` … if `name` is taken.
        group_display_name: the name that people see.
    """

    def __init__(
        self,
        group_id: str,
        prefix_group_id: bool = True,
        parent_group: TaskGroup | None = None,
        dag: DAG | None = None,
        default_args: Mapping[str, Any] | None = None,
        tooltip: str = "",
        doc_md: str | None = None,
        ui_color: str = "CornflowerBlue",
        ui_fgcolor: str = "#000",
        add_suffix_on_collision: bool = False,
        group_display_name: str = "",
    ) -> None:
        owner = dag or (parent_group.dag if parent_group is not None else scope.current_dag())
        if owner is None:
            raise RuntimeError("TaskGroup can only be used inside a dag")
        if default_args is not None and not isinstance(default_args, Mapping):
            raise TypeError(f"default_args must be a mapping, got {type(default_args)}")
        parent = parent_group or scope.current_group(owner)
        if parent.dag is not owner:
            raise ValueError(f"Cannot mix TaskGroups from different Dags: {owner} and {parent.dag}")
        try:
            check_group_id(group_id)
        except InvalidName as error:
            raise ValueError(str(error)) from None
        self.dag: DAG = owner
        self.parent_group: TaskGroup | None = parent
        self.prefix_group_id = prefix_group_id
        self.group_id = parent.child_id(_free_id(group_id, parent, add_suffix_on_collision))
        self.default_args: Mapping[str, Any] = {**parent.default_args, **(default_args or {})}
        self.tooltip = tooltip
        self.doc_md = document(doc_md)
        self.ui_color = ui_color
        self.ui_fgcolor = ui_fgcolor
        self.group_display_name = group_display_name
        self.children: dict[str, AbstractOperator | TaskGroup] = {}
        self.upstream_ids: list[str] = []
        owner.claim_id(self.group_id)
        parent.children[self.group_id] = self

    @classmethod
    def create_root(cls, dag: DAG) -> TaskGroup:
        """The group without a name that holds all of a DAG."""
        root = cls.__new__(cls)
        root.__dict__.update(_ROOT, dag=dag, children={}, upstream_ids=[])
        return root

    @property
    def is_root(self) -> bool:
        """Whether this is the DAG itself, as a group."""
        return not self.group_id

    @property
    def node_id(self) -> str:
        """Its id among tasks and groups."""
        return self.group_id

    @property
    def task_group(self) -> TaskGroup | None:
        """The group around it."""
        return self.parent_group

    @property
    def label(self) -> str:
        """The name beside its node."""
        return self.group_display_name or self.group_id.rpartition(".")[2]

    def child_id(self, label: str) -> str:
        """The full id of a task or group of that name in here."""
        return f"{self.group_id}.{label}" if self.prefix_group_id and self.group_id else label

    def add(self, task: AbstractOperator) -> None:
        """Take a task in."""
        if task.task_group is not None and task.task_group is not self:
            raise TaskAlreadyInTaskGroup(task.task_id, task.task_group.group_id or None, self.group_id)
        task.task_group = self
        self.children[task.task_id] = task

    def __enter__(self) -> TaskGroup:
        scope.push_group(self)
        return self

    def __exit__(self, *_: object) -> None:
        scope.pop_group()

    # --- what is in it --------------------------------------------------------------------------

    def __iter__(self) -> Iterator[AbstractOperator]:
        """All tasks in it, those of inner groups included."""
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                yield from child
            else:
                yield child

    def iter_tasks(self) -> Iterator[AbstractOperator]:
        """All tasks in it, those of inner groups included."""
        return iter(self)

    def has_task(self, task: AbstractOperator) -> bool:
        """Whether a task is in it, or in a group in it."""
        return any(other is task for other in self)

    def get_child_by_label(self, label: str) -> AbstractOperator | TaskGroup:
        """The task or group of that name, without this group's prefix. Raises KeyError."""
        return self.children[self.child_id(label)]

    def __getitem__(self, label: str) -> AbstractOperator | TaskGroup:
        try:
            return self.get_child_by_label(label)
        except KeyError:
            raise NodeNotFound(f"Task {label!r} not found in group {self.group_id!r}") from None

    def get_task_group_dict(self) -> dict[str, TaskGroup]:
        """This group and all groups in it, by id, parents first."""
        found = {self.group_id: self}
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                found.update(child.get_task_group_dict())
        return found

    def iter_mapped_task_groups(self) -> Iterator[MappedTaskGroup]:
        """The mapped groups among this one and those around it, innermost first."""
        group: TaskGroup | None = self
        while group is not None:
            if isinstance(group, MappedTaskGroup):
                yield group
            group = group.parent_group

    # --- arrows ---------------------------------------------------------------------------------

    @property
    def roots(self) -> Sequence[AbstractOperator]:
        """Tasks that wait for nothing in the group."""
        return list(self.get_roots())

    @property
    def leaves(self) -> Sequence[AbstractOperator]:
        """Tasks that nothing in the group waits for; teardowns do not count, what they wait for does."""
        return list(self.get_leaves())

    def get_roots(self) -> Iterator[AbstractOperator]:
        """See `roots`."""
        tasks = {task.task_id: task for task in self}
        for task in tasks.values():
            if tasks.keys().isdisjoint(task.upstream_task_ids):
                yield task

    def get_leaves(self) -> Iterator[AbstractOperator]:
        """See `leaves`."""
        inside = {task.task_id: task for task in self}
        for task in inside.values():
            if inside.keys().isdisjoint(task.downstream_task_ids):
                if task.is_teardown:
                    yield from _work_before(task, inside)
                else:
                    yield task

    def set_upstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let the group's roots wait for `other`; an empty group hands it on to what comes after it."""
        others = each(other)
        self.upstream_ids += [task.task_id for node in others for task in node.leaves]
        for task in self.get_roots():
            task.set_upstream(others, edge_modifier)
        if not self.children:
            _tell(others, self, other_is_upstream=False)

    def set_downstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let `other` wait for the group's leaves; if it is empty, for what the group waits for."""
        others = each(other)
        leaves = self._leaves_or_before()
        for task in leaves:
            task.set_downstream(others, edge_modifier)
        if not leaves:
            _tell(others, self, other_is_upstream=True)

    def _leaves_or_before(self) -> Sequence[AbstractOperator]:
        if leaves := list(self.get_leaves()):
            return leaves
        group: TaskGroup | None = self
        while group is not None and not group.upstream_ids:
            group = group.parent_group
        return [self.dag.get_task(task_id) for task_id in group.upstream_ids] if group is not None else ()

    def meet(self, other: DependencyMixin, *, other_is_upstream: bool) -> None:
        """Remember who comes before an empty group, so that it can hand the arrow on."""
        if other_is_upstream:
            self.upstream_ids += [task.task_id for task in other.leaves]

    def __repr__(self) -> str:
        return f"<TaskGroup: {self.group_id or '(root)'}>"


_ROOT: dict[str, Any] = {
    "parent_group": None,
    "prefix_group_id": True,
    "group_id": "",
    "default_args": {},
    "tooltip": "",
    "doc_md": None,
    "ui_color": "CornflowerBlue",
    "ui_fgcolor": "#000",
    "group_display_name": "",
}


class MappedTaskGroup(TaskGroup):
    """A group of which there is one instance per element; `@task_group` functions make it by `expand`."""

    expand_input: ExpandInput

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for task in self:
            if task.trigger_rule == TriggerRule.ALWAYS:
                raise ValueError(
                    f"task {task.task_id!r}: Task-generated mapping within a mapped task group is not "
                    "allowed with trigger rule 'always'"
                )
        for source, _ in self.expand_input.references():
            self.set_upstream(source)


def _tell(others: Any, group: TaskGroup, *, other_is_upstream: bool) -> None:
    for node in others:
        node.meet(group, other_is_upstream=other_is_upstream)


def _free_id(group_id: str, parent: TaskGroup, suffix: bool) -> str:
    """The id itself, or with the next free suffix if it is taken and that is wanted."""
    if parent.child_id(group_id) not in parent.dag.used_ids:
        return group_id
    if not suffix:
        raise DuplicateTaskIdFound(f"group_id '{group_id}' has already been added to the DAG")
    return parent.dag.next_free_id(group_id, parent)


def _work_before(teardown: AbstractOperator, inside: Mapping[str, AbstractOperator]) -> Iterator[AbstractOperator]:
    """What a teardown at the end of a group waits for, other teardowns and its own setups aside."""
    for task_id in teardown.upstream_task_ids:
        task = inside.get(task_id)
        if task is None or task.is_setup:
            continue
        if task.is_teardown:
            yield from _work_before(task, inside)
        elif not any(
            after in inside and not inside[after].is_teardown
            for after in task.downstream_task_ids
            if after != teardown.task_id
        ):
            yield task
