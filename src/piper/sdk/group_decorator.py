"""`@task_group`: functions that make groups of tasks, also mapped ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from piper.sdk.functions import check_names
from piper.sdk.group import MappedTaskGroup, TaskGroup
from piper.sdk.mapping import (
    DictOfLists,
    ExpandInput,
    ListOfDicts,
    MappedArgument,
    check_list_of_dicts,
    check_mappable,
    refuse_duplicates,
)
from piper.sdk.signatures import signature_of

P = ParamSpec("P")
R = TypeVar("R")


class TaskGroupFactory(Generic[P, R]):
    """A function that makes a group of tasks each time the file calls it.

    Arguments:
        function: makes the tasks.
        tg_kwargs: arguments of the `TaskGroup`.
        partial_kwargs: arguments of the function, given by `partial`.
    """

    def __init__(
        self,
        function: Callable[P, R],
        tg_kwargs: Mapping[str, Any] | None = None,
        partial_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"@task_group decorates functions, not {function!r}; use named arguments")
        update_wrapper(self, function)
        self.function = function
        self.tg_kwargs = {"group_id": function.__name__, "add_suffix_on_collision": True, **(tg_kwargs or {})}
        self.partial_kwargs = dict(partial_kwargs or {})
        signature_of(TaskGroup).bind_partial(**self.tg_kwargs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Make the group: what the function returns, or the group if that is nothing."""
        return self._make(TaskGroup(**self.tg_kwargs), args, kwargs)

    def _make(self, group: TaskGroup, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        with group:
            if self.function.__doc__:
                group.tooltip = group.tooltip or self.function.__doc__
                group.doc_md = group.doc_md or self.function.__doc__
            made = self.function(*args, **kwargs)
        return group if made is None else made

    def override(self, **kwargs: Any) -> TaskGroupFactory[P, R]:
        """The same function with other arguments for its group."""
        return TaskGroupFactory(self.function, {**self.tg_kwargs, **kwargs}, self.partial_kwargs)

    def partial(self, **kwargs: Any) -> TaskGroupFactory[P, R]:
        """Arguments of the function that all mapped instances share; `expand` follows."""
        check_names(self.function, "partial", list(kwargs))
        refuse_duplicates(self.partial_kwargs, kwargs, "duplicate partial")
        return TaskGroupFactory(self.function, self.tg_kwargs, {**self.partial_kwargs, **kwargs})

    def expand(self, **mapped: Any) -> Any:
        """One instance of the whole group for each combination of elements."""
        if not mapped:
            raise TypeError("no arguments to expand against")
        check_names(self.function, "expand", list(mapped))
        check_mappable(str(self.tg_kwargs["group_id"]), mapped)
        refuse_duplicates(self.partial_kwargs, mapped, "mapping already partial")
        return self._expand(DictOfLists(mapped), list(mapped))

    def expand_kwargs(self, kwargs: Any) -> Any:
        """One instance of the whole group for each dict of arguments."""
        check_list_of_dicts(kwargs)
        parameters = signature_of(self.function).parameters.values()
        if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters):
            raise TypeError("calling expand_kwargs() on task group function with * or ** is not supported")
        names = [parameter.name for parameter in parameters if parameter.name not in self.partial_kwargs]
        return self._expand(ListOfDicts(kwargs), names)

    def _expand(self, expand_input: ExpandInput, names: Sequence[str]) -> Any:
        group = MappedTaskGroup(**self.tg_kwargs)
        group.expand_input = expand_input
        if next(group.parent_group.iter_mapped_task_groups(), None) is not None if group.parent_group else False:
            raise ValueError(f"group {group.group_id!r}: Nested Mapped TaskGroups are not yet supported")
        elements = {name: MappedArgument(expand_input, name) for name in names}
        return self._make(group, (), {**self.partial_kwargs, **elements})

    def __repr__(self) -> str:
        return f"<@task_group {self.tg_kwargs['group_id']}>"


@overload
def task_group(python_callable: Callable[P, R]) -> TaskGroupFactory[P, R]: ...


@overload
def task_group(
    python_callable: None = None, **tg_kwargs: Any
) -> Callable[[Callable[P, R]], TaskGroupFactory[P, R]]: ...


def task_group(python_callable: Any = None, **tg_kwargs: Any) -> Any:
    """Make groups of tasks by calling a function.

    Example::

        @task_group
        def load(table):
            check(extract(table))

        load.expand(table=["orders", "customers"])

    Arguments:
        tg_kwargs: arguments of the `TaskGroup`; its id is the function's name unless one is given.
    """
    if isinstance(python_callable, str):
        tg_kwargs["group_id"], python_callable = python_callable, None
    if python_callable is not None:
        return TaskGroupFactory(python_callable, tg_kwargs)
    return partial(TaskGroupFactory, tg_kwargs=tg_kwargs)
