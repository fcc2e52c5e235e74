"""Calling what authors wrote: hooks and callbacks, as functions, generators or coroutines.

A generator may yield `Metadata`, which becomes the extra of an asset event. A callback that raises is logged and
changes nothing: it is about an outcome that is decided already.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from types import CodeType
from typing import Any

from piper.sdk.execution.current import Execution
from piper.sdk.execution.failure import describe

log = logging.getLogger(__name__)


def call(function: Callable[..., Any], execution: Execution | None, *arguments: Any, **named: Any) -> Any:
    """Call a function and return its result, whichever kind of function it is.

    Arguments:
        execution: takes what a generator yields.
    """
    kind = _flags(function)
    result = function(*arguments, **named)
    if kind & inspect.CO_GENERATOR:
        return _exhaust(result, execution)
    if kind & inspect.CO_ASYNC_GENERATOR:
        return run_coroutine(_exhaust_async(result, execution))
    return settle(result)


def settle(result: Any) -> Any:
    """The result of a coroutine, when a call returned one; anything else as it is."""
    return run_coroutine(result) if _is_coroutine(result) else result


def run_coroutine(coroutine: Any) -> Any:
    """Run a coroutine to its end in an event loop of its own."""
    return import_module("asyncio").run(coroutine)  # asyncio takes 25 ms to import: only for those who use it


def run_callbacks(
    execution: Execution, callbacks: Iterable[Callable[..., Any]], kind: str
) -> list[tuple[Callable[..., Any], Exception]]:
    """Call each callback with the context, whatever the others do. What they raise is logged; returns who raised."""
    failures = []
    for callback in callbacks:
        try:
            call(callback, execution, execution.context)
        except Exception as error:
            log.error("%s failed, which changes nothing about the task:\n%s", kind, describe(error))
            failures.append((callback, error))
    return failures


def notify_by_email(execution: Execution, error: BaseException) -> None:
    """Tell the addresses in the task's `email`, through the SMTP provider. Trouble with that is logged."""
    try:
        notifier = import_module("airflow.providers.smtp.notifications.smtp").SmtpNotifier
    except ImportError:
        log.error("no mail was sent to %s: apache-airflow-providers-smtp is not installed", execution.task.email)
        return
    try:
        notifier(
            to=execution.task.email,
            subject="Piper alert: {{ ti }}",
            html_content="Try {{ ti.try_number }} of {{ ti.max_tries + 1 }} failed:<br>{{ exception | e }}",
        )({**execution.context, "exception": error})
    except Exception as trouble:
        log.error("no mail was sent to %s:\n%s", execution.task.email, describe(trouble))


def _exhaust(generator: Iterator[Any], execution: Execution | None) -> Any:
    while True:
        try:
            produced = next(generator)
        except StopIteration as end:
            return end.value
        _take(produced, execution)


async def _exhaust_async(generator: Any, execution: Execution | None) -> None:
    async for produced in generator:
        _take(produced, execution)


def _take(produced: Any, execution: Execution | None) -> None:
    """Make what a generator yielded part of the asset events."""
    from piper.sdk.assets import Metadata  # only generators get here
    from piper.sdk.execution.asset_events import outlet_events_of

    if execution is None:
        raise RuntimeError("a generator that yields Metadata can only run in a task")
    if not isinstance(produced, Metadata):
        log.warning(
            "the task yielded a value of type %s, which is ignored: yield Metadata(asset, extra)",
            type(produced).__name__,
        )
        return
    events = outlet_events_of(execution)
    events[produced.asset].extra.update(produced.extra)
    if produced.alias is not None:
        events[produced.alias].add(produced.asset, extra=produced.extra)


def _flags(function: Any) -> int:
    """The code flags of a function, method or partial, which say what kind it is; 0 for other callables."""
    while True:
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            return code.co_flags
        inner = getattr(function, "__func__", None) or getattr(function, "func", None)
        if inner is None:
            return 0
        function = inner


def _is_coroutine(value: Any) -> bool:
    return getattr(value, "cr_code", None) is not None
