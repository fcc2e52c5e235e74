"""Which elements a mapped instance is for, and fetching these alone.

The scheduler knows lengths and gives each instance a number. What the number means is worked out here: of several
lists every combination, the last varying fastest; of a zip the same position of each; of a concatenation a
position in one of them. Only the elements at these positions are asked for, so that an instance of a task that is
mapped over 10,000 elements sees one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from piper.model import wire
from piper.sdk.execution import serde
from piper.sdk.execution.channel import ask
from piper.sdk.execution.current import Execution
from piper.sdk.execution.xcoms import ABSENT, length_of_result, pull_element
from piper.sdk.placeholders import NOTSET
from piper.sdk.xcom_arg import ConcatXComArg, MapXComArg, PlainXComArg, XComArg, ZipXComArg, element_at

if TYPE_CHECKING:
    from piper.sdk.mapping import ExpandInput, MappedArgument, MappedOperator
    from piper.sdk.operator import BaseOperator


def unmap(execution: Execution, operator: MappedOperator) -> tuple[BaseOperator, set[int]]:
    """The operator of this instance, and the `id()`s of the values in it that came from other tasks.

    Raises:
        TypeError, ValueError: what it is mapped over has no such elements, or the operator refuses them.
    """
    arguments, pulled = _arguments(execution, operator.expand_input, execution.facts.map_index)
    return operator.unmap(arguments).prepare_for_execution(), pulled


def resolve_group_argument(argument: MappedArgument, context: Mapping[str, Any]) -> Any:
    """What an argument of a mapped task group is in this instance."""
    execution: Execution = context["ti"].execution
    index = execution.facts.map_index
    if _is_by_name(argument.input):
        position = _positions(execution, argument.input.value, index)[argument.key]
        return element(execution, argument.input.value[argument.key], position)
    return _set_of_arguments(execution, argument.input, index)[argument.key]


def element(execution: Execution, source: Any, index: int) -> Any:
    """One element of what is mapped over.

    Arguments:
        source: a list or dict written in the file, or a reference to a result.

    Raises:
        IndexError: it has no such element.
        TypeError: the result is neither a list nor a dict.
    """
    if not isinstance(source, XComArg):
        return element_at(source, index)
    if isinstance(source, MapXComArg):
        value = element(execution, source.arg, index)
        for function in source.callables:
            value = function(value)
        return value
    if isinstance(source, ZipXComArg):
        return tuple(_element_or_fill(execution, part, index, source.fillvalue) for part in source.args)
    if isinstance(source, ConcatXComArg):
        return _element_of_row(execution, source.args, index)
    assert isinstance(source, PlainXComArg), f"a reference of an unknown kind: {source!r}"
    return _element_of_result(execution, source, index)


def length(execution: Execution, source: Any) -> int:
    """How many elements it has that is mapped over."""
    if not isinstance(source, XComArg):
        return len(source)
    if isinstance(source, MapXComArg):
        return length(execution, source.arg)
    if isinstance(source, ZipXComArg):
        lengths = [length(execution, part) for part in source.args]
        return min(lengths) if source.fillvalue is NOTSET else max(lengths)
    if isinstance(source, ConcatXComArg):
        return sum(length(execution, part) for part in source.args)
    assert isinstance(source, PlainXComArg), f"a reference of an unknown kind: {source!r}"
    if source.operator.get_needs_expansion():
        asked = wire.GetXComs(source.operator.task_id, source.key, 0, 0)
        return ask(execution.channel, asked, wire.XComsFound).total
    return length_of_result(execution, source.operator.task_id)


# --- arguments of an instance -------------------------------------------------------------------


def _arguments(execution: Execution, expand_input: ExpandInput, index: int) -> tuple[dict[str, Any], set[int]]:
    """The mapped arguments of an instance, and the `id()`s of those parts that came from other tasks."""
    sources: Any = expand_input.value
    if not _is_by_name(expand_input):
        found = dict(_set_of_arguments(execution, expand_input, index))
        written = not isinstance(sources, XComArg) and isinstance(sources[index], Mapping)
        return found, set() if written else set(_ids(found))
    positions = _positions(execution, sources, index)
    found, pulled = {}, set[int]()
    for name, source in sources.items():
        found[name] = element(execution, source, positions[name])
        if isinstance(source, XComArg):
            pulled.update(_ids(found[name]))
    return found, pulled


def _is_by_name(expand_input: ExpandInput) -> bool:
    """Whether it has a list for each name (`expand`), and not a list of sets of arguments (`expand_kwargs`)."""
    return isinstance(expand_input.value, dict)


def _positions(execution: Execution, sources: Mapping[str, Any], index: int) -> dict[str, int]:
    """The position in each source: the last varies fastest.

    How long the first is need not be known, and so the commonest case, one source, asks nothing.
    """
    first, *others = sources
    found = {}
    for name in reversed(others):
        size = length(execution, sources[name])
        if size < 1:
            raise ValueError(f"{name!r} is mapped over nothing: the result has shrunk since the task was expanded")
        index, found[name] = divmod(index, size)
    found[first] = index
    return found


def _set_of_arguments(execution: Execution, expand_input: ExpandInput, index: int) -> Mapping[str, Any]:
    """The arguments that `expand_kwargs` gives an instance."""
    found = element(execution, expand_input.value, index)
    if isinstance(found, XComArg):  # a written list may hold the result of a task in place of a dict
        found = found.resolve(execution.context)
    if not isinstance(found, Mapping):
        raise ValueError(f"expand_kwargs() expects a list[dict], not list[{type(found).__name__}]")
    for name in found:
        if not isinstance(name, str):
            raise ValueError(
                f"expand_kwargs() input dict keys must all be str, but {name!r} is of type {type(name).__name__}"
            )
    return found


def _ids(value: Any) -> Iterator[int]:
    """The `id()`s of all strings and containers in a value: whatever rendering might look into."""
    if isinstance(value, (str, list, tuple, dict, set)):
        yield id(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple, set)):
        return
    for part in value:
        yield from _ids(part)


# --- elements of results ------------------------------------------------------------------------


def _element_or_fill(execution: Execution, source: Any, index: int, fill: Any) -> Any:
    if fill is NOTSET:
        return element(execution, source, index)
    try:
        return element(execution, source, index)
    except IndexError:
        return fill


def _element_of_row(execution: Execution, sources: Sequence[Any], index: int) -> Any:
    for source in sources[:-1]:
        size = length(execution, source)
        if index < size:
            return element(execution, source, index)
        index -= size
    return element(execution, sources[-1], index)


def _element_of_result(execution: Execution, source: PlainXComArg, index: int) -> Any:
    task_id = source.operator.task_id
    if source.operator.get_needs_expansion():
        found = ask(execution.channel, wire.GetXComs(task_id, source.key, index, index + 1), wire.XComsFound)
        value = serde.decode(found.values[0][1]) if found.values else ABSENT
    else:
        value = pull_element(execution, task_id, index)
    if value is ABSENT:
        raise IndexError(f"the result of task {task_id!r} has no element {index}: it has shrunk since the expansion")
    return value
