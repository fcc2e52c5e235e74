"""What running tasks may say of assets and ask about them, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from piper.core.assets import described_in, uses_of
from piper.model import wire
from piper.model.assets import Emission
from piper.model.events import AssetEventOut, Succeeded
from piper.model.run import Identity
from piper.model.schedule import AssetAliasKey
from piper.model.spec import AssetRef, TaskSpec, decode_spec
from piper.model.states import RunType
from piper.model.wire import AssetEventFound, GetAssetEvents, Report
from piper.store import schema
from piper.store.asset_events import emit
from piper.store.asset_queues import Delivery, deliver, take
from piper.store.assets import Naming, save_namings
from piper.store.database import Database
from tests.world import NOW, World

ORDERS, RIVAL = AssetRef("orders", "s3://orders"), AssetRef("rival", "s3://orders")


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path)
    outlets = (ORDERS, RIVAL, AssetRef("orders", ""), AssetRef("nobody", ""), AssetAliasKey("latest"))
    world.add_workflow(TaskSpec(task_id="t", operator="P", outlets=outlets))
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="theirs", team="blue")
    with database.write() as connection:
        spec = decode_spec(
            connection.execute(select(schema.spec.c.body).order_by(schema.spec.c.body)).scalars().first() or ""
        )
        save_namings(connection, {"flow": Naming("red", uses_of(spec), described_in(spec))}, NOW)
    return world


@pytest.fixture
def asker(world: World) -> Identity:
    identity = world.add_instance(world.add_run(run_type=RunType.ASSET_TRIGGERED))
    world.start(identity)
    return identity


def emitting(world: World, *extras: dict[str, Any], aliases: tuple[str, ...] = (), team: str = "red") -> list[int]:
    """Events of ORDERS, a minute apart."""
    numbers: list[int] = []
    for extra in extras:
        with world.database.write() as connection:
            one = Emission(
                team=team, asset=ORDERS, extra=extra, aliases=aliases, workflow_id="w", run_id="r", task_id="t"
            )
            numbers += [number for number in emit(connection, [one], world.clock.now()) if number is not None]
        world.clock.advance(60)
    return numbers


def asked(world: World, asker: Identity, question: GetAssetEvents) -> list[AssetEventFound]:
    found: list[AssetEventFound] = world.ask(asker, question, list[AssetEventFound])
    return found


def test_a_task_learns_at_its_start_what_its_references_stand_for_and_what_is_inactive(world: World) -> None:
    context = world.start(world.add_instance(world.add_run()))
    assert context.assets == (ORDERS,)
    assert context.inactive_assets == (RIVAL,)


def test_a_task_without_assets_learns_nothing(world: World) -> None:
    world.add_workflow(TaskSpec(task_id="plain", operator="P"), workflow_id="plain")
    context = world.start(world.add_instance(world.add_run("plain"), "plain"))
    assert (context.assets, context.inactive_assets) == ((), ())


def test_events_come_oldest_first_with_the_execution_that_caused_them(world: World, asker: Identity) -> None:
    numbers = emitting(world, {"n": 1}, {"n": 2})
    first, second = asked(world, asker, GetAssetEvents("orders", "s3://orders"))
    assert [first.id, second.id] == numbers
    assert (first.asset, first.extra, first.timestamp) == (ORDERS, {"n": 1}, NOW)
    assert (first.workflow_id, first.run_id, first.task_id, first.map_index) == ("w", "r", "t", -1)
    for reference in (GetAssetEvents(name="orders"), GetAssetEvents(uri="s3://orders")):
        assert asked(world, asker, reference) == [first, second]
    assert asked(world, asker, GetAssetEvents(name="rival")) == []


def test_filters_narrow_the_answer(world: World, asker: Identity) -> None:
    emitting(world, {"day": "mon", "n": 1}, {"day": "tue", "n": 1}, {"day": "mon", "n": 3})

    def extras(**wanted: Any) -> list[Any]:
        return [each.extra["n"] for each in asked(world, asker, GetAssetEvents("orders", **wanted))]

    assert extras(after=NOW + timedelta(minutes=1)) == [1, 3]
    assert extras(before=NOW) == [1]
    assert extras(ascending=False) == [3, 1, 1]
    assert extras(ascending=False, limit=1) == [3]
    assert extras(extra={"day": "mon"}) == [1, 3]
    assert extras(extra={"day": "mon", "n": "3"}) == [3]
    assert extras(extra={"day": "mon"}, ascending=False, limit=1) == [3]


def test_events_of_an_alias_are_those_that_were_made_by_way_of_it(world: World, asker: Identity) -> None:
    emitting(world, {"n": 1})
    emitting(world, {"n": 2}, aliases=("latest", "all"))
    (found,) = asked(world, asker, GetAssetEvents(alias="latest"))
    assert (found.extra, found.aliases) == ({"n": 2}, ("all", "latest"))


def test_the_events_that_caused_a_run_are_those_that_it_has_taken(world: World, asker: Identity) -> None:
    one, two, _ = emitting(world, {"n": 1}, {"n": 2}, {"n": 3})
    with world.database.write() as connection:
        run = connection.execute(select(schema.run.c.id)).scalar_one()
        asset = connection.execute(select(schema.asset.c.id).where(schema.asset.c.name == "orders")).scalar_one()
        deliver(connection, [Delivery("flow", number, asset, NOW) for number in (one, two)])
        take(connection, [("flow", run)])
    assert [each.id for each in asked(world, asker, GetAssetEvents(triggering=True))] == [one, two]


def test_events_beyond_an_event_follow_it_in_the_order_that_is_asked_for(world: World, asker: Identity) -> None:
    with world.database.write() as connection:
        ids = emit(connection, [Emission(team="red", asset=ORDERS)] * 2500, NOW)  # all at one moment
    found: list[int] = []
    while True:
        answer = asked(world, asker, GetAssetEvents("orders", beyond=found[-1] if found else None))
        found += [event.id for event in answer]
        if not wire.fills_an_answer(answer):
            break
    assert found == ids
    last = asked(world, asker, GetAssetEvents("orders", ascending=False, limit=2, beyond=found[10]))
    assert [event.id for event in last] == [found[9], found[8]]


def test_an_answer_ends_where_it_is_long_enough(world: World, asker: Identity) -> None:
    extra = {"k": "x" * 65_000}
    with world.database.write() as connection:
        emit(connection, [Emission(team="red", asset=ORDERS, extra=extra)] * 100, NOW)
    answer = asked(world, asker, GetAssetEvents("orders"))
    assert len(answer) < 100
    assert wire.fills_an_answer(answer)
    assert not wire.fills_an_answer(answer[:-1])


def test_events_of_another_team_do_not_exist(world: World, asker: Identity) -> None:
    emitting(world, {"n": 1}, aliases=("latest",), team="blue")
    assert asked(world, asker, GetAssetEvents("orders")) == []
    assert asked(world, asker, GetAssetEvents(alias="latest")) == []


def test_a_question_without_a_name_is_refused(world: World, asker: Identity) -> None:
    assert "by the name or URI of an asset" in world.problem(asker, GetAssetEvents()).message


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([AssetEventOut(ORDERS, {"k": "x" * 70_000})], "bytes of JSON: 65,536 are the most"),
        ([AssetEventOut(ORDERS, {"k": "a\0b"})], "has a NUL character"),
        ([AssetEventOut(AssetRef("n" * 1001, "u"), alias="latest")], "1,001 bytes: 1,000 are the most"),
        ([AssetEventOut(ORDERS, {"k": "x" * 60_000})] * 200, "12,001,600 bytes of JSON: 8,388,608 are the most"),
        ([AssetEventOut(ORDERS)] * 1001, "1,001 asset events: 1,000 are the most"),
    ],
)
def test_a_report_with_changes_that_cannot_be_kept_is_refused_whole(
    world: World, asker: Identity, changes: list[AssetEventOut], why: str
) -> None:
    problem = world.problem(asker, Report(Succeeded(asker, assets=tuple(changes))))
    assert problem.kind == "invalid"
    assert why in problem.message
    with world.database.read() as connection:
        assert connection.execute(select(schema.event)).all() == []
