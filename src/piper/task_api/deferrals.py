"""How much a deferral may hold: it lives in rows and in the memory of the run's owner until the task goes on."""

from __future__ import annotations

import msgspec

from piper.model.events import Deferred, TriggerFired
from piper.model.wire import MAX_WAIT
from piper.task_api.values import TooLarge


def check_wait(event: Deferred | TriggerFired) -> None:
    """Accept what a task waits with, or what its trigger says.

    Raises:
        TooLarge: it is longer than MAX_WAIT as JSON.
    """
    size = len(msgspec.json.encode(event))
    if size <= MAX_WAIT:
        return
    what = "the arguments of a trigger" if isinstance(event, Deferred) else "the event of a trigger"
    raise TooLarge(f"{what} have {size:,} bytes of JSON, {MAX_WAIT:,} are allowed: store the data, pass where it lies")
