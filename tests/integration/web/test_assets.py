"""Assets and their events over the API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from piper.model.assets import AssetKind, AssetRole
from piper.model.events import AssetChanged, ForgetAssets
from piper.model.ids import shard_of
from piper.store import schema
from piper.store.database import Database
from piper.store.events import pending_events
from piper.web.parts import WebParts
from tests.integration.web.owner import Owner
from tests.integration.web.rows import THEN, Rows


@pytest.fixture
def orders(rows: Rows) -> int:
    """An asset of team red that a workflow of that team is scheduled by."""
    rows.workflow("report")
    number = rows.asset("orders", "s3://orders", extra={"owner": "ann"})
    for role, task_id in ((AssetRole.SCHEDULE, ""), (AssetRole.OUTLET, "load")):
        rows.add(
            schema.asset_reference,
            workflow_id="report",
            role=role,
            task_id=task_id,
            kind=AssetKind.ASSET,
            name="orders",
            uri="s3://orders",
            team="red",
        )
    return number


def told(database: Database) -> list[Any]:
    with database.read() as connection:
        return [stored.event for stored in pending_events(connection, range(256), 100)]


def test_assets_are_found_by_part_or_whole_of_their_name_or_uri(red: httpx.Client, rows: Rows, orders: int) -> None:
    rows.asset("weather", "https://weather", active=False)

    def names(**query: Any) -> list[str]:
        return [row["name"] for row in red.get("/api/v1/assets", params=query).json()["items"]]

    assert names() == ["orders", "weather"]
    assert names(search="S3:") == ["orders"]
    assert names(active="false") == ["weather"]
    assert names(named="s3://orders") == names(named="orders") == names(named=orders) == ["orders"]
    assert names(named="order") == []
    first = red.get("/api/v1/assets", params={"limit": 1}).json()
    assert names(limit=1, cursor=first["next_cursor"]) == ["weather"]


def test_an_asset_shows_who_uses_it(red: httpx.Client, orders: int) -> None:
    found = red.get(f"/api/v1/assets/{orders}").json()
    assert (found["name"], found["extra"], found["active"], found["last_event_at"]) == (
        "orders",
        {"owner": "ann"},
        True,
        None,
    )
    assert [(use["workflow_id"], use["role"], use["task_id"]) for use in found["uses"]] == [
        ("report", "outlet", "load"),
        ("report", "schedule", ""),
    ]


def test_an_event_by_hand_is_audited_and_told_to_whoever_is_scheduled_by_it(
    red: httpx.Client, parts: WebParts, database: Database, orders: int
) -> None:
    woken = parts.wakeups.listen("scheduler")
    reply = red.post(f"/api/v1/assets/{orders}/events", json={"extra": {"rows": 17}})
    assert reply.status_code == 201
    made = reply.json()
    assert (made["name"], made["extra"], made["workflow_id"], made["runs"]) == ("orders", {"rows": 17}, None, [])
    [event] = told(database)
    assert isinstance(event, AssetChanged)
    assert (event.workflow_id, event.event, event.asset) == ("report", made["id"], orders)
    assert woken.wait(0)
    [entry] = red.get("/api/v1/audit").json()["items"]
    assert (entry["action"], entry["object_id"], entry["principal"]) == ("asset.emit", "orders", "red")
    assert [each["id"] for each in red.get(f"/api/v1/assets/{orders}/events").json()["items"]] == [made["id"]]
    assert red.get(f"/api/v1/assets/{orders}").json()["last_event_at"] is not None


def test_an_event_that_is_asked_for_twice_with_one_key_is_made_once(
    red: httpx.Client, database: Database, orders: int
) -> None:
    for _ in range(2):
        red.post(f"/api/v1/assets/{orders}/events", json={}, headers={"Idempotency-Key": "k"})
    assert len(told(database)) == 1


@pytest.mark.parametrize(
    "body", [{"extra": 5}, {"extra": [1]}, {"extras": {}}, {"extra": {"k": "x" * 70_000}}, {"extra": {"k": "a\0b"}}]
)
def test_an_extra_that_cannot_be_kept_is_refused(
    red: httpx.Client, database: Database, orders: int, body: dict[str, Any]
) -> None:
    assert red.post(f"/api/v1/assets/{orders}/events", json=body).status_code in (400, 422)
    assert told(database) == []


def test_an_inactive_asset_has_no_events(red: httpx.Client, rows: Rows) -> None:
    number = rows.asset("old", "s3://old", active=False)
    reply = red.post(f"/api/v1/assets/{number}/events", json={})
    assert reply.status_code == 409
    assert "is not active" in reply.json()["detail"]


def test_events_say_what_caused_them_and_which_runs_they_caused(red: httpx.Client, rows: Rows, orders: int) -> None:
    run = rows.run("report")
    rows.add(
        schema.asset_event,
        team="red",
        asset=orders,
        at=THEN,
        extra={},
        workflow_id="load_orders",
        run_id="r1",
        task_id="load",
        map_index=3,
    )
    rows.add(schema.asset_event_alias, team="red", alias="latest", event=1)
    rows.add(schema.asset_delivery, workflow_id="report", event=1, asset=orders, run=run.id)
    [event] = red.get("/api/v1/asset-events", params={"workflow_id": "load_orders"}).json()["items"]
    assert (event["workflow_id"], event["run_id"], event["task_id"], event["map_index"]) == (
        "load_orders",
        "r1",
        "load",
        3,
    )
    assert event["aliases"] == ["latest"]
    assert event["runs"] == [{"workflow_id": "report", "run_id": run.run_id}]
    assert red.get(f"/api/v1/runs/{run.id}/asset-events").json()["items"] == [event]
    assert red.get("/api/v1/asset-events", params={"workflow_id": "report"}).json()["items"] == []


def test_what_waits_is_shown_and_can_be_forgotten(
    red: httpx.Client, rows: Rows, database: Database, orders: int
) -> None:
    for number in (1, 2):
        rows.add(schema.asset_event, team="red", asset=orders, at=THEN, extra={})
        rows.add(schema.asset_delivery, workflow_id="report", event=number, asset=orders)
    waiting = red.get("/api/v1/workflows/report/waiting-events").json()["items"]
    assert [(each["event"], each["name"], each["queued"]) for each in waiting] == [
        (1, "orders", False),
        (2, "orders", False),
    ]
    reply = red.delete("/api/v1/workflows/report/waiting-events", params={"asset": orders})
    assert reply.status_code == 202  # nobody is there to apply it
    assert told(database) == [ForgetAssets("report", orders)]
    assert red.delete("/api/v1/workflows/report/waiting-events", params={"asset": 999}).status_code == 404


def test_to_forget_is_a_command_to_the_owner(red: httpx.Client, owner: Owner, database: Database, orders: int) -> None:
    reply = red.delete("/api/v1/workflows/report/waiting-events")
    assert (reply.status_code, reply.json()["command"]) == (200, "forget")
    [stored] = owner.applied
    assert (stored.event, stored.shard) == (ForgetAssets("report"), shard_of("report"))
    with database.read() as connection:
        assert connection.execute(select(schema.audit.c.action)).scalars().all() == ["workflow.forget"]


def test_another_team_neither_sees_nor_causes_events(blue: httpx.Client, orders: int) -> None:
    assert blue.get("/api/v1/assets").json()["items"] == []
    assert blue.get("/api/v1/assets", params={"named": "orders"}).json()["items"] == []
    assert blue.get(f"/api/v1/assets/{orders}").status_code == 404
    assert blue.post(f"/api/v1/assets/{orders}/events", json={}).status_code == 404
