"""Clearing, marking and cancelling over the API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from piper.model.events import Clear, InstanceRef, Mark, MarkRun
from piper.model.run import Run
from piper.model.spec import TaskSpec
from piper.model.states import RunState, TaskState
from piper.store import schema
from tests.integration.web.owner import Owner
from tests.integration.web.rows import THEN, Rows

TASKS = (
    TaskSpec("extract", "x"),
    TaskSpec("load", "x", upstream=("extract",)),
    TaskSpec("report", "x", upstream=("load",)),
    TaskSpec("other", "x"),
)


@pytest.fixture
def run(rows: Rows) -> Run:
    """A run that failed at `load`."""
    rows.workflow("sales", tasks=TASKS)
    run = rows.run("sales", 5, state=RunState.FAILED)
    states = (TaskState.SUCCESS, TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.SUCCESS)
    for ordinal, (task, state) in enumerate(zip(TASKS, states, strict=True)):
        rows.instance(run, task.task_id, state, ordinal)
    return run


def named(reply: httpx.Response) -> list[str]:
    return [row["task_id"] for row in reply.json()["affected"]]


def test_a_whole_run_is_cleared_when_no_task_is_named(root: httpx.Client, run: Run, owner: Owner) -> None:
    reply = root.post(f"/api/v1/runs/{run.id}/clear", json={"version": "pinned"})
    assert reply.status_code == 200
    assert named(reply) == ["extract", "load", "report", "other"]
    [sent] = owner.applied
    assert sent.event == Clear(run.id, tuple(InstanceRef(task.task_id) for task in TASKS))
    assert (sent.shard, sent.run) == (run.shard, run.id)


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ({}, {"load"}),
        ({"upstream": True}, {"extract", "load"}),
        ({"downstream": True}, {"load", "report"}),
        ({"upstream": True, "downstream": True}, {"extract", "load", "report"}),
    ],
)
def test_what_lies_above_and_below_is_resolved_here(
    root: httpx.Client, run: Run, owner: Owner, around: dict[str, bool], expected: set[str]
) -> None:
    body = {"tasks": [{"task_id": "load"}], "version": "pinned", **around}
    assert set(named(root.post(f"/api/v1/runs/{run.id}/clear", json=body))) == expected
    [sent] = owner.applied
    assert isinstance(sent.event, Clear)
    assert {ref.task_id for ref in sent.event.tasks} == expected


def test_a_dry_run_tells_what_would_be_cleared_and_sends_nothing(root: httpx.Client, run: Run, owner: Owner) -> None:
    reply = root.post(f"/api/v1/runs/{run.id}/clear", json={"only_failed": True, "dry_run": True})
    assert reply.status_code == 200
    assert named(reply) == ["load", "report"]
    assert owner.applied == []
    assert root.get("/api/v1/audit").json()["items"] == []


def test_earlier_and_later_runs_are_cleared_too_on_demand(
    root: httpx.Client, rows: Rows, run: Run, owner: Owner
) -> None:
    before, after = rows.run("sales", 4), rows.run("sales", 6)
    body: dict[str, Any] = {"tasks": [{"task_id": "load"}], "past": True}
    root.post(f"/api/v1/runs/{run.id}/clear", json=body)
    assert {sent.run for sent in owner.applied} == {before.id, run.id}
    owner.applied.clear()
    root.post(f"/api/v1/runs/{run.id}/clear", json=body | {"past": False, "future": True})
    assert {sent.run for sent in owner.applied} == {run.id, after.id}


@pytest.mark.parametrize(
    ("kind", "version", "moves"),
    [
        ("folder", "default", True),
        ("git", "default", False),
        ("git", "latest", True),
        ("folder", "pinned", False),
    ],
)
def test_a_cleared_run_takes_the_newest_version_from_folders_and_keeps_its_own_from_git(
    root: httpx.Client, rows: Rows, run: Run, owner: Owner, kind: str, version: str, moves: bool
) -> None:
    rows.add(schema.bundle, name="dags", team="red", kind=kind, location="/x")
    rows.change_run(run, bundle="dags", spec_hash="old", snapshot="older")
    rows.add(schema.spec, hash="old", body=root.get("/api/v1/workflows/sales/spec").text)
    root.post(f"/api/v1/runs/{run.id}/clear", json={"version": version})
    [sent] = owner.applied
    newest = root.get("/api/v1/workflows/sales").json()["spec_hash"]
    assert isinstance(sent.event, Clear)
    assert sent.event.spec_hash == (newest if moves else "")
    assert sent.event.snapshot == ("0" * 32 if moves else "")


def test_tasks_are_marked_with_a_state(root: httpx.Client, run: Run, owner: Owner) -> None:
    body = {"tasks": [{"task_id": "load", "map_index": 3}], "state": "success"}
    assert root.post(f"/api/v1/runs/{run.id}/mark", json=body).status_code == 200
    assert [sent.event for sent in owner.applied] == [Mark(run.id, (InstanceRef("load", 3),), TaskState.SUCCESS)]


def test_a_run_is_marked_when_no_task_is_named(root: httpx.Client, run: Run, owner: Owner) -> None:
    root.post(f"/api/v1/runs/{run.id}/mark", json={"state": "success"})
    assert [sent.event for sent in owner.applied] == [MarkRun(run.id, RunState.SUCCESS)]
    assert root.post(f"/api/v1/runs/{run.id}/mark", json={"state": "skipped"}).status_code == 422


def test_an_unfinished_run_is_cancelled(root: httpx.Client, rows: Rows, owner: Owner) -> None:
    rows.workflow("sales")
    run = rows.run("sales", state=RunState.RUNNING)
    rows.instance(run, "say", TaskState.RUNNING)
    reply = root.post(f"/api/v1/runs/{run.id}/cancel")
    assert reply.status_code == 200
    assert named(reply) == ["say"]
    assert [sent.event for sent in owner.applied] == [MarkRun(run.id, RunState.FAILED, "cancelled")]
    assert root.get(f"/api/v1/runs/{run.id}").json()["reason"] == "cancelled"


def test_a_run_that_has_ended_is_not_cancelled(root: httpx.Client, run: Run) -> None:
    assert root.post(f"/api/v1/runs/{run.id}/cancel").status_code == 409


def test_an_unknown_task_is_answered_with_the_nearest(root: httpx.Client, run: Run) -> None:
    reply = root.post(f"/api/v1/runs/{run.id}/clear", json={"tasks": [{"task_id": "reprot"}]})
    assert reply.status_code == 422
    assert "did you mean 'report'?" in reply.json()["detail"]


def test_a_run_without_a_date_has_no_past(root: httpx.Client, rows: Rows, owner: Owner) -> None:
    rows.workflow("sales")
    rows.run("sales", 1)
    run = rows.run("sales", 2, logical_date=None, created_at=THEN)
    root.post(f"/api/v1/runs/{run.id}/clear", json={"past": True, "future": True})
    assert [sent.run for sent in owner.applied] == [run.id]
