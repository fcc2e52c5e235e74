"""Pools: administered by people, counted from rows, waited for in lanes."""

from __future__ import annotations

from pathlib import Path

import pytest

from piper.model.errors import Conflict, Invalid, NotFound
from piper.model.spec import TaskSpec
from piper.model.states import TaskState
from piper.store.database import Database
from piper.store.grants import waiting
from piper.store.pools import (
    UNLIMITED,
    Holding,
    Lane,
    Misfit,
    Pool,
    change_pool,
    create_pool,
    delete_pool,
    find_pool,
    holdings,
    lanes,
    list_pools,
    misfits,
)
from tests.world import World

S = TaskState


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    return world


def make_pool(world: World, name: str = "p", slots: int = 4, **values: object) -> Pool:
    made = Pool(name=name, team="red", slots=slots, **values)  # type: ignore[arg-type]
    with world.database.write() as connection:
        create_pool(connection, made)
    return made


def test_a_pool_is_made_changed_and_removed(world: World) -> None:
    made = make_pool(world, description="d")
    with world.database.write() as connection:
        assert find_pool(connection, "p") == made
        assert [pool.name for pool in list_pools(connection)] == ["default_pool", "p"]
        changed = Pool(name="p", team="blue", slots=UNLIMITED, include_deferred=True)
        change_pool(connection, changed)
        assert find_pool(connection, "p") == changed
        delete_pool(connection, "p")
        with pytest.raises(NotFound):
            find_pool(connection, "p")


def test_what_cannot_be_is_refused(world: World) -> None:
    made = make_pool(world)
    with pytest.raises(Conflict), world.database.write() as connection:
        create_pool(connection, made)
    with world.database.write() as connection:
        for act in (create_pool, change_pool):
            with pytest.raises(Invalid):
                act(connection, Pool(name="q", team="red", slots=-2))
        with pytest.raises(NotFound):
            change_pool(connection, Pool(name="q", team="red", slots=1))
        with pytest.raises(NotFound):
            delete_pool(connection, "q")


def test_queued_and_running_instances_hold_slots_and_nobody_else(world: World) -> None:
    number = world.add_run()
    for index, state in enumerate(TaskState):
        world.add_instance(number, map_index=index, state=state, pool="p", pool_slots=2)
        world.add_instance(number, "b", map_index=index, state=state, pool="p", team="blue")
    pool = make_pool(world)
    with world.database.read() as connection:
        assert sorted(holdings(connection, [pool])) == [Holding("p", "blue", 2, 2), Holding("p", "red", 2, 4)]


def test_a_deferred_instance_holds_slots_where_its_pool_says_so(world: World) -> None:
    number = world.add_run()
    for index, name in enumerate("pq"):
        world.add_instance(number, map_index=index, state=S.DEFERRED, pool=name, pool_slots=3)
    pools = [make_pool(world, "p", include_deferred=True), make_pool(world, "q")]
    with world.database.read() as connection:
        assert holdings(connection, pools) == [Holding("p", "red", 0, 3)]


def test_lanes_are_the_pools_and_teams_that_wait(world: World) -> None:
    number = world.add_run()
    places = [("b", "red"), ("a", "red"), ("a", "blue"), ("c", "")]
    for index, (pool, team) in enumerate(places * 3):
        world.add_instance(number, map_index=index, state=S.SCHEDULED, pool=pool, team=team)
    world.add_instance(number, map_index=99, state=S.QUEUED, pool="d")
    with world.database.read() as connection:
        assert lanes(connection) == [Lane("a", "blue"), Lane("a", "red"), Lane("b", "red"), Lane("c", "")]


def test_nobody_waits_in_an_empty_database(world: World) -> None:
    with world.database.read() as connection:
        assert lanes(connection) == []


def test_a_lane_is_read_by_priority_and_age_and_only_as_far_as_asked(world: World) -> None:
    number = world.add_run()
    ids = [
        world.add_instance(number, map_index=index, state=S.SCHEDULED, priority=priority, pool_slots=slots).instance
        for index, (priority, slots) in enumerate([(1, 1), (5, 1), (9, 7), (5, 2), (-1, 1)])
    ]
    with world.database.read() as connection:
        lane = Lane("default_pool", "red")
        read = waiting(connection, lane, slots=4, limit=3)
        assert [one.instance for one in read] == [ids[1], ids[3], ids[0]], "the one that can never fit hides nobody"
        everything = waiting(connection, lane, slots=UNLIMITED, limit=99)
        assert [one.instance for one in everything] == [ids[2], ids[1], ids[3], ids[0], ids[4]]
        assert (everything[0].slots, everything[0].priority) == (7, 9)


def test_tasks_that_no_grant_can_reach_are_found(world: World) -> None:
    number = world.add_run()
    make_pool(world, "p", slots=2)
    make_pool(world, "endless", slots=UNLIMITED)
    for index in range(3):
        world.add_instance(number, "wide", map_index=index, state=S.SCHEDULED, pool="p", pool_slots=3)
    world.add_instance(number, "lonely", state=S.SCHEDULED, pool="nowhere")
    world.add_instance(number, "fits", state=S.SCHEDULED, pool="p", pool_slots=2)
    world.add_instance(number, "large", state=S.SCHEDULED, pool="endless", pool_slots=99)
    with world.database.read() as connection:
        assert set(misfits(connection, 20)) == {
            Misfit(number, "wide", "p", 3, 2),
            Misfit(number, "lonely", "nowhere", 1, None),
        }
