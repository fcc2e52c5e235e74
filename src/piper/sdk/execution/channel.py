"""The way from an execution to whoever started it, and what the answers mean.

In a worker's child the channel is a socket to the supervisor; in `piper.testing` it lives in memory. A channel
asks and tells; it decides nothing. Answers travel as MessagePack without a type, so each question's answer is
given its type here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from piper.model import wire
from piper.model.errors import (
    CallerError,
    Conflict,
    Invalid,
    NotFound,
    PiperError,
    Refused,
    StaleIdentity,
    StoreUnavailable,
)

Answer = TypeVar("Answer")


class Channel(Protocol):
    """How an execution speaks to the Task API, through its supervisor."""

    def ask(self, request: wire.Request) -> Any:
        """Ask, wait, and return the answer: a struct of `wire`, or the builtin form that MessagePack gives it.

        Raises:
            NotFound, Conflict, Invalid, Refused: what was asked for cannot be had (`error_of`).
            StaleIdentity: this execution is no longer current, and should end.
            StoreUnavailable: the server cannot answer now.
        """
        ...

    def tell(self, request: wire.Request) -> None:
        """Say something that has no answer. Returns before it has arrived, and never fails."""
        ...


class LookupChannel:
    """The channel of code that runs in no task, as the top level of a file: it may look something up, no more.

    Arguments:
        look_up: answers a lookup. Raises as `Channel.ask`.
    """

    def __init__(self, look_up: Callable[[wire.Lookup], Any]) -> None:
        self._look_up = look_up

    def ask(self, request: wire.Request) -> Any:
        """The answer to a lookup. Raises RuntimeError for anything else."""
        if not isinstance(request, wire.Lookup):
            raise RuntimeError(
                "there is nobody to ask here: outside of a task, as at the top level of a file, variables and "
                "connections can be read, and nothing else. Move the call into the task, or into a template"
            )
        return self._look_up(request)

    def tell(self, request: wire.Request) -> None:
        """As `ask`."""
        self.ask(request)


_ERRORS: dict[str, type[PiperError]] = {
    "stale": StaleIdentity,
    "not_found": NotFound,
    "conflict": Conflict,
    "invalid": Invalid,
    "refused": Refused,
    "too_large": Invalid,
    "unavailable": StoreUnavailable,
}


def error_of(problem: wire.Problem) -> PiperError:
    """The exception that a problem is raised as on the asking side."""
    return _ERRORS.get(problem.kind, CallerError)(problem.message)


def ask(channel: Channel, request: wire.Request, answer: type[Answer]) -> Answer:
    """Ask, and give the answer the type that this question's answers have."""
    return msgspec.convert(channel.ask(request), answer)


def ask_maybe(channel: Channel, request: wire.Request, answer: type[Answer]) -> Answer | None:
    """As `ask`, where the answer may be that there is none."""
    found = channel.ask(request)
    return None if found is None else msgspec.convert(found, answer)


async def ask_async(channel: Channel, request: wire.Request, answer: type[Answer]) -> Answer:
    """As `ask`, for coroutines: others have their turns until the answer is there."""
    ask_there = getattr(channel, "ask_async", None)
    if ask_there is not None:  # the triggerer's, which has thousands of questions at a time
        return msgspec.convert(await ask_there(request), answer)
    import asyncio  # a task's process without coroutines stays lean

    return msgspec.convert(await asyncio.to_thread(channel.ask, request), answer)
