"""Dynamic task mapping: one task in the file, as many instances as a list has elements.

`Operator.partial(shared…).expand(name=list)` and `function.expand(name=list)` make a `MappedOperator`.
How many instances there will be is an expression over lengths (`model.spec.LengthExpression`), which
is all that the scheduler sees; the elements stay in the file or in the results of other tasks.

Several names in `expand` give every combination, the last name varying fastest. A dict is mapped
over as its (key, value) pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self

from piper.model.ids import check_workflow_id
from piper.model.spec import RETURN_KEY, LengthExpression, LiteralLength, ProductLength
from piper.model.states import TriggerRule
from piper.sdk import scope
from piper.sdk.abstract_operator import AbstractOperator, merge_defaults
from piper.sdk.arguments import CONVERTERS, OPERATOR_ARGUMENTS
from piper.sdk.placeholders import Reference, ResolveMixin
from piper.sdk.spelling import only_known
from piper.sdk.xcom_arg import XComArg, references_in

if TYPE_CHECKING:
    from piper.sdk.dags import DAG
    from piper.sdk.group import TaskGroup
    from piper.sdk.operator import BaseOperator
    from piper.sdk.place import Place


# --- what is mapped over ------------------------------------------------------------------------


class DictOfLists:
    """What `expand(**values)` was given: names and what each is mapped over."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.value = dict(value)

    @property
    def length(self) -> LengthExpression:
        """The number of combinations."""
        lengths = tuple(_length_of(source) for source in self.value.values())
        return lengths[0] if len(lengths) == 1 else ProductLength(lengths)

    def references(self) -> Iterator[Reference]:
        """The XComs that it is made of."""
        for source in self.value.values():
            if isinstance(source, ResolveMixin):
                yield from source.iter_references()


class ListOfDicts:
    """What `expand_kwargs(value)` was given: one set of arguments per instance."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def length(self) -> LengthExpression:
        """The number of sets."""
        return _length_of(self.value)

    def references(self) -> Iterator[Reference]:
        """The XComs that it is made of."""
        yield from references_in(self.value if isinstance(self.value, ResolveMixin) else list(self.value))


ExpandInput = DictOfLists | ListOfDicts


class MappedArgument(ResolveMixin):
    """What a `@task_group` function is called with in place of an element: it becomes that in each instance."""

    __slots__ = ("input", "key")

    def __init__(self, input: ExpandInput, key: str) -> None:  # noqa: A002 - Airflow's name
        self.input = input
        self.key = key

    def iter_references(self) -> Iterator[Reference]:
        """Those of what the group is mapped over."""
        return self.input.references()

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """This instance's element."""
        from piper.sdk.execution.mapping import resolve_group_argument  # only in a running task

        return resolve_group_argument(self, context)

    def __repr__(self) -> str:
        return f"MappedArgument({self.key!r})"


def _length_of(source: Any) -> LengthExpression:
    return source.length if isinstance(source, XComArg) else LiteralLength(len(source))


def is_mappable(value: Any) -> bool:
    """Whether one can map over a value: a list, tuple or dict, or a reference that will become one."""
    return isinstance(value, MappedArgument | XComArg | Mapping | Sequence) and not isinstance(
        value, str | bytes | bytearray
    )


def check_mappable(called: str, values: Mapping[str, Any]) -> None:
    """Raise unless one can map over each of these values."""
    for name, value in values.items():
        if not is_mappable(value):
            raise ValueError(
                f"{called}.expand() got an unexpected type {type(value).__name__!r} for keyword argument {name!r}: "
                "map over a list, a dict or the result of a task"
            )
        if isinstance(value, MappedArgument):
            raise ValueError(f"{called}.expand({name}=…): Nested Mapped TaskGroups are not yet supported")
    check_results(values)


def check_results(value: Any) -> None:
    """Raise if a reference in there is not to a return value: other keys cannot be mapped over."""
    for task, key in references_in(value):
        if key != RETURN_KEY:
            raise ValueError(f"cannot map over XCom with custom key {key!r} from {task!r}")


def check_list_of_dicts(value: Any) -> None:
    """Raise unless one can give `value` to `expand_kwargs`."""
    if isinstance(value, XComArg):
        check_results(value)
        return
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"expected XComArg or list[dict], not {type(value).__name__}")
    for element in value:
        if not isinstance(element, XComArg | Mapping):
            raise TypeError(f"expected XComArg or list[dict], not a list with a {type(element).__name__}")
    check_results(list(value))


def refuse_duplicates(first: Mapping[str, Any], second: Mapping[str, Any], reason: str) -> None:
    """Raise if both name the same argument."""
    duplicates = sorted(first.keys() & second.keys())
    if duplicates:
        plural = "s" if len(duplicates) > 1 else ""
        raise TypeError(f"{reason} argument{plural}: {', '.join(duplicates)}")


# --- classic operators --------------------------------------------------------------------------


class OperatorPartial:
    """`Operator.partial(…)`: the arguments that all instances share. `expand` or `expand_kwargs` follows."""

    def __init__(self, operator_class: type[BaseOperator], kwargs: dict[str, Any], place: Place | None) -> None:
        self.operator_class = operator_class
        self.kwargs = kwargs
        self.place = place
        self.expanded = False
        scope.note_partial(self)

    def expand(self, **mapped: Any) -> MappedOperator:
        """One instance for each combination of elements.

        Raises:
            TypeError: an argument is unknown, or was given to `partial` already.
            ValueError: one cannot map over a value.
        """
        name = self.operator_class.__name__
        if not mapped:
            raise TypeError(f"{name}: no arguments to expand against")
        mapped = only_known(f"{name}.expand()", mapped, self.operator_class.known_arguments())
        check_mappable(name, mapped)
        refuse_duplicates(self.kwargs, mapped, "unmappable or already specified")
        return self._expand(DictOfLists(mapped), strict=False)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> MappedOperator:
        """One instance for each set of arguments.

        Arguments:
            kwargs: a list of dicts, or the result of a task that is one.
            strict: whether a set may not name what `partial` was given.
        """
        check_list_of_dicts(kwargs)
        return self._expand(ListOfDicts(kwargs), strict=strict)

    def _expand(self, expand_input: ExpandInput, *, strict: bool) -> MappedOperator:
        self.expanded = True
        return MappedOperator(self.operator_class, self.kwargs, expand_input, strict=strict, place=self.place)

    def __rshift__(self, other: Any) -> NoReturn:
        raise TypeError(f"{self!r} is no task yet: call .expand(…) on it")

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.kwargs.items())
        return f"{self.operator_class.__name__}.partial({given})"


def partial_operator(
    operator_class: type[BaseOperator], arguments: dict[str, Any], place: Place | None
) -> OperatorPartial:
    """`operator_class.partial(**arguments)`.

    Raises:
        TypeError: an argument is unknown.
    """
    called = f"{operator_class.__name__}.partial()"
    return OperatorPartial(operator_class, only_known(called, arguments, operator_class.known_arguments()), place)


class MappedOperator(AbstractOperator):
    """A task with as many instances as what it is mapped over has elements.

    Arguments:
        operator_class: what each instance is.
        kwargs: the arguments that all share.
        expand_input: what it is mapped over.
        strict: whether an element may not name what is shared.
    """

    is_mapped = True

    def __init__(
        self,
        operator_class: type[BaseOperator],
        kwargs: Mapping[str, Any],
        expand_input: ExpandInput,
        *,
        strict: bool,
        place: Place | None = None,
    ) -> None:
        given = dict(kwargs)
        task_id = given.pop("task_id")
        dag: DAG | None = given.pop("dag", None) or scope.current_dag()
        group: TaskGroup | None = given.pop("task_group", None)
        if group is None and dag is not None:
            group = scope.current_group(dag)
        defaults = merge_defaults(dag, group, given.pop("default_args", None))
        self.operator_class = operator_class
        self.expand_input = expand_input
        self.strict = strict
        self.template_fields = operator_class.template_fields
        self.template_ext = operator_class.template_ext
        self.task_id = check_workflow_id(group.child_id(task_id) if group is not None else task_id)
        self.upstream_task_ids = set()
        self.downstream_task_ids = set()
        if place is not None:
            self._task_place = place
        self._take_params(given.pop("params", None), defaults)
        self.partial_kwargs = self._share(given, defaults)
        if next(iter(group.iter_mapped_task_groups() if group is not None else ()), None) is not None:
            raise NotImplementedError(
                f"task {self.task_id!r}: operator expansion in an expanded task group is not yet supported"
            )
        self._refuse_always()
        if dag is not None:
            dag.add_task(self, group)
            self._set_upstream_of_results()
        if scope.setup_scopes:
            scope.note_task(self)

    def _share(self, given: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that all instances share; the common ones among them become fields of this task."""
        own = self.operator_class.own_arguments()
        shared = {
            name: value
            for name, value in defaults.items()
            if name != "params" and name not in given and (name in own or name in CONVERTERS)
        }
        shared.update(given)
        declared = {
            name: parameter.default
            for name, parameter in own.items()
            if name in CONVERTERS and parameter.default is not parameter.empty
        }
        self._take_arguments(
            {name: value for name, value in {**declared, **shared}.items() if name in OPERATOR_ARGUMENTS}
        )
        return shared

    def _refuse_always(self) -> None:
        if self.trigger_rule == TriggerRule.ALWAYS and next(self.expand_input.references(), None) is not None:
            raise ValueError(
                f"task {self.task_id!r}: Task-generated mapping within a task using 'expand' is not allowed "
                "with trigger rule 'always'."
            )

    def _set_upstream_of_results(self) -> None:
        for task, _ in self.expand_input.references():
            self.set_upstream(task)
        for name, value in self.partial_kwargs.items():
            if name in self.template_fields:
                for task, _ in references_in(value):
                    self.set_upstream(task)

    @property
    def length(self) -> LengthExpression:
        """How many instances it has, as an expression over lengths."""
        return self.expand_input.length

    @property
    def task_type(self) -> str:
        """Name of the operator's class."""
        return self.operator_class.__name__

    @property
    def operator_name(self) -> str:
        """The operator's name for people."""
        return str(getattr(self.operator_class, "custom_operator_name", self.task_type))

    @property
    def given(self) -> dict[str, Any]:
        """The arguments that all instances share."""
        return self.partial_kwargs

    def arguments_for(self, mapped: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor's arguments for an instance.

        Arguments:
            mapped: the arguments of its element.

        Raises:
            TypeError: an element of `expand_kwargs` names what `partial` was given.
        """
        if self.strict:
            refuse_duplicates(self.partial_kwargs, mapped, "unmappable or already specified")
        return {**self.partial_kwargs, **mapped}

    def unmap(self, resolve: Mapping[str, Any]) -> BaseOperator:
        """The operator of one instance.

        Arguments:
            resolve: the arguments of its element.
        """
        arguments = {**self.arguments_for(resolve), "task_id": self.task_id}
        operator: BaseOperator = self.operator_class.make(arguments)
        fields = operator.__dict__
        for name, value in self.__dict__.items():
            if name not in _OF_THE_MAPPED:
                fields[name] = value
        return operator

    def prepare_for_execution(self) -> Self:
        """Itself: each instance makes its own operator (`unmap`)."""
        return self

    def __repr__(self) -> str:
        return f"<Mapped({self.task_type}): {self.task_id}>"


_OF_THE_MAPPED = frozenset(
    {"expand_input", "operator_class", "partial_kwargs", "strict", "template_ext", "template_fields"}
)
"""Attributes that an instance's operator has of its own, or not at all; all others are the same for all."""


class DecoratedMappedOperator(MappedOperator):
    """A mapped `@task` function: elements are arguments of the function."""

    def arguments_for(self, mapped: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor's arguments for an instance; `mapped` are arguments of the function."""
        shared = self.partial_kwargs.get("op_kwargs", {})
        if self.strict:
            refuse_duplicates(shared, mapped, "mapping already partial")
        return {"op_args": (), **self.partial_kwargs, "op_kwargs": {**shared, **mapped}}
