"""Replies cut into frames that the other end accepts."""

from __future__ import annotations

import msgspec

from piper.model.frames import FrameBuffer
from piper.model.wire import MAX_FRAME, Reply
from piper.task_api.pipe import reply_frames


def received(frames: list[bytes]) -> list[Reply]:
    bodies = FrameBuffer().feed(b"".join(frames))
    return [reply for body in bodies for reply in msgspec.msgpack.decode(body, type=list[Reply])]


def test_short_replies_share_a_frame() -> None:
    frames = reply_frames([Reply(1, "a"), Reply(2, "b")])
    assert len(frames) == 1
    assert [reply.id for reply in received(frames)] == [1, 2]


def test_long_replies_are_spread_over_frames() -> None:
    frames = reply_frames([Reply(number, b"x" * (MAX_FRAME // 3)) for number in range(5)])
    assert all(len(frame) <= MAX_FRAME + 4 for frame in frames)
    assert [reply.id for reply in received(frames)] == [0, 1, 2, 3, 4]


def test_a_reply_that_no_frame_can_hold_becomes_a_problem_and_the_others_arrive() -> None:
    replies = received(reply_frames([Reply(1, "a"), Reply(2, b"x" * MAX_FRAME), Reply(3, "c")]))
    assert [(reply.id, reply.problem and reply.problem.kind) for reply in replies] == [
        (1, None),
        (2, "too_large"),
        (3, None),
    ]
