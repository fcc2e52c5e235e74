"""The rendered template fields as people will see them: JSON, without secrets, and not too long."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from piper.model.spec import Json
from piper.sdk.execution.masking import redact

LONGEST_FIELD = 4096
"""Characters of a field; longer ones are cut."""

MOST_ITEMS = 500
"""Elements of a list or dict that are looked at."""


def rendered_fields(operator: Any) -> dict[str, Json] | None:
    """What an operator's template fields hold, by name; those that hold nothing are left out. None if all do."""
    shown = {}
    for name in operator.template_fields:
        value = getattr(operator, name, None)
        if value is None or value == () or value == {} or value == []:
            continue
        shown[name] = _cut(redact(_as_json(value), name))
    return shown or None


def _as_json(value: Any) -> Json:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value[: 2 * LONGEST_FIELD]  # cut again once secrets are masked, which may straddle the end
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in islice(value.items(), MOST_ITEMS)}
    if isinstance(value, (list, tuple)):
        return _listed(value)
    if isinstance(value, (set, frozenset)):
        return sorted(_listed(value), key=str)
    if callable(value):
        return f"<callable {getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}>"
    return str(value)


def _listed(values: Iterable[Any]) -> list[Json]:
    return [_as_json(item) for item in islice(values, MOST_ITEMS)]


def _cut(value: Json) -> Json:
    text = value if isinstance(value, str) else str(value)
    if len(text) <= LONGEST_FIELD:
        return value
    return f"{text[:LONGEST_FIELD]}… (cut)"
