"""Argument names: refused when unknown, with the nearest known one.

Airflow 3.3.2 is strict about names of Airflow 1 and 2. Whoever wants to accept those as well
(`piper.compat`) installs its spellings here; they are only asked about calls that have something
unknown, so they cost nothing where all is well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any


class Spellings:
    """How former spellings are understood: not at all."""

    def arguments(self, called: str, given: dict[str, Any], unknown: frozenset[str]) -> dict[str, Any]:
        """The arguments of a call in today's spelling; what is not a former one stays, and is refused."""
        return given

    def value(self, argument: str, given: Any) -> Any:
        """A value that an argument does not know, in today's spelling; one that is no former one as it is."""
        return given

    def by_position(self, called: str, given: tuple[Any, ...]) -> dict[str, Any]:
        """Arguments by name that were given by position.

        Raises:
            TypeError: they have to be named.
        """
        raise TypeError(f"{called}: name all arguments but the first, as in description={given[0]!r}")

    def attribute(self, owner: object, kind: str, name: str) -> Any:
        """An attribute that a DAG, a run or a task instance does not have.

        Arguments:
            kind: what the owner is called: DAG, DagRun, TaskInstance.

        Raises:
            AttributeError: nor had it ever.
        """
        raise AttributeError(f"{kind} has no attribute {did_you_mean(name, dir(owner))}", name=name, obj=owner)


_spellings = Spellings()


def use_spellings(spellings: Spellings | None) -> None:
    """Have former spellings understood like this from now on; None: not at all."""
    global _spellings
    _spellings = spellings or Spellings()


def present_value(argument: str, given: Any) -> Any:
    """A value that an argument does not know, in today's spelling if it is a former one."""
    return _spellings.value(argument, given)


def former_attribute(owner: object, kind: str, name: str) -> Any:
    """An attribute that it does not have today, if it is a former one.

    Raises:
        AttributeError: it is none.
    """
    if name.startswith("_"):  # copying and pickling ask for these
        raise AttributeError(f"{kind} has no attribute {name!r}", name=name, obj=owner)
    return _spellings.attribute(owner, kind, name)


def named(called: str, given: tuple[Any, ...], others: dict[str, Any]) -> dict[str, Any]:
    """All arguments by name, where some were given by position.

    Raises:
        TypeError: they have to be named, or are given twice.
    """
    arguments = _spellings.by_position(called, given)
    twice = sorted(arguments.keys() & others.keys())
    if twice:
        raise TypeError(f"{called} got multiple values for argument {twice[0]!r}")
    return arguments | others


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that resembles `name` most, if any does."""
    import difflib  # only when something is wrong: it costs a zygote memory

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`'name' (did you mean 'other'?)`, or `'name'` alone."""
    other = nearest(name, known)
    return f"{name!r} (did you mean {other!r}?)" if other else repr(name)


def only_known(called: str, arguments: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The arguments, translated if need be.

    Raises:
        TypeError: one has a name that `called` does not know.
    """
    unknown = frozenset(name for name in arguments if name not in known)
    if not unknown:
        return arguments
    arguments = _spellings.arguments(called, arguments, unknown)
    unknown = frozenset(name for name in arguments if name not in known)
    if unknown:
        names = ", ".join(did_you_mean(name, known) for name in sorted(unknown))
        raise TypeError(f"Invalid arguments were passed to {called}: {names}")
    return arguments
