"""Argument names: refused when unknown, with the nearest known one.

Airflow 3.3.2 is strict about names of Airflow 1 and 2. Whoever wants to accept those as well
(`piper.compat`) installs a translation here; it is only asked about calls that have an unknown name,
so it costs nothing where all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

Translation = Callable[[str, dict[str, Any], frozenset[str]], dict[str, Any]]
"""(what is called, its arguments, the unknown names) → arguments in today's spelling."""


def _keep(called: str, arguments: dict[str, Any], unknown: frozenset[str]) -> dict[str, Any]:
    return arguments


_translation: Translation = _keep


def install_translation(translation: Translation | None) -> None:
    """Have unknown argument names translated from now on; None ends it."""
    global _translation
    _translation = translation or _keep


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
    arguments = _translation(called, arguments, unknown)
    unknown = frozenset(name for name in arguments if name not in known)
    if unknown:
        names = ", ".join(did_you_mean(name, known) for name in sorted(unknown))
        raise TypeError(f"Invalid arguments were passed to {called}: {names}")
    return arguments
