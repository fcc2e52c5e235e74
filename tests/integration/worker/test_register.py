"""One register, one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from piper.model.errors import InvalidSetting
from piper.worker import register
from piper.worker.register import Head, Register


def test_a_second_worker_waits_for_the_first_to_end_and_is_refused_if_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "LOCK_SECONDS", 0.05)
    one = Register(str(tmp_path / "w.register"))
    one.begin(Head("MARK=x", "/tmp/x", ""))
    with pytest.raises(InvalidSetting, match="another worker runs"):
        Register(str(tmp_path / "w.register"))
    one.close()
    Register(str(tmp_path / "w.register"))
