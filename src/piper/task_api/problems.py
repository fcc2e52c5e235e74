"""Errors as a worker hears of them."""

from __future__ import annotations

import logging

from piper.model.errors import (
    AmbiguousCommit,
    Conflict,
    GuardFailed,
    NotFound,
    PiperError,
    Refused,
    StaleIdentity,
    StoreUnavailable,
)
from piper.model.wire import Problem
from piper.task_api.values import TooLarge

log = logging.getLogger(__name__)

STALE = Problem("stale", "this execution is not, or no longer, the current one: end it")
NOT_YET = Problem("unavailable", "an earlier try of this task has not ended yet: ask again")
NOT_ITS_TOKEN = Problem("refused", "the token is not that of this execution")

_KINDS: tuple[tuple[type[PiperError], str], ...] = (
    (StaleIdentity, "stale"),
    (TooLarge, "too_large"),
    (NotFound, "not_found"),
    (Conflict, "conflict"),
    (Refused, "refused"),
    (StoreUnavailable, "unavailable"),
    (AmbiguousCommit, "unavailable"),
    (GuardFailed, "unavailable"),
    (PiperError, "invalid"),
)


def problem_of(error: Exception) -> Problem:
    """What a worker is told of an error.

    Only what may go away by itself is `unavailable`: a worker tries that again. Of an error that nobody foresaw it
    hears that there was one, and no more: its text may hold what no task may see.
    """
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return Problem(name, str(error))
    log.error("a call failed", exc_info=error)
    return Problem("invalid", f"the server failed on this call ({type(error).__name__}); its log says why")
