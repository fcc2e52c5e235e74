"""The token of an installation."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from piper.model.errors import InvalidSetting
from piper.web.tokens import LOCAL, authenticator, ensure_token


def test_a_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "home" / "token"
    token = ensure_token(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ensure_token(path) == token
    assert ensure_token(tmp_path / "other" / "token") != token
    assert len(token) > 40


def test_a_token_too_short_to_be_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("changeme")
    os.chmod(path, 0o600)
    with pytest.raises(InvalidSetting, match="no token that is safe"):
        ensure_token(path)


def test_a_token_that_others_can_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "token"
    path.write_text("x" * 40)
    os.chmod(path, 0o644)
    ensure_token(path)
    assert "can be read by other users" in caplog.text


def test_only_the_token_itself_stands_for_somebody() -> None:
    authenticate = authenticator("a" * 40)
    assert authenticate("a" * 40) is LOCAL
    for other in ("", "a" * 39, "a" * 41, "A" * 40, "é"):
        assert authenticate(other) is None
