"""When nothing more will be written to the log of a try."""

from __future__ import annotations

import pytest

from piper.logs import Chunk
from piper.model.states import TaskState
from piper.web.following import log_lines, try_is_over


@pytest.mark.parametrize(
    ("state", "try_number", "over"),
    [
        (TaskState.RUNNING, 2, False),
        (TaskState.QUEUED, 2, False),
        (TaskState.UP_FOR_RESCHEDULE, 2, False),
        (TaskState.DEFERRED, 2, False),
        (TaskState.UP_FOR_RETRY, 2, True),
        (TaskState.SUCCESS, 2, True),
        (TaskState.FAILED, 2, True),
        (TaskState.SCHEDULED, 3, True),
        (TaskState.NONE, 1, False),
    ],
)
def test_a_try_is_over_when_it_ended_or_another_began(state: TaskState, try_number: int, over: bool) -> None:
    assert try_is_over(state, try_number, of_try=2) is over


def test_an_empty_chunk_has_no_lines_and_an_empty_line_is_one() -> None:
    assert log_lines(Chunk(b"", 0, 0)) == []
    assert [line.text for line in log_lines(Chunk(b"\n\n", 0, 2))] == ["", ""]
