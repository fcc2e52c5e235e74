"""Listeners of plugins: told when a task of this process begins and how it ends (airflow-semantics §3.29)."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from piper.sdk.execution.failure import describe

log = logging.getLogger("piper.task")

listeners: list[Any] = []
"""Modules or objects that have functions of the hooks' names."""


def tell(hook: str, **said: Any) -> None:
    """Call every listener's function of that name, with those of the arguments that it takes.

    What a listener raises is logged and changes nothing.
    """
    for listener in listeners:
        function = getattr(listener, hook, None)
        if function is None:
            continue
        try:
            taken = inspect.signature(function).parameters
            function(**{name: value for name, value in said.items() if name in taken})
        except Exception as trouble:
            log.error("listener %r failed in %s, which changes nothing:\n%s", listener, hook, describe(trouble))
