"""What a zygote has loaded, and what it leaves alone."""

from __future__ import annotations

import pytest

from piper.worker import loading


def test_the_rehearsal_goes_the_way_that_a_task_goes_which_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    loading.rehearse()
    assert [record.getMessage() for record in caplog.records] == []
