"""Calls go out together, are repeated as they were, and fit into frames."""

import msgspec

from piper.model.events import Succeeded
from piper.model.frames import FrameTooLong
from piper.model.run import Identity
from piper.model.wire import Call, CodeRef, Dispatch, GetVariable, Heartbeat, Problem, Report, Start, XComPush
from piper.worker.calls import REPEAT_SECONDS, Calls, RawReply
from piper.worker.executions import Execution

ONE = Execution(Dispatch(Identity(1, 1, 0), "token", CodeRef()))


class Wire:
    """Takes frames up to a length."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self.limit = limit
        self.frames: list[list[Call]] = []

    def send(self, body: bytes) -> None:
        if len(body) > self.limit:
            raise FrameTooLong(f"{len(body)} bytes")
        self.frames.append(msgspec.msgpack.decode(body, type=list[Call]))


def test_the_calls_of_a_round_are_one_frame() -> None:
    wire = Wire()
    calls = Calls(wire.send)
    calls.ask(Start("n", "w"), 0.0, ONE)
    calls.beat(Heartbeat("w", ()), 0.0)
    assert calls.send() == []
    assert [[call.request for call in frame] for frame in wire.frames] == [[Start("n", "w"), Heartbeat("w", ())]]
    assert [(call.identity, call.token) for call in wire.frames[0]] == [(ONE.identity, "token"), (None, "")]
    assert calls.send() == []
    assert len(wire.frames) == 1


def test_a_reply_finds_the_call_it_answers_once() -> None:
    wire = Wire()
    calls = Calls(wire.send)
    calls.ask(Start("n", "w"), 5.0, ONE)
    calls.send()
    pending = calls.answered(RawReply(wire.frames[0][0].id), 6.0)
    assert pending is not None
    assert pending.execution is ONE
    assert pending.sent == 5.0
    assert calls.answered(RawReply(pending.call.id), 6.0) is None
    assert calls.answered(RawReply(999), 6.0) is None


def test_what_the_server_cannot_do_now_is_asked_again_as_it_was() -> None:
    wire = Wire()
    calls = Calls(wire.send)
    calls.ask(Start("n", "w"), 0.0, ONE)
    calls.send()
    first = wire.frames[0][0]
    assert calls.answered(RawReply(first.id, problem=Problem("unavailable", "later")), 1.0) is None
    calls.repeat(1.0)
    calls.send()
    assert len(wire.frames) == 1
    calls.repeat(1.0 + REPEAT_SECONDS)
    calls.send()
    assert wire.frames[1] == [first]
    again = calls.answered(RawReply(first.id), 2.0)
    assert again is not None
    assert again.sent == 1.0 + REPEAT_SECONDS


def test_calls_that_do_not_fit_into_one_frame_are_sent_in_several() -> None:
    wire = Wire(limit=200)
    calls = Calls(wire.send)
    for number in range(20):
        calls.ask(GetVariable(f"key {number}"), 0.0, ONE)
    assert calls.send() == []
    assert len(wire.frames) > 1
    assert [call.request for frame in wire.frames for call in frame] == [GetVariable(f"key {n}") for n in range(20)]


def test_a_call_that_fits_into_no_frame_is_answered_here() -> None:
    wire = Wire(limit=200)
    calls = Calls(wire.send)
    calls.ask(GetVariable("small"), 0.0, ONE)
    large = Report(Succeeded(ONE.identity), xcoms=(XComPush("k", b"x" * 300),))
    calls.ask(large, 0.0, ONE)
    (reply,) = calls.send()
    assert reply.problem is not None
    assert reply.problem.kind == "too_large"
    pending = calls.answered(reply, 0.0)
    assert pending is not None
    assert pending.call.request == large
    assert [call.request for frame in wire.frames for call in frame] == [GetVariable("small")]
