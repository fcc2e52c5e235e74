"""When a failed try is followed by another (airflow-semantics §3.17)."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime, timedelta

from piper.model.spec import RetrySpec

DAY = timedelta(days=1)

MAX_LOSSES = 3
"""Tries that may be lost to the infrastructure before a loss counts as a failure (I12)."""


def delay_after(retry: RetrySpec, try_number: int, seed: str, override: timedelta | None = None) -> timedelta:
    """How long to wait after try `try_number` (≥ 1) has failed.

    With a multiplier the delay grows by it with each try and is spread over one to two times itself by a
    jitter that follows from `seed` alone: the same decision, taken again, asks for the same moment.

    Arguments:
        seed: names the workflow, task and logical date.
        override: the delay that a retry policy asked for, taken as it is.
    """
    if override is not None:
        return max(override, timedelta(0))
    delay = retry.delay
    if retry.multiplier > 1:
        base = _grown(delay, retry.multiplier, try_number)
        digest = hashlib.sha1(f"{seed}#{try_number}".encode(), usedforsecurity=False).digest()
        jitter = int.from_bytes(digest[:8], "big") % base
        delay = min(timedelta(seconds=base + jitter), DAY)
    if retry.max_delay is not None:
        delay = min(delay, retry.max_delay)
    return delay


def _grown(delay: timedelta, multiplier: float, try_number: int) -> int:
    """The delay in whole seconds, at least 1 and at most a day, grown by the multiplier."""
    longest = int(DAY.total_seconds())
    try:
        grown = math.ceil(delay.total_seconds() * multiplier ** (try_number - 1))
    except OverflowError:
        return longest
    return max(1, min(grown, longest))


def seed_of(workflow_id: str, task_id: str, logical_date: datetime | None) -> str:
    """What the jitter of a task's retries follows from."""
    return f"{workflow_id}#{task_id}#{logical_date.isoformat() if logical_date else ''}"
