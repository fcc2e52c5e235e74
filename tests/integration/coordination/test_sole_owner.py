"""The one process that serves a SQLite file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from piper.coordination.sole import SoleOwner
from piper.model.errors import FenceLost, StoreUnavailable
from piper.service import Wakeups
from piper.store.database import Database
from piper.store.sqlite import LockFile
from tests.clock import FakeClock


@pytest.fixture
def make(sqlite_url: str) -> Iterator[Callable[[], SoleOwner]]:
    databases: list[Database] = []

    def make() -> SoleOwner:
        databases.append(Database(sqlite_url))
        return SoleOwner(databases[-1], clock=FakeClock(), wakeups=Wakeups())

    yield make
    for database in databases:
        database.close()


def test_a_second_one_is_refused_with_the_process_of_the_first(make: Callable[[], SoleOwner]) -> None:
    first, second = make(), make()
    first.join()
    with pytest.raises(StoreUnavailable, match=rf"piper\.db is served by process {os.getpid()}: stop that first"):
        second.join()
    assert second.fence() is not None
    assert dict(second.epochs) == {}
    first.leave()
    second.join()
    second.leave()


def test_one_that_was_taken_over_is_refused_and_then_writes_no_more(
    make: Callable[[], SoleOwner], sqlite_url: str
) -> None:
    zombie, successor = make(), make()
    zombie.join()
    successor.take_over()
    fence = zombie.fence()
    assert fence is not None
    database = Database(sqlite_url)
    with pytest.raises(FenceLost) as lost, database.fenced(fence):
        pytest.fail("another owns these shards")
    zombie.forget(fence, lost.value.shards)
    assert zombie.fence() is None
    term = successor.fence()
    assert term is not None
    with database.fenced(term):
        pass
    database.close()
    zombie.leave()
    successor.leave()


def test_one_that_was_taken_over_and_has_nothing_to_write_notices_it_all_the_same(
    make: Callable[[], SoleOwner],
) -> None:
    zombie, successor = make(), make()
    zombie.join()
    zombie.tick()
    assert zombie.fence() is not None
    successor.take_over()
    zombie.tick()
    assert zombie.fence() is None
    successor.tick()
    assert successor.fence() is not None
    zombie.leave()
    successor.leave()


def test_who_took_over_holds_the_lock_once_the_other_is_gone(make: Callable[[], SoleOwner], tmp_path: Path) -> None:
    zombie, successor = make(), make()
    zombie.join()
    successor.take_over()
    zombie._lock.release()  # as the kernel does when it dies
    successor.tick()
    assert LockFile(tmp_path / "piper.db").acquire() == os.getpid()
    successor.leave()


def test_a_lock_file_that_cannot_be_written_says_so(make: Callable[[], SoleOwner], tmp_path: Path) -> None:
    (tmp_path / "piper.db.lock").mkdir()
    with pytest.raises(StoreUnavailable, match=r"piper\.db\.lock cannot be written"):
        make().join()
