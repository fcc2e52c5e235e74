"""Secrets at rest: sealed where they are stored, and nowhere else to be opened."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.model.errors import InvalidSetting
from piper.secrets import Keys, Unreadable, context_of

OLD, NEW = b"o" * 32, b"n" * 32
HERE = context_of("variable", "password", "red")


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_again(secret: bytes) -> None:
    keys = Keys([OLD])
    assert keys.open(keys.seal(secret, HERE), HERE) == secret


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    keys = Keys([OLD])
    assert keys.seal(b"s", HERE) != keys.seal(b"s", HERE)
    assert b"hunter22" not in keys.seal(b"hunter22", HERE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        context_of("connection", "password", "red"),
        context_of("variable", "other", "red"),
        context_of("variable", "password", "blue"),
        context_of("variable", 'password","red', ""),
    ],
)
def test_a_secret_moved_to_another_row_does_not_open(elsewhere: bytes) -> None:
    keys = Keys([OLD])
    with pytest.raises(Unreadable):
        keys.open(keys.seal(b"s", HERE), elsewhere)


@given(st.integers(0, 111), st.integers(1, 255))
def test_a_flipped_bit_anywhere_is_noticed(position: int, change: int) -> None:
    keys = Keys([OLD])
    sealed = bytearray(keys.seal(b"secret", HERE))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(Unreadable):
        keys.open(bytes(sealed), HERE)


@pytest.mark.parametrize("length", [0, 1, 60, 100])
def test_what_was_cut_off_is_refused(length: int) -> None:
    keys = Keys([OLD])
    with pytest.raises(Unreadable):
        keys.open(keys.seal(b"secret", HERE)[:length], HERE)


def test_another_installation_cannot_open_it_and_says_which_key_is_missing() -> None:
    with pytest.raises(Unreadable, match="put that key back"):
        Keys([NEW]).open(Keys([OLD]).seal(b"s", HERE), HERE)


def test_rotation_keeps_the_secret_and_lets_the_old_key_go() -> None:
    sealed = Keys([OLD]).seal(b"s", HERE)
    assert Keys([NEW, OLD]).open(sealed, HERE) == b"s"
    rewrapped = Keys([NEW, OLD]).rewrap(sealed)
    assert Keys([NEW]).open(rewrapped, HERE) == b"s"
    with pytest.raises(Unreadable):
        Keys([OLD]).open(rewrapped, HERE)


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "home" / "secret.key"
    sealed = Keys.load(path).seal(b"s", HERE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keys.load(path).open(sealed, HERE) == b"s"
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.key"]


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    Keys.load(path)
    path.chmod(0o640)
    with pytest.raises(InvalidSetting, match="chmod 600"):
        Keys.load(path)


@pytest.mark.parametrize("content", [b"", b"not base64!\n", base64.b64encode(b"short") + b"\n"])
def test_a_key_file_without_good_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InvalidSetting):
        Keys.load(path)


def test_the_first_line_is_the_current_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(base64.b64encode(NEW) + b"\n" + base64.b64encode(OLD) + b"\n")
    path.chmod(0o600)
    assert Keys([NEW]).open(Keys.load(path).seal(b"s", HERE), HERE) == b"s"
    assert Keys.load(path).open(Keys([OLD]).seal(b"s", HERE), HERE) == b"s"


def test_keys_for_different_purposes_differ() -> None:
    keys = Keys([OLD])
    assert keys.derived("a") != keys.derived("b")
    assert keys.derived("a")[0] != OLD
