"""What services may rely on, whichever kind of coordination there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from piper.coordination.membership import Membership
from piper.coordination.ownership import Ownership
from piper.coordination.sole import SoleOwner
from piper.model.errors import FenceLost, WrongSchema
from piper.model.ids import SHARDS, SINGLETON_SHARDS
from piper.model.member import MemberState
from piper.service import SystemClock, Wakeups
from piper.store import members
from piper.store.database import Database
from piper.store.schema import coordination, pool
from tests.clock import FakeClock

ALL = (*SINGLETON_SHARDS, *range(SHARDS))

Make = Callable[[], Ownership]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(database: Database, database_url: str, clock: FakeClock) -> Iterator[Make]:
    """Makes an ownership of all shards as a process of its own would: each with its own connections."""
    opened: list[Database] = []

    def make() -> Ownership:
        opened.append(Database(database_url))
        if database.sqlite:
            return SoleOwner(opened[-1], clock=clock, wakeups=Wakeups())
        return Membership(opened[-1], kind="scheduler", node_key="host:0", shards=ALL, clock=clock, wakeups=Wakeups())

    yield make
    for database_of_one in opened:
        database_of_one.close()


@pytest.fixture
def ownership(make: Make) -> Iterator[Ownership]:
    """A member that owns everything."""
    ownership = make()
    ownership.join()
    ownership.tick()
    yield ownership
    ownership.leave()


def test_a_member_alone_owns_every_shard_in_a_first_term(ownership: Ownership) -> None:
    assert set(ownership.epochs) == set(ALL)
    assert set(ownership.epochs.values()) == {1}


def test_its_fence_lets_it_write(ownership: Ownership, database: Database) -> None:
    fence = ownership.fence()
    assert fence is not None
    assert fence.owner == ownership.member_id
    with database.fenced(fence):
        pass


def test_more_ticks_change_nothing(ownership: Ownership, clock: FakeClock) -> None:
    before = (ownership.member_id, dict(ownership.epochs))
    for _ in range(20):
        clock.advance(0.25)
        ownership.tick()
    assert (ownership.member_id, dict(ownership.epochs)) == before
    assert ownership.fence() is not None


def test_who_has_left_owns_nothing_and_is_dead(ownership: Ownership, database: Database) -> None:
    fence = ownership.fence()
    ownership.leave()
    assert dict(ownership.epochs) == {}
    with database.read() as connection:
        assert [member.state for member in members.everyone(connection)] == [MemberState.DEAD]
    assert fence is not None


def test_who_joins_after_another_has_left_owns_every_shard_in_a_higher_term(ownership: Ownership, make: Make) -> None:
    ownership.leave()
    successor = make()
    successor.join()
    successor.tick()
    assert set(successor.epochs) == set(ALL)
    assert set(successor.epochs.values()) == {2}
    assert successor.member_id != ownership.member_id
    successor.leave()


def test_the_term_of_one_that_was_replaced_is_refused(ownership: Ownership, make: Make, database: Database) -> None:
    fence = ownership.fence()
    assert fence is not None
    successor = make()
    successor.take_over() if isinstance(successor, SoleOwner) else successor.join()
    successor.tick()
    with pytest.raises(FenceLost) as lost, database.fenced(fence.only([7, 9])) as connection:
        connection.execute(pool.delete())
    assert lost.value.shards == {7, 9}
    successor.leave()


def test_a_shard_that_was_lost_is_no_longer_in_the_term(ownership: Ownership) -> None:
    fence = ownership.fence()
    assert fence is not None
    ownership.forget(fence, {7})
    assert 7 not in ownership.epochs


def test_what_was_lost_in_an_old_term_is_kept_in_a_new_one(ownership: Ownership) -> None:
    fence = ownership.fence()
    assert fence is not None
    ownership._lose({7: 1})
    ownership._gain({7: 2})
    ownership.forget(fence, {7})
    assert ownership.epochs[7] == 2


def test_an_installation_with_another_coordinator_is_refused(make: Make, database: Database) -> None:
    with database.write() as connection:
        connection.execute(coordination.update().values(coordinator="zookeeper"))
    with pytest.raises(WrongSchema, match="coordinated by zookeeper"):
        make().join()


def test_it_starts_and_stops_as_every_service_does(make: Make, database: Database) -> None:
    ownership = make()
    owned = threading.Event()
    ownership._clock = SystemClock()  # type: ignore[attr-defined]
    tick = ownership.tick

    def ticked() -> float:
        wait = tick()
        owned.set()
        return wait

    ownership.tick = ticked  # type: ignore[method-assign]
    for _ in range(2):
        owned.clear()
        ownership.start()
        assert owned.wait(10)
        assert set(ownership.epochs) == set(ALL)
        ownership.stop()
        ownership.stop()
        assert dict(ownership.epochs) == {}
    with database.read() as connection:
        assert {member.state for member in members.everyone(connection)} == {MemberState.DEAD}
