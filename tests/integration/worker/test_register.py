"""One register, one worker."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from piper.model.errors import InvalidSetting
from piper.worker import register
from piper.worker.launch import end_worker, launch
from piper.worker.register import Head, Register
from piper.worker.settings import WorkerSettings


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


def test_a_worker_whose_server_stands_still_is_ended_by_who_takes_over(tmp_path: Path) -> None:
    settings = WorkerSettings(name="local", home=str(tmp_path), logs=str(tmp_path), snapshots=str(tmp_path), slots=1)
    process, connection = launch(settings)
    with connection:
        connection.recv(1)  # it has begun
        end_worker(settings)
        assert process.wait(20) == -signal.SIGKILL
    end_worker(settings)  # there is none any more
