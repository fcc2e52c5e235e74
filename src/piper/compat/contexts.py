"""Context keys of Airflow 1 and 2, as values derived from today's (airflow-semantics §2.4)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from piper.compat.finder import DeprecatedImportWarning

if TYPE_CHECKING:
    from piper.sdk.execution.current import Execution

_DAY = timedelta(days=1)
_RUNNER = "piper.sdk.execution.runner"


def context_merge(context: MutableMapping[str, Any], *additions: Mapping[str, Any], **named: Any) -> None:
    """Add values to a context, in place."""
    for addition in (*additions, named):
        context.update(addition)


class FormerKeyWarning(DeprecatedImportWarning):
    """A key of the context has another name now; the message has it."""


def accept(former: bool) -> None:
    """Let the former keys be asked for, or no longer."""
    from piper.sdk.execution import context  # few files use any of them

    context._FORMER.clear()
    if former:
        context.accept_former_keys({key: _warning(key, now, make) for key, (now, make) in _FORMER.items()})


def _warning(key: str, now: str, make: Callable[[Any], Any]) -> Callable[[Execution], Any]:
    def value(execution: Execution) -> Any:
        found = make(execution.context)
        if key not in vars(execution).setdefault("former_keys", set()):
            vars(execution)["former_keys"].add(key)
            said = f"the context has no {key!r} since Airflow 3: use {now}"
            warnings.warn_explicit(said, FormerKeyWarning, *_place(execution))
        return found

    return value


def _place(execution: Execution) -> tuple[str, int]:
    """The author's line that asks for a key; of a template, where its task is written."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") != _RUNNER:
        if str(frame.f_globals.get("__name__", "jinja2")).partition(".")[0] not in ("piper", "jinja2"):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    source = execution.facts.task.source
    return (source.file, source.line) if source is not None else (execution.facts.task.task_id, 0)


def _date(context: Mapping[str, Any]) -> Any:
    """The run's date.

    Raises:
        KeyError: it has none.
    """
    return context["logical_date"]


def _day(context: Mapping[str, Any], days: int, form: str = "%Y-%m-%d") -> str:
    text: str = (_date(context) + days * _DAY).strftime(form)
    return text


def _next(context: Mapping[str, Any]) -> Any:
    """The end of the run's interval: where the next one begins."""
    _date(context)
    return context["data_interval_end"]


def _previous(context: Mapping[str, Any]) -> Any:
    """The start of the interval before."""
    start, end = context["data_interval_start"], _next(context)
    return start - (end - start) if end > start else _date(context) - _DAY


def _text(moment: Any, form: str = "%Y-%m-%d") -> str:
    text: str = moment.strftime(form)
    return text


def _conf(_: Mapping[str, Any]) -> Any:
    from piper.sdk.configuration import conf  # asked for by few

    return conf


_FORMER: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
    "conf": ("airflow.sdk.conf, or dag_run.conf", _conf),
    "execution_date": ("logical_date", _date),
    "next_ds": ("data_interval_end | ds", lambda context: _text(_next(context))),
    "next_ds_nodash": ("data_interval_end | ds_nodash", lambda context: _text(_next(context), "%Y%m%d")),
    "next_execution_date": ("data_interval_end", _next),
    "prev_ds": ("prev_data_interval_start_success | ds", lambda context: _text(_previous(context))),
    "prev_ds_nodash": (
        "prev_data_interval_start_success | ds_nodash",
        lambda context: _text(_previous(context), "%Y%m%d"),
    ),
    "prev_execution_date": ("prev_data_interval_start_success", _previous),
    "prev_execution_date_success": (
        "prev_data_interval_start_success",
        lambda context: context["prev_data_interval_start_success"],
    ),
    "test_mode": ("nothing: a task is not told", lambda _: False),
    "tomorrow_ds": ("macros.ds_add(ds, 1)", lambda context: _day(context, 1)),
    "tomorrow_ds_nodash": ("macros.ds_add(ds, 1)", lambda context: _day(context, 1, "%Y%m%d")),
    "triggering_dataset_events": ("triggering_asset_events", lambda context: context["triggering_asset_events"]),
    "yesterday_ds": ("macros.ds_add(ds, -1)", lambda context: _day(context, -1)),
    "yesterday_ds_nodash": ("macros.ds_add(ds, -1)", lambda context: _day(context, -1, "%Y%m%d")),
}
"""Key → what to use now, and how its value is made."""
