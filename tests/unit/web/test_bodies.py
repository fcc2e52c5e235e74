"""What is no good JSON is refused before it costs anything."""

from __future__ import annotations

import pytest

from piper.model.errors import Invalid
from piper.web.bodies import MAX_DEPTH, decode_body


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_a_body_may_be_nested_as_deep_as_the_limit_and_no_deeper() -> None:
    decode_body(nested(MAX_DEPTH))
    with pytest.raises(Invalid, match="deeper than 64"):
        decode_body(nested(MAX_DEPTH + 1))
    with pytest.raises(Invalid):
        decode_body(nested(100_000))


@pytest.mark.parametrize(
    "body", [b'{"a": "\\u0000"}', b'{"\\u0000": 1}', b'["\\ud800"]', b'"\xed\xa0\x80"', b"\xff", b"", b"1 2"]
)
def test_a_text_that_cannot_be_stored_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        decode_body(body)


def test_any_other_json_is_taken_as_it_is() -> None:
    assert decode_body('{"a": [1, 2.5, null, true, "é\\n"]}'.encode()) == {"a": [1, 2.5, None, True, "é\n"]}
