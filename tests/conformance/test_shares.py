"""What an owner reads of its own shards is all there, however much others are behind with; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from piper.model.events import PauseChanged
from piper.model.ids import shard_of
from piper.model.schedule import DataInterval, RunDates
from piper.store import commands, schema
from piper.store.database import Database
from piper.store.events import append_events, event_row, pending_events
from piper.store.schedules import due_workflows, unplanned_workflows
from tests.integration.web.rows import Rows

NOW = datetime(2026, 11, 20, tzinfo=UTC)
IDS = [f"w{number}" for number in range(20)]
MINE, *OTHERS = sorted(IDS, key=shard_of)
"""A workflow, and those of other owners."""


def test_due_workflows_of_others_do_not_hide_those_of_an_owner(database: Database) -> None:
    rows = Rows(database)
    for workflow_id in IDS:
        late = timedelta(hours=1 if workflow_id == MINE else 2)
        dates = RunDates(NOW, DataInterval(NOW, NOW), NOW)
        rows.workflow(workflow_id, next_run_after=NOW - late, next_dates=dates)
    with database.read() as connection:
        assert [w.workflow_id for w in due_workflows(connection, {shard_of(MINE)}, NOW, 5)] == [MINE]
        assert len(due_workflows(connection, range(256), NOW, 5)) == 5


def test_unplanned_workflows_of_others_do_not_hide_those_of_an_owner(database: Database) -> None:
    rows = Rows(database)
    for workflow_id in (*OTHERS, MINE):
        rows.workflow(workflow_id)
    with database.read() as connection:
        assert [w.workflow_id for w in unplanned_workflows(connection, {shard_of(MINE)}, 5)] == [MINE]
        assert len(unplanned_workflows(connection, range(256), 5)) == 5


def test_events_of_others_do_not_hide_those_of_an_owner_of_nearly_all(database: Database) -> None:
    event = PauseChanged("w", True)
    with database.write() as connection:
        append_events(connection, [event_row(0, None, event, NOW) for _ in range(10)])
        append_events(connection, [event_row(255, None, event, NOW)])
    with database.read() as connection:
        assert [stored.shard for stored in pending_events(connection, range(1, 256), 5)] == [255]
        assert [stored.shard for stored in pending_events(connection, range(256), 5)] == [0] * 5


def test_as_many_commands_as_one_call_may_send_are_waited_for(database: Database) -> None:
    with database.write() as connection:
        sent = [commands.send(connection, "w", None, PauseChanged("w", True), NOW) for _ in range(1001)]
    with database.read() as connection:
        assert commands.count_pending(connection, sent) == 1001
    with database.write() as connection:
        connection.execute(schema.event.delete().where(schema.event.c.id != sent[0].id))
    with database.read() as connection:
        assert commands.count_pending(connection, sent) == 1
        assert commands.count_pending(connection, [commands.Sent(sent[0].id, NOW - timedelta(seconds=1))]) == 0
