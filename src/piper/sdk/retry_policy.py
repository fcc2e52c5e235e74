"""Retry policies: whether a failure is worth another try, decided by the exception."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

from piper.sdk.importing import import_path

log = logging.getLogger("piper.task")

ExceptionName = type[BaseException] | str
"""An exception's class, or its dotted path."""


class RetryAction(Enum):
    """What follows a failure."""

    RETRY = "retry"
    """Try again, if `retries` allows another try."""
    FAIL = "fail"
    """Fail at once."""
    DEFAULT = "default"
    """As without a policy."""


@dataclass(frozen=True)
class RetryDecision:
    """What a policy decides.

    Arguments:
        action: what follows.
        retry_delay: of this retry; None: the task's.
        reason: for the log.
    """

    action: RetryAction = RetryAction.DEFAULT
    retry_delay: timedelta | None = None
    reason: str | None = None

    @classmethod
    def fail(cls, reason: str | None = None) -> RetryDecision:
        """Fail at once."""
        return cls(RetryAction.FAIL, reason=reason)

    @classmethod
    def retry(cls, delay: timedelta | None = None, reason: str | None = None) -> RetryDecision:
        """Try again, after `delay` if given."""
        return cls(RetryAction.RETRY, delay, reason)

    @classmethod
    def default(cls) -> RetryDecision:
        """As without a policy."""
        return cls()


class RetryPolicy(ABC):
    """Base of policies: implement `evaluate`. It is called in the task's process."""

    @abstractmethod
    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide what follows a failure.

        `AirflowFailException` and `AirflowSensorTimeout` fail at once, without asking.

        Arguments:
            exception: what was raised.
            try_number: of the try that failed, from 1.
            max_tries: the last try that `retries` allows.
            context: of the task.
        """


@dataclass
class RetryRule:
    """What follows failures by certain exceptions.

    Arguments:
        exception: a class, a dotted path, or a list of these.
        action: what follows.
        retry_delay: of the retry; None: the task's.
        reason: for the log.
        match_subclasses: whether subclasses of the exception count.

    Raises:
        ValueError: a path is not a dotted one.
    """

    exception: ExceptionName | Sequence[ExceptionName]
    action: RetryAction = RetryAction.RETRY
    retry_delay: timedelta | None = None
    reason: str | None = None
    match_subclasses: bool = True

    def __post_init__(self) -> None:
        for name in self._names():
            if isinstance(name, str) and "." not in name:
                raise ValueError(
                    "RetryRule exception string must be a dotted import path (e.g. 'builtins.ValueError'), "
                    f"got {name!r}"
                )

    def matches(self, exc: BaseException) -> bool:
        """Whether an exception is one of these."""
        classes = tuple(found for name in self._names() if (found := _exception_of(name)))
        return isinstance(exc, classes) if self.match_subclasses else type(exc) in classes

    def _names(self) -> Iterator[ExceptionName]:
        given = self.exception
        yield from (given,) if isinstance(given, str | type) else given


def _exception_of(name: ExceptionName) -> type[BaseException] | None:
    return name if isinstance(name, type) else _imported(name)


@lru_cache(maxsize=256)
def _imported(name: str) -> type[BaseException] | None:
    """The class of that path; None, with a warning, if it cannot be imported here."""
    try:
        found: type[BaseException] = import_path(name)
    except ImportError:
        log.warning("Could not import exception class %r, it will not match", name)
        return None
    return found


class ExceptionRetryPolicy(RetryPolicy):
    """Rules by exception; the first that matches holds.

    Example::

        ExceptionRetryPolicy(
            rules=[
                RetryRule("requests.exceptions.Timeout", retry_delay=timedelta(minutes=5)),
                RetryRule(PermissionError, action=RetryAction.FAIL),
            ]
        )

    Arguments:
        rules: in order.
        default: what follows where no rule matches.
    """

    def __init__(self, rules: Sequence[RetryRule], default: RetryAction = RetryAction.DEFAULT) -> None:
        self.rules = list(rules)
        self.default = default

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """What the first matching rule says."""
        for rule in self.rules:
            if rule.matches(exception):
                reason = rule.reason or f"Matched rule for {type(exception).__name__}"
                return RetryDecision(rule.action, rule.retry_delay, reason)
        return RetryDecision(self.default)
