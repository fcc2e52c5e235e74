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


def test_a_clear_can_be_about_what_runs_only(root: httpx.Client, rows: Rows, owner: Owner) -> None:
    rows.workflow("sales", tasks=TASKS)
    run = rows.run("sales", state=RunState.RUNNING)
    rows.instance(run, "extract", TaskState.SUCCESS, 0)
    rows.instance(run, "load", TaskState.QUEUED, 1)
    reply = root.post(f"/api/v1/runs/{run.id}/clear", json={"only_running": True})
    assert named(reply) == ["load"]
    [sent] = owner.applied
    assert isinstance(sent.event, Clear)
    assert sent.event.only_running
    both = root.post(f"/api/v1/runs/{run.id}/clear", json={"only_running": True, "only_failed": True})
    assert both.status_code == 422


def test_runs_are_cleared_and_marked_by_a_range_of_dates(root: httpx.Client, rows: Rows, owner: Owner) -> None:
    rows.workflow("sales", tasks=TASKS)
    runs = [rows.run("sales", day, state=RunState.FAILED if day % 2 else RunState.SUCCESS) for day in range(5)]
    span = {"logical_date_from": "2026-11-02T00:00:00Z", "logical_date_to": "2026-11-04T00:00:00Z"}
    reply = root.post("/api/v1/workflows/sales/clear", json={**span, "tasks": [{"task_id": "load"}]})
    assert (reply.status_code, reply.json()["runs"]) == (200, 3)
    assert [sent.run for sent in owner.applied] == [run.id for run in runs[1:4]]
    owner.applied.clear()
    failed = {**span, "run_states": ["failed"], "state": "success"}
    assert root.post("/api/v1/workflows/sales/mark", json=failed).json()["runs"] == 2
    assert [sent.event for sent in owner.applied] == [MarkRun(runs[d].id, RunState.SUCCESS) for d in (1, 3)]
    assert root.post("/api/v1/workflows/sales/clear", json={}).status_code == 422, "a range says where it begins"
    empty = {"logical_date_from": "2030-01-01T00:00:00Z"}
    assert root.post("/api/v1/workflows/sales/clear", json=empty).status_code == 404
    assert root.post("/api/v1/workflows/nothing/clear", json=span).status_code == 404


MARKER = "piper.operators.sensors.external_task.ExternalTaskMarker"


def marker(task_id: str, workflow: str, waits: str, **arguments: Any) -> TaskSpec:
    told = {"external_dag_id": workflow, "external_task_id": waits, **arguments}
    return TaskSpec(task_id, MARKER, arguments=told)


@pytest.fixture
def family(rows: Rows) -> dict[str, Run]:
    """A workflow of team red that one of team blue waits for."""
    rows.workflow("mother", tasks=(marker("tell", "daughter", "first"),))
    rows.workflow("daughter", team="blue", tasks=(TaskSpec("before", "x"), TaskSpec("first", "x")))
    return {name: rows.run(name, 3) for name in ("mother", "daughter")}


def test_a_recursive_clear_is_about_the_workflows_that_wait_and_is_audited_in_each_team(
    root: httpx.Client, family: dict[str, Run], owner: Owner
) -> None:
    path = f"/api/v1/runs/{family['mother'].id}/clear"
    assert root.post(path, json={"dry_run": True}).json()["runs"] == 1
    reply = root.post(path, json={"recursive": True, "version": "pinned"})
    assert reply.json()["runs"] == 2
    assert [sent.event for sent in owner.applied] == [
        Clear(family["mother"].id, (InstanceRef("tell"),)),
        Clear(family["daughter"].id, (InstanceRef("first"),)),
    ]
    audited = [row for row in root.get("/api/v1/audit").json()["items"] if row["action"] == "run.clear"]
    assert {row["object_id"].partition("/")[0] for row in audited} == {"mother", "daughter"}


def test_who_may_not_clear_a_workflow_that_waits_clears_nothing(
    red: httpx.Client, family: dict[str, Run], owner: Owner
) -> None:
    path = f"/api/v1/runs/{family['mother'].id}/clear"
    assert red.post(path, json={"recursive": True}).status_code == 404
    assert owner.applied == []
    assert red.post(path, json={}).status_code == 200


def test_markers_that_lead_in_a_circle_end_and_those_that_lead_too_far_are_refused(
    root: httpx.Client, rows: Rows, owner: Owner
) -> None:
    names = [f"w{i}" for i in range(4)]
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        rows.workflow(name, tasks=(marker("m", following, "m", recursion_depth=3 if name == "w0" else 10),))
        rows.run(name, 1)
    first = root.get("/api/v1/workflows/w0/runs").json()["items"][0]["id"]
    assert root.post(f"/api/v1/runs/{first}/clear", json={"recursive": True}).json()["runs"] == 4
    short = rows.workflow("short", tasks=(marker("m", "w1", "m", recursion_depth=1),))
    run = rows.run(short.workflow_id, 1)
    refused = root.post(f"/api/v1/runs/{run.id}/clear", json={"recursive": True})
    assert refused.status_code == 422
    assert "recursion_depth" in refused.json()["detail"]
