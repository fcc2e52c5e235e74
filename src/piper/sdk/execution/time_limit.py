"""`execution_timeout`: an exception raised in the task's own thread when its time is over.

The supervisor ends the process a little later in any case: code that blocks in C, or that catches everything,
does not see this exception.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from piper.sdk.exceptions import AirflowTaskTimeout

log = logging.getLogger(__name__)


@contextmanager
def time_limit(limit: timedelta) -> Iterator[None]:
    """Raise AirflowTaskTimeout in the block when it takes longer than `limit`.

    Works in the main thread, by SIGALRM. Elsewhere only the supervisor keeps the time.
    """
    seconds = limit.total_seconds()
    message = f"the task ran longer than its execution_timeout of {limit}"
    if seconds <= 0:
        raise AirflowTaskTimeout(message)

    def expire(number: int, frame: FrameType | None) -> None:
        raise AirflowTaskTimeout(message)

    try:
        before = signal.signal(signal.SIGALRM, expire)
    except ValueError:  # not the main thread
        log.warning("execution_timeout is kept by the supervisor alone: the task does not run in the main thread")
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
