"""Every route × every kind of caller. A route that this file does not know how to call fails the suite."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select

from piper.logs import Masker
from piper.model.ids import log_path
from piper.model.run import Callback, Run
from piper.model.states import CallbackKind, RunState, TaskState
from piper.store import schema
from piper.store.database import Database
from piper.web.app import create_app
from piper.web.parts import WebParts
from piper.web.policy import Action, Kind, Permission
from piper.web.routing import AuthorisedRoute, Public, Resource, add_resource, check_routes
from piper.web.server import WebServer
from tests.integration.web.conftest import Caller
from tests.integration.web.rows import THEN, Rows

CANARY = "red-canary"

PUBLIC = {
    "/",
    "/docs",
    "/assets/{name}",
    "/api/v1/openapi.json",
    "/api/v1/health",
    "/health",
    "/health/live",
    "/health/ready",
}
"""All that may be called without a token."""

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/workflows/{workflow_id}"): {"paused": True},
    ("POST", "/workflows/{workflow_id}/runs"): {},
    ("POST", "/workflows/{workflow_id}/backfills"): {
        "from_date": "2025-01-01T00:00:00Z",
        "to_date": "2025-01-02T00:00:00Z",
    },
    ("POST", "/workflows/{workflow_id}/backfills/dry-run"): {
        "from_date": "2025-01-01T00:00:00Z",
        "to_date": "2025-01-02T00:00:00Z",
    },
    ("POST", "/backfills/{backfill}/pause"): {},
    ("POST", "/backfills/{backfill}/resume"): {},
    ("POST", "/backfills/{backfill}/cancel"): {},
    ("POST", "/runs/{run}/clear"): {},
    ("POST", "/runs/{run}/mark"): {"state": "success"},
    ("POST", "/runs/{run}/cancel"): {},
    ("POST", "/workflows/{workflow_id}/clear"): {"logical_date_from": "2026-11-01T00:00:00Z"},
    ("POST", "/workflows/{workflow_id}/mark"): {"logical_date_from": "2026-11-01T00:00:00Z", "state": "success"},
    ("PUT", "/pools/{name}"): {"slots": 1},
    ("PUT", "/variables/{key:path}"): {"value": "x"},
    ("PUT", "/connections/{conn_id:path}"): {"conn_type": "http"},
    ("POST", "/bundles/{name}/refresh"): {},
    ("POST", "/assets/{asset}/events"): {},
    ("DELETE", "/workflows/{workflow_id}/waiting-events"): {},
    ("DELETE", "/workflows/{workflow_id}"): {},
    ("DELETE", "/pools/{name}"): {},
    ("DELETE", "/variables/{key:path}"): {},
    ("DELETE", "/connections/{conn_id:path}"): {},
}
"""What to send to each writing route."""

LISTS = {
    "/workflows",
    "/runs",
    "/backfills",
    "/executions",
    "/assets",
    "/asset-events",
    "/import-errors",
    "/bundles",
    "/operators",
    "/pools",
    "/variables",
    "/connections",
    "/audit",
    "/audit/chains",
}
"""Routes that show what the caller may read, and are therefore never refused."""

MADE_FOR_A_TEAM = {("PUT", "/variables/{key:path}"), ("PUT", "/connections/{conn_id:path}")}
"""Routes that are refused (403) for another team without looking whether the object exists."""


@pytest.fixture
def objects(rows: Rows, parts: WebParts, server: WebServer) -> dict[str, Any]:
    """One of everything, of team red; the names that stand in addresses."""
    rows.workflow(CANARY, description=CANARY, tags=[CANARY], paused=True)
    run = rows.run(CANARY, state=RunState.RUNNING, note=CANARY, conf={CANARY: 1})
    instance = rows.instance(run, f"{CANARY}-task", TaskState.SUCCESS)
    rows.attempt(instance, error=CANARY)
    told = Callback(CallbackKind.FAILURE, THEN, task_id=CANARY, of_run=RunState.FAILED, reason=CANARY, error=CANARY)
    called = rows.instance(run, "@on_failure_callback", TaskState.FAILED, 1, map_index=1, callback=told)
    rows.attempt(called, error=CANARY)
    rows.xcom(run, f"{CANARY}-task", CANARY, f'"{CANARY}"'.encode())
    tree = parts.snapshots / ("0" * 32)
    tree.mkdir(parents=True)
    (tree / f"{CANARY}.py").write_text(CANARY)
    writer = parts.logs.begin(log_path(instance, 1), Masker())
    writer.write(CANARY.encode() + b"\n")
    writer.close()
    rows.add(schema.bundle, name=CANARY, team="red", kind="folder", location=CANARY)
    rows.add(
        schema.source_file, bundle=CANARY, path=CANARY, team="red", hash="h", imports=[], error=CANARY, failed_at=THEN
    )
    rows.add(schema.operator, path=CANARY, bundle="dags", team="red", schema={})
    backfill = rows.backfill(CANARY, note=CANARY)
    asset = rows.asset(CANARY, CANARY, extra={CANARY: 1})
    rows.add(schema.asset_event, team="red", asset=asset, at=THEN, extra={CANARY: 1}, workflow_id=CANARY)
    rows.add(schema.pool, name=CANARY, team="red", slots=1, include_deferred=False)
    rows.add(schema.variable, team="red", key=CANARY, value=b"", updated_at=THEN)
    rows.add(schema.connection, team="red", conn_id=CANARY, conn_type=CANARY, updated_at=THEN)
    rows.add(
        schema.audit,
        team="red",
        seq=1,
        at=THEN,
        principal=CANARY,
        action="x.y",
        object_type="x",
        object_id=CANARY,
        detail={},
        previous="",
        hash="",
    )
    return {
        "workflow_id": CANARY,
        "run": run.id,
        "backfill": backfill,
        "run_id": run.run_id,
        "number": 1,
        "task_id": f"{CANARY}-task",
        "try_number": 1,
        "execution": f"{run.id}-0-1",
        "asset": asset,
        "name": CANARY,
        "key": CANARY,
        "conn_id": CANARY,
        "path": CANARY,
    }


def routes(app: FastAPI) -> list[AuthorisedRoute]:
    return [route for route in app.router.routes if isinstance(route, AuthorisedRoute)]


def call(client: httpx.Client, route: AuthorisedRoute, names: dict[str, Any]) -> httpx.Response:
    """Call a route about the objects that `names` names."""
    [method] = route.methods or ()
    address = route.path.replace(":path}", "}").format(**names)
    short = route.path.removeprefix("/api/v1")
    query = {"team": "red"} if "team" in {field.name for field in route.dependant.query_params} else {}
    if method == "GET":
        return client.get(address, params=query)
    return client.request(method, address, params=query, json=BODIES[method, short])


def fingerprint(database: Database) -> str:
    """A hash of everything that is stored."""
    digest = hashlib.sha256()
    with database.read() as connection:
        for table in schema.metadata.sorted_tables:
            rows = connection.execute(select(table).order_by(*table.primary_key.columns)).all()
            digest.update(repr(rows).encode())
    return digest.hexdigest()


def test_the_public_routes_are_these_and_no_others(server: WebServer) -> None:
    assert {route.path for route in routes(server.app) if isinstance(route.permission, Public)} == PUBLIC


def test_every_route_is_one_of_ours_and_has_a_permission(server: WebServer) -> None:
    assert len(routes(server.app)) == len(server.app.router.routes)
    check_routes(server.app)


def test_an_application_with_a_route_without_a_permission_is_not_made(parts: WebParts) -> None:
    app = create_app(parts)
    app.router.routes.append(APIRoute("/api/v1/leak", lambda: "everything"))
    with pytest.raises(AssertionError, match="/api/v1/leak"):
        check_routes(app)


def test_a_reply_that_was_made_without_asking_the_policy_is_not_sent(root: httpx.Client, server: WebServer) -> None:
    resource = Resource("test")

    @resource.get("/forgetful", Permission(Action.READ, Kind.WORKFLOW))
    def forgetful() -> str:
        return CANARY

    add_resource(server.app, resource)
    try:
        reply = root.get("/api/v1/forgetful")
    finally:
        server.app.router.routes.pop()
    assert reply.status_code == 500
    assert CANARY not in reply.text


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer nothing",
        "bearer null",
        "Basic root-token",
        "root-token",
        "Bearer root-tokenx",
        "Bearer root-toke",
        "Bearer root-token, Bearer root-token",
    ],
)
def test_nobody_gets_anything_without_a_valid_token(
    caller: Caller, server: WebServer, database: Database, objects: dict[str, Any], authorization: str | None
) -> None:
    client = caller("")
    if authorization is not None:
        client.headers["Authorization"] = authorization
    before = fingerprint(database)
    for route in routes(server.app):
        if isinstance(route.permission, Public):
            continue
        reply = call(client, route, objects)
        assert reply.status_code == 401, route.path
        assert reply.headers["www-authenticate"] == "Bearer"
        assert CANARY not in reply.text
    assert fingerprint(database) == before


def test_another_team_sees_and_changes_nothing(
    blue: httpx.Client, server: WebServer, database: Database, objects: dict[str, Any]
) -> None:
    before = fingerprint(database)
    for route in routes(server.app):
        if isinstance(route.permission, Public):
            continue
        [method] = route.methods or ()
        short = route.path.removeprefix("/api/v1")
        reply = call(blue, route, objects)
        if short in LISTS:
            expected = 200
        elif (method, short) in MADE_FOR_A_TEAM:
            expected = 403
        else:
            expected = 404
        assert reply.status_code == expected, (method, route.path, reply.text)
        told = reply.text.replace(f"'{CANARY}'", "").replace(f"'{CANARY}-task'", "")  # its own words, said back
        assert CANARY not in told, (method, route.path, reply.text)
    assert fingerprint(database) == before


def test_what_may_not_be_seen_is_answered_as_what_does_not_exist(
    blue: httpx.Client, server: WebServer, objects: dict[str, Any]
) -> None:
    absent = {
        name: (99999 if name in ("run", "backfill", "asset") else "99999-0-1" if name == "execution" else value)
        if isinstance(value, int) or name == "execution"
        else "red-nothing"
        for name, value in objects.items()
    }
    absent["task_id"] = "red-nothing"
    for route in routes(server.app):
        short = route.path.removeprefix("/api/v1")
        [method] = route.methods or ()
        if isinstance(route.permission, Public) or short in LISTS or (method, short) in MADE_FOR_A_TEAM:
            continue
        if (method, short) == ("PUT", "/pools/{name}"):
            continue  # there it is made: names of pools are common to all teams
        hidden, missing = call(blue, route, objects), call(blue, route, absent)

        def shape(reply: httpx.Response, names: dict[str, Any]) -> tuple[int, str]:
            text = str(reply.json()["detail"])
            for value in sorted(map(str, names.values()), key=len, reverse=True):
                text = text.replace(value, "…")
            return reply.status_code, text

        assert shape(hidden, objects) == shape(missing, absent), (method, route.path)


def test_the_own_team_and_the_owner_of_all_are_let_in(
    caller: Caller, server: WebServer, objects: dict[str, Any]
) -> None:
    everything = {Kind.CLUSTER, Kind.METRICS}
    for name in ("red", "root"):
        client = caller(name)
        for route in routes(server.app):
            if isinstance(route.permission, Public) or route.path.endswith(("/events", "/wait")):
                continue  # they last as long as the run does
            [method] = route.methods or ()
            if method == "DELETE" or (name == "red" and route.permission.kind in everything):
                continue
            reply = call(client, route, objects)
            assert reply.status_code < 400 or reply.status_code == 409, (name, method, route.path, reply.text)


def test_a_list_shows_what_the_caller_may_read(caller: Caller, rows: Rows, objects: dict[str, Any]) -> None:
    rows.workflow("blue-one", team="blue")
    found = {
        name: [row["workflow_id"] for row in caller(name).get("/api/v1/workflows").json()["items"]]
        for name in ("red", "blue", "purple", "root")
    }
    assert found == {
        "red": [CANARY],
        "blue": ["blue-one"],
        "purple": ["blue-one", CANARY],
        "root": ["blue-one", CANARY],
    }


def test_suggestions_name_nothing_that_the_caller_may_not_read(caller: Caller, objects: dict[str, Any]) -> None:
    for name, expected in (("red", [CANARY]), ("blue", [])):
        reply = caller(name).get(f"/api/v1/workflows/{CANARY}s").json()
        assert reply.get("suggestions", []) == expected


@pytest.mark.parametrize("name", ["runs", "spec", "configs", "health", "live", "~", "*", "openapi.json", "metrics"])
def test_a_name_that_looks_like_an_address_is_only_a_name(caller: Caller, rows: Rows, name: str) -> None:
    if name not in ("~", "*"):
        rows.workflow(name)
        run = rows.run(name)
        assert caller("red").get(f"/api/v1/workflows/{name}/runs/{run.run_id}").json()["id"] == run.id
    for path in (f"/api/v1/workflows/{name}", f"/api/v1/workflows/{name}/runs", f"/api/v1/workflows/x/runs/{name}"):
        assert caller("").get(path).status_code == 401
        assert caller("blue").get(path).status_code == 404


def test_a_reply_is_not_given_again_to_another_caller_with_the_same_key(
    red: httpx.Client, blue: httpx.Client, rows: Rows
) -> None:
    rows.workflow("sales")
    path, key = "/api/v1/workflows/sales/runs", {"Idempotency-Key": "k"}
    assert red.post(path, json={}, headers=key).status_code == 201
    assert blue.post(path, json={}, headers=key).status_code == 404


def test_a_run_number_beside_ones_own_is_of_no_use(blue: httpx.Client, rows: Rows) -> None:
    rows.workflow("red-one")
    rows.workflow("blue-one", team="blue")
    theirs: Run = rows.run("red-one")
    ours: Run = rows.run("blue-one")
    assert ours.id == theirs.id + 1
    assert blue.get(f"/api/v1/runs/{ours.id}").status_code == 200
    assert blue.get(f"/api/v1/runs/{theirs.id}").status_code == 404
    assert blue.get(f"/api/v1/workflows/blue-one/runs/{theirs.run_id}").json()["id"] == ours.id
