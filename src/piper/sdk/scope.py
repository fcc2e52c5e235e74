"""What surrounds the line that is being executed: the DAG and group of enclosing `with` blocks, and
the file being loaded.

Authoring is a single-threaded affair of one process (a serializer's child, a zygote, a test), so the
scopes are plain stacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from piper.sdk.abstract_operator import AbstractOperator
    from piper.sdk.dags import DAG
    from piper.sdk.group import TaskGroup
    from piper.sdk.mapping import OperatorPartial

_dags: list[DAG | None] = []
_groups: list[TaskGroup] = []


@dataclass(slots=True)
class SetupScope:
    """A `with` block of setups or of teardowns, and the tasks made in it (see `setup_teardown`)."""

    of_setups: bool
    setups: list[AbstractOperator]
    teardowns: list[AbstractOperator]
    tasks: list[AbstractOperator] = field(default_factory=list)


setup_scopes: list[SetupScope] = []


def note_task(task: AbstractOperator) -> None:
    """A task was made: it is in the innermost scope of setups and in the innermost of teardowns."""
    noted: set[bool] = set()
    for scope in reversed(setup_scopes):
        if scope.of_setups not in noted:
            noted.add(scope.of_setups)
            scope.tasks.append(task)


@dataclass(slots=True)
class Loading:
    """A file that is being loaded: where it is, and what it has made so far."""

    file: str
    registered: dict[int, DAG] = field(default_factory=dict)
    """DAGs that registered themselves, by `id()`: thousands may, each once."""
    partials: list[OperatorPartial] = field(default_factory=list)
    """Whether `expand` followed each `partial` is known at the end."""


_loading: Loading | None = None


def push_dag(dag: DAG | None) -> None:
    """Enter a DAG: tasks made from now on are its own. None hides an outer one."""
    _dags.append(dag)


def pop_dag() -> DAG | None:
    """Leave the innermost DAG."""
    return _dags.pop()


def current_dag() -> DAG | None:
    """The DAG of the innermost `with` block, if any."""
    return _dags[-1] if _dags else None


def push_group(group: TaskGroup) -> None:
    """Enter a task group."""
    _groups.append(group)


def pop_group() -> TaskGroup:
    """Leave the innermost task group."""
    return _groups.pop()


def current_group(dag: DAG) -> TaskGroup:
    """The innermost enclosing group that is a part of `dag`; its root group if there is none."""
    for group in reversed(_groups):
        if group.dag is dag:
            return group
    return dag.task_group


def register(dag: DAG) -> None:
    """Note that the file being loaded made this DAG (`with DAG(...)` and `@dag` do)."""
    if _loading is not None:
        _loading.registered[id(dag)] = dag


def note_partial(partial: OperatorPartial) -> None:
    """Note that the file being loaded began a mapped task."""
    if _loading is not None:
        _loading.partials.append(partial)


def loading_file() -> str:
    """Absolute path of the file being loaded; empty outside of a load."""
    return _loading.file if _loading is not None else ""


@contextmanager
def loading(file: str) -> Iterator[Loading]:
    """While a file is loaded. Whatever scopes the file leaves open (an exception in a `with`) are closed."""
    global _loading
    outer = _loading, _dags[:], _groups[:], setup_scopes[:]
    for stack in (_dags, _groups, setup_scopes):
        stack.clear()
    _loading = Loading(file)
    try:
        yield _loading
    finally:
        _loading, _dags[:], _groups[:], setup_scopes[:] = outer
