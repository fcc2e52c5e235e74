"""What a task's execution will import, as far as its definition tells: for those who import it ahead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from types import CodeType
from typing import Any, NamedTuple

from piper.sdk.execution.templating import has_markup

_DATES = re.compile(r"logical_date|data_interval|prev_|execution_date|diff_for_humans")
"""Names in a template or a function that lead to pendulum's DateTimes."""


class Needs(NamedTuple):
    """Libraries that a task's execution will import."""

    templates: bool
    """Jinja."""
    dates: bool
    """pendulum."""


def needs_of(operator: Any) -> Needs:
    """What an operator's execution will import. A guess: what it misses is imported by the execution itself."""
    given: Mapping[str, Any] = getattr(operator, "given", {})
    fields = [given.get(name) for name in operator.template_fields]
    templates = has_markup(fields, operator.template_ext)
    dates = templates and _DATES.search(repr(fields)) is not None
    return Needs(templates, dates or _looks_at_dates(given.get("python_callable")))


def _looks_at_dates(function: Any) -> bool:
    """Whether a function takes dates from the context, by name or with all the rest of it."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return False
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return bool(code.co_flags & inspect.CO_VARKEYWORDS) or any(_DATES.search(name) for name in parameters)
