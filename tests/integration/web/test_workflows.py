"""Workflows over the API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from piper.model.events import PauseChanged, SpecPublished
from piper.model.ids import SHARDS
from piper.model.schedule import DataInterval, RunDates
from piper.model.spec import TaskSpec
from piper.model.states import RunState, RunType
from piper.store.bundles import bundles_to_refresh
from piper.store.database import Database
from piper.store.events import pending_events
from piper.store.runs import create_run
from piper.store.schema import bundle, workflow_version
from piper.web.parts import WebParts
from tests.integration.web.owner import Owner
from tests.integration.web.rows import THEN, Rows


def ids(reply: httpx.Response) -> list[str]:
    return [row["workflow_id"] for row in reply.json()["items"]]


def test_a_workflow_is_shown_with_its_next_and_its_latest_run(root: httpx.Client, rows: Rows) -> None:
    dates = RunDates(THEN, DataInterval(THEN, THEN), THEN)
    rows.workflow("sales", next_dates=dates, next_run_after=THEN, tags=["a", "b"], schedule_summary="@daily")
    rows.run("sales", 1)
    latest = rows.run("sales", 2, state=RunState.FAILED)
    found = root.get("/api/v1/workflows/sales").json()
    assert found["next_run"]["logical_date"] == "2026-11-01T00:00:00Z"
    assert found["last_run"]["id"] == latest.id
    assert found["last_run"]["state"] == "failed"
    assert found["tags"] == ["a", "b"]
    assert found["display_name"] == "sales"


def test_a_list_comes_in_pages_that_lose_and_repeat_nothing(root: httpx.Client, rows: Rows) -> None:
    names = [f"w{number:02}" for number in range(25)]
    for name in names:
        rows.workflow(name)
    seen: list[str] = []
    cursor = None
    while True:
        page = root.get("/api/v1/workflows", params={"limit": 10} | ({"cursor": cursor} if cursor else {})).json()
        seen += [row["workflow_id"] for row in page["items"]]
        if cursor is None:  # what is added or removed elsewhere does not shift the pages
            rows.workflow("w00-added-behind-the-first-page")
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == names


def test_workflows_are_sorted_by_their_next_run_with_those_that_have_none_last(root: httpx.Client, rows: Rows) -> None:
    dates = RunDates(THEN, DataInterval(THEN, THEN), THEN)
    rows.workflow("a")
    rows.workflow("b", next_dates=dates, next_run_after=THEN)
    rows.workflow("c")
    pages = []
    cursor = None
    for _ in range(3):
        query = {"limit": 1, "order": "next_run"} | ({"cursor": cursor} if cursor else {})
        page = root.get("/api/v1/workflows", params=query).json()
        pages += [row["workflow_id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert pages == ["b", "a", "c"]
    assert ids(root.get("/api/v1/workflows", params={"order": "-next_run"})) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": "SALES"}, ["sales_daily", "weekly"]),
        ({"search": "100%"}, ["percent"]),
        ({"search": "_"}, ["sales_daily"]),
        ({"paused": True}, ["weekly"]),
        ({"tag": "north"}, ["sales_daily"]),
        ({"tag": "nort"}, []),
        ({"owner": "ann"}, ["weekly"]),
        ({"bundle": "other"}, ["percent"]),
        ({"include_stale": True}, ["gone", "percent", "sales_daily", "weekly"]),
    ],
)
def test_a_list_is_filtered(root: httpx.Client, rows: Rows, query: dict[str, object], found: list[str]) -> None:
    rows.workflow("sales_daily", tags=["north", 'a "quoted" one'])
    rows.workflow("weekly", description="of the sales team", paused=True, owner="ann", tags=["northern"])
    rows.workflow("percent", display_name="to 100% done", bundle="other")
    rows.workflow("gone", stale=True)
    assert ids(root.get("/api/v1/workflows", params=query)) == found


def test_a_cursor_of_another_order_is_refused(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("a")
    rows.workflow("b")
    cursor = root.get("/api/v1/workflows", params={"limit": 1}).json()["next_cursor"]
    reply = root.get("/api/v1/workflows", params={"order": "next_run", "cursor": cursor})
    assert reply.status_code == 422
    assert "begin again without it" in reply.json()["detail"]


@pytest.mark.parametrize("cursor", ["", "x", "W10", "eyJhIjoxfQ", "WyJ3b3JrZmxvd19pZCsxIiwgMV0", "W251bGxd", "%00"])
def test_a_cursor_that_was_not_given_out_is_refused(root: httpx.Client, cursor: str) -> None:
    reply = root.get(f"/api/v1/workflows?cursor={cursor}")
    assert reply.status_code == 422


def test_an_unknown_order_is_answered_with_the_nearest(root: httpx.Client) -> None:
    reply = root.get("/api/v1/workflows", params={"order": "nextrun"})
    assert reply.status_code == 422
    assert "did you mean 'next_run'?" in reply.json()["detail"]


def test_a_misspelt_workflow_is_answered_with_the_nearest(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales_daily")
    reply = root.get("/api/v1/workflows/sale_daily")
    assert reply.status_code == 404
    assert reply.json()["suggestions"] == ["sales_daily"]


def test_a_pause_that_the_owner_applies_is_answered_200(root: httpx.Client, rows: Rows, owner: Owner) -> None:
    rows.workflow("sales")
    reply = root.patch("/api/v1/workflows/sales", json={"paused": True})
    assert reply.status_code == 200
    assert reply.json() == {"workflow_id": "sales", "run_id": None, "command": "pause", "runs": 0, "affected": []}
    assert [each.event for each in owner.applied] == [PauseChanged("sales", True)]
    assert root.get("/api/v1/workflows/sales").json()["paused"] is True


def test_a_pause_that_nobody_applies_in_time_is_answered_202(
    root: httpx.Client, rows: Rows, database: Database
) -> None:
    rows.workflow("sales")
    assert root.patch("/api/v1/workflows/sales", json={"paused": True}).status_code == 202
    with database.read() as connection:
        waiting = pending_events(connection, range(SHARDS), 10)
    assert [each.event for each in waiting] == [PauseChanged("sales", True)]


def test_a_definition_is_not_sent_again_to_who_has_it(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    first = root.get("/api/v1/workflows/sales/spec")
    assert first.json()["workflow_id"] == "sales"
    again = root.get("/api/v1/workflows/sales/spec", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_an_older_version_keeps_its_own_definition(root: httpx.Client, rows: Rows) -> None:
    old = rows.workflow("sales")
    older = root.get("/api/v1/workflows/sales").json()["spec_hash"]
    rows.workflow("other", tasks=(TaskSpec("new", "x"),))
    newer = root.get("/api/v1/workflows/other").json()["spec_hash"]
    rows.add(workflow_version, workflow_id="sales", version=2, spec_hash=newer, snapshot="1" * 32, created_at=THEN)
    versions = root.get("/api/v1/workflows/sales/versions").json()["items"]
    assert [(row["version"], row["spec_hash"]) for row in versions] == [(2, newer), (1, older)]
    assert root.get("/api/v1/workflows/sales/spec", params={"version": 1}).json()["workflow_id"] == old.workflow_id
    assert root.get("/api/v1/workflows/sales/spec", params={"version": 2}).headers["etag"] == f'"{newer}"'
    assert root.get("/api/v1/workflows/sales/spec", params={"version": 3}).status_code == 404


def test_the_source_is_that_of_the_snapshot(root: httpx.Client, rows: Rows, parts: WebParts) -> None:
    rows.workflow("sales", snapshot="a" * 32)
    (parts.snapshots / ("a" * 32)).mkdir(parents=True)
    (parts.snapshots / ("a" * 32) / "sales.py").write_text("dag = 1\n")
    reply = root.get("/api/v1/workflows/sales/source")
    assert reply.text == "dag = 1\n"
    assert reply.headers["content-type"].startswith("text/plain")
    assert (
        root.get("/api/v1/workflows/sales/source", headers={"If-None-Match": reply.headers["etag"]}).status_code == 304
    )


@pytest.mark.parametrize("file", ["../secret", "/etc/passwd", "link", ".", "gone.py"])
def test_no_file_beside_the_snapshot_is_shown(root: httpx.Client, rows: Rows, parts: WebParts, file: str) -> None:
    tree = parts.snapshots / ("a" * 32)
    tree.mkdir(parents=True)
    (parts.snapshots / "secret").write_text("secret")
    (tree / "link").symlink_to(parts.snapshots / "secret")
    rows.workflow("sales", snapshot="a" * 32, file=file)
    assert root.get("/api/v1/workflows/sales/source").status_code == 404


def test_an_active_workflow_is_not_deleted(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    reply = root.delete("/api/v1/workflows/sales")
    assert reply.status_code == 409
    assert "pause it first" in reply.json()["detail"]


def test_a_workflow_with_an_unfinished_run_is_not_deleted(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales", paused=True)
    rows.run("sales")
    assert root.delete("/api/v1/workflows/sales").status_code == 409


def test_a_run_that_is_being_made_keeps_its_workflow_from_being_deleted(
    root: httpx.Client, rows: Rows, database: Database
) -> None:
    rows.workflow("sales", paused=True)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            create_run(connection, workflow_id="sales", run_type=RunType.MANUAL, now=THEN, logical_date=THEN)
            deleting = pool.submit(root.delete, "/api/v1/workflows/sales")
            while not database.sqlite and not deleting.done() and not waits_for_a_row(database):
                pass
        assert deleting.result().status_code == 409
    assert root.get("/api/v1/workflows/sales").status_code == 200


def waits_for_a_row(database: Database) -> bool:
    """Whether a session of PostgreSQL waits for another's lock."""
    with database.read() as connection:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(connection.exec_driver_sql(waiting).scalar_one())


def test_a_deleted_workflow_leaves_nothing_behind_but_the_audit(
    root: httpx.Client, rows: Rows, database: Database
) -> None:
    rows.add(bundle, name="dags", team="red", kind="folder", location="/dags", refreshed_at=THEN)
    rows.workflow("sales", paused=True)
    run = rows.run("sales", state=RunState.SUCCESS)
    instance = rows.instance(run, "say")
    rows.attempt(instance)
    rows.xcom(run, "say", "return_value", b"1")
    assert root.delete("/api/v1/workflows/sales").status_code == 204
    assert root.get("/api/v1/workflows/sales").status_code == 404
    assert root.get(f"/api/v1/runs/{run.id}").status_code == 404
    with database.read() as connection:
        for table in ("workflow", "workflow_version", "run", "task_instance", "attempt", "xcom"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0
        assert [each.event for each in pending_events(connection, range(SHARDS), 10)] == [
            SpecPublished("sales", stale=True)
        ]
        assert bundles_to_refresh(connection) == {"dags"}, "its file may define it still"
    assert root.get("/api/v1/audit").json()["items"][0]["action"] == "workflow.delete"
