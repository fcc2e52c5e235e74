"""Backfills over the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import select

from piper.model.backfill import BackfillState
from piper.model.events import BackfillCancelled, BackfillPauseChanged, BackfillQueued
from piper.model.schedule import CronTimetable, Schedule
from piper.model.spec import ParamSpec, TaskSpec
from piper.model.states import RunState
from piper.settings import Settings
from piper.store import schema
from piper.store.database import Database
from piper.store.events import pending_events
from piper.web.parts import WebParts
from tests.integration.web.owner import Owner
from tests.integration.web.rows import Rows

DAILY = {"schedule": Schedule(timetable=CronTimetable(("0 0 * * *",)))}
JANUARY = {"from_date": "2025-01-01T00:00:00Z", "to_date": "2025-01-10T00:00:00Z"}
PATH = "/api/v1/workflows/sales/backfills"


@pytest.fixture(autouse=True)
def sales(rows: Rows) -> None:
    rows.workflow("sales", spec=DAILY, params={"model": ParamSpec({"type": "string"}, "v1")})


def events(database: Database) -> list[Any]:
    with database.read() as connection:
        return [stored.event for stored in pending_events(connection, range(256), 100)]


def audited(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        return [(row.action, row.object_id) for row in connection.execute(select(schema.audit))]


def test_asking_for_a_backfill_stores_it_tells_its_owner_and_is_audited(red: httpx.Client, database: Database) -> None:
    reply = red.post(PATH, json=JANUARY | {"conf": {"model": "v2"}, "max_active_runs": 2, "note": "redo"})
    assert reply.status_code == 201
    made = reply.json()
    assert reply.headers["location"] == f"/api/v1/backfills/{made['id']}"
    assert (made["state"], made["version"], made["created_by"]) == ("creating", 1, "red")
    assert made["progress"] == {
        "total": 10, "created": 0, "rerun": 0, "existed": 0, "in_flight": 0,
        "queued": 0, "running": 0, "success": 0, "failed": 0,
    }  # fmt: skip
    assert red.get(reply.headers["location"]).json() == made
    assert events(database) == [BackfillQueued(made["id"])]
    assert audited(database) == [("backfill.create", f"sales/{made['id']}")]


def test_asked_for_again_with_the_same_key_it_is_one(red: httpx.Client, database: Database) -> None:
    replies = [red.post(PATH, json=JANUARY, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    assert len(events(database)) == 1


def test_a_second_one_of_the_same_workflow_is_refused(red: httpx.Client) -> None:
    first = red.post(PATH, json=JANUARY).json()["id"]
    reply = red.post(PATH, json=JANUARY)
    assert reply.status_code == 409
    assert f"has backfill {first} already" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"from_date": "2025-02-01T00:00:00Z"}, 422, "ends before it begins"),
        ({"from_date": "2999-01-01T00:00:00Z", "to_date": "2999-01-02T00:00:00Z"}, 422, "begins in the future"),
        ({"from_date": "2025-01-01T01:00:00Z", "to_date": "2025-01-01T02:00:00Z"}, 422, "has no date"),
        ({"from_date": "0001-01-01T00:00:00+14:00"}, 422, "between 1900 and 9000"),
        ({"from_date": "2025-01-01T00:00:00"}, 422, "from_date"),
        ({"conf": {"modle": "v2"}}, 422, "did you mean 'model'"),
        ({"conf": {"model": 2}}, 422, "param 'model'"),
        ({"reprocess": "all"}, 422, "reprocess"),
        ({"max_active_runs": 0}, 422, "max_active_runs"),
        ({"version": 7}, 404, "has no version 7"),
        ({"direction": "up"}, 422, "direction"),
    ],
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}/dry-run"])
def test_what_cannot_be_done_is_said_before_anything_is_stored(
    red: httpx.Client, database: Database, path: str, change: dict[str, Any], status: int, said: str
) -> None:
    reply = red.post(path, json=JANUARY | change)
    assert (reply.status_code, said in reply.json()["detail"]) == (status, True), reply.text
    assert red.get("/api/v1/backfills").json()["items"] == []
    assert events(database) == []


def test_a_workflow_without_a_schedule_or_without_its_file_is_refused(red: httpx.Client, rows: Rows) -> None:
    rows.workflow("by_hand")
    rows.workflow("gone", spec=DAILY, stale=True)
    for workflow, said in (("by_hand", "has no schedule by time"), ("gone", "bring its file back")):
        reply = red.post(f"/api/v1/workflows/{workflow}/backfills", json=JANUARY)
        assert (reply.status_code, said in reply.json()["detail"]) == (409, True)


def test_what_depends_on_its_past_goes_forwards(red: httpx.Client, rows: Rows) -> None:
    rows.workflow("chained", spec=DAILY, tasks=(TaskSpec("load", "x", depends_on_past=True),))
    reply = red.post("/api/v1/workflows/chained/backfills", json=JANUARY | {"backwards": True, "reprocess": "failed"})
    assert (reply.status_code, "forwards" in reply.json()["detail"]) == (409, True)


def test_the_limit_of_dates_is_a_setting(
    red: httpx.Client, parts: WebParts, settings_of_test: Callable[[Settings], None]
) -> None:
    core = msgspec.structs.replace(parts.settings.core, backfill_limit=9)
    settings_of_test(msgspec.structs.replace(parts.settings, core=core))
    assert "more than 9 dates" in red.post(PATH, json=JANUARY).json()["detail"]


def test_a_dry_run_tells_what_would_happen_page_by_page_and_changes_nothing(
    red: httpx.Client, rows: Rows, database: Database
) -> None:
    base = datetime(2025, 1, 1, tzinfo=UTC)
    states = [RunState.SUCCESS, RunState.FAILED, RunState.RUNNING]
    for day, state in enumerate(states):
        run = rows.run("sales", 100 + day, state=state)
        rows.change_run(run, logical_date=base + timedelta(days=day), run_id=f"r{day}")
    body = JANUARY | {"reprocess": "failed", "backwards": True}
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = red.post(f"{PATH}/dry-run", json=body, params=query).json()
        assert (page["total"], page["version"]) == (10, 1)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [row["logical_date"][:10] for row in found] == [f"2025-01-{day:02}" for day in range(10, 0, -1)]
    assert [row["action"] for row in found] == [*["create"] * 7, "in flight", "rerun", "exists"]
    assert [row["run_id"] for row in found[-3:]] == ["r2", "r1", "r0"]
    assert red.get("/api/v1/backfills").json()["items"] == []
    assert (events(database), audited(database)) == ([], [])
    wrong = red.post(f"{PATH}/dry-run", json=body, params={"cursor": "WyJ4IiwxXQ"})
    assert wrong.status_code == 422


def test_progress_counts_the_runs_in_each_state(red: httpx.Client, rows: Rows) -> None:
    number = rows.backfill("sales", total=6, created=4, existed=1)
    for day, state in enumerate([RunState.QUEUED, RunState.RUNNING, RunState.FAILED, RunState.SUCCESS]):
        rows.run("sales", day, state=state, backfill=number)
    rows.run("sales", 9)
    shown = red.get(f"/api/v1/backfills/{number}").json()
    assert shown["progress"] == {
        "total": 6, "created": 4, "rerun": 0, "existed": 1, "in_flight": 0,
        "queued": 1, "running": 1, "success": 1, "failed": 1,
    }  # fmt: skip
    assert red.get("/api/v1/backfills").json()["items"] == [shown]
    runs = red.get("/api/v1/runs", params={"backfill": number}).json()["items"]
    assert {run["backfill"] for run in runs} == {number}
    assert len(runs) == 4
    assert len(red.get("/api/v1/workflows/sales/runs", params={"backfill": number}).json()["items"]) == 4


def test_backfills_are_listed_by_workflow_and_state(red: httpx.Client, rows: Rows) -> None:
    rows.workflow("other", spec=DAILY)
    done = rows.backfill("sales", state=BackfillState.COMPLETED)
    active = rows.backfill("sales")
    other = rows.backfill("other")

    def listed(**query: Any) -> list[int]:
        return [row["id"] for row in red.get("/api/v1/backfills", params=query).json()["items"]]

    assert listed() == [other, active, done]
    assert listed(workflow_id="sales") == [active, done]
    assert listed(state=["completed", "cancelled"]) == [done]
    page = red.get("/api/v1/backfills", params={"limit": 2}).json()
    assert listed(cursor=page["next_cursor"]) == [done]


def test_pause_resume_and_cancel_are_commands_to_the_owner(
    red: httpx.Client, rows: Rows, owner: Owner, database: Database
) -> None:
    number = rows.backfill("sales")
    for verb, paused, state in (
        ("pause", True, "running"),
        ("resume", False, "running"),
        ("cancel", False, "cancelling"),
    ):
        reply = red.post(f"/api/v1/backfills/{number}/{verb}")
        assert (reply.status_code, reply.json()["command"]) == (200, verb)
        shown = red.get(f"/api/v1/backfills/{number}").json()
        assert (shown["paused"], shown["state"]) == (paused, state)
    assert [each.event for each in owner.applied] == [
        BackfillPauseChanged(number, True),
        BackfillPauseChanged(number, False),
        BackfillCancelled(number),
    ]
    assert [action for action, _ in audited(database)] == ["backfill.pause", "backfill.resume", "backfill.cancel"]


def test_one_that_is_done_takes_no_commands(red: httpx.Client, rows: Rows, database: Database) -> None:
    number = rows.backfill("sales", state=BackfillState.COMPLETED)
    for verb in ("pause", "resume", "cancel"):
        reply = red.post(f"/api/v1/backfills/{number}/{verb}")
        assert (reply.status_code, "it is completed" in reply.json()["detail"]) == (409, True)
    assert events(database) == []


def test_a_workflow_with_a_backfill_is_not_deleted(red: httpx.Client, rows: Rows, database: Database) -> None:
    rows.workflow("old", spec=DAILY, paused=True)
    number = rows.backfill("old")
    reply = red.delete("/api/v1/workflows/old")
    assert (reply.status_code, f"backfill {number}" in reply.json()["detail"]) == (409, True)
    with database.write() as connection:
        connection.execute(schema.backfill.update().values(state=BackfillState.CANCELLED, ended_at=datetime.now(UTC)))
    assert red.delete("/api/v1/workflows/old").status_code == 204
    assert red.get(f"/api/v1/backfills/{number}").status_code == 404
