"""What cannot be decided is put aside alone, and everything else of its owner goes on; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from piper.model.backfill import BackfillState
from piper.model.events import BackfillCancelled, BackfillQueued, PauseChanged, RunQueued, SpecPublished
from piper.model.ids import shard_of
from piper.model.schedule import CronTimetable, DeltaTimetable, Schedule
from piper.model.spec import TaskSpec
from piper.model.states import RunState, RunType
from piper.scheduler import schedules
from piper.store import schema
from piper.store.backfills import backfills_by_number, create_backfill
from piper.store.commands import send
from piper.store.database import Database, Fence
from piper.store.events import append_events, event_row
from tests.backfills import NEW_YEAR, a_backfill
from tests.conformance.test_assets import ORDERS, ORDERS_KEY, Stage

DAILY = Schedule(timetable=CronTimetable(("0 0 * * *",)), start=datetime(2026, 1, 1, tzinfo=UTC), catchup=True)
DAY = timedelta(days=1)


class Owner(Stage):
    """A scheduler, and somebody who spoils what is stored."""

    def spoil(self, workflow_id: str) -> None:
        """Make the spec of a workflow unreadable."""
        self._write(workflow_id, "{}")

    def repair(self, workflow_id: str, body: str) -> None:
        self._write(workflow_id, body)
        self.tell(SpecPublished(workflow_id, self.spec_of(workflow_id)[0]))

    def spec_of(self, workflow_id: str) -> tuple[str, str]:
        """(hash, body)."""
        statement = select(schema.spec.c.hash, schema.spec.c.body).join_from(
            schema.spec, schema.workflow, schema.workflow.c.spec_hash == schema.spec.c.hash
        )
        with self.database.read() as connection:
            row = connection.execute(statement.where(schema.workflow.c.workflow_id == workflow_id)).one()
            return row.hash, row.body

    def _write(self, workflow_id: str, body: str) -> None:
        digest, _ = self.spec_of(workflow_id)
        with self.database.write() as connection:
            connection.execute(schema.spec.update().where(schema.spec.c.hash == digest).values(body=body))

    def next_moment(self, workflow_id: str) -> datetime | None:
        with self.database.read() as connection:
            table = schema.workflow
            moment = connection.execute(select(table.c.next_run_after).where(table.c.workflow_id == workflow_id))
            return moment.scalar_one()  # type: ignore[no-any-return]

    @property
    def quarantined(self) -> Any:
        return self.scheduler_service.quarantined

    def rest(self) -> float:
        """Tick until there is nothing more to do at once: how long it then waits."""
        for _ in range(50):
            wait = self.scheduler_service.tick()
            if wait > 0.01:
                return wait
        raise AssertionError("it does not come to rest")


@pytest.fixture
def owner(database: Database, tmp_path: Path, fence: Fence) -> Owner:
    return Owner(database, tmp_path, fence)


def test_a_workflow_whose_spec_cannot_be_read_does_not_stop_the_schedules_of_others(owner: Owner) -> None:
    for workflow_id in ("bad", "good"):
        owner.publish(workflow_id, schedule=DAILY, description=workflow_id)
    _, body = owner.spec_of("bad")
    owner.spoil("bad")
    owner.rest()
    assert owner.next_moment("good") is not None
    assert owner.next_moment("bad") is None
    assert owner.quarantined == {"run": 0, "workflow": 1, "backfill": 0, "event": 0}
    owner.repair("bad", body)
    owner.rest()
    assert owner.next_moment("bad") == owner.next_moment("good")
    assert owner.quarantined["workflow"] == 0


def test_a_timetable_that_raises_when_a_run_is_due_does_not_stop_those_of_others(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hourly = Schedule(timetable=DeltaTimetable(timedelta(hours=1)), start=datetime(2026, 1, 1, 13, tzinfo=UTC))
    owner.publish("bad", schedule=hourly)
    owner.publish("good", schedule=DAILY)
    owner.rest()
    due_runs = schedules.due_runs

    def overflow(schedule: Schedule, *rest: Any) -> Any:
        if isinstance(schedule.timetable, DeltaTimetable):
            raise OverflowError("date value out of range")
        return due_runs(schedule, *rest)

    monkeypatch.setattr(schedules, "due_runs", overflow)
    owner.clock.advance(2 * DAY.total_seconds())
    assert owner.rest() > 0.5, "what is put aside must not keep it busy"
    assert owner.runs("good")
    assert not owner.runs("bad")
    assert owner.quarantined["workflow"] == 1
    assert "workflow bad cannot be decided and is put aside until it is published" in caplog.text
    monkeypatch.setattr(schedules, "due_runs", due_runs)
    owner.tell(PauseChanged("bad", False))
    owner.rest()
    assert owner.runs("bad"), "the date is not lost"


def test_what_a_workflow_hears_of_assets_waits_for_it_while_it_cannot_be_decided(owner: Owner) -> None:
    for workflow_id in ("bad", "good"):
        owner.publish(workflow_id, on=ORDERS_KEY, description=workflow_id)
    owner.rest()
    _, body = owner.spec_of("bad")
    owner.spoil("bad")
    owner.restart()
    (event,) = owner.emit(ORDERS)
    owner.rest()
    assert [run.run_type for run in owner.runs("good")] == [RunType.ASSET_TRIGGERED]
    assert owner.taken("bad") == [(event, None)]
    assert owner.quarantined["workflow"] == 1
    owner.repair("bad", body)
    owner.rest()
    (run,) = owner.runs("bad")
    assert owner.taken("bad") == [(event, run.id)]


def test_a_condition_that_raises_stops_no_runs_of_others(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    from piper.scheduler import assets

    for workflow_id in ("bad", "good"):
        owner.publish(workflow_id, on=ORDERS_KEY, description=workflow_id)
    owner.rest()
    make = assets._run

    def fail(workflow: Any, *rest: Any) -> Any:
        return make(workflow, *rest) if workflow.workflow_id == "good" else 1 / 0

    monkeypatch.setattr(assets, "_run", fail)
    owner.emit(ORDERS)
    owner.rest()
    assert (len(owner.runs("good")), len(owner.runs("bad"))) == (1, 0)
    assert owner.quarantined["workflow"] == 1


def test_a_backfill_that_cannot_be_expanded_stops_no_other_and_can_be_cancelled(owner: Owner) -> None:
    numbers = {}
    for workflow_id in ("bad", "good"):
        owner.publish(workflow_id, schedule=DAILY, description=workflow_id)
        digest, _ = owner.spec_of(workflow_id)
        with owner.database.write() as connection:
            wanted = a_backfill(workflow_id, to_date=NEW_YEAR + 2 * DAY, total=3, spec_hash=digest)
            numbers[workflow_id] = create_backfill(connection, wanted).id
            send(connection, workflow_id, None, BackfillQueued(numbers[workflow_id]), owner.clock.now())
    owner.spoil("bad")
    owner.rest()
    assert len([run for run in owner.runs("good") if run.backfill == numbers["good"]]) == 3
    assert owner.quarantined["backfill"] == 1
    with owner.database.write() as connection:
        send(connection, "bad", None, BackfillCancelled(numbers["bad"]), owner.clock.now())
    owner.rest()
    with owner.database.read() as connection:
        assert backfills_by_number(connection, [numbers["bad"]])[numbers["bad"]].state is BackfillState.CANCELLED
    assert owner.quarantined["backfill"] == 0


def test_a_run_whose_spec_cannot_be_read_is_put_aside_with_its_events(owner: Owner) -> None:
    made = {}
    for workflow_id in ("bad", "good"):
        owner.publish(workflow_id, description=workflow_id)
        made[workflow_id] = owner.add_run(workflow_id, state=RunState.QUEUED)
        told = event_row(shard_of(workflow_id), made[workflow_id], RunQueued(made[workflow_id]), owner.clock.now())
        with owner.database.write() as connection:
            append_events(connection, [told])
    owner.spoil("bad")
    owner.rest()
    assert owner.runs("good")[0].state is RunState.RUNNING
    assert owner.runs("bad")[0].state is RunState.QUEUED
    assert owner.quarantined["run"] == 1
    assert owner.events() == [RunQueued(made["bad"])], "it waits"


def test_an_event_that_cannot_be_read_stops_its_run_alone(owner: Owner) -> None:
    made = {}
    for workflow_id in ("bad", "good"):
        owner.publish(workflow_id, description=workflow_id)
        made[workflow_id] = owner.add_run(workflow_id, state=RunState.QUEUED)
    now, shard = owner.clock.now(), shard_of("bad")
    spoilt = {"body": b'{"type":"of_a_later_version"}'}
    rows = [
        event_row(shard, made["bad"], RunQueued(made["bad"]), now),
        event_row(shard, made["bad"], RunQueued(made["bad"]), now) | spoilt,
        event_row(shard, None, RunQueued(0), now) | spoilt,
        event_row(shard_of("good"), made["good"], RunQueued(made["good"]), now),
    ]
    with owner.database.write() as connection:
        append_events(connection, rows)
    assert owner.rest() > 0.5, "what is put aside must not keep it busy"
    assert owner.runs("good")[0].state is RunState.RUNNING
    assert owner.runs("bad")[0].state is RunState.QUEUED
    assert owner.quarantined == {"run": 1, "workflow": 0, "backfill": 0, "event": 1}
    with owner.database.read() as connection:
        waiting = connection.execute(select(schema.event.c.run).order_by(schema.event.c.id)).scalars().all()
    assert waiting == [made["bad"], made["bad"], None], "nothing of it is lost"


def test_a_run_that_may_take_longer_than_there_are_dates_never_takes_too_long(owner: Owner) -> None:
    owner.publish("endless", TaskSpec(task_id="t", operator="P"), run_timeout=timedelta.max)
    owner.add_run("endless", started_at=owner.clock.now())
    owner.rest()
    assert owner.runs("endless")[0].state is RunState.RUNNING
