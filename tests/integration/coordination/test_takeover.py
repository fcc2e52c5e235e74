"""Real processes: a member that is killed or stopped is replaced within three seconds (correctness I20)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from piper.coordination.membership import Membership
from piper.model.ids import SHARDS
from piper.service import Signal, SystemClock, Wakeups
from piper.store.database import Database

MEMBER = """
import sys
from piper.coordination.membership import Membership
from piper.model.ids import SHARDS
from piper.service import SystemClock, Wakeups
from piper.store.database import Database

wakeups = Wakeups()
came = wakeups.listen("scheduler")
member = Membership(
    Database(sys.argv[1]), kind="scheduler", node_key="victim", shards=range(SHARDS),
    clock=SystemClock(), wakeups=wakeups
)
member.start()
while len(member.epochs) < SHARDS:
    came.wait(10)
print("owns all", flush=True)
sys.stdin.read()
member.stop()
print("left", flush=True)
"""


@pytest.fixture
def victim(postgres_url: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that owns all shards."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEMBER, postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "owns all\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()


@pytest.fixture
def second(postgres_url: str, victim: subprocess.Popen[str]) -> Iterator[tuple[Membership, Signal]]:
    """A member of this process which has got its share from the victim, and its wake-up."""
    wakeups = Wakeups()
    came = wakeups.listen("scheduler")
    database = Database(postgres_url)
    second = Membership(
        database, kind="scheduler", node_key="second", shards=range(SHARDS), clock=SystemClock(), wakeups=wakeups
    )
    second.start()
    while len(second.epochs) < SHARDS / 3:
        assert came.wait(10)
    yield second, came
    second.stop()
    database.close()


def seconds_until_it_owns_all(second: tuple[Membership, Signal]) -> float:
    membership, came = second
    began = time.monotonic()
    while len(membership.epochs) < SHARDS:
        assert came.wait(10)
    return time.monotonic() - began


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_member_that_is_killed_or_stopped_is_replaced_within_three_seconds(
    victim: subprocess.Popen[str], second: tuple[Membership, Signal], how: signal.Signals
) -> None:
    victim.send_signal(how)
    assert seconds_until_it_owns_all(second) < 3.0


def test_a_member_that_leaves_in_order_is_replaced_within_half_a_second(
    victim: subprocess.Popen[str], second: tuple[Membership, Signal]
) -> None:
    assert victim.stdin is not None
    assert victim.stdout is not None
    victim.stdin.close()
    assert victim.stdout.readline() == "left\n"
    assert seconds_until_it_owns_all(second) < 0.5
