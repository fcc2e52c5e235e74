"""What children ask, and what they are answered: most of it goes to the Task API and back as it is.

A child runs user code, so its frames are judged like any stranger's: they must be of the protocol, may not
speak for another execution, and may not ask what only a worker asks.
"""

from __future__ import annotations

import signal
import time
from functools import partial

import msgspec
from msgspec import Raw, Struct

from piper.logs import secrets_in
from piper.model.frames import FrameTooLong
from piper.model.wire import TELL, Ask, Entered, Heartbeat, Lookup, Mask, Problem, Report, Start
from piper.worker.calls import NULL, Calls, Pending, RawReply
from piper.worker.children import Child
from piper.worker.control import FAREWELL
from piper.worker.lifecycle import Lifecycle
from piper.worker.limits import LATE_SECONDS
from piper.worker.poller import Link

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ask).decode


class RawAnswer(Struct, frozen=True, array_like=True):
    """`wire.Answer` whose result is handed on as it came."""

    id: int
    result: Raw
    problem: Problem | None = None


class Conversations:
    """Those with all children of a worker."""

    lifecycle: Lifecycle
    """Set when it has been made, with this object's `listen`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def listen(self, child: Child) -> Link:
        """Begin to listen to a child, which is about to get its first execution."""
        return child.watch(partial(self._received, child), partial(self._closed, child))

    def answered(self, pending: Pending, reply: RawReply, now: float) -> None:
        """The Task API has answered a child's question."""
        child, execution, request = pending.child, pending.execution, pending.call.request
        assert child is not None
        assert execution is not None
        if reply.problem is not None and reply.problem.kind == "stale":
            self.lifecycle.stale(execution.identity, now)
        elif reply.problem is None and isinstance(request, Lookup):
            # Before the child has them, so before it can write them anywhere.
            child.masker.add(secrets_in(request, msgspec.msgpack.decode(reply.result)))
        if child.execution is execution:
            _answer(child, pending.question, reply.result, reply.problem)

    def _received(self, child: Child, frames: list[bytes]) -> None:
        for frame in frames:
            try:
                ask = _decode(frame)
            except (msgspec.DecodeError, RecursionError) as error:
                self._closed(child, str(error))
                return
            self._asked(child, ask)

    def _asked(self, child: Child, ask: Ask) -> None:
        execution, request = child.execution, ask.request
        if execution is None or execution.report is not None:
            _answer(child, ask.id, problem=Problem("stale", "no task runs in this process"))
        elif isinstance(request, Report):
            if request.event.identity == execution.identity:
                child.leaving = ask.id == FAREWELL
                self.lifecycle.reported(child, request)
            else:
                self._closed(child, f"a report for {request.event.identity}")
        elif isinstance(request, Mask):
            child.masker.add(request.values)
            _answer(child, ask.id)
        elif isinstance(request, Entered):
            limit = execution.grant.task.execution_timeout
            if limit is not None and execution.deadline is None:
                execution.deadline = time.monotonic() + limit.total_seconds() + LATE_SECONDS
        elif isinstance(request, (Start, Heartbeat)):
            _answer(child, ask.id, problem=Problem("refused", "a task cannot ask this"))
        else:
            self._calls.ask(request, time.monotonic(), execution, child, ask.id)

    def _closed(self, child: Child, why: str) -> None:
        """The child has closed the connection: it is about to end, and its zygote will say how; or it is hostile."""
        execution = child.execution
        if why and execution is not None:
            execution.failure = f"its process sent what no task sends ({why})"
            self.lifecycle.end(execution, time.monotonic(), signal.SIGKILL)


def _answer(child: Child, question: int, result: Raw = NULL, problem: Problem | None = None) -> None:
    if question in (TELL, FAREWELL) or child.link is None:
        return
    try:
        child.link.send(_encode(RawAnswer(question, result, problem)))
    except FrameTooLong as error:
        child.link.send(_encode(RawAnswer(question, NULL, Problem("too_large", f"the answer has {error}"))))
