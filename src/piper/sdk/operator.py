"""Operators: the classes that tasks are made of.

`BaseOperator` is what authors derive from. An instance made within a DAG *is* a task of it. Making
one goes through these steps, whoever wrote the class:

1. the metaclass finds the DAG and group around the call and merges the `default_args` that apply
   (DAG, then groups from the outside in, then the operator's own);
2. each `__init__` of the class's ancestry, the author's first, gets the defaults whose names it
   declares, unless the call gave a value;
3. `BaseOperator.__init__` takes the common arguments, prefixes the id and joins the DAG;
4. results of other tasks (`XComArg`) in template fields become arrows.

What was given to the constructor is kept (`given`): the spec of the task is made of it, and a task
whose arguments are all data is made again from them in the worker.
"""

from __future__ import annotations

import inspect
import logging
import sys
from abc import ABCMeta
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, Unpack

from piper.model.ids import WORKFLOW_ID_PATTERN, check_workflow_id
from piper.model.spec import SensorSpec
from piper.sdk import scope
from piper.sdk.abstract_operator import NOTHING, AbstractOperator, merge_defaults
from piper.sdk.arguments import CONVERTERS, OPERATOR_ARGUMENTS, OperatorArguments
from piper.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout, TaskDeferred
from piper.sdk.place import Place, place_of
from piper.sdk.signatures import constructor_arguments
from piper.sdk.spelling import only_known
from piper.sdk.xcom_arg import PLAIN, references_in

if TYPE_CHECKING:
    from piper.sdk.dags import DAG
    from piper.sdk.group import TaskGroup
    from piper.sdk.mapping import OperatorPartial

__all__ = ["TRIGGER_FAILED", "AbstractOperator", "BaseAsyncOperator", "BaseOperator", "OperatorMeta"]

TRIGGER_FAILED = "__fail__"
"""In place of the method to go on with: the trigger that a task waited for failed."""


class OperatorMeta(ABCMeta):
    """Makes operators (see the module's text)."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(name, bases, namespace, **kwargs)
        init = namespace.get("__init__")
        if init is not None and name != "BaseOperator":
            type.__setattr__(cls, "__init__", _fill_from_defaults(init))

    def __call__(cls, *args: Any, **arguments: Any) -> Any:
        if args:
            raise TypeError(f"Use keyword arguments when initializing operators: {cls.__name__}(task_id=…)")
        dag = arguments.pop("dag", None) or scope.current_dag()
        group = arguments.pop("task_group", None)
        if group is None and dag is not None:
            group = scope.current_group(dag)
        defaults = merge_defaults(dag, group, arguments.pop("default_args", None))
        return cls.make(arguments, dag=dag, group=group, defaults=defaults, place=place_of(sys._getframe(1)))

    def make(
        cls,
        arguments: dict[str, Any],
        *,
        dag: DAG | None = None,
        group: TaskGroup | None = None,
        defaults: Mapping[str, Any] = NOTHING,
        place: Place | None = None,
    ) -> Any:
        """Make a task of exactly these arguments and surroundings, whatever `with` blocks are open."""
        operator: BaseOperator = cls.__new__(cls)  # type: ignore[arg-type, call-arg] # mypy: a metaclass's own
        operator.given = dict(arguments)
        operator._making = (dag, group, defaults)
        if place is not None:
            operator._task_place = place
        try:
            cls.__init__(operator, **arguments)  # type: ignore[misc]
        except _RespelledError as error:
            present = only_known(error.called, arguments, operator.known_arguments())
            return cls.make(present, dag=dag, group=group, defaults=defaults, place=place)
        fields = operator.__dict__
        del fields["_making"]
        if dag is not None:
            operator._set_upstream_of_results()
        fields["_task_is_made"] = True
        return operator


class _RespelledError(Exception):
    """A former argument is one of the class's own today, whose constructor has run without it: make it anew."""

    def __init__(self, called: str) -> None:
        super().__init__(called)
        self.called = called


def _fill_from_defaults(init: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` that takes from `default_args` what it declares and was not given."""
    code = getattr(inspect.unwrap(init), "__code__", None)
    declared = frozenset(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount] if code else ())

    @wraps(init)
    def initialise(self: BaseOperator, **arguments: Any) -> None:
        defaults = self._making[2] if "_making" in self.__dict__ else None
        if defaults:
            for name in declared & defaults.keys():
                if name not in arguments:
                    arguments[name] = defaults[name]
                    self.given.setdefault(name, defaults[name])
        init(self, **arguments)

    return initialise


class BaseOperator(AbstractOperator, metaclass=OperatorMeta):
    """A task: derive from it, take your arguments in `__init__`, do the work in `execute`.

    Example::

        class Greet(BaseOperator):
            template_fields = ("name",)

            def __init__(self, *, name: str, **kwargs):
                super().__init__(**kwargs)
                self.name = name

            def execute(self, context):
                print(f"Hello {self.name}!")

    Arguments named in `template_fields` are kept in attributes of the same name, as they are: they
    are rendered in the task's process, right before `execute`.

    Arguments:
        task_id: 1 to 250 letters, digits, `_`, `-` or `.`; unique in its DAG.
        arguments: see `OperatorArguments`.

    Raises:
        TypeError: an argument is unknown, or of a wrong type.
        ValueError: an argument has a value that it may not have.
        DuplicateTaskIdFound: the DAG has such a task or group already.
    """

    inert: ClassVar[bool] = False
    """Nothing to execute: the scheduler passes it at once, unless callbacks, inlets or outlets give it something."""
    branches: ClassVar[bool] = False
    """Its result decides which downstream tasks are followed."""
    needs_dag: ClassVar[bool] = False
    """It looks at its DAG when it runs (schedule, time zone, neighbours, groups), so that its file is always loaded."""
    deferrable: bool = False
    start_from_trigger: bool = False
    start_trigger_args: Any = None
    overwrite_rtif_after_execution: bool = False

    triggers_workflow: str = ""
    """The DAG that it starts, if that is known in the file: an edge between workflows."""
    waits_for_workflow: str = ""
    """The DAG whose tasks it waits for, if that is known in the file."""

    given: dict[str, Any]
    """What the constructor was given, explicitly or through default_args, and has been assigned since."""
    _task_is_made: bool = False
    _making: tuple[DAG | None, TaskGroup | None, Mapping[str, Any]]

    def __init__(self, *, task_id: str, **arguments: Unpack[OperatorArguments]) -> None:
        dag, group, defaults = self._making
        self.task_id = task_id = group.child_id(task_id) if group is not None else task_id
        if not isinstance(task_id, str) or not WORKFLOW_ID_PATTERN.fullmatch(task_id):
            check_workflow_id(task_id)
        self.upstream_task_ids = set()
        self.downstream_task_ids = set()
        if not arguments.keys() <= OPERATOR_ARGUMENTS:
            called = f"{type(self).__name__} (task_id: {task_id})"
            present = only_known(called, dict(arguments), self.known_arguments())
            if not present.keys() <= arguments.keys() | OPERATOR_ARGUMENTS:
                raise _RespelledError(called)
            arguments = present  # type: ignore[assignment]
        if defaults:
            for name, value in defaults.items():
                if name in CONVERTERS and name not in arguments:
                    arguments[name] = value  # type: ignore[literal-required]
        if "params" in arguments or "params" in defaults:
            self._take_params(arguments.get("params"), defaults)
        self._take_arguments(arguments)
        if dag is not None:
            dag.add_task(self, group)
        if scope.setup_scopes:
            scope.note_task(self)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if self._task_is_made:
            self._note_assignment(name, value)

    def _note_assignment(self, name: str, value: Any) -> None:
        """An author assigned an attribute of a finished task: `task.bash_command = other.output`."""
        if name in self.given or name in self.template_fields:
            self.given[name] = value
        if name in self.template_fields and type(value) not in PLAIN:
            self._wait_for_results_in(value)

    @classmethod
    def known_arguments(cls) -> frozenset[str]:
        """Names of all arguments that the constructor takes."""
        return OPERATOR_ARGUMENTS | cls.own_arguments().keys()

    @classmethod
    def own_arguments(cls) -> dict[str, inspect.Parameter]:
        """The arguments that this class and its ancestors add to the common ones, the oldest first."""
        return constructor_arguments(cls, BaseOperator)

    @classmethod
    def partial(cls, *, task_id: str, **arguments: Any) -> OperatorPartial:
        """The arguments that all mapped instances share; `.expand()` follows.

        Raises:
            TypeError: an argument is unknown.
        """
        from piper.sdk.mapping import partial_operator  # few tasks are mapped

        return partial_operator(cls, {"task_id": task_id, **arguments}, place_of(sys._getframe(1)))

    @property
    def task_type(self) -> str:
        """Name of its class."""
        return type(self).__name__

    @property
    def operator_class(self) -> type[BaseOperator]:
        """Its class."""
        return type(self)

    @property
    def operator_name(self) -> str:
        """Its name for people: `custom_operator_name` if its class has one."""
        return str(getattr(self, "custom_operator_name", type(self).__name__))

    def _set_upstream_of_results(self) -> None:
        fields = self.__dict__
        for name in self.template_fields:
            value = fields.get(name)
            if value and type(value) not in PLAIN:
                self._wait_for_results_in(value)

    def _wait_for_results_in(self, value: Any) -> None:
        for task, _ in references_in(value):
            self.set_upstream(task)

    def sensor_spec(self) -> SensorSpec | None:
        """Of a sensor: what a server may know of it."""
        return None

    # --- at run time ----------------------------------------------------------------------------

    @property
    def log(self) -> logging.Logger:
        """The logger of the task's own messages."""
        return logging.getLogger(self.logger_name or f"airflow.task.operators.{type(self).__module__}")

    def pre_execute(self, context: Any) -> None:
        """For subclasses: called right before `execute`, after the hook of that name that a task was given."""

    def execute(self, context: Any) -> Any:
        """Do the work; what it returns is stored for later tasks.

        Arguments:
            context: the run, the task instance, dates, params and so on (airflow-semantics §3.11).
        """
        raise NotImplementedError(f"{type(self).__name__} has no execute()")

    def post_execute(self, context: Any, result: Any = None) -> None:
        """For subclasses: called with the result right after `execute`, before the task's own hook."""

    def on_kill(self) -> None:
        """Called when the task is to end before its time: stop what it has started elsewhere."""

    def defer(
        self,
        *,
        trigger: Any,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | float | None = None,
    ) -> NoReturn:
        """Wait for a trigger without holding a worker; then `method_name` is called with the event."""
        raise TaskDeferred(trigger=trigger, method_name=method_name, kwargs=kwargs, timeout=timeout)

    def prepare_for_execution(self) -> Self:
        """A copy whose template fields may be rendered."""
        # By hand: `copy.copy` would touch five times as much memory that the task's process shares with its parent.
        mine = object.__new__(type(self))
        mine.__dict__.update(self.__dict__, _task_is_made=False)
        return mine

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Go on after a deferral.

        Arguments:
            next_method: the method that `defer` named; `__fail__` if the trigger failed.
            next_kwargs: its arguments; of a failure: `error`, and `timeout` if that was it.

        Raises:
            TaskDeferralTimeout: the trigger did not fire in time.
            TaskDeferralError: the trigger failed.
        """
        arguments = next_kwargs or {}
        if next_method == TRIGGER_FAILED:
            raise (TaskDeferralTimeout if arguments.get("timeout") else TaskDeferralError)(arguments.get("error"))
        return getattr(self, next_method)(context, **arguments)

    def unmap(self, resolve: Mapping[str, Any] | None) -> Self:
        """Itself: it is not mapped."""
        return self

    def __repr__(self) -> str:
        return f"<Task({type(self).__name__}): {self.__dict__.get('task_id', '?')}>"


class BaseAsyncOperator(BaseOperator):
    """An operator whose work is a coroutine: implement `aexecute`."""

    @property
    def is_async(self) -> bool:
        """Always."""
        return True

    async def aexecute(self, context: Any) -> Any:
        """Do the work."""
        raise NotImplementedError(f"{type(self).__name__} has no aexecute()")

    def execute(self, context: Any) -> Any:
        """Run `aexecute` in an event loop of its own, within `execution_timeout`."""
        import asyncio  # a zygote that has no coroutines stays lean

        seconds = self.execution_timeout.total_seconds() if self.execution_timeout else None

        async def within_time() -> Any:
            return await asyncio.wait_for(self.aexecute(context), timeout=seconds)

        return asyncio.run(within_time())
