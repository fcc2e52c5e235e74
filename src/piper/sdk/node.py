"""Things that arrows can join: tasks, groups, references to results, labels.

An arrow always ends up between tasks: `set_upstream` and `set_downstream` ask each side for the
tasks that stand for it (`roots` receive arrows, `leaves` send them) and join those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from piper.sdk.abstract_operator import AbstractOperator
    from piper.sdk.edges import EdgeModifier


class DependencyMixin:
    """Whatever may stand left or right of `>>` and `<<`."""

    __slots__ = ()

    @property
    def roots(self) -> Sequence[AbstractOperator]:
        """The tasks that an arrow to this leads to."""
        raise NotImplementedError

    @property
    def leaves(self) -> Sequence[AbstractOperator]:
        """The tasks that an arrow from this comes from."""
        raise NotImplementedError

    def set_upstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let this wait for `other`: a task, group, result, label, or a list of these."""
        raise NotImplementedError

    def set_downstream(self, other: Any, edge_modifier: EdgeModifier | None = None) -> None:
        """Let `other` wait for this."""
        raise NotImplementedError

    def meet(self, other: DependencyMixin, *, other_is_upstream: bool) -> None:
        """Hear that an arrow has been drawn from the other side. Only a label has something to do."""

    def as_setup(self) -> Self:
        """Mark as setup."""
        raise NotImplementedError

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool | None = None) -> Self:
        """Mark as teardown, of `setups` if given."""
        raise NotImplementedError

    def __rshift__(self, other: Any) -> Any:
        self.set_downstream(other)
        return other

    def __lshift__(self, other: Any) -> Any:
        self.set_upstream(other)
        return other

    def __rrshift__(self, other: Any) -> Self:
        """`[a, b] >> this`: a list has no `>>` of its own."""
        self.set_upstream(other)
        return self

    def __rlshift__(self, other: Any) -> Self:
        """`[a, b] << this`."""
        self.set_downstream(other)
        return self


def each(other: DependencyMixin | Iterable[DependencyMixin]) -> Iterable[DependencyMixin]:
    """One thing or several, as several.

    Raises:
        TypeError: something in there cannot stand beside an arrow.
    """
    if isinstance(other, DependencyMixin):
        return (other,)
    if not isinstance(other, Iterable) or isinstance(other, str | dict):
        raise TypeError(f"Relationships can only be set between tasks and task groups; received {_kind(other)}")
    things = list(other)
    for thing in things:
        if not isinstance(thing, DependencyMixin):
            raise TypeError(f"Relationships can only be set between tasks and task groups; received {_kind(thing)}")
    return things


def _kind(thing: object) -> str:
    name = getattr(thing, "__name__", "")
    hint = f" ({name!r} is not called: write {name}())" if callable(thing) and name else ""
    return f"{type(thing).__name__}{hint}"
