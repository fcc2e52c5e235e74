"""Frames: what is not one is noticed."""

from __future__ import annotations

import pytest

from piper.serializer.protocol import MAX_FRAME, BadFrame, Frames, Kind, frame

NONCE = b"n" * 16


def test_frames_come_out_as_they_went_in_however_they_are_cut() -> None:
    sent = [(Kind.SPEC, b"one"), (Kind.SPEC, b""), (Kind.REPORT, b"x" * 1000)]
    data = b"".join(frame(kind, NONCE, payload) for kind, payload in sent)
    for size in (1, 7, 100, len(data)):
        frames = Frames(NONCE)
        received = [one for at in range(0, len(data), size) for one in frames.feed(data[at : at + size])]
        assert received == sent


@pytest.mark.parametrize(
    "data",
    [
        b"garbage" * 10,
        frame(Kind.SPEC, b"m" * 16, b"of another load"),
        (MAX_FRAME + 1).to_bytes(4, "big") + NONCE + bytes([Kind.SPEC]),
        (0).to_bytes(4, "big") + NONCE + b"\x09",
    ],
)
def test_what_is_no_frame_of_this_load_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Frames(NONCE).feed(data))


def test_frames_before_garbage_have_come_through() -> None:
    received = []
    with pytest.raises(BadFrame):
        for one in Frames(NONCE).feed(frame(Kind.SPEC, NONCE, b"good") + b"print" * 20):
            received.append(one)  # noqa: PERF402, the last step raises
    assert received == [(Kind.SPEC, b"good")]
