"""Secrets do not pass, whatever their form and however the stream is cut."""

import base64
import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.logs.masking import MaskedStream, Masker, secrets_in
from piper.model.wire import GetConnection, GetVariable

SECRET = 'p/äss wörd"&\\7'


def masker_of(*values: str) -> Masker:
    masker = Masker()
    masker.add(values)
    return masker


@pytest.mark.parametrize(
    "leak",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
    ],
)
def test_a_secret_is_masked_in_every_form_in_which_it_is_written(leak: str) -> None:
    shown = masker_of(SECRET).mask_text(f"before {leak} after")
    assert leak.strip("\"'") not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "***" in shown


@pytest.mark.parametrize("prefix", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_inside_base64_is_masked_at_every_alignment(prefix: str, encode) -> None:  # type: ignore[no-untyped-def]
    secret = "s3cret>>>pass???word"
    encoded = encode(f"{prefix}{secret}@host".encode())
    shown = masker_of(secret).mask(encoded)
    assert b"***" in shown
    # What is left of it is not enough to decode more than a character at each end.
    assert len(encoded) - len(shown) + 3 >= len(secret) * 4 // 3 - 3


def test_each_line_of_a_secret_of_several_lines_is_masked() -> None:
    key = "-----BEGIN KEY-----\nMIIEabcdefgh\nxyz\n-----END KEY-----\n"
    shown = masker_of(key).mask_text(f"key:\n{key}")
    assert "MIIE" not in shown
    assert "BEGIN" not in shown
    assert shown.endswith("***\nxyz\n***\n")


def test_a_value_shorter_than_five_characters_is_not_masked() -> None:
    assert masker_of("abcd", "  ab  ").mask_text("abcd") == "abcd"
    assert masker_of("abcde").mask_text("abcde") == "***"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert masker_of("password", "password123").mask_text("password123!") == "***!"


def test_every_string_of_a_json_value_is_masked() -> None:
    value = {"hunter22": ["x hunter22", 7, None, {"k": "hunter22"}]}
    assert masker_of("hunter22").mask_json(value) == {"***": ["x ***", 7, None, {"k": "***"}]}


def test_an_unfinished_line_is_held_back_only_if_it_may_begin_a_secret() -> None:
    stream = MaskedStream(masker_of("hunter22"))
    assert stream.feed(b"progress 10 %") == b"progress 10 %"
    assert stream.feed(b" hunt") == b" "
    assert stream.feed(b"ing\nhunter2") == b"hunting\n"
    assert stream.feed(b"2 h") == b"*** "
    assert stream.flush() == b"h"


@given(
    secrets=st.lists(st.text("ab", min_size=6, max_size=9), min_size=1, max_size=3),
    parts=st.lists(st.one_of(st.text("ab\n", max_size=12), st.integers(0, 2)), max_size=12),
    cuts=st.lists(st.integers(0, 200), max_size=20),
)
def test_no_secret_passes_however_the_stream_is_cut(
    secrets: list[str], parts: list[str | int], cuts: list[int]
) -> None:
    text = "".join(secrets[part % len(secrets)] if isinstance(part, int) else part for part in parts).encode()
    stream = MaskedStream(masker_of(*secrets))
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    shown = b"".join(stream.feed(text[a:b]) for a, b in pairwise(places)) + stream.flush()
    assert not any(secret.encode() in shown for secret in secrets)
    assert shown.count(b"\n") == text.count(b"\n")
    if not any(secret.encode() in text for secret in secrets):
        assert shown == text


@given(
    text=st.text("ab ", max_size=60),
    secret=st.text("ab", min_size=6, max_size=8),
    cuts=st.lists(st.integers(0, 60), max_size=10),
)
def test_a_cut_stream_shows_what_the_whole_would(text: str, secret: str, cuts: list[int]) -> None:
    masker = masker_of(secret)
    stream = MaskedStream(masker)
    data = text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    shown = b"".join(stream.feed(data[a:b]) for a, b in pairwise(places)) + stream.flush()
    if data.count(secret.encode()) <= 1:
        assert b"***" in shown or secret.encode() not in data
    else:
        assert secret.encode() not in shown


def test_the_secrets_of_a_connection_are_its_password_and_what_its_extra_calls_secret() -> None:
    connection = {
        "conn_id": "db",
        "login": "me",
        "password": "hunter22",
        "extra": '{"aws_secret_access_key": "abc123", "region": "eu", "nested": {"API_KEY": "xyz789"}}',
    }
    assert sorted(secrets_in(GetConnection("db"), connection)) == ["abc123", "hunter22", "xyz789"]
    assert secrets_in(GetConnection("db"), {"password": None, "extra": "{no json"}) == []


def test_a_variable_is_secret_by_its_name() -> None:
    assert secrets_in(GetVariable("DB_PASSWORD"), "hunter22") == ["hunter22"]
    assert secrets_in(GetVariable("region"), "eu") == []
