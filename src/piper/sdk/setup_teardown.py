"""`with create_cluster() >> delete_cluster():` and the like: tasks made inside are in the scope of setups
and teardowns.

A scope knows the setups and teardowns it was opened with, those found on the other side (the teardown
behind the setup, or the reverse), and the tasks made inside. When it closes, the setups come before
those of the tasks that wait for nothing, and the teardowns after those that nothing waits for (as in
Airflow: a task that is tied to others already is left as it is). Of nested scopes the outer setup comes
before the inner one, and the inner teardown before the outer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from piper.sdk import scope
from piper.sdk.exceptions import AirflowException
from piper.sdk.node import DependencyMixin, each
from piper.sdk.scope import SetupScope

if TYPE_CHECKING:
    from piper.sdk.abstract_operator import AbstractOperator


class SetupTeardownContext:
    """The scopes that are open. `as` in `with setup_task as scope:` gives this; `scope.add_task(task)` adds to it."""

    @classmethod
    def enter(cls, tasks: Sequence[AbstractOperator]) -> type[SetupTeardownContext]:
        """Open a scope around setups, or around teardowns.

        Raises:
            RuntimeError: a task is neither.
            ValueError: some are setups and some teardowns.
        """
        if not all(task.is_setup or task.is_teardown for task in tasks):
            raise RuntimeError("Only setup/teardown tasks can be used as context managers.")
        if len({task.is_setup for task in tasks}) > 1:
            raise ValueError("All tasks in the list must be either setup or teardown tasks")
        given = list(tasks)
        if given[0].is_setup:
            scope.setup_scopes.append(SetupScope(True, given, _beyond(given, teardowns=True)))
        else:
            scope.setup_scopes.append(SetupScope(False, _beyond(given, teardowns=False), given))
        return cls

    @classmethod
    def leave(cls) -> None:
        """Close the innermost scope and draw its arrows."""
        closing = scope.setup_scopes.pop()
        work = [task for task in closing.tasks if not task.is_setup and not task.is_teardown]
        if work:
            first = [task for task in work if not task.upstream_task_ids] or work[:1]
            last = [task for task in work if not task.downstream_task_ids] or work[-1:]
            for setup in closing.setups:
                setup.set_downstream(first)
            for teardown in closing.teardowns:
                teardown.set_upstream(last)
        if scope.setup_scopes:
            _nest(closing, scope.setup_scopes[-1])

    @classmethod
    def add_task(cls, task: Any) -> None:
        """Put a task made elsewhere into the innermost scope.

        Raises:
            AirflowException: no scope is open.
        """
        if not scope.setup_scopes:
            raise AirflowException("Cannot add task to context outside the context manager.")
        for node in each(task):
            for one in node.leaves:
                scope.note_task(one)


def _nest(inner: SetupScope, outer: SetupScope) -> None:
    for setup in inner.setups:
        setup.set_upstream([other for other in outer.setups if other is not setup])
    for teardown in inner.teardowns:
        teardown.set_downstream([other for other in outer.teardowns if other is not teardown])


def _beyond(tasks: Sequence[AbstractOperator], *, teardowns: bool) -> list[AbstractOperator]:
    """The nearest teardowns after setups, or the nearest setups before teardowns."""
    seen = {task.task_id for task in tasks}
    level = list(tasks)
    while level:
        level = [
            near
            for task in level
            for near in (task.downstream_list if teardowns else task.upstream_list)
            if near.task_id not in seen and not seen.add(near.task_id)  # type: ignore[func-returns-value]
        ]
        found = [task for task in level if (task.is_teardown if teardowns else task.is_setup)]
        if found:
            return found
    return []


class ContextWrapper(list[Any]):
    """`with context_wrapper([setup_a, setup_b]):` a scope around several setups or teardowns."""

    def __init__(self, tasks: Sequence[DependencyMixin]) -> None:
        super().__init__(tasks)
        self.tasks = list(tasks)

    def __enter__(self) -> type[SetupTeardownContext]:
        return SetupTeardownContext.enter([task for node in self.tasks for task in node.leaves])

    def __exit__(self, *_: object) -> None:
        SetupTeardownContext.leave()


context_wrapper = ContextWrapper
