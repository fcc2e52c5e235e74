"""The pipe between a supervisor and the Task API: a real socket, a thread that serves, a test at the other end."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from piper.lane import Lane
from piper.model import wire
from piper.model.frames import FrameBuffer, framed
from piper.model.run import Identity
from piper.model.wire import Call, Reply
from piper.task_api.pipe import MAX_BATCH, MAX_UNSENT, PipeConnection

ME = Identity(1, 1, 0)


class Peer:
    """The supervisor's end, and what handles its calls."""

    def __init__(self, handle: Callable[[Sequence[Call]], list[Reply]] | None = None) -> None:
        ours, self.stream = socket.socketpair()
        self.stream.settimeout(10)
        self.batches: list[list[Call]] = []
        self.lane = Lane("test")
        self.connection = PipeConnection(ours, handle or self.echo, self.lane.wake)
        self.thread = threading.Thread(target=self.lane.serve, args=[self.connection], daemon=True)
        self._frames = FrameBuffer()
        self._received: list[bytes] = []

    def echo(self, calls: Sequence[Call]) -> list[Reply]:
        self.batches.append(list(calls))
        return [Reply(call.id, call.token) for call in calls]

    def send(self, *calls: Call) -> None:
        self.stream.sendall(framed(msgspec.msgpack.encode(calls)))

    def receive(self) -> Any:
        """The next frame, decoded."""
        while not self._received:
            data = self.stream.recv(1 << 20)
            if not data:
                raise EOFError
            self._received += self._frames.feed(data)
        return msgspec.msgpack.decode(self._received.pop(0), type=wire.Dispatch | wire.Cancel | list[Reply])

    def replies(self, count: int) -> list[int]:
        """The ids of so many replies, over as many frames as they take."""
        ids: list[int] = []
        while len(ids) < count:
            ids += [reply.id for reply in self.receive()]
        return ids

    def start(self) -> None:
        self.lane.start()
        self.thread.start()

    def ended(self) -> bool:
        self.thread.join(10)
        self.lane.stop()
        return not self.thread.is_alive()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    peer.start()
    yield peer
    peer.stream.close()
    assert peer.ended()


def call(number: int, token: str = "t", request: wire.Request | None = None) -> Call:
    return Call(number, ME, token, request or wire.GetVariable("k"))


def test_a_call_is_answered(peer: Peer) -> None:
    peer.send(call(7, "hello"))
    assert peer.receive() == [Reply(7, "hello")]


def test_frames_that_have_arrived_are_handled_as_one_batch() -> None:
    peer = Peer()
    for number in range(5):
        peer.send(call(number))
    peer.start()
    assert peer.replies(5) == [0, 1, 2, 3, 4]
    assert [len(batch) for batch in peer.batches] == [5]
    peer.stream.close()
    assert peer.ended()


def test_a_flood_is_handled_in_batches_that_do_not_keep_the_first_waiting() -> None:
    peer = Peer()
    peer.send(*(call(number) for number in range(2 * MAX_BATCH + 1)))
    peer.start()
    assert peer.replies(2 * MAX_BATCH + 1) == list(range(2 * MAX_BATCH + 1))
    assert [len(batch) for batch in peer.batches] == [MAX_BATCH, MAX_BATCH, 1]
    peer.stream.close()
    assert peer.ended()


def test_a_frame_in_pieces_is_put_together(peer: Peer) -> None:
    data = framed(msgspec.msgpack.encode([call(1)]))
    for position in range(len(data)):
        peer.stream.sendall(data[position : position + 1])
    assert peer.receive() == [Reply(1, "t")]


def test_pushes_arrive_between_replies(peer: Peer) -> None:
    dispatch = wire.Dispatch(ME, "token", wire.CodeRef("b", "s", "f.py"))
    assert peer.connection.push([dispatch, wire.Cancel(ME, "cleared")])
    assert peer.receive() == dispatch
    assert peer.receive() == wire.Cancel(ME, "cleared")


def test_a_long_reply_reaches_a_reader_that_takes_its_time() -> None:
    text = "x" * (20 << 20)
    peer = Peer(lambda calls: [Reply(one.id, text) for one in calls])
    peer.start()
    peer.send(call(1))
    peer.send(call(2))
    assert sorted(peer.replies(2)) == [1, 2]
    peer.stream.close()
    assert peer.ended()


def test_a_peer_that_does_not_read_holds_up_nobody_and_loses_pushes(peer: Peer) -> None:
    cancel = wire.Cancel(ME, "x" * 100_000)
    pushes = 0
    while peer.connection.push([cancel]):
        pushes += 1
        assert pushes * 100_000 < 4 * MAX_UNSENT, "what waits is bounded"
    received = [peer.receive() for _ in range(pushes)]
    assert received == [cancel] * pushes, "what was not refused arrives whole and in order"
    peer.send(call(1))
    assert peer.replies(1) == [1]
    assert peer.connection.push([cancel])


def test_calls_of_a_peer_that_does_not_read_wait_until_it_does() -> None:
    peer = Peer(lambda calls: [Reply(one.id, "x" * (1 << 20)) for one in calls])
    sent = 4 * (MAX_UNSENT >> 20)
    peer.start()
    for number in range(sent):
        peer.send(call(number))
    assert peer.replies(sent) == list(range(sent))
    peer.stream.close()
    assert peer.ended()


def test_the_last_words_of_a_peer_are_heard() -> None:
    peer = Peer()
    peer.send(call(1))
    peer.stream.shutdown(socket.SHUT_WR)
    peer.start()
    assert peer.replies(1) == [1]
    assert peer.ended()
    peer.stream.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        framed(b"\xc1"),
        framed(msgspec.msgpack.encode({"not": "calls"})),
        framed(msgspec.msgpack.encode([[1, None, "t", {"type": "unknown"}]])),
        struct.pack("!I", wire.MAX_FRAME + 1),
        framed(b"\x91" * 100_000),
    ],
)
def test_a_peer_that_is_not_understood_is_sent_away(peer: Peer, nonsense: bytes) -> None:
    peer.stream.sendall(nonsense)
    with pytest.raises((EOFError, ConnectionResetError)):
        peer.receive()
    assert peer.ended()


def test_closing_ends_the_connection_for_both(peer: Peer) -> None:
    peer.connection.close()
    with pytest.raises(EOFError):
        peer.receive()
    assert peer.ended()
    assert not peer.connection.push([wire.Cancel(ME)])
    peer.connection.close()
