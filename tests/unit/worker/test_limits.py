"""When to look at a task's memory, and how its limit is told."""

import os

import pytest

from piper.worker.limits import FILL_BYTES_PER_SECOND, excess_of, next_look, shown

GIB = 1 << 30


def test_a_task_is_looked_at_before_it_could_have_reached_its_limit() -> None:
    for resident in (0, GIB, 3 * GIB):
        assert resident + next_look(resident, 4 * GIB) * FILL_BYTES_PER_SECOND <= 4 * GIB


def test_near_its_limit_it_is_looked_at_often_but_not_all_the_time() -> None:
    assert next_look(GIB - 1, GIB) == 0.05


def test_far_from_its_limit_it_is_looked_at_now_and_then() -> None:
    assert next_look(0, 1000 * GIB) == 2.0


def test_this_process_is_within_a_large_limit_and_beyond_a_small_one() -> None:
    excess, resident = excess_of(os.getpid(), 100 * GIB)
    assert excess == ""
    assert resident > 1 << 20
    assert excess_of(os.getpid(), 1 << 20)[0] == "memory limit 1024 KiB exceeded"


@pytest.mark.parametrize(
    ("size", "text"), [(1000, "1000 B"), (512 << 20, "512 MiB"), (1536 << 20, "1536 MiB"), (64 << 30, "64 GiB")]
)
def test_sizes_are_told_in_round_units(size: int, text: str) -> None:
    assert shown(size) == text
