"""Health, metrics, cluster, the page at / and the OpenAPI document."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from piper.model.errors import StoreUnavailable
from piper.model.events import PauseChanged
from piper.model.ids import EXECUTOR_SHARD
from piper.model.states import RunState, TaskState
from piper.service import Service, Signal
from piper.store import schema
from piper.store.database import Database, Fence
from piper.store.events import append_events, event_row
from piper.web.parts import WebParts
from piper.web.server import WebServer
from tests.integration.web.conftest import Caller
from tests.integration.web.rows import THEN, Rows


def metrics(client: httpx.Client) -> dict[str, dict[str, float]]:
    """name → first label's value → value."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            label = next(iter(sample.labels.values()), "")
            found.setdefault(sample.name, {})[label] = sample.value
    return found


def test_metrics_count_what_there_is(root: httpx.Client, rows: Rows, database: Database) -> None:
    rows.workflow("a")
    rows.workflow("b", paused=True)
    rows.workflow("c", stale=True, paused=True)
    run = rows.run("a", state=RunState.RUNNING)
    rows.run("a", 1)
    rows.run("a", 2, state=RunState.SUCCESS)
    for ordinal, state in enumerate((TaskState.RUNNING, TaskState.RUNNING, TaskState.SCHEDULED, TaskState.SUCCESS)):
        rows.instance(run, f"t{ordinal}", state, ordinal)
    with database.write() as connection:
        append_events(connection, [event_row(0, None, PauseChanged("a", True), THEN)])
    root.get("/health/live")
    found = metrics(root)
    assert found["piper_workflows"] == {"active": 1, "paused": 1, "stale": 1}
    assert found["piper_runs"] == {"queued": 1, "running": 1}
    assert found["piper_task_instances"] == {"scheduled": 1, "queued": 0, "running": 2, "deferred": 0}
    assert found["piper_events_pending"] == {"": 1}
    assert found["piper_event_oldest_seconds"][""] > 0
    assert "piper_http_requests_total" in found


def test_metrics_name_no_workflow_and_no_address_that_was_sent(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("very-private")
    root.get("/api/v1/workflows/very-private")
    root.get("/nothing/very-private")
    text = root.get("/metrics").text
    assert "very-private" not in text
    assert 'route="/api/v1/workflows/{workflow_id}"' in text


def test_metrics_count_a_method_that_no_route_has_under_no_name_of_its_own(root: httpx.Client, caller: Caller) -> None:
    assert caller("").request("BREW", "/health/live").status_code == 405
    text = root.get("/metrics").text
    assert "BREW" not in text
    assert 'method="any",route="/health/live",status="405"' in text


def test_probes_need_no_token_and_tell_whether_the_database_answers(caller: Caller, database: Database) -> None:
    client = caller("")
    assert client.get("/health/live").json() == {"status": "ok"}
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["database"]) == (200, "ok")


class Idle(Service):
    """A service that has nothing to do."""

    def tick(self) -> float:
        return 1.0


@pytest.mark.parametrize(("term", "code", "status"), [(Fence("me", {}), 200, "ok"), (None, 503, "degraded")])
def test_a_server_is_ready_while_its_services_may_write(
    caller: Caller, parts: WebParts, server: WebServer, term: Fence | None, code: int, status: str
) -> None:
    service = Idle("scheduler", Signal())
    service.start()
    server.app.state.parts = replace(parts, services=(service,), terms={"scheduler": lambda: term})
    client = caller("")
    for path in ("/health", "/health/ready"):
        found = client.get(path)
        assert (found.status_code, found.json()["status"]) == (code, status)
    assert client.get("/api/v1/health").json()["services"][0]["may_write"] is (term is not None)
    service.stop()


def test_a_server_whose_database_is_away_is_not_ready_but_lives(
    caller: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(database, "read", fail)
    client = caller("")
    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "degraded")


def test_the_cluster_shows_members_what_they_own_and_lead(root: httpx.Client, rows: Rows, database: Database) -> None:
    rows.add(
        schema.member,
        member_id="m1",
        node_key="here:0",
        kind="standalone",
        version="1",
        state="live",
        started_at=THEN,
        renewed_at=THEN,
    )
    with database.write() as connection:
        owned = schema.shard.c.shard.in_([EXECUTOR_SHARD, 0, 1, 2])
        connection.execute(schema.shard.update().where(owned).values(owner="m1"))
    found = root.get("/api/v1/cluster").json()
    assert found["unowned_shards"] == 253
    [member] = found["members"]
    assert (member["member_id"], member["shards"], member["leads"]) == ("m1", 4, ["executor"])


def test_the_page_needs_nothing_from_elsewhere(caller: Caller) -> None:
    client = caller("")
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assets = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert set(assets) == {"/assets/docs.css", "/assets/docs.js", "/assets/piper.svg", "/api/v1/openapi.json"}
    for asset in assets:
        reply = client.get(asset)
        assert reply.status_code == 200
        elsewhere = re.findall(r"https?://[a-z.]+", reply.text.replace("http://www.w3.org/2000/svg", ""))
        assert elsewhere == [], "nothing is fetched from another host"
        again = client.get(asset, headers={"If-None-Match": reply.headers["etag"]})
        assert again.status_code == 304
    assert "<script>" not in page.text
    assert " style=" not in page.text
    assert client.get("/assets/..%2fapp.py").status_code in (404, 422)


def test_the_document_is_openapi_31_and_tells_what_needs_a_token(caller: Caller, server: WebServer) -> None:
    document = caller("").get("/api/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations["get", "/api/v1/workflows"]["security"] == [{"token": []}]
    assert operations["get", "/api/v1/health"]["security"] == []
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    for key, operation in operations.items():
        assert operation["summary"], key
        if key[0] != "get":
            assert "Idempotency-Key" in {each["name"] for each in operation["parameters"]}
    for schema_ in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema_)
