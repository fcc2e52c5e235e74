"""Task instances, tries, executions and XComs over the API."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from piper.model.run import Run
from piper.model.spec import TaskSpec
from piper.model.states import TaskState
from piper.web.parts import WebParts
from tests.integration.web.rows import THEN, Rows

TASKS = (
    TaskSpec("copy", "x", arguments={"source": "{{ ds }}", "retries": 3}, template_fields=("source",)),
    TaskSpec("load", "x", upstream=("copy",)),
)


@pytest.fixture
def run(rows: Rows) -> Run:
    """A run with a mapped task, of which one instance was tried twice."""
    rows.workflow("sales", tasks=TASKS)
    run = rows.run("sales")
    rows.instance(run, "copy", TaskState.SUCCESS, 0, map_index=0)
    second = rows.instance(run, "copy", TaskState.FAILED, 1, map_index=1, try_number=2)
    rows.instance(run, "load", TaskState.NONE, 2, try_number=0)
    rows.attempt(second, 1, TaskState.UP_FOR_RETRY, error="first", started_at=THEN)
    metrics = {"accuracy": 0.5}
    rows.attempt(
        second, 2, TaskState.FAILED, exit_code=1, error="second", metrics=metrics, rendered={"source": "2026-11-01"}
    )
    return run


def test_tasks_are_listed_in_the_order_of_the_workflow(root: httpx.Client, run: Run) -> None:
    found = root.get(f"/api/v1/runs/{run.id}/tasks").json()["items"]
    assert [(row["task_id"], row["map_index"], row["state"]) for row in found] == [
        ("copy", 0, "success"),
        ("copy", 1, "failed"),
        ("load", -1, None),
    ]


def test_tasks_are_filtered_by_state_and_by_id(root: httpx.Client, run: Run) -> None:
    path = f"/api/v1/runs/{run.id}/tasks"
    failed = root.get(path, params={"state": ["failed", "none"]}).json()["items"]
    assert [row["task_id"] for row in failed] == ["copy", "load"]
    copies = root.get(path, params={"task_id": "copy", "limit": 1}).json()
    assert [row["map_index"] for row in copies["items"]] == [0]
    rest = root.get(path, params={"task_id": "copy", "cursor": copies["next_cursor"]}).json()
    assert [row["map_index"] for row in rest["items"]] == [1]


def test_a_task_is_shown_with_its_tries_and_its_fields_raw_and_rendered(root: httpx.Client, run: Run) -> None:
    found = root.get(f"/api/v1/runs/{run.id}/tasks/copy", params={"map_index": 1}).json()
    assert [(one["try_number"], one["state"], one["error"]) for one in found["attempts"]] == [
        (1, "up_for_retry", "first"),
        (2, "failed", "second"),
    ]
    assert found["definition"] == {"source": "{{ ds }}"}
    assert found["rendered"] == {"source": "2026-11-01"}
    same = root.get(f"/api/v1/runs/{run.id}/tasks/copy/attempts", params={"map_index": 1}).json()
    assert same == found["attempts"]
    one = root.get(f"/api/v1/runs/{run.id}/tasks/copy/attempts/2", params={"map_index": 1}).json()
    assert one == found["attempts"][1]


def test_what_is_wrong_with_a_task_address_is_said(root: httpx.Client, run: Run) -> None:
    path = f"/api/v1/runs/{run.id}/tasks"
    unknown = root.get(f"{path}/cpoy")
    assert (unknown.status_code, unknown.json()["suggestions"]) == (404, ["copy"])
    assert "say which instance by map_index" in root.get(f"{path}/copy").json()["detail"]
    assert "has no instance 7" in root.get(f"{path}/copy", params={"map_index": 7}).json()["detail"]
    assert "has no try 9" in root.get(f"{path}/copy/attempts/9", params={"map_index": 1}).json()["detail"]


def test_executions_are_listed_newest_first_and_filtered(root: httpx.Client, rows: Rows, run: Run) -> None:
    other = rows.run("sales", 1)
    rows.attempt(rows.instance(other, "load", TaskState.SUCCESS))
    found = root.get("/api/v1/executions").json()["items"]
    assert [row["id"] for row in found] == [f"{other.id}-0-1", f"{run.id}-1-2", f"{run.id}-1-1"]
    for query, count in (({"task_id": "copy"}, 2), ({"run": other.id}, 1), ({"state": "failed"}, 1)):
        assert len(root.get("/api/v1/executions", params=query).json()["items"]) == count
    assert root.get("/api/v1/executions", params={"workflow_id": "none"}).json()["items"] == []


def test_an_execution_is_shown_with_all_that_was_recorded(root: httpx.Client, run: Run) -> None:
    found = root.get(f"/api/v1/executions/{run.id}-1-2").json()
    assert found["metrics"] == {"accuracy": 0.5}
    assert (found["task_id"], found["map_index"], found["exit_code"]) == ("copy", 1, 1)
    for unknown in (f"{run.id}-1-3", "999999999999-16777215-1", "1-99999999-1", "x", "1"):
        assert root.get(f"/api/v1/executions/{unknown}").status_code == 404


def test_the_value_of_an_xcom_passes_through_as_it_is(
    root: httpx.Client, rows: Rows, run: Run, parts: WebParts
) -> None:
    weird = b'{"a": 1.0, "a": 1e400, "big": 123456789012345678901234567890}'
    rows.xcom(run, "load", "return_value", weird)
    artifact = parts.artifacts.write(b"[1, 2]")
    rows.xcom(run, "load", "a/long one", None, artifact=artifact, length=2)
    path = f"/api/v1/runs/{run.id}/tasks/load/xcoms"
    listed = root.get(path).json()["items"]
    assert [(row["key"], row["stored"], row["length"]) for row in listed] == [
        ("a/long one", "artifact", 2),
        ("return_value", "row", None),
    ]
    assert root.get(f"{path}/return_value").content == weird
    assert root.get(f"{path}/a/long one").json() == [1, 2]
    assert len(root.get(f"/api/v1/runs/{run.id}/xcoms").json()["items"]) == 2
    missing = root.get(f"{path}/return_valeu")
    assert (missing.status_code, missing.json()["suggestions"]) == (404, ["return_value"])


def test_durations_can_be_worked_out_from_what_is_sent(root: httpx.Client, rows: Rows, run: Run) -> None:
    other = rows.run("sales", 1)
    rows.instance(other, "load", started_at=THEN, ended_at=THEN + timedelta(seconds=1.5))
    [row] = root.get(f"/api/v1/runs/{other.id}/tasks").json()["items"]
    assert (row["started_at"], row["ended_at"]) == ("2026-11-01T00:00:00Z", "2026-11-01T00:00:01.500000Z")
