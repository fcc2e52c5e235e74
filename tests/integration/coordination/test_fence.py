"""A takeover against the old owner's commit, in both orders, on two real connections (correctness §2.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from piper.coordination.membership import Membership
from piper.model.errors import AmbiguousCommit, FenceLost, StoreUnavailable
from piper.model.member import Member
from piper.service import Wakeups
from piper.store import members, shards
from piper.store.database import Database, Fence
from piper.store.schema import pool
from tests.clock import FakeClock

AT = datetime(2026, 1, 1, tzinfo=UTC)
SHARD = 5


@pytest.fixture
def open_database(postgres_url: str) -> Iterator[Callable[[], Database]]:
    databases: list[Database] = []

    def open_database() -> Database:
        databases.append(Database(postgres_url))
        return databases[-1]

    yield open_database
    for database in databases:
        database.close()


@pytest.fixture
def owner(open_database: Callable[[], Database]) -> Database:
    """The old owner's connections. It owns SHARD in epoch 1."""
    database = open_database()
    with database.as_member("old") as connection:
        register(connection, "old")
        assert shards.claim(connection, "old", {SHARD: 0}, AT) == {SHARD: 1}
    return database


@pytest.fixture
def taker(open_database: Callable[[], Database], owner: Database) -> Database:
    """The connections of a member that has declared the old owner dead and is about to claim SHARD."""
    database = open_database()
    with database.as_member("new") as connection:
        register(connection, "new")
        assert members.declare_dead(connection, "old", 0)
    return database


OLD_TERM = Fence("old", {SHARD: 1})


def register(connection: Connection, name: str) -> None:
    members.register(
        connection,
        Member(member_id=name, node_key=name, kind="scheduler", version="", started_at=AT, renewed_at=AT),
    )


def write(connection: Connection, name: str) -> None:
    connection.execute(pool.insert().values(name=name, team="t", slots=1, include_deferred=False))


def names(connection: Connection) -> set[str]:
    return set(connection.execute(pool.select().with_only_columns(pool.c.name)).scalars()) - {"default_pool"}


def wait_until_blocked(database: Database, member: str) -> None:
    """Return when a session of `member` waits for a lock of another."""
    question = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = :session AND wait_event_type = 'Lock'"
    )
    for _ in range(100_000):
        with database.read() as connection:
            if connection.execute(question, {"session": f"piper/{member}"}).scalar_one():
                return
    pytest.fail(f"{member} never waited")


def in_thread(work: Callable[[], object]) -> Callable[[], object]:
    """Start `work` beside this test; call what is returned for its result, or to have its exception raised."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> object:
        thread.join(20)
        (found,) = outcome
        if isinstance(found, Exception):
            raise found
        return found

    return result


def claim(database: Database, seen: int = 1) -> tuple[dict[int, int], set[str]]:
    """Claim SHARD for "new"; its epoch, and what the new owner reads after that."""
    with database.as_member("new") as connection:
        claimed = shards.claim(connection, "new", {SHARD: seen}, AT)
    with database.read() as connection:
        return claimed, names(connection)


def test_a_takeover_waits_for_the_old_owner_s_commit_and_sees_it(owner: Database, taker: Database) -> None:
    with owner.fenced(OLD_TERM) as connection:
        taken = in_thread(lambda: claim(taker))
        wait_until_blocked(owner, "new")
        write(connection, "by the old owner")
    assert taken() == ({SHARD: 2}, {"by the old owner"})


def test_an_old_owner_that_comes_while_a_takeover_commits_is_refused(owner: Database, taker: Database) -> None:
    def commit_late() -> None:
        with owner.fenced(OLD_TERM) as connection:
            write(connection, "too late")

    with taker.as_member("new") as connection:
        assert shards.claim(connection, "new", {SHARD: 1}, AT) == {SHARD: 2}
        committed = in_thread(commit_late)
        wait_until_blocked(taker, "old")
    with pytest.raises(FenceLost):
        committed()
    with taker.read() as connection:
        assert names(connection) == set()


def test_an_old_owner_that_comes_after_a_takeover_is_refused(owner: Database, taker: Database) -> None:
    assert claim(taker) == ({SHARD: 2}, set())
    with pytest.raises(FenceLost), owner.fenced(OLD_TERM):
        pytest.fail("the term is over")


def test_a_takeover_of_an_owner_that_stands_still_in_a_transaction_succeeds_and_its_commit_fails(
    owner: Database, taker: Database
) -> None:
    with pytest.raises((StoreUnavailable, AmbiguousCommit)), owner.fenced(OLD_TERM) as connection:
        write(connection, "by a zombie")
        waited = 0
        while True:  # PostgreSQL ends the old session after a second; each attempt waits 0.3 s
            try:
                claimed, seen = claim(taker)
            except StoreUnavailable:
                waited += 1
            else:
                break
        assert claimed == {SHARD: 2}
        assert seen == set()
        assert 1 <= waited <= 5
    with taker.read() as connection:
        assert names(connection) == set()


def test_a_dead_owner_s_sessions_can_be_ended_at_once(owner: Database, taker: Database) -> None:
    with pytest.raises((StoreUnavailable, AmbiguousCommit)), owner.fenced(OLD_TERM) as connection:
        write(connection, "by a zombie")
        with taker.as_member("new") as others:
            assert shards.end_sessions(others, "old") == 1
        assert claim(taker) == ({SHARD: 2}, set())


def test_a_member_ends_the_sessions_that_stand_in_the_way_of_its_claim(
    owner: Database, open_database: Callable[[], Database]
) -> None:
    clock = FakeClock()
    successor = Membership(
        open_database(), kind="scheduler", node_key="old", shards=[SHARD], clock=clock, wakeups=Wakeups()
    )
    with pytest.raises((StoreUnavailable, AmbiguousCommit)), owner.fenced(OLD_TERM) as connection:
        write(connection, "by a zombie")
        successor.join()  # a restart under the same key: its predecessor is dead from here on
        assert successor.tick() == 0.0
        assert dict(successor.epochs) == {}
        successor.tick()
        assert dict(successor.epochs) == {SHARD: 2}


def test_of_two_that_claim_at_once_one_gets_the_shard(owner: Database, taker: Database) -> None:
    with owner.as_member("third") as connection:
        register(connection, "third")
    with owner.as_member("third") as connection:
        assert shards.claim(connection, "third", {SHARD: 1}, AT) == {SHARD: 2}
        other = in_thread(lambda: claim(taker))
        wait_until_blocked(owner, "new")
    assert other() == ({}, set())


def test_a_shard_of_a_living_owner_cannot_be_claimed(owner: Database, open_database: Callable[[], Database]) -> None:
    with open_database().as_member("new") as connection:
        register(connection, "new")
        assert shards.claim(connection, "new", {SHARD: 1, SHARD + 1: 0}, AT) == {SHARD + 1: 1}


def test_the_dead_cannot_claim(taker: Database) -> None:
    with taker.as_member("old") as connection:
        assert shards.claim(connection, "old", {SHARD: 1}, AT) == {}


def test_two_owners_of_different_shards_do_not_wait_for_each_other(owner: Database, taker: Database) -> None:
    with taker.as_member("new") as connection:
        assert shards.claim(connection, "new", {SHARD + 1: 0}, AT) == {SHARD + 1: 1}
    with owner.fenced(OLD_TERM), taker.fenced(Fence("new", {SHARD + 1: 1})):
        pass
