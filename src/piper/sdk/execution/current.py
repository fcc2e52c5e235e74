"""The execution that goes on in this process, and what it gathers for its report.

There is one at a time. It is held in a context variable, so that concurrent tests and coroutines see their own,
and in a module global besides, for threads that user code starts: they inherit no context variables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Never

from piper.model import wire
from piper.model.errors import NotFound
from piper.model.ids import UNMAPPED
from piper.model.run import Decision
from piper.model.spec import Json
from piper.sdk.execution.channel import Channel, LookupChannel
from piper.sdk.execution.environment import FENCE_TOKEN

if TYPE_CHECKING:
    from piper.sdk.execution.asset_events import OutletEvents
    from piper.sdk.execution.context import Context
    from piper.sdk.execution.instance import RuntimeTaskInstance


class Execution:
    """One execution while it goes on: its facts, its way out, and what it leaves behind.

    Arguments:
        operator: the task as the file defines it; a mapped operator is still mapped.
        facts: what the Task API granted.
        channel: to the Task API.
    """

    context: Context
    """What user code is handed, and templates see. `runner.begin` makes it."""
    ti: RuntimeTaskInstance
    """The task instance, as user code sees it."""

    def __init__(self, operator: Any, facts: wire.TaskContext, channel: Channel) -> None:
        self.operator = operator
        self.task = operator
        """The operator that is executed: a copy, unmapped and rendered."""
        self.facts = facts
        self.channel = channel
        self.pushed: dict[str, wire.XComPush] = {}
        """XComs that wait for the report, by key."""
        self.decision: Decision | None = None
        self.told_to_end = False
        self.metrics: dict[str, Json] = {}
        self.parameters: dict[str, Json] = {}
        self.inputs: dict[str, Json] = {}
        self.outputs: dict[str, Json] = {}
        self.rendered: dict[str, Json] | None = None
        """The template fields as people will see them."""
        self.outlet_events: OutletEvents | None = None
        """What it says of its outlets, if it has said anything."""
        self.answers: dict[str, Any] = {}
        """What was asked for once, and does not change while it runs."""
        self.label = ""
        """Of a mapped instance: its name for people."""

    @property
    def mapped(self) -> bool:
        """Whether this is one of several instances of its task."""
        return self.facts.map_index != UNMAPPED


_current: ContextVar[Execution | None] = ContextVar("piper_execution", default=None)
_latest: Execution | None = None


def _find_nothing(lookup: wire.Lookup) -> Never:
    """Where no installation is asked, there is what the environment says (`lookups`), and nothing else.

    Only a program that a task has started could expect more, and shall not take a default for what there is.
    """
    if FENCE_TOKEN in os.environ:
        raise RuntimeError(
            "a program that a task has started cannot read variables and connections: hand it what it needs, in its "
            "arguments or in its environment (AIRFLOW_VAR_…, AIRFLOW_CONN_…)"
        )
    raise NotFound("no installation of Piper is asked here")


_NOWHERE = LookupChannel(_find_nothing)
_outside: Channel = _NOWHERE


@contextmanager
def executing(execution: Execution) -> Iterator[Execution]:
    """Make this the current execution while the block runs."""
    global _latest
    token = _current.set(execution)
    outer, _latest = _latest, execution
    try:
        yield execution
    finally:
        _current.reset(token)
        _latest = outer


def current_execution() -> Execution | None:
    """The execution that the calling code is part of, from any thread; None outside of one."""
    return _current.get() or _latest


def current_channel() -> Channel:
    """The way to the Task API from wherever user code is; outside of tasks to whoever answers there."""
    execution = current_execution()
    return _outside if execution is None else execution.channel


def answer_outside_of_tasks(channel: Channel | None) -> None:
    """Let this channel answer code that runs in no task (a test's, a tool's); None takes it back."""
    global _outside
    _outside = channel or _NOWHERE


@contextmanager
def looking_up(look_up: Callable[[wire.Lookup], Any]) -> Iterator[None]:
    """While a file is loaded: answer what its top level looks up. Raises as `Channel.ask`."""
    outer = _outside
    answer_outside_of_tasks(LookupChannel(look_up))
    try:
        yield
    finally:
        answer_outside_of_tasks(outer)


def get_current_context() -> Context:
    """The context of the running task, without passing it through every function.

    Raises:
        RuntimeError: no task runs here.
    """
    execution = current_execution()
    if execution is None:
        raise RuntimeError(
            "Current context was requested but no context was found! This function works while a task "
            "runs, in its own call stack: call it inside the task's function, not when the file is loaded"
        )
    return execution.context
