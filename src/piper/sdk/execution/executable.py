"""What operators inherit that only matters while they are executed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from piper.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout
from piper.sdk.execution.templating import Templater

log = logging.getLogger("piper.task")

TRIGGER_FAILED = "__fail__"
"""The method that a task resumes with when its trigger failed: none of the operator's own."""

TRIGGER_TIMEOUT = "Trigger timeout"
"""The error when the trigger did not fire in time."""


class Executable(Templater):
    """Rendering of template fields, and coming back from a deferral."""

    def resume_execution(self, next_method: str, next_kwargs: Mapping[str, Any] | None, context: Any) -> Any:
        """Go on after a deferral: call the method that the deferral named.

        Arguments:
            next_method: its name, or TRIGGER_FAILED.
            next_kwargs: its arguments, the trigger's `event` among them; of a failed trigger its `error`.

        Raises:
            TaskDeferralTimeout: the trigger did not fire in time.
            TaskDeferralError: the trigger failed.
        """
        arguments = dict(next_kwargs or {})
        if next_method != TRIGGER_FAILED:
            return getattr(self, next_method)(context, **arguments)
        error = arguments.get("error", "Unknown")
        if error == TRIGGER_TIMEOUT:
            raise TaskDeferralTimeout(error)
        log.error("The trigger failed: %s", error)
        raise TaskDeferralError(error)
