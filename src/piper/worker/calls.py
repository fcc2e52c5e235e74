"""What is asked of the Task API and not answered yet.

Calls gather for the length of one round of the supervisor's loop and go out as one frame. One that the server
cannot do now is repeated, as it is: the Task API takes repeated starts and reports for what they are.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from piper.model.frames import FrameTooLong
from piper.model.wire import TELL, Call, Heartbeat, Problem, Request
from piper.worker.children import Child
from piper.worker.executions import Execution

REPEAT_SECONDS = 0.25
"""After which a call is repeated that the server could not do."""

NULL = Raw(msgspec.msgpack.encode(None))

_encode = msgspec.msgpack.Encoder().encode


class RawReply(Struct, frozen=True, array_like=True):
    """`wire.Reply` whose result is handed on as it came."""

    id: int
    result: Raw = NULL
    problem: Problem | None = None


class Pending(Struct):
    """A call that has not been answered, and for whom it was made."""

    call: Call
    sent: float
    """Monotonic second."""
    execution: Execution | None = None
    child: Child | None = None
    question: int = TELL
    """The child's own number for it."""


class Calls:
    """Numbers calls, sends them, and knows what each reply is an answer to.

    Arguments:
        send: sends a frame to the server, or raises FrameTooLong.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_frame = send
        self._last = 0
        self._round: list[Call] = []
        self._pending: dict[int, Pending] = {}
        self._repeats: list[tuple[float, Pending]] = []

    def ask(
        self, request: Request, now: float, execution: Execution, child: Child | None = None, question: int = TELL
    ) -> None:
        """Ask in the name of an execution."""
        dispatch = execution.dispatch
        self._add(Call(self._next(), dispatch.identity, dispatch.token, request), now, execution, child, question)

    def beat(self, heartbeat: Heartbeat, now: float) -> None:
        """Say that the worker lives."""
        self._add(Call(self._next(), None, "", heartbeat), now)

    def answered(self, reply: RawReply, now: float) -> Pending | None:
        """The call that this replies to; None if there is nothing to do about it now."""
        pending = self._pending.pop(reply.id, None)
        if pending is not None and reply.problem is not None and reply.problem.kind == "unavailable":
            self._repeats.append((now + REPEAT_SECONDS, pending))
            return None
        return pending

    def repeat(self, now: float) -> None:
        """Make the calls again whose time has come."""
        due = [pending for at, pending in self._repeats if at <= now]
        if due:
            self._repeats = [(at, pending) for at, pending in self._repeats if at > now]
            for pending in due:
                pending.sent = now
                self._pending[pending.call.id] = pending
                self._round.append(pending.call)

    def send(self) -> list[RawReply]:
        """Send what has gathered. Returns the replies to calls that are too large to be sent."""
        calls, self._round = self._round, []
        return self._send(calls) if calls else []

    def _send(self, calls: list[Call]) -> list[RawReply]:
        """Send these in as few frames as they fit in."""
        try:
            self._send_frame(_encode(calls))
        except FrameTooLong as error:
            if len(calls) == 1:
                return [RawReply(calls[0].id, problem=Problem("too_large", str(error)))]
            half = len(calls) // 2
            return self._send(calls[:half]) + self._send(calls[half:])
        return []

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _add(
        self,
        call: Call,
        now: float,
        execution: Execution | None = None,
        child: Child | None = None,
        question: int = TELL,
    ) -> None:
        self._pending[call.id] = Pending(call, now, execution, child, question)
        self._round.append(call)
