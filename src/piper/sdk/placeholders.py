"""What stands in an argument in place of a value: of one that does not exist yet, or of none.

Nothing here knows what a task is: whoever refers to tasks, and tasks themselves, build upon it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from piper.sdk.abstract_operator import AbstractOperator


class NotSet:
    """The absence of an argument where None is a value."""

    def __repr__(self) -> str:
        return "NOTSET"

    def __bool__(self) -> bool:
        return False


NOTSET: Final = NotSet()

Reference = tuple["AbstractOperator", str]
"""A task and the key of one of its XComs."""


class ResolveMixin:
    """A stand-in that becomes a value in the task's process."""

    __slots__ = ()

    def iter_references(self) -> Iterator[Reference]:
        """The XComs that the value is made of."""
        raise NotImplementedError

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """The value, in a running task."""
        raise NotImplementedError
