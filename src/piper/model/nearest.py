"""The nearest known name to one that is not known: what every "unknown …" error offers."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(value: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` of the known names, the most alike first; none if nothing is alike."""
    names = {name.lower(): name for name in known}
    return [names[match] for match in get_close_matches(value.lower(), names, n=limit, cutoff=0.6)]


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """The end of an error's sentence: `; did you mean 'x'?`, or nothing."""
    found = nearest(value, known, limit=1)
    return f"; did you mean {found[0]!r}?" if found else ""
