"""Members of one kind on PostgreSQL share the shards out, take over from each other, and never own one together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from piper.coordination.assign import assign
from piper.coordination.membership import Membership
from piper.model.ids import EXECUTOR_SHARD, SHARDS
from piper.model.member import MemberState
from piper.service import Wakeups
from piper.store import members
from piper.store.database import Database
from piper.store.schema import member
from tests.clock import FakeClock
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

ALL = range(SHARDS)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(postgres_url: str, clock: FakeClock) -> Iterator[Callable[..., Membership]]:
    """Makes a member with its own connections, by default a scheduler of all shards."""
    databases: list[Database] = []

    def make(node_key: str, kind: str = "scheduler", shards: object = ALL, url: str = postgres_url) -> Membership:
        databases.append(Database(url))
        membership = Membership(
            databases[-1],
            kind=kind,
            node_key=node_key,
            shards=shards,  # type: ignore[arg-type]
            clock=clock,
            wakeups=Wakeups(),
        )
        membership.join()
        return membership

    yield make
    for database in databases:
        database.close()


@pytest.fixture
def db(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    yield database
    database.close()


def go_on(clock: FakeClock, *living: Membership, seconds: float = 1.0) -> None:
    """Let time pass, and the living tick four times a second."""
    for _ in range(round(seconds * 4)):
        for membership in living:
            membership.tick()
        clock.advance(0.25)


def seconds_until(clock: FakeClock, condition: Callable[[], bool], *living: Membership) -> float:
    """How long it takes until the condition holds."""
    began = clock.monotonic()
    while not condition():
        assert clock.monotonic() - began < 30, "it never came to be"
        go_on(clock, *living, seconds=0.25)
    return clock.monotonic() - began


def owns_all(*memberships: Membership) -> bool:
    """Whether they own all shards together, and none twice."""
    owned = [shard for membership in memberships for shard in membership.epochs]
    return sorted(owned) == list(ALL)


def test_members_share_the_shards_as_computed(make: Callable[..., Membership], clock: FakeClock) -> None:
    three = [make(key) for key in ("a", "b", "c")]
    go_on(clock, *three)
    assert owns_all(*three)
    wanted = assign(["a", "b", "c"], ALL)
    for membership, key in zip(three, ("a", "b", "c"), strict=True):
        assert set(membership.epochs) == {shard for shard, owner in wanted.items() if owner == key}


def test_a_member_that_joins_gets_its_share_within_half_a_second(
    make: Callable[..., Membership], clock: FakeClock
) -> None:
    first = make("a")
    go_on(clock, first)
    assert owns_all(first)
    second = make("b")
    assert seconds_until(clock, lambda: bool(second.epochs) and owns_all(first, second), first, second) <= 0.5


def test_shards_change_hands_with_a_higher_epoch(make: Callable[..., Membership], clock: FakeClock) -> None:
    first = make("a")
    go_on(clock, first)
    before = dict(first.epochs)
    second = make("b")
    go_on(clock, first, second)
    for shard, epoch in second.epochs.items():
        assert epoch > before[shard]


def test_who_leaves_hands_over_within_half_a_second(make: Callable[..., Membership], clock: FakeClock) -> None:
    first, second = make("a"), make("b")
    go_on(clock, first, second)
    first.leave()
    assert seconds_until(clock, lambda: owns_all(second), second) <= 0.5


def test_who_dies_silently_is_replaced_within_three_seconds(make: Callable[..., Membership], clock: FakeClock) -> None:
    first, second = make("a"), make("b")
    go_on(clock, first, second)
    assert 1.5 <= seconds_until(clock, lambda: owns_all(second), second) <= 2.75


def test_who_stands_still_fences_itself_before_it_is_replaced(
    make: Callable[..., Membership], clock: FakeClock
) -> None:
    first, second = make("a"), make("b")
    go_on(clock, first, second)
    assert first.fence() is not None
    until_fenced = seconds_until(clock, lambda: first.fence() is None, second)
    assert until_fenced <= 2.0
    assert not owns_all(second)


def test_who_was_declared_dead_comes_back_as_another_member(make: Callable[..., Membership], clock: FakeClock) -> None:
    first, second = make("a"), make("b")
    go_on(clock, first, second)
    old = first.member_id
    seconds_until(clock, lambda: owns_all(second), second)
    go_on(clock, first, second)
    assert first.member_id != old
    assert first.fence() is not None
    assert owns_all(first, second)


def test_a_restart_under_the_same_key_gets_its_shards_back_at_once(
    make: Callable[..., Membership], clock: FakeClock
) -> None:
    first, second = make("a"), make("b")
    go_on(clock, first, second)
    had = set(first.epochs)
    again = make("a")
    again.tick()
    assert set(again.epochs) == had


def test_when_nobody_could_look_nobody_is_declared_dead(
    make: Callable[..., Membership], clock: FakeClock, db: Database
) -> None:
    three = [make(key) for key in ("a", "b", "c")]
    go_on(clock, *three)
    before = [(membership.member_id, dict(membership.epochs)) for membership in three]
    clock.advance(10.0)  # the database, or all the machines, stood still
    assert [membership.fence() for membership in three] == [None, None, None]
    go_on(clock, *three, seconds=5.0)
    assert [(membership.member_id, dict(membership.epochs)) for membership in three] == before
    assert all(membership.fence() is not None for membership in three)


def test_a_member_cut_off_from_the_database_is_replaced_and_comes_back(
    make: Callable[..., Membership], clock: FakeClock, postgres_url: str, postgres_server: Postgres
) -> None:
    proxy = Proxy(postgres_server.port)
    far = make("far", url=postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/"))
    near = make("near")
    go_on(clock, far, near)
    assert owns_all(far, near)
    old = far.member_id
    proxy.refuse()
    assert seconds_until(clock, lambda: owns_all(near), far, near) <= 2.75
    assert far.fence() is None
    proxy.welcome()
    go_on(clock, far, near)
    assert far.member_id != old
    assert owns_all(far, near)
    proxy.close()


def test_the_wall_clock_means_nothing(make: Callable[..., Membership], clock: FakeClock) -> None:
    first, second = make("a"), make("b")
    go_on(clock, first, second)
    before = [dict(first.epochs), dict(second.epochs)]
    for jump in (timedelta(hours=1), timedelta(hours=-2)):
        clock.jump(jump)
        go_on(clock, first, second, seconds=3.0)
    assert [dict(first.epochs), dict(second.epochs)] == before


def test_kinds_do_not_share(make: Callable[..., Membership], clock: FakeClock) -> None:
    scheduler = make("a")
    executors = [make(key, kind="executor", shards=[EXECUTOR_SHARD]) for key in ("a", "b")]
    go_on(clock, scheduler, *executors)
    assert owns_all(scheduler)
    assert sorted(len(executor.epochs) for executor in executors) == [0, 1]


def test_a_shard_that_a_service_found_lost_is_claimed_again(make: Callable[..., Membership], clock: FakeClock) -> None:
    membership = make("a")
    go_on(clock, membership)
    fence = membership.fence()
    assert fence is not None
    membership.forget(fence, {3})
    go_on(clock, membership)
    assert membership.epochs[3] == fence.epochs[3] + 1


def test_a_shard_that_was_taken_away_is_noticed(
    make: Callable[..., Membership], clock: FakeClock, db: Database
) -> None:
    membership = make("a")
    go_on(clock, membership)
    with db.write() as connection:
        connection.execute(text("UPDATE shard SET epoch = epoch + 1000"))  # as after a promotion that lost a second
    go_on(clock, membership)
    assert set(membership.epochs.values()) == {1002}


def test_services_are_woken_when_shards_come_and_go(make: Callable[..., Membership], clock: FakeClock) -> None:
    membership = make("a")
    signal = membership._wakeups.listen("scheduler")
    membership.tick()
    assert signal.wait(0)
    go_on(clock, membership)
    assert not signal.wait(0)


def test_the_dead_are_forgotten_after_a_day(make: Callable[..., Membership], clock: FakeClock, db: Database) -> None:
    make("a").leave()
    clock.advance(2 * 86400)
    make("b")
    with db.read() as connection:
        assert [found.node_key for found in members.everyone(connection)] == ["b"]


def test_a_sign_of_life_that_comes_in_between_saves_a_suspect(
    make: Callable[..., Membership], clock: FakeClock, db: Database
) -> None:
    first = make("a")
    with db.read() as connection:
        (seen,) = members.present(connection, "scheduler")
    clock.advance(1.0)
    first.tick()
    with db.as_member("observer") as connection:
        assert not members.declare_dead(connection, first.member_id, seen.renew_seq)
    with db.read() as connection:
        assert connection.execute(member.select()).one().state == MemberState.LIVE
