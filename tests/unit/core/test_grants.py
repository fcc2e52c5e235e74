"""Who may start: the rules of `core.grants`, one by one, and what holds whatever waits."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from piper.core.grants import Candidate, Capacity, PoolCapacity, allocate


def task(instance: int, team: str = "red", *, pool: str = "p", slots: int = 1, priority: int = 1) -> Candidate:
    return Candidate(instance, pool, team, slots, priority)


def backfilled(instance: int, team: str = "red", *, pool: str = "p", slots: int = 1, priority: int = 1) -> Candidate:
    return Candidate(instance, pool, team, slots, priority, backfill=True)


def numbers(granted: list[Candidate]) -> list[int]:
    return [one.instance for one in granted]


def room(slots: int | None, free: int = 1000, used: dict[str, int] | None = None, **values: object) -> Capacity:
    return Capacity(free=free, pools={"p": PoolCapacity(slots, used or {})}, **values)  # type: ignore[arg-type]


def test_higher_priority_goes_first_and_then_the_older() -> None:
    waiting = [task(4, priority=1), task(3, priority=5), task(2, priority=1), task(1, priority=5)]
    assert numbers(allocate(waiting, room(3))) == [1, 3, 2]


def test_no_more_is_granted_than_the_backend_can_take() -> None:
    assert numbers(allocate([task(n) for n in range(9)], room(None, free=4))) == [0, 1, 2, 3]


def test_slots_in_use_are_not_granted_again() -> None:
    assert numbers(allocate([task(n) for n in range(9)], room(5, used={"red": 2, "blue": 1}))) == [0, 1]


def test_a_pool_that_was_made_smaller_than_what_is_held_grants_nothing() -> None:
    assert allocate([task(1)], room(2, used={"red": 7})) == []


def test_a_pool_without_limit_is_limited_by_the_backend_only() -> None:
    assert len(allocate([task(n) for n in range(500)], room(None, free=400))) == 400


def test_a_task_of_a_pool_that_is_not_there_waits() -> None:
    assert allocate([task(1, pool="gone")], room(5)) == []


def test_a_task_that_wants_more_slots_than_its_pool_has_holds_up_nobody() -> None:
    assert numbers(allocate([task(1, slots=9), task(2)], room(4))) == [2]


def test_a_task_that_does_not_fit_now_keeps_its_place() -> None:
    waiting = [task(1, slots=3), task(2), task(3)]
    assert allocate(waiting, room(4, used={"red": 2})) == []
    assert numbers(allocate(waiting, room(4, used={"red": 1}))) == [1]


def test_a_task_that_keeps_its_place_closes_its_own_pool_only() -> None:
    capacity = Capacity(free=9, pools={"p": PoolCapacity(2, {"red": 1}), "q": PoolCapacity(2)})
    assert numbers(allocate([task(1, slots=2), task(2), task(3, pool="q")], capacity)) == [3]


def test_a_backfill_comes_after_all_that_is_fresh_whatever_its_priority_and_age() -> None:
    waiting = [backfilled(1, priority=99), backfilled(2, priority=99), task(8), task(9)]
    assert numbers(allocate(waiting, room(3))) == [8, 9, 1]


def test_a_backfill_of_one_team_comes_after_fresh_tasks_of_another() -> None:
    waiting = [backfilled(1, "blue"), *(task(n, "red") for n in range(5, 9))]
    assert numbers(allocate(waiting, room(4, used={"red": 3}))) == [5]
    assert numbers(allocate(waiting, room(9))) == [5, 6, 7, 8, 1]


def test_a_backfill_in_one_pool_takes_no_execution_from_fresh_tasks_in_another() -> None:
    capacity = Capacity(free=2, pools={"p": PoolCapacity(9), "q": PoolCapacity(9)}, held={"red": 1})
    waiting = [backfilled(1, "blue", pool="p"), task(5, pool="q"), task(6, pool="q")]
    assert numbers(allocate(waiting, capacity)) == [5, 6]


def test_a_large_task_of_a_backfill_holds_no_place_before_fresh_ones() -> None:
    waiting = [backfilled(1, slots=4), task(5), task(6)]
    assert numbers(allocate(waiting, room(4))) == [5, 6]
    assert numbers(allocate(waiting[:1], room(4))) == [1]


def test_teams_take_turns_whatever_their_priorities() -> None:
    waiting = [task(n, "red", priority=99) for n in range(10)] + [task(100 + n, "blue") for n in range(2)]
    assert numbers(allocate(waiting, room(5))) == [0, 100, 1, 101, 2]


def test_the_team_that_holds_least_is_served_first() -> None:
    waiting = [task(n, "red", priority=99) for n in range(10)] + [task(100 + n, "blue") for n in range(10)]
    assert numbers(allocate(waiting, room(9, used={"red": 3}))) == [100, 101, 102, 0, 103, 1]


def test_a_pool_of_one_slot_goes_round_the_teams() -> None:
    """Both hold nothing whenever the slot is free: the team that was not served last time is next."""
    waiting = [task(n, "red", priority=99) for n in range(10)] + [task(100 + n, "blue") for n in range(10)]
    first = allocate(waiting, room(1))
    assert numbers(first) == [0]
    second = allocate(waiting[1:], room(1, turns={("p", "red"): 1}))
    assert numbers(second) == [100]
    third = allocate(waiting[1:], room(1, turns={("p", "red"): 1, ("p", "blue"): 2}))
    assert numbers(third) == [1]


def test_a_team_at_its_quota_is_passed_over() -> None:
    waiting = [task(n, "red", priority=9) for n in range(4)] + [task(10 + n, "blue") for n in range(4)]
    capacity = room(6, held={"red": 1}, quotas={"red": 2})
    assert numbers(allocate(waiting, capacity)) == [0, 10, 11, 12, 13]


def test_the_heads_of_pools_compete_by_what_their_teams_hold_of_all() -> None:
    capacity = Capacity(free=1, pools={"p": PoolCapacity(9), "q": PoolCapacity(9)}, held={"red": 5, "blue": 1})
    assert numbers(allocate([task(1, "red", pool="p"), task(2, "blue", pool="q")], capacity)) == [2]


TEAMS = ("red", "blue", "green")
POOLS = ("p", "q")

candidates = st.lists(
    st.builds(
        Candidate,
        instance=st.integers(0, 10_000),
        pool=st.sampled_from((*POOLS, "gone")),
        team=st.sampled_from(TEAMS),
        slots=st.integers(1, 5),
        priority=st.integers(-3, 3),
        backfill=st.booleans(),
    ),
    unique_by=lambda one: one.instance,
    max_size=40,
)
holdings = st.dictionaries(st.sampled_from(TEAMS), st.integers(0, 6))
pool_capacities = st.builds(PoolCapacity, slots=st.none() | st.integers(0, 12), used=holdings)
capacities = st.builds(
    Capacity,
    free=st.integers(0, 20),
    pools=st.fixed_dictionaries(dict.fromkeys(POOLS, pool_capacities)),
    held=holdings,
    quotas=st.dictionaries(st.sampled_from(TEAMS), st.integers(0, 8)),
    turns=st.dictionaries(st.tuples(st.sampled_from(POOLS), st.sampled_from(TEAMS)), st.integers(0, 99)),
)


@given(candidates, capacities)
def test_no_limit_is_ever_exceeded(waiting: list[Candidate], capacity: Capacity) -> None:
    granted = allocate(waiting, capacity)
    assert len(granted) == len({one.instance for one in granted})
    assert len(granted) <= capacity.free
    for name in POOLS:
        taken = sum(one.slots for one in granted if one.pool == name)
        assert taken == 0 or taken <= capacity.pools[name].free
    for team, count in Counter(one.team for one in granted).items():
        quota = capacity.quotas.get(team)
        assert quota is None or capacity.held.get(team, 0) + count <= quota


@given(candidates, capacities)
def test_a_team_s_own_tasks_are_never_overtaken_in_a_pool(waiting: list[Candidate], capacity: Capacity) -> None:
    granted = allocate(waiting, capacity)
    for pool, team in {(one.pool, one.team) for one in granted}:
        lane = [one for one in granted if (one.pool, one.team) == (pool, team)]
        slots = capacity.pools[pool].slots
        could = [one for one in waiting if (one.pool, one.team) == (pool, team)]
        could = [one for one in could if slots is None or one.slots <= slots]
        could.sort(key=lambda one: (one.backfill, -one.priority, one.instance))
        assert lane == could[: len(lane)]


@given(candidates, capacities)
def test_a_backfill_changes_nothing_about_what_is_granted_to_fresh_tasks(
    waiting: list[Candidate], capacity: Capacity
) -> None:
    granted = allocate(waiting, capacity)
    fresh = allocate([one for one in waiting if not one.backfill], capacity)
    assert [one for one in granted if not one.backfill] == fresh


@given(candidates, capacities)
def test_nothing_that_could_start_is_left_unless_something_before_it_waits_for_room(
    waiting: list[Candidate], capacity: Capacity
) -> None:
    granted = allocate(waiting, capacity)
    if len(granted) == capacity.free:
        return
    held = Counter(capacity.held) + Counter(one.team for one in granted)
    for pool in POOLS:
        slots = capacity.pools[pool].slots
        free = capacity.pools[pool].free - sum(one.slots for one in granted if one.pool == pool)
        left = [one for one in waiting if one.pool == pool and one not in granted]
        left = [one for one in left if slots is None or one.slots <= slots]
        left = [one for one in left if held[one.team] < capacity.quotas.get(one.team, 10**9)]
        if left:
            assert any(one.slots > free for one in left)


@given(st.integers(1, 6), st.integers(2, 6), st.data())
def test_a_task_of_many_slots_gets_its_turn_however_many_small_ones_keep_coming(
    others: int, slots: int, data: st.DataObject
) -> None:
    """A pool served for many rounds; in each, some of what runs ends, and new small tasks of all teams are ready."""
    wide = task(5000, "red", slots=slots)
    used: Counter[str] = Counter()
    turns: dict[tuple[str, str], int] = {}
    for round_number in range(200):
        small = [
            task(10_000 + 100 * round_number + team * 10 + n, f"team{team}", priority=9)
            for team in range(others)
            for n in range(4)
        ]
        granted = allocate([wide, *small], Capacity(1000, {"p": PoolCapacity(slots, dict(used))}, turns=turns))
        if wide in granted:
            return
        for one in granted:
            used[one.team] += one.slots
            turns["p", one.team] = round_number + 1
        running = sorted(used.elements())
        if running:
            used[data.draw(st.sampled_from(running))] -= 1
    raise AssertionError("200 rounds and no turn for the task of many slots")
