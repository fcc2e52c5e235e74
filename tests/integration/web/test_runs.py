"""Runs over the API."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import httpx
import pytest

from piper.model.events import RunQueued
from piper.model.ids import SHARDS
from piper.model.schedule import CronTimetable, Schedule
from piper.model.spec import ParamSpec
from piper.model.states import RunState, RunType, TaskState
from piper.store.database import Database
from piper.store.events import pending_events
from piper.web.parts import WebParts
from tests.integration.web.rows import THEN, Rows

RUNS = "/api/v1/workflows/sales/runs"


def test_a_run_is_made_queued_pinned_and_announced(
    root: httpx.Client, rows: Rows, database: Database, parts: WebParts
) -> None:
    rows.workflow("sales", snapshot="5" * 32)
    woken = parts.wakeups.listen("scheduler")
    reply = root.post(RUNS, json={"logical_date": "2026-11-20T01:00:00+01:00", "note": "why"})
    assert reply.status_code == 201
    run = reply.json()
    assert reply.headers["location"] == f"/api/v1/runs/{run['id']}"
    assert (run["state"], run["run_type"], run["note"], run["triggered_by"]) == ("queued", "manual", "why", "root")
    assert run["run_id"] == "manual__2026-11-20T00:00:00+00:00"
    assert run["snapshot"] == "5" * 32
    assert run["spec_hash"] == root.get("/api/v1/workflows/sales").json()["spec_hash"]
    with database.read() as connection:
        [event] = pending_events(connection, range(SHARDS), 10)
    assert event.event == RunQueued(run["id"])
    assert woken.wait(0)


def test_a_run_without_a_date_is_about_now_unless_it_shall_have_none(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    now = root.post(RUNS, json={}).json()
    assert abs(datetime.fromisoformat(now["logical_date"]) - datetime.now(UTC)).total_seconds() < 60
    none = root.post(RUNS, json={"logical_date": None}).json()
    assert none["logical_date"] is None
    assert none["data_interval_start"] is None
    again = root.post(RUNS, json={"logical_date": None})
    assert again.status_code == 201, "two runs without a date have different run ids"


def test_the_data_interval_follows_the_timetable_or_what_is_given(root: httpx.Client, rows: Rows) -> None:
    daily = Schedule(CronTimetable(("0 0 * * *",), data_interval=True))
    rows.workflow("sales", spec={"schedule": daily})
    found = root.post(RUNS, json={"logical_date": "2026-11-20T10:00:00Z"}).json()
    assert (found["data_interval_start"], found["data_interval_end"]) == (
        "2026-11-19T00:00:00Z",
        "2026-11-20T00:00:00Z",
    )
    given = {"data_interval_start": "2026-01-01T00:00:00Z", "data_interval_end": "2026-02-01T00:00:00Z"}
    found = root.post(RUNS, json={"logical_date": "2026-11-20T11:00:00Z", **given}).json()
    assert found["data_interval_start"] == "2026-01-01T00:00:00Z"
    half = {"data_interval_start": "2026-01-01T00:00:00Z"}
    assert root.post(RUNS, json=half).status_code == 422


@pytest.mark.parametrize("second", [{"run_id": "r1"}, {"logical_date": "2026-11-20T00:00:00Z", "run_id": "r2"}])
def test_a_taken_run_id_or_logical_date_is_a_conflict(
    root: httpx.Client, rows: Rows, second: dict[str, object]
) -> None:
    rows.workflow("sales")
    first = {"run_id": "r1", "logical_date": "2026-11-20T00:00:00Z"}
    assert root.post(RUNS, json=first).status_code == 201
    reply = root.post(RUNS, json=second)
    assert reply.status_code == 409
    assert "'r1'" in reply.json()["detail"]
    assert len(root.get(RUNS).json()["items"]) == 1


def test_a_conflict_of_runs_without_dates_names_the_run_that_is_meant(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    for run_id in ("r1", "r2"):
        assert root.post(RUNS, json={"run_id": run_id, "logical_date": None}).status_code == 201
    assert "has run 'r2' already" in root.post(RUNS, json={"run_id": "r2", "logical_date": None}).json()["detail"]


def test_params_are_checked_against_their_schemas(root: httpx.Client, rows: Rows) -> None:
    params = {
        "region": ParamSpec({"type": "string", "enum": ["north", "south"]}, required=True),
        "limit": ParamSpec({"type": "integer", "minimum": 1}, default=10),
    }
    rows.workflow("sales", params=params)
    assert "'region' has no default" in root.post(RUNS, json={}).json()["detail"]
    wrong = root.post(RUNS, json={"conf": {"region": "west", "limit": 0}})
    assert wrong.status_code == 422
    assert "'region'" in wrong.json()["detail"]
    assert "'limit'" in wrong.json()["detail"]
    good = root.post(RUNS, json={"conf": {"region": "north", "unasked": 1}})
    assert good.status_code == 201
    assert good.json()["conf"] == {"region": "north", "unasked": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"run_id": "../x"},
        {"run_id": "a b"},
        {"run_id": ""},
        {"logical_date": "2026-11-20T00:00:00"},
        {"logical_date": "soon"},
        {"conf": [1]},
        {"unknown": 1},
        {"conf": {"x": "\0"}},
    ],
)
def test_a_run_with_wrong_values_is_refused(root: httpx.Client, rows: Rows, body: dict[str, object]) -> None:
    rows.workflow("sales")
    assert root.post(RUNS, json=body).status_code == 422
    assert root.get(RUNS).json()["items"] == []


def test_a_workflow_that_takes_no_manual_runs_gets_none(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales", spec={"allowed_run_types": (RunType.SCHEDULED,)})
    reply = root.post(RUNS, json={})
    assert reply.status_code == 409
    assert "not started by hand" in reply.json()["detail"]


def test_a_workflow_whose_file_is_gone_gets_no_run(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales", stale=True)
    assert root.post(RUNS, json={}).status_code == 409


def test_runs_are_listed_latest_first_and_filtered(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    rows.workflow("other")
    first, second = rows.run("sales", 1, state=RunState.FAILED), rows.run("sales", 2)
    third = rows.run("other", 1)
    assert [run["id"] for run in root.get("/api/v1/runs").json()["items"]] == [third.id, second.id, first.id]
    assert [run["id"] for run in root.get(RUNS).json()["items"]] == [second.id, first.id]
    failed = root.get("/api/v1/runs", params={"state": ["failed", "success"]}).json()["items"]
    assert [run["id"] for run in failed] == [first.id]
    late = root.get(RUNS, params={"logical_date_from": "2026-11-03T00:00:00Z"}).json()["items"]
    assert [run["id"] for run in late] == [second.id]
    assert root.get("/api/v1/runs", params={"state": "fialed"}).status_code == 422


def test_a_run_tells_how_far_its_tasks_have_come(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    run = rows.run("sales")
    rows.instance(run, "a", TaskState.SUCCESS, 0)
    rows.instance(run, "b", TaskState.SUCCESS, 1)
    rows.instance(run, "c", TaskState.NONE, 2)
    by_number = root.get(f"/api/v1/runs/{run.id}").json()
    assert by_number["tasks"] == {"none": 1, "success": 2}
    assert root.get(f"{RUNS}/{run.run_id}").json() == by_number


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999", "1.5"])
def test_a_run_number_that_cannot_be_one_is_refused(root: httpx.Client, number: str) -> None:
    assert root.get(f"/api/v1/runs/{number}").status_code == 422


def test_waiting_for_a_run_answers_when_it_ends(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    run = rows.run("sales")
    assert root.get(f"/api/v1/runs/{run.id}/wait", params={"timeout": 0}).json()["state"] == "queued"
    waits = threading.Event()

    def end() -> None:
        waits.wait()
        rows.change_run(run, state=RunState.SUCCESS, ended_at=THEN)

    ending = threading.Thread(target=end)
    ending.start()
    waits.set()
    assert root.get(f"/api/v1/runs/{run.id}/wait", params={"timeout": 30}).json()["state"] == "success"
    ending.join()
