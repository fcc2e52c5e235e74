"""XComs in a running task: pushed values wait for the report, pulled ones are fetched when they are needed.

A pushed value is encoded at once, so that what cannot be stored fails where it was pushed. It then waits and
travels with the report: stored with the outcome or not at all. Values too large to wait are stored at once.

A pulled value comes, in this order, from what this execution has pushed itself, from the small upstream values
that came with the task, and from the Task API.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from piper.model import wire
from piper.model.ids import UNMAPPED
from piper.model.run import NOT_SIZED
from piper.model.spec import RETURN_KEY
from piper.sdk.exceptions import (
    UnmappableXComLengthPushed,
    UnmappableXComTypePushed,
    XComForMappingNotPushed,
    XComNotFound,
)
from piper.sdk.execution import serde
from piper.sdk.execution.channel import ask
from piper.sdk.execution.current import Execution

if TYPE_CHECKING:
    from piper.sdk.xcom_arg import PlainXComArg

LARGEST_XCOM = 16 << 20
"""Bytes of JSON; more is an error, since a value passes through the memory of every process on its way."""

LARGEST_WAIT = 1 << 20
"""Bytes of all the values that wait for the report together."""

MAX_MAP_LENGTH = int(os.environ.get("PIPER_TASKS__MAX_MAP_LENGTH", "100000"))
"""Most elements of a result that other tasks are mapped over. (Airflow's default is 1024.)"""

PAGE = 200
"""Values of a mapped task that are asked for together; long ones come fewer at a time."""

ABSENT: Any = object()
"""Where None is a value."""


# --- pushing ------------------------------------------------------------------------------------


def push(execution: Execution, key: str, value: Any) -> None:
    """Leave a value for later tasks.

    Raises:
        TypeError: it has no JSON form.
        ValueError: it is too large.
    """
    if not isinstance(key, str):
        raise TypeError(f"the key of an XCom is a string, not {key!r}")
    text = serde.encode(value)
    if len(text) > LARGEST_XCOM:
        raise ValueError(
            f"the XCom {key!r} has {len(text) / (1 << 20):,.0f} MiB as JSON, and may have {LARGEST_XCOM >> 20}: "
            f"write the data to a file or a table, and pass on its name"
        )
    waiting = execution.pushed
    waiting[key] = pushed = wire.XComPush(key, text, _sized(value))
    if len(text) > wire.INLINE_XCOM:
        del waiting[key]
        execution.channel.ask(wire.PushXCom(pushed))
    elif len(waiting) > 16 and sum(len(each.value) for each in waiting.values()) > LARGEST_WAIT:
        for each in waiting.values():
            execution.channel.ask(wire.PushXCom(each))
        waiting.clear()


def push_result(execution: Execution, value: Any, *, mapped_over: bool) -> int | None:
    """Leave a task's return value for later tasks, and with `multiple_outputs` each entry besides.

    Arguments:
        mapped_over: whether other tasks are mapped over it.

    Returns:
        Its length as the scheduler wants it: NOT_SIZED if it is neither a list nor a dict, None if nothing was left.

    Raises:
        TypeError: it has no JSON form, cannot be mapped over though it must, or is no dict with string keys
            though the task has `multiple_outputs`.
        ValueError: it is too large or too long.
    """
    task = execution.task
    if value is None or not task.do_xcom_push:
        if mapped_over and not execution.mapped:
            raise XComForMappingNotPushed
        return None
    if mapped_over and not execution.mapped:
        _check_mappable(value)
    if task.multiple_outputs:
        for key, part in _outputs(value).items():
            push(execution, key, part)
    push(execution, RETURN_KEY, value)
    length = _sized(value)
    return NOT_SIZED if length is None else length


def _sized(value: Any) -> int | None:
    """The number of elements of what is stored as an array or an object."""
    return len(value) if isinstance(value, (list, dict, tuple, LazyXComSequence)) else None


def _check_mappable(value: Any) -> None:
    length = _sized(value)
    if length is None:
        raise UnmappableXComTypePushed(value)
    if length > MAX_MAP_LENGTH:
        raise UnmappableXComLengthPushed(length, MAX_MAP_LENGTH)


def _outputs(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(
            f"Returned output was type {type(value).__name__}, expected dictionary for multiple_outputs: "
            f"return a dict, or set multiple_outputs=False"
        )
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"Returned dictionary keys must be strings when using multiple_outputs, found {key!r}")
    return value


# --- pulling ------------------------------------------------------------------------------------


def pull(
    execution: Execution,
    task_id: str,
    key: str = RETURN_KEY,
    *,
    map_index: int | None = None,
    workflow_id: str = "",
    run_id: str = "",
    include_prior_dates: bool = False,
) -> Any:
    """One value, or ABSENT.

    Arguments:
        map_index: of a mapped task, whose; None for a task that is not mapped.
        workflow_id, run_id: of another workflow or run; empty for this one.
        include_prior_dates: take the latest of earlier runs if this one has none.
    """
    if not (workflow_id or run_id):
        here = _pulled_here(execution, task_id, key, map_index)
        if here is not ABSENT:
            return here
    asked = wire.GetXCom(
        task_id,
        key,
        map_index=None if map_index == UNMAPPED else map_index,
        workflow_id=workflow_id,
        run_id=run_id,
        include_prior_dates=include_prior_dates,
    )
    found = ask(execution.channel, asked, wire.XComFound)
    return ABSENT if found.value is None else serde.decode(found.value)


def _pulled_here(execution: Execution, task_id: str, key: str, map_index: int | None) -> Any:
    """A value that needs no question."""
    facts = execution.facts
    if task_id == facts.task.task_id and map_index in (None, facts.map_index):
        mine = execution.pushed.get(key)
        return ABSENT if mine is None else serde.decode(mine.value)
    if map_index in (None, UNMAPPED):
        sent = facts.xcoms.get(f"{task_id}/{key}")
        if sent is not None:
            return serde.decode(sent)
    return ABSENT


def pull_element(execution: Execution, task_id: str, index: int) -> Any:
    """One element of the list or dict that an unmapped task returned; of a dict, (key, value). Or ABSENT."""
    # With the task comes its own element, where it is mapped over one result alone.
    sent = execution.facts.element if index == execution.facts.map_index else None
    found = sent or ask(execution.channel, wire.GetXCom(task_id, RETURN_KEY, element=index), wire.XComFound)
    if found.value is None:
        return ABSENT
    value = serde.decode(found.value)
    return value if found.key is None else (found.key, value)


def length_of_result(execution: Execution, task_id: str) -> int:
    """How many elements the list or dict has that an unmapped task returned.

    Raises:
        TypeError: it returned nothing, or neither a list nor a dict.
    """
    # Element 0 is the cheapest question whose answer says how long the whole is.
    found = ask(execution.channel, wire.GetXCom(task_id, RETURN_KEY, element=0), wire.XComFound)
    if found.length is None:
        raise TypeError(f"the result of task {task_id!r} cannot be mapped over: it is neither a list nor a dict")
    return found.length


class LazyXComSequence(Sequence[Any]):
    """The results of a mapped task's instances, by map index, fetched in pages as they are looked at.

    Instances that returned None have no result and are left out.
    """

    def __init__(
        self, execution: Execution, task_id: str, key: str = RETURN_KEY, *, workflow_id: str = "", run_id: str = ""
    ) -> None:
        self._execution = execution
        self._where = (task_id, key, workflow_id, run_id)
        self._length: int | None = None
        self._values: dict[int, Any] = {}

    def __len__(self) -> int:
        if self._length is None:
            self._fetch(0)
        assert self._length is not None
        return self._length

    @overload
    def __getitem__(self, key: int) -> Any: ...

    @overload
    def __getitem__(self, key: slice) -> list[Any]: ...

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):
            return [self[position] for position in range(*key.indices(len(self)))]
        position = key.__index__()
        if position < 0:
            position += len(self)
        if position not in self._values and position >= 0:
            self._fetch(position)
        if position not in self._values:
            raise IndexError(f"there are {len(self)} results, and none at position {key}")
        return self._values[position]

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_equal, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        count = "length not known yet" if self._length is None else f"{self._length} results"
        return f"LazyXComSequence({self._where[0]!r}, {count})"

    def as_list(self) -> list[Any]:
        """All of them, now."""
        return list(self)

    def _fetch(self, start: int) -> None:
        """Ask for the values from a position on."""
        task_id, key, workflow_id, run_id = self._where
        asked = wire.GetXComs(task_id, key, start, start + PAGE, workflow_id=workflow_id, run_id=run_id)
        found = ask(self._execution.channel, asked, wire.XComsFound)
        self._length = found.total
        for position, (_, text) in enumerate(found.values, start):
            self._values[position] = serde.decode(text)


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)


# --- references in arguments --------------------------------------------------------------------


def resolve_reference(reference: PlainXComArg, context: Mapping[str, Any]) -> Any:
    """What a reference to another task's XCom is, in a running task.

    Of a mapped task the sequence of all results; of a task in the same mapped group that of the same instance; of
    a task in another mapped group its only result or the list of all; otherwise the value. None if the task
    returned nothing or was skipped.

    Raises:
        XComNotFound: the task pushed nothing under a key that it was expected to push.
    """
    execution: Execution = context["ti"].execution
    task, key = reference.operator, reference.key
    if task.is_mapped:
        return LazyXComSequence(execution, task.task_id, key)
    group = task.get_closest_mapped_task_group()
    if group is None:
        value = pull(execution, task.task_id, key)
    elif group in execution.task.iter_mapped_task_groups():
        value = pull(execution, task.task_id, key, map_index=execution.facts.map_index)
    else:
        values = list(LazyXComSequence(execution, task.task_id, key))
        value = values if len(values) > 1 else values[0] if values else ABSENT
    if value is not ABSENT:
        return value
    if key == RETURN_KEY or task.multiple_outputs:
        return None
    raise XComNotFound(execution.facts.run.workflow_id, task.task_id, key)
