"""References to results that do not exist yet.

What a task hands to another in the file is an `XComArg`: calling a `@task` function returns one,
`operator.output` is one. Standing in a template field it draws an arrow, and in the consumer's
process it becomes the value. `map`, `zip` and `concat` make new references of such, for mapping.

In text (`f"rows: {result}"`) a reference becomes a template that pulls the value. Text cannot hold an
arrow: the author draws that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from piper.model.spec import RETURN_KEY, ConcatLength, LengthExpression, ResultLength, ZipLength
from piper.sdk.exceptions import AirflowException
from piper.sdk.execution.templating import Templater
from piper.sdk.node import DependencyMixin
from piper.sdk.placeholders import NOTSET, Reference, ResolveMixin

if TYPE_CHECKING:
    from piper.sdk.abstract_operator import AbstractOperator
    from piper.sdk.edges import EdgeModifier


PLAIN = frozenset({str, int, float, bool, type(None), timedelta, datetime})
"""Types in which no reference can hide."""


class XComArg(ResolveMixin, DependencyMixin):
    """A reference to one or more XComs; `XComArg(operator, key)` is one to a single XCom.

    Arguments:
        operator: the task that pushes it.
        key: the key under which it does; by default its return value.
    """

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(PlainXComArg if cls is XComArg else cls)

    def __init__(self, operator: AbstractOperator, key: str = RETURN_KEY) -> None:
        raise NotImplementedError  # each kind has its own

    @property
    def length(self) -> LengthExpression:
        """How many elements it has when mapped over, as data."""
        raise NotImplementedError

    @property
    def roots(self) -> Sequence[AbstractOperator]:
        """The tasks that it refers to."""
        return [task for task, _ in self.iter_references()]

    @property
    def leaves(self) -> Sequence[AbstractOperator]:
        """The tasks that it refers to."""
        return [task for task, _ in self.iter_references()]

    def set_upstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let the tasks that it refers to wait for `other`."""
        for task, _ in self.iter_references():
            task.set_upstream(other, edge_modifier)

    def set_downstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let `other` wait for the tasks that it refers to."""
        for task, _ in self.iter_references():
            task.set_downstream(other, edge_modifier)

    def map(self, f: Callable[[Any], Any]) -> MapXComArg:
        """Each element changed by `f`, a plain function that runs in the consumer's process."""
        return MapXComArg(self, [f])

    def zip(self, *others: XComArg, fillvalue: Any = NOTSET) -> ZipXComArg:
        """Tuples of elements at the same position: as many as the shortest has, with `fillvalue` the longest."""
        return ZipXComArg([self, *others], fillvalue=fillvalue)

    def concat(self, *others: XComArg) -> ConcatXComArg:
        """The elements of this, then those of the others."""
        return ConcatXComArg([self, *others])

    def as_setup(self) -> Self:
        """Mark the tasks that it refers to as setups."""
        for task, _ in self.iter_references():
            task.as_setup()
        return self

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool | None = None) -> Self:
        """Mark the tasks that it refers to as teardowns."""
        for task, _ in self.iter_references():
            task.as_teardown(setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun)
        return self


class PlainXComArg(XComArg):
    """A reference to one XCom."""

    __slots__ = ("key", "operator")

    def __init__(self, operator: AbstractOperator, key: str = RETURN_KEY) -> None:
        self.operator = operator
        self.key = key

    def iter_references(self) -> Iterator[Reference]:
        """Itself."""
        yield self.operator, self.key

    @property
    def length(self) -> LengthExpression:
        """That of the task's return value."""
        return ResultLength(self.operator.task_id)

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """The value; of a mapped task a list of them. None if the task returned nothing or was skipped.

        Raises:
            XComNotFound: the task pushed nothing under that key.
        """
        from piper.sdk.execution.xcoms import resolve_reference  # only in a running task

        return resolve_reference(self, context)

    def __getitem__(self, item: str) -> PlainXComArg:
        """A reference to another XCom of the same task (one of its multiple outputs)."""
        if not isinstance(item, str):
            raise ValueError(f"XComArg only supports str lookup, received {type(item).__name__}")
        return PlainXComArg(self.operator, item)

    def __iter__(self) -> Iterator[Any]:
        """Refused: without this, `*result` would ask for items without end."""
        raise TypeError("'XComArg' object is not iterable: its value does not exist before the task has run")

    def _only_results(self, doing: str) -> None:
        if self.key != RETURN_KEY:
            raise ValueError(f"cannot {doing} non-return XCom {self.key!r} of {self.operator!r}")

    def map(self, f: Callable[[Any], Any]) -> MapXComArg:
        """Each element changed by `f`."""
        self._only_results("map against")
        return super().map(f)

    def zip(self, *others: XComArg, fillvalue: Any = NOTSET) -> ZipXComArg:
        """Tuples of elements at the same position."""
        self._only_results("map against")
        return super().zip(*others, fillvalue=fillvalue)

    def concat(self, *others: XComArg) -> ConcatXComArg:
        """The elements of this, then those of the others."""
        self._only_results("concatenate")
        return super().concat(*others)

    @property
    def is_setup(self) -> bool:
        """Whether its task is a setup."""
        return self.operator.is_setup

    @is_setup.setter
    def is_setup(self, value: bool) -> None:
        self.operator.is_setup = value

    @property
    def is_teardown(self) -> bool:
        """Whether its task is a teardown."""
        return self.operator.is_teardown

    @is_teardown.setter
    def is_teardown(self, value: bool) -> None:
        self.operator.is_teardown = value

    @property
    def on_failure_fail_dagrun(self) -> bool:
        """Whether its task, a teardown, fails the run when it fails."""
        return self.operator.on_failure_fail_dagrun

    @on_failure_fail_dagrun.setter
    def on_failure_fail_dagrun(self, value: bool) -> None:
        self.operator.on_failure_fail_dagrun = value

    def __enter__(self) -> Any:
        """As for its task: `with create_cluster(): …`."""
        if not self.operator.is_setup and not self.operator.is_teardown:
            raise AirflowException("Only setup/teardown tasks can be used as context managers.")
        return self.operator.__enter__()

    def __exit__(self, *error: object) -> None:
        self.operator.__exit__(*error)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PlainXComArg):
            return NotImplemented
        return self.operator is other.operator and self.key == other.key

    def __hash__(self) -> int:
        return hash((id(self.operator), self.key))

    def __repr__(self) -> str:
        key = "" if self.key == RETURN_KEY else f", {self.key!r}"
        return f"XComArg({self.operator!r}{key})"

    def __str__(self) -> str:
        """A template that pulls the value."""
        task_id, dag_id = self.operator.task_id, self.operator.dag_id
        return f"{{{{ task_instance.xcom_pull(task_ids='{task_id}', dag_id='{dag_id}', key='{self.key}') }}}}"


class MapXComArg(XComArg):
    """A reference whose elements are changed by functions."""

    __slots__ = ("arg", "callables")

    def __init__(self, arg: XComArg, callables: Sequence[Callable[[Any], Any]]) -> None:
        for function in callables:
            if getattr(function, "is_task_decorator", False):
                raise ValueError("map() argument must be a plain function, not a @task operator")
            if not callable(function):
                raise TypeError(f"map() argument must be a function, not {function!r}")
        self.arg = arg
        self.callables = list(callables)

    def iter_references(self) -> Iterator[Reference]:
        """Those of what is mapped."""
        return self.arg.iter_references()

    @property
    def length(self) -> LengthExpression:
        """That of what is mapped."""
        return self.arg.length

    def map(self, f: Callable[[Any], Any]) -> MapXComArg:
        """One more change to each element."""
        return MapXComArg(self.arg, [*self.callables, f])

    def resolve(self, context: Mapping[str, Any]) -> Sequence[Any]:
        """A list whose elements are changed when they are looked at."""
        return _Mapped(_sized(self.arg.resolve(context), "map"), self.callables)

    def __repr__(self) -> str:
        return repr(self.arg) + "".join(f".map({getattr(f, '__name__', f)})" for f in self.callables)


class ZipXComArg(XComArg):
    """References side by side."""

    __slots__ = ("args", "fillvalue")

    def __init__(self, args: Sequence[XComArg], *, fillvalue: Any = NOTSET) -> None:
        self.args = _references_only(args, "zip")
        self.fillvalue = fillvalue

    def iter_references(self) -> Iterator[Reference]:
        """Those of all."""
        for arg in self.args:
            yield from arg.iter_references()

    @property
    def length(self) -> LengthExpression:
        """The shortest's, with a fill value the longest's."""
        return ZipLength(tuple(arg.length for arg in self.args), fill=self.fillvalue is not NOTSET)

    def resolve(self, context: Mapping[str, Any]) -> Sequence[Any]:
        """A list of tuples, each made when it is looked at."""
        return _Zipped([_sized(arg.resolve(context), "zip") for arg in self.args], self.fillvalue)

    def __repr__(self) -> str:
        fill = "" if self.fillvalue is NOTSET else f", fillvalue={self.fillvalue!r}"
        return f"{self.args[0]!r}.zip({', '.join(map(repr, self.args[1:]))}{fill})"


class ConcatXComArg(XComArg):
    """References one after the other."""

    __slots__ = ("args",)

    def __init__(self, args: Sequence[XComArg]) -> None:
        self.args = _references_only(args, "concat")

    def iter_references(self) -> Iterator[Reference]:
        """Those of all."""
        for arg in self.args:
            yield from arg.iter_references()

    @property
    def length(self) -> LengthExpression:
        """The sum."""
        return ConcatLength(tuple(arg.length for arg in self.args))

    def concat(self, *others: XComArg) -> ConcatXComArg:
        """One longer row."""
        return ConcatXComArg([*self.args, *others])

    def resolve(self, context: Mapping[str, Any]) -> Sequence[Any]:
        """A list over all, fetched when it is looked at."""
        return _Concatenated([_sized(arg.resolve(context), "concat") for arg in self.args])

    def __repr__(self) -> str:
        return f"{self.args[0]!r}.concat({', '.join(map(repr, self.args[1:]))})"


def _references_only(args: Sequence[Any], doing: str) -> list[XComArg]:
    for arg in args:
        if not isinstance(arg, XComArg):
            raise TypeError(f"{doing}() takes results of tasks, not {arg!r}")
    return list(args)


# --- looking for references ---------------------------------------------------------------------


def references_in(value: Any) -> list[Reference]:
    """All references in a value: in lists, tuples, sets, dicts, and in objects with `template_fields`."""
    found: list[Reference] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) in PLAIN:
            continue
        if isinstance(one, ResolveMixin):
            found += one.iter_references()
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif isinstance(one, Templater):
            waiting += [getattr(one, name, None) for name in one.template_fields]
    return found


# --- resolved values ----------------------------------------------------------------------------


def _sized(value: Any, doing: str) -> Sequence[Any] | dict[Any, Any]:
    if isinstance(value, Sequence | dict) and not isinstance(value, str | bytes):
        return value
    raise ValueError(f"XCom {doing} expects sequence or dict, not {type(value).__name__}")


def element_at(values: Sequence[Any] | dict[Any, Any], index: int) -> Any:
    """One element of a list, or one (key, value) of a dict. Raises IndexError."""
    if not isinstance(values, dict):
        return values[index]
    for position, item in enumerate(values.items()):
        if position == index:
            return item
    raise IndexError("dict index out of range")


def _position(index: int, length: int) -> int:
    position = index + length if index < 0 else index
    if not 0 <= position < length:
        raise IndexError("list index out of range")
    return position


class _Mapped(Sequence[Any]):
    def __init__(self, values: Sequence[Any] | dict[Any, Any], callables: Sequence[Callable[[Any], Any]]) -> None:
        self._values = values
        self._callables = callables

    def __getitem__(self, index: Any) -> Any:
        value = element_at(self._values, _position(index, len(self)))
        for function in self._callables:
            value = function(value)
        return value

    def __len__(self) -> int:
        return len(self._values)


class _Zipped(Sequence[Any]):
    def __init__(self, values: Sequence[Sequence[Any] | dict[Any, Any]], fillvalue: Any) -> None:
        self._values = values
        self._fillvalue = fillvalue

    def __getitem__(self, index: Any) -> Any:
        position = _position(index, len(self))
        return tuple(
            element_at(values, position) if position < len(values) else self._fillvalue for values in self._values
        )

    def __len__(self) -> int:
        lengths = [len(values) for values in self._values]
        return min(lengths) if self._fillvalue is NOTSET else max(lengths)


class _Concatenated(Sequence[Any]):
    def __init__(self, values: Sequence[Sequence[Any] | dict[Any, Any]]) -> None:
        self._values = values

    def __getitem__(self, index: Any) -> Any:
        position = _position(index, len(self))
        for values in self._values:
            if position < len(values):
                return element_at(values, position)
            position -= len(values)
        raise IndexError("list index out of range")

    def __len__(self) -> int:
        return sum(len(values) for values in self._values)
