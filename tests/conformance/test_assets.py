"""Assets from publication to the run that they cause, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from piper.core.assets import described_in, uses_of
from piper.model.assets import Emission
from piper.model.events import AssetEventOut, ForgetAssets, PauseChanged, SpecPublished, Succeeded
from piper.model.ids import shard_of
from piper.model.run import Identity, Run
from piper.model.schedule import (
    AssetAliasKey,
    AssetAll,
    AssetAny,
    AssetCondition,
    AssetKey,
    AssetTimetable,
    Schedule,
)
from piper.model.spec import AssetRef, TaskSpec, decode_spec
from piper.model.states import RunState, RunType
from piper.scheduler.service import SchedulerService
from piper.store import schema
from piper.store.asset_events import emit
from piper.store.assets import KnownAsset, Naming, assets_like, save_namings
from piper.store.commands import delete_workflow
from piper.store.database import Database, Fence
from piper.store.events import append_events, event_row
from piper.store.runs import runs_by_number
from tests.world import NOW, World

ORDERS, REPORT = AssetRef("orders", "s3://orders"), AssetRef("report", "s3://report")
ORDERS_KEY, REPORT_KEY = AssetKey("orders", "s3://orders"), AssetKey("report", "s3://report")


class Term:
    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def fence(self) -> Fence:
        return self._fence

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        self._fence = Fence(fence.owner, {s: epoch for s, epoch in fence.epochs.items() if s not in shards})


class Stage(World):
    """Workflows with assets, and the scheduler that owns them."""

    def __init__(self, database: Database, folder: Path, fence: Fence) -> None:
        super().__init__(database, folder)
        self.fence = Fence(fence.owner, {s: e for s, e in fence.epochs.items() if s >= 0})
        self.restart()

    def restart(self) -> None:
        """A scheduler that knows nothing but what is written."""
        self.scheduler_service = SchedulerService(
            self.database, Term(self.fence), self.clock, self.wakeups, lambda _: None
        )

    def publish(self, workflow_id: str, *tasks: TaskSpec, on: AssetCondition | None = None, **values: Any) -> None:
        """A workflow with what it names, as the serializer writes it."""
        if on is not None:
            values["schedule"] = Schedule(timetable=AssetTimetable(on))
        if not tasks:
            tasks = (TaskSpec(task_id="t", operator="P"),)
        digest = self.add_workflow(*tasks, workflow_id=workflow_id, **values)
        self.name_assets(workflow_id, digest, values.get("team", "red"))
        self.tell(SpecPublished(workflow_id, digest))

    def name_assets(self, workflow_id: str, digest: str, team: str = "red") -> None:
        with self.database.write() as connection:
            body = connection.execute(select(schema.spec.c.body).where(schema.spec.c.hash == digest)).scalar_one()
            spec = decode_spec(body)
            save_namings(connection, {workflow_id: Naming(team, uses_of(spec), described_in(spec))}, self.clock.now())

    def tell(self, event: SpecPublished | PauseChanged | ForgetAssets) -> None:
        with self.database.write() as connection:
            append_events(connection, [event_row(shard_of(event.workflow_id), None, event, self.clock.now())])

    def emit(self, *assets: AssetRef, aliases: tuple[str, ...] = (), team: str = "red") -> list[int | None]:
        """Events that a person makes."""
        with self.database.write() as connection:
            emissions = [Emission(team=team, asset=one, aliases=aliases) for one in assets]
            return emit(connection, emissions, self.clock.now())

    def tick(self, times: int = 3) -> None:
        for _ in range(times):
            self.scheduler_service.tick()
        self.clock.advance(1)

    def runs(self, workflow_id: str) -> Sequence[Run]:
        with self.database.read() as connection:
            numbers = connection.execute(select(schema.run.c.id).where(schema.run.c.workflow_id == workflow_id))
            return runs_by_number(connection, numbers.scalars())

    def taken(self, workflow_id: str) -> list[tuple[int, int | None]]:
        """(event, run) of all that a workflow has heard of."""
        table = schema.asset_delivery
        with self.database.read() as connection:
            rows = connection.execute(
                select(table.c.event, table.c.run).where(table.c.workflow_id == workflow_id).order_by(table.c.event)
            )
            return [(row.event, row.run) for row in rows]

    def count(self, table: Any) -> int:
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def asset(self, ref: AssetRef, team: str = "red") -> KnownAsset:
        with self.database.read() as connection:
            (found,) = (
                one for one in assets_like(connection, team, [ref]) if (one.name, one.uri) == (ref.name, ref.uri)
            )
            return found

    def end_run(self, workflow_id: str) -> None:
        """Let the tasks of its only running run succeed."""
        (run,) = [one for one in self.runs(workflow_id) if one.state is RunState.RUNNING]
        with self.database.write() as connection:
            ids = connection.execute(
                select(schema.task_instance.c.id).where(schema.task_instance.c.run == run.id)
            ).scalars()
            for number in list(ids):
                self.succeed(connection, run, number)
        self.tick()

    def succeed(self, connection: Any, run: Run, number: int, *assets: AssetEventOut) -> None:
        event = Succeeded(Identity(number, 1, 0), assets=assets)
        append_events(connection, [event_row(run.shard, run.id, event, self.clock.now())])


@pytest.fixture
def stage(database: Database, tmp_path: Path, fence: Fence) -> Stage:
    return Stage(database, tmp_path, fence)


def producing(*assets: AssetRef | AssetAliasKey) -> TaskSpec:
    return TaskSpec(task_id="make", operator="P", outlets=assets)


# --- which assets are active ---------------------------------------------------------------------


def test_an_asset_is_active_while_a_workflow_names_it(stage: Stage) -> None:
    stage.publish("maker", producing(ORDERS))
    assert stage.asset(ORDERS).active
    with stage.database.write() as connection:
        delete_workflow(connection, "maker", NOW)
    assert not stage.asset(ORDERS).active


def test_of_two_assets_with_one_uri_the_first_is_active_until_it_goes(stage: Stage) -> None:
    other = AssetRef("sales", "s3://orders")
    stage.publish("maker", producing(ORDERS))
    stage.publish("rival", producing(other))
    assert (stage.asset(ORDERS).active, stage.asset(other).active) == (True, False)
    with stage.database.write() as connection:
        delete_workflow(connection, "maker", NOW)
    assert (stage.asset(ORDERS).active, stage.asset(other).active) == (False, True)


def test_assets_of_the_same_name_in_two_teams_are_two(stage: Stage) -> None:
    stage.publish("maker", producing(ORDERS))
    stage.publish("theirs", on=ORDERS_KEY, team="blue")
    stage.emit(ORDERS)
    stage.tick()
    assert stage.asset(ORDERS).id != stage.asset(ORDERS, "blue").id
    assert stage.runs("theirs") == []


# --- events ---------------------------------------------------------------------------------------


def test_an_event_of_an_unknown_asset_is_not_written(stage: Stage) -> None:
    assert stage.emit(ORDERS) == [None]
    assert stage.count(schema.asset_event) == 0


def test_an_asset_that_is_attached_to_an_alias_is_made_and_active(stage: Stage) -> None:
    (number,) = stage.emit(ORDERS, aliases=("latest", "all"))
    assert number is not None
    assert stage.asset(ORDERS).active
    with stage.database.read() as connection:
        attached = connection.execute(select(schema.asset_alias.c.alias)).scalars().all()
    assert sorted(attached) == ["all", "latest"]


def test_events_have_ascending_numbers_in_the_order_of_what_is_said(stage: Stage) -> None:
    stage.publish("maker", producing(ORDERS, REPORT))
    numbers = stage.emit(*[ORDERS, REPORT] * 400)
    assert numbers == sorted(numbers, key=lambda each: each or 0)
    assert len(set(numbers)) == 800


# --- runs -----------------------------------------------------------------------------------------


def test_a_success_makes_one_run_of_each_workflow_that_is_scheduled_by_its_outlet(stage: Stage) -> None:
    stage.publish("maker", producing(ORDERS))
    stage.publish("first", on=ORDERS_KEY)
    stage.publish("by_name", on=AssetKey(name="orders"))
    stage.publish("by_uri", on=AssetKey(uri="s3://orders"))
    stage.publish("bystander", on=REPORT_KEY)
    stage.add_run("maker", "r1", state=RunState.QUEUED)
    stage.tick()
    (run,) = stage.runs("maker")
    with stage.database.write() as connection:
        instance = connection.execute(select(schema.task_instance.c.id)).scalar_one()
        stage.succeed(connection, run, instance, AssetEventOut(ORDERS, {"rows": 17}))
    stage.tick()
    for workflow_id in ("first", "by_name", "by_uri"):
        (made,) = stage.runs(workflow_id)
        assert (made.run_type, made.logical_date, made.interval) == (RunType.ASSET_TRIGGERED, None, None)
        assert made.state is RunState.RUNNING
        assert stage.taken(workflow_id) == [(1, made.id)]
    assert stage.runs("bystander") == []
    with stage.database.read() as connection:
        (event,) = connection.execute(select(schema.asset_event)).all()
    assert (event.workflow_id, event.run_id, event.task_id, event.map_index) == ("maker", "r1", "make", -1)
    assert event.extra == {"rows": 17}


def test_a_condition_of_two_waits_for_both_and_takes_every_event(stage: Stage) -> None:
    stage.publish("both", on=AssetAll((ORDERS_KEY, REPORT_KEY)))
    stage.emit(ORDERS)
    stage.tick()
    stage.emit(ORDERS)
    stage.tick()
    assert stage.runs("both") == []
    stage.emit(REPORT)
    last = stage.clock.now()
    stage.tick()
    (run,) = stage.runs("both")
    assert run.run_after == last
    assert stage.taken("both") == [(1, run.id), (2, run.id), (3, run.id)]
    assert stage.count(schema.asset_queue) == 0


def test_either_of_two_is_enough(stage: Stage) -> None:
    stage.publish("either", on=AssetAny((ORDERS_KEY, REPORT_KEY)))
    stage.emit(REPORT)
    stage.tick()
    assert len(stage.runs("either")) == 1


def test_an_alias_stands_for_what_is_attached_to_it(stage: Stage) -> None:
    stage.publish("follower", on=AssetAliasKey("latest"))
    stage.publish("maker", producing(ORDERS))
    stage.emit(ORDERS)
    stage.tick()
    assert stage.runs("follower") == []
    stage.emit(ORDERS, aliases=("latest",))
    stage.tick()
    assert len(stage.runs("follower")) == 1


def test_what_changes_while_a_workflow_is_paused_calls_for_no_run_but_goes_into_the_next(stage: Stage) -> None:
    stage.publish("sleeper", on=ORDERS_KEY, paused=True)
    stage.emit(ORDERS)
    stage.tick()
    stage.tell(PauseChanged("sleeper", False))
    stage.tick()
    assert stage.runs("sleeper") == []
    stage.emit(ORDERS)
    stage.tick()
    (run,) = stage.runs("sleeper")
    assert stage.taken("sleeper") == [(1, run.id), (2, run.id)]


def test_what_was_queued_before_a_pause_makes_its_run_after_it(stage: Stage) -> None:
    stage.publish("full", on=AssetAll((ORDERS_KEY, REPORT_KEY)))
    stage.emit(ORDERS)
    stage.tick()
    stage.tell(PauseChanged("full", True))
    stage.tick()
    stage.tell(PauseChanged("full", False))
    stage.emit(REPORT)
    stage.tick()
    assert len(stage.runs("full")) == 1


def test_a_workflow_without_room_waits_for_its_run_to_end_and_then_takes_all_at_once(stage: Stage) -> None:
    stage.publish("narrow", on=ORDERS_KEY)
    with stage.database.write() as connection:
        connection.execute(schema.workflow.update().values(max_active_runs=1))
    stage.emit(ORDERS)
    stage.tick()
    for _ in range(3):
        stage.emit(ORDERS)
        stage.tick()
    assert len(stage.runs("narrow")) == 1
    stage.end_run("narrow")
    first, second = stage.runs("narrow")
    assert stage.taken("narrow") == [(1, first.id), (2, second.id), (3, second.id), (4, second.id)]


def test_a_scheduler_that_starts_finds_what_waits(stage: Stage) -> None:
    stage.publish("narrow", on=ORDERS_KEY)
    with stage.database.write() as connection:
        connection.execute(schema.workflow.update().values(max_active_runs=1))
    stage.emit(ORDERS)
    stage.tick()
    stage.emit(ORDERS)
    stage.tick()
    stage.restart()
    stage.tick()
    assert len(stage.runs("narrow")) == 1
    stage.end_run("narrow")
    assert len(stage.runs("narrow")) == 2


def test_two_changes_at_one_instant_make_two_runs_if_they_are_heard_of_one_after_the_other(stage: Stage) -> None:
    stage.publish("quick", on=ORDERS_KEY)
    for _ in range(2):
        stage.emit(ORDERS)
        stage.scheduler_service.tick()
    assert len({run.run_id for run in stage.runs("quick")}) == 2


def test_a_schedule_that_no_longer_names_an_asset_forgets_what_waits_of_it(stage: Stage) -> None:
    stage.publish("changing", on=AssetAll((ORDERS_KEY, REPORT_KEY)))
    stage.emit(ORDERS)
    stage.tick()
    assert stage.taken("changing") == [(1, None)]
    spec = stage.add_workflow(
        TaskSpec(task_id="t", operator="P"),
        workflow_id="other",
        schedule=Schedule(timetable=AssetTimetable(REPORT_KEY)),
    )
    with stage.database.write() as connection:
        table = schema.workflow
        connection.execute(table.update().where(table.c.workflow_id == "changing").values(spec_hash=spec))
    stage.name_assets("changing", spec)
    stage.tell(SpecPublished("changing", spec))
    stage.tick()
    assert stage.taken("changing") == []
    assert stage.count(schema.asset_queue) == 0
    stage.emit(REPORT)
    stage.tick()
    assert len(stage.runs("changing")) == 1


def test_a_workflow_that_is_gone_forgets_what_waits(stage: Stage) -> None:
    stage.publish("leaving", on=AssetAll((ORDERS_KEY, REPORT_KEY)))
    stage.emit(ORDERS)
    stage.tick()
    stage.tell(SpecPublished("leaving", stale=True))
    stage.tick()
    assert stage.taken("leaving") == []


def test_what_a_workflow_is_told_to_forget_makes_no_run(stage: Stage) -> None:
    stage.publish("both", on=AssetAll((ORDERS_KEY, REPORT_KEY)))
    stage.emit(ORDERS)
    stage.tick()
    stage.emit(ORDERS)
    stage.tell(ForgetAssets("both", stage.asset(ORDERS).id))
    stage.emit(REPORT)
    stage.tick()
    assert stage.runs("both") == []
    assert stage.taken("both") == [(3, None)]
    stage.emit(ORDERS)
    stage.tick()
    (run,) = stage.runs("both")
    assert stage.taken("both") == [(3, run.id), (4, run.id)]
    stage.tell(ForgetAssets("both"))
    stage.tick()
    assert stage.taken("both") == [(3, run.id), (4, run.id)]


def test_a_shard_that_is_lost_on_the_way_takes_no_run_of_another_with_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piper.scheduler.assets.WORKFLOWS_AT_ONCE", 1)
    for workflow_id in ("a", "b"):
        stage.publish(workflow_id, on=ORDERS_KEY)
    stage.tick()
    stage.emit(ORDERS)
    with stage.database.write() as connection:
        table = schema.shard
        connection.execute(table.update().where(table.c.shard == shard_of("b")).values(owner="other", epoch=2))
    stage.tick()
    (run,) = stage.runs("a")
    assert run.state is RunState.RUNNING
    assert stage.runs("b") == []


def test_where_schedules_are_not_followed_news_of_assets_make_no_runs_and_do_not_pile_up(stage: Stage) -> None:
    stage.publish("report", on=ORDERS_KEY)
    stage.emit(ORDERS)
    stage.scheduler_service = SchedulerService(
        stage.database, Term(stage.fence), stage.clock, stage.wakeups, lambda _: None, by_time=False
    )
    stage.tick()
    assert stage.runs("report") == []
    assert stage.count(schema.event) == 0


def test_a_thousand_changes_are_one_run_when_they_are_heard_of_together(stage: Stage) -> None:
    stage.publish("calm", on=ORDERS_KEY)
    stage.emit(*[ORDERS] * 1000)
    stage.tick()
    (run,) = stage.runs("calm")
    assert [taken for _, taken in stage.taken("calm")] == [run.id] * 1000
