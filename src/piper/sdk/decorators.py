"""`@task` and its kin: functions that become tasks when the file calls them.

`@task` is `@task.python`; `@task.bash`, `@task.branch`, `@task.sensor` and so on are other operators
around a function. Which there are is a table of dotted paths, imported when first used: that of
`batteries`, and what plugins add with `register_decorator`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from types import FunctionType
from typing import Any, Generic, ParamSpec, TypeVar

from piper.model.states import TriggerRule
from piper.sdk import scope
from piper.sdk.abstract_operator import AbstractOperator
from piper.sdk.arguments import CONVERTERS, uniform
from piper.sdk.batteries import DECORATORS
from piper.sdk.exceptions import AirflowException, AirflowSkipException
from piper.sdk.functions import call_of, check_names, has_multiple_outputs
from piper.sdk.group import TaskGroup
from piper.sdk.group_decorator import TaskGroupFactory, task_group
from piper.sdk.importing import import_path
from piper.sdk.mapping import (
    DecoratedMappedOperator,
    DictOfLists,
    ExpandInput,
    ListOfDicts,
    check_list_of_dicts,
    check_mappable,
    refuse_duplicates,
)
from piper.sdk.operator import BaseOperator
from piper.sdk.place import place_of
from piper.sdk.signatures import signature_of
from piper.sdk.spelling import did_you_mean
from piper.sdk.xcom_arg import PlainXComArg

__all__ = [
    "DecoratedOperator",
    "TaskDecorator",
    "TaskDecoratorCollection",
    "get_unique_task_id",
    "is_decorated_task",
    "register_decorator",
    "result",
    "setup",
    "task",
    "task_decorator_factory",
    "task_group",
    "teardown",
]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


# --- tasks --------------------------------------------------------------------------------------


def get_unique_task_id(task_id: str, dag: Any = None, task_group: TaskGroup | None = None) -> str:
    """`task_id`, or with the next free suffix (`__1`, `__2` …) if the DAG has it already."""
    dag = dag or scope.current_dag()
    if dag is None:
        return task_id
    group = task_group or scope.current_group(dag)
    if group.child_id(task_id) not in dag.used_ids:
        return task_id
    return str(dag.next_free_id(task_id, group))


class DecoratedOperator(BaseOperator):
    """An operator around a function; `@task.something` makes a class of it and another operator.

    Arguments:
        python_callable: the function.
        op_args: its positional arguments; templated.
        op_kwargs: its keyword arguments; templated. Those not given come from `default_args`.
        kwargs_to_upstream: arguments for the other operator that this class takes away.
    """

    template_fields: Sequence[str] = ("op_args", "op_kwargs")
    custom_operator_name = "@task"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        task_id: str,
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        kwargs_to_upstream: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        dag, group, defaults = self._making
        call = call_of(python_callable)
        op_kwargs = dict(op_kwargs or {})
        if defaults:
            open_names = signature_of(python_callable).parameters.keys() - call.order[: len(op_args or ())]
            op_kwargs = {**{name: defaults[name] for name in open_names & defaults.keys()}, **op_kwargs}
            self.given["op_kwargs"] = op_kwargs
        call.check(op_args or (), op_kwargs)
        self.python_callable = python_callable
        self.op_args = op_args or ()
        self.op_kwargs = op_kwargs
        upstream = dict(kwargs_to_upstream or {})
        if "op_kwargs" in upstream:
            upstream["op_kwargs"] = op_kwargs
        super().__init__(task_id=get_unique_task_id(task_id, dag, group) if dag else task_id, **upstream, **kwargs)

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.python_callable))


class TaskDecorator(Generic[P, R]):
    """A function that becomes a task each time the file calls it.

    Arguments:
        function: the function.
        operator_class: the operator around it.
        multiple_outputs: store each entry of a dict result under its own key, too; None: if the
            function's annotation says that it returns a mapping.
        kwargs: arguments of the operator.
    """

    is_task_decorator = True

    def __init__(
        self,
        function: Callable[P, R],
        operator_class: type[BaseOperator],
        multiple_outputs: bool | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError("No positional arguments allowed while using @task, use named arguments instead")
        update_wrapper(self, function)
        self.function = function
        self.operator_class = operator_class
        self.multiple_outputs = has_multiple_outputs(function) if multiple_outputs is None else multiple_outputs
        self.kwargs: dict[str, Any] = dict(kwargs or {})
        self.is_setup = False
        self.is_teardown = False
        self.on_failure_fail_dagrun = False
        self.returns_dag_result = False
        self.kwargs.setdefault("task_id", getattr(function, "__name__", "task"))
        self._check()

    def _check(self) -> None:
        if "self" in signature_of(self.function).parameters:
            raise TypeError(f"{self.kwargs['task_id']}: @task does not support methods")
        call_of(self.function)
        for name, value in self.kwargs.items():
            if name in CONVERTERS and value is not None:
                uniform(name, value, f"@task {self.kwargs['task_id']!r}")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> PlainXComArg:
        """Make a task; the arguments are those of the function."""
        arguments = self._operator_arguments()
        on_failure_fail_dagrun = arguments.pop("on_failure_fail_dagrun", self.on_failure_fail_dagrun)
        operator: BaseOperator = self.operator_class(  # type: ignore[call-arg] # of a subclass
            python_callable=self.function,
            op_args=args,
            op_kwargs=kwargs,
            multiple_outputs=self.multiple_outputs,
            **arguments,
        )
        for name, value in (("op_args", args), ("op_kwargs", kwargs)):
            if not value and not operator.given.get(name):
                operator.given.pop(name, None)
        return self._finish(operator, on_failure_fail_dagrun)

    def _finish(self, operator: AbstractOperator, on_failure_fail_dagrun: bool) -> PlainXComArg:
        """What is the same for plain and mapped tasks."""
        if self.is_setup:
            operator.is_setup = True
        if self.is_teardown:
            operator.is_teardown = True
            operator.on_failure_fail_dagrun = on_failure_fail_dagrun
        if self.returns_dag_result:
            operator.returns_dag_result = True
        if self.function.__doc__ and not any(getattr(operator, name) for name in _DOCS):
            operator.doc_md = self.function.__doc__
        return PlainXComArg(operator)

    def _operator_arguments(self) -> dict[str, Any]:
        if not self.is_teardown:
            return dict(self.kwargs)
        if "trigger_rule" in self.kwargs:
            raise ValueError("Trigger rule not configurable for teardown tasks.")
        return {**self.kwargs, "trigger_rule": TriggerRule.ALL_DONE_SETUP_SUCCESS}

    def partial(self, **kwargs: Any) -> TaskDecorator[P, R]:
        """Arguments of the function that all mapped instances share; `expand` follows."""
        _refuse_context_keys("partial", kwargs)
        check_names(self.function, "partial", list(kwargs))
        given = self.kwargs.get("op_kwargs", {})
        refuse_duplicates(given, kwargs, "duplicate partial")
        return self._like({"op_kwargs": {**given, **kwargs}})

    def override(self, **kwargs: Any) -> TaskDecorator[P, R]:
        """The same function with other arguments for its operator: `load.override(task_id="reload")`."""
        return self._like(kwargs)

    def _like(self, kwargs: Mapping[str, Any]) -> TaskDecorator[P, R]:
        other = TaskDecorator(self.function, self.operator_class, self.multiple_outputs, {**self.kwargs, **kwargs})
        other.is_setup, other.is_teardown = self.is_setup, self.is_teardown
        other.on_failure_fail_dagrun = self.on_failure_fail_dagrun
        other.returns_dag_result = self.returns_dag_result
        return other

    def expand(self, **mapped: Any) -> PlainXComArg:
        """One instance for each combination of elements; the names are parameters of the function.

        Raises:
            TypeError: the function has no such parameter, or `partial` gave it already.
            ValueError: one cannot map over a value.
        """
        if not mapped:
            raise TypeError("no arguments to expand against")
        _refuse_context_keys("expand", mapped)
        check_names(self.function, "expand", list(mapped))
        check_mappable(str(self.kwargs["task_id"]), mapped)
        refuse_duplicates(self.kwargs.get("op_kwargs", {}), mapped, "mapping already partial")
        return self._expand(DictOfLists(mapped), strict=False)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> PlainXComArg:
        """One instance for each dict of arguments.

        Arguments:
            kwargs: a list of dicts, or the result of a task that is one.
            strict: whether a dict may not name what `partial` gave.
        """
        check_list_of_dicts(kwargs)
        return self._expand(ListOfDicts(kwargs), strict=strict)

    def _expand(self, expand_input: ExpandInput, *, strict: bool) -> PlainXComArg:
        arguments = self._operator_arguments()
        on_failure_fail_dagrun = arguments.pop("on_failure_fail_dagrun", self.on_failure_fail_dagrun)
        dag = arguments.get("dag") or scope.current_dag()
        arguments["task_id"] = get_unique_task_id(arguments["task_id"], dag, arguments.get("task_group"))
        shared = {
            "python_callable": self.function,
            "multiple_outputs": self.multiple_outputs,
            **arguments,
        }
        place = place_of(sys._getframe(2))
        operator = DecoratedMappedOperator(self.operator_class, shared, expand_input, strict=strict, place=place)
        return self._finish(operator, on_failure_fail_dagrun)

    def __repr__(self) -> str:
        return f"<@task {self.kwargs['task_id']}>"


_DOCS = ("doc", "doc_json", "doc_md", "doc_rst", "doc_yaml")


def _refuse_context_keys(called: str, names: Mapping[str, Any]) -> None:
    from piper.sdk.execution.context import KNOWN_CONTEXT_KEYS  # there already, see functions.call_of

    reserved = sorted(KNOWN_CONTEXT_KEYS & names.keys())
    if reserved:
        raise ValueError(f"cannot call {called}() on task context variable {', '.join(map(repr, reserved))}")


def is_decorated_task(thing: Any) -> bool:
    """Whether something is a function that `@task` has decorated."""
    return bool(getattr(thing, "is_task_decorator", False))


def task_decorator_factory(
    python_callable: Callable[..., Any] | None = None,
    *,
    multiple_outputs: bool | None = None,
    decorated_operator_class: type[BaseOperator],
    **kwargs: Any,
) -> Any:
    """What a decorator such as `@task.bash` does, with and without arguments.

    Arguments:
        python_callable: the decorated function, where the decorator has no arguments.
        multiple_outputs: see `TaskDecorator`.
        decorated_operator_class: the operator around the function.
        kwargs: arguments of the operator.
    """
    if python_callable is not None:
        return TaskDecorator(python_callable, decorated_operator_class, multiple_outputs, kwargs)
    return partial(
        TaskDecorator, operator_class=decorated_operator_class, multiple_outputs=multiple_outputs, kwargs=kwargs
    )


_registered: dict[str, str] = {}


def register_decorator(name: str, path: str) -> None:
    """Make `@task.<name>` available.

    Arguments:
        name: what follows `@task.`.
        path: dotted path of the decorator, or of a `DecoratedOperator` class.
    """
    _registered[name] = path


_NOT_YET = {
    "branch_external_python": ("virtual environments", "branch"),
    "branch_virtualenv": ("virtual environments", "branch"),
    "external_python": ("virtual environments", "bash"),
    "stub": ("tasks in other languages", "bash"),
    "virtualenv": ("virtual environments", "bash"),
}
"""Airflow's decorators that are still missing: what would be needed, and the nearest there is."""


class TaskDecoratorCollection:
    """Decorators that make a task of a function: `@task` itself is `@task.python`, the others are its attributes.

    Example::

        @task(retries=2)
        def load(table): …

        @task.branch
        def choose(): return "load"

    Arguments of `@task(…)` are those of the operator behind it; `load.override(task_id="other")(…)` changes them for
    one call. There are `bash`, `branch`, `python`, `sensor` and `short_circuit`, and those that packages and bundles
    register; `run_if` and `skip_if` go on top of one of these.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`@task`, with or without arguments."""
        return self.python(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = self._known()
        if name in _NOT_YET:
            what, nearest = _NOT_YET[name]
            raise AttributeError(
                f"task decorator {name!r} not found: Piper has no {what} yet; the nearest is @task.{nearest}"
            )
        if name not in known:
            raise AttributeError(f"task decorator {did_you_mean(name, known)} not found")
        found = import_path(known[name])
        if isinstance(found, type):
            found = partial(task_decorator_factory, decorated_operator_class=found)
        setattr(self, name, found)
        return found

    @staticmethod
    def _known() -> dict[str, str]:
        return {**DECORATORS, **_registered}

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._known()]

    @staticmethod
    def run_if(condition: Callable[[Any], Any], skip_message: str | None = None) -> Callable[[F], F]:
        """Skip the task unless a condition holds; goes on top of `@task`.

        Arguments:
            condition: takes the context, gives True or False, or that and a message.
            skip_message: what the log says of a skip.
        """
        return _before(condition, skip_message, skips_when=False)

    @staticmethod
    def skip_if(condition: Callable[[Any], Any], skip_message: str | None = None) -> Callable[[F], F]:
        """Skip the task if a condition holds; goes on top of `@task`. Arguments: as of `run_if`."""
        return _before(condition, skip_message, skips_when=True)


task = TaskDecoratorCollection()


def _before(condition: Callable[[Any], Any], skip_message: str | None, *, skips_when: bool) -> Callable[[F], F]:
    def pre_execute(context: Any) -> None:
        answer = condition(context)
        message = skip_message or "Task was skipped due to condition."
        if isinstance(answer, tuple):
            answer, own = answer
            message = own or message
        if bool(answer) is skips_when:
            raise AirflowSkipException(message)

    def decorate(function: F) -> F:
        if not isinstance(function, TaskDecorator):
            name = "skip_if" if skips_when else "run_if"
            raise TypeError(f"{name} can only be used with task. decorate with @task before @{name}.")
        function.kwargs["pre_execute"] = _both(function.kwargs.get("pre_execute"), pre_execute)
        return function

    return decorate


def _both(first: Callable[[Any], None] | None, second: Callable[[Any], None]) -> Callable[[Any], None]:
    if first is None:
        return second

    def pre_execute(context: Any) -> None:
        first(context)
        second(context)

    return pre_execute


# --- setup, teardown, result --------------------------------------------------------------------


def _as_task(function: Any) -> TaskDecorator[Any, Any]:
    if isinstance(function, TaskGroupFactory):
        raise AirflowException("Task groups cannot be marked as setup or teardown.")
    if isinstance(function, FunctionType):
        function = task(function)
    if not isinstance(function, TaskDecorator):
        raise TypeError(f"only a function or a @task can be a setup or teardown, not {function!r}")
    return function


def setup(function: Callable[P, R] | TaskDecorator[P, R]) -> TaskDecorator[P, R]:
    """Mark a function, or what `@task` made of it, as a setup: the tasks after it need it to succeed."""
    decorated = _as_task(function)
    decorated.is_setup = True
    return decorated


def teardown(_func: Any = None, *, on_failure_fail_dagrun: bool = False) -> Any:
    """Mark a function, or what `@task` made of it, as a teardown: it runs after the tasks before it, however they end.

    Arguments:
        on_failure_fail_dagrun: whether its failure fails the run.
    """

    def decorate(function: Any) -> TaskDecorator[Any, Any]:
        decorated = _as_task(function)
        decorated.is_teardown = True
        decorated.on_failure_fail_dagrun = on_failure_fail_dagrun
        return decorated

    return decorate if _func is None else decorate(_func)


def result(t: F) -> F:
    """Make what a `@task` function returns the result of the run; goes on top of `@task`."""
    if not isinstance(t, TaskDecorator):
        raise TypeError("@result must be used on top of a @task-decorated function")
    t.returns_dag_result = True
    return t
