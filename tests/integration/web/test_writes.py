"""What every write promises: one effect and one reply per Idempotency-Key, one audit row, all or nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import UpdateBase, func, select, text
from sqlalchemy.exc import DBAPIError

from piper.store import audit, idempotency, schema
from piper.store.audit import Entry
from piper.store.database import Database
from tests.integration.web.conftest import Caller
from tests.integration.web.owner import Owner
from tests.integration.web.rows import THEN, Rows, lift_guards

RUNS = "/api/v1/workflows/sales/runs"


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_repeated_write_has_one_effect_and_the_same_reply(root: httpx.Client, rows: Rows, database: Database) -> None:
    rows.workflow("sales")
    key = {"Idempotency-Key": "k1"}
    first, second = root.post(RUNS, json={}, headers=key), root.post(RUNS, json={}, headers=key)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first.headers["location"] == second.headers["location"]
    assert (count(database, schema.run), count(database, schema.event), count(database, schema.audit)) == (1, 1, 1)


def test_concurrent_repetitions_have_one_effect_and_the_same_reply(
    caller: Caller, rows: Rows, database: Database
) -> None:
    rows.workflow("sales")
    clients = [caller("root") for _ in range(8)]

    def post(client: httpx.Client) -> httpx.Response:
        return client.post(RUNS, json={"note": "n"}, headers={"Idempotency-Key": "k1"})

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(post, clients))
    assert {(reply.status_code, reply.content) for reply in replies} == {(201, replies[0].content)}
    assert (count(database, schema.run), count(database, schema.audit)) == (1, 1)


def test_writes_with_different_keys_are_different_writes(root: httpx.Client, rows: Rows, database: Database) -> None:
    rows.workflow("sales")
    for number in range(3):
        root.post(RUNS, json={"logical_date": None}, headers={"Idempotency-Key": f"k{number}"})
    root.post(RUNS, json={"logical_date": None})
    assert count(database, schema.run) == 4


def test_a_key_is_not_used_for_two_requests(root: httpx.Client, rows: Rows, database: Database) -> None:
    rows.workflow("sales")
    key = {"Idempotency-Key": "k1"}
    root.post(RUNS, json={"note": "a"}, headers=key)
    for reply in (
        root.post(RUNS, json={"note": "b"}, headers=key),
        root.post("/api/v1/workflows/other/runs", json={"note": "a"}, headers=key),
        root.put("/api/v1/pools/p", json={"slots": 1}, headers=key),
    ):
        assert reply.status_code == 422
        assert "was used for another request" in reply.json()["detail"]
    assert count(database, schema.run) == 1


def test_two_callers_may_use_the_same_key(caller: Caller, rows: Rows, database: Database) -> None:
    for name in ("red", "blue"):
        reply = caller(name).put("/api/v1/variables/x", json={"value": "1"}, headers={"Idempotency-Key": "k1"})
        assert reply.json()["team"] == name
    assert count(database, schema.variable) == 2


def test_a_write_that_was_refused_may_be_tried_again_with_its_key(root: httpx.Client, rows: Rows) -> None:
    key = {"Idempotency-Key": "k1"}
    assert root.post(RUNS, json={}, headers=key).status_code == 404
    rows.workflow("sales")
    assert root.post(RUNS, json={}, headers=key).status_code == 201


def test_a_repeated_command_is_sent_once_and_waited_for_again(
    root: httpx.Client,
    rows: Rows,
    database: Database,
    parts,
    request: pytest.FixtureRequest,  # type: ignore[no-untyped-def]
) -> None:
    rows.workflow("sales")
    key = {"Idempotency-Key": "k1"}
    first = root.patch("/api/v1/workflows/sales", json={"paused": True}, headers=key)
    assert first.status_code == 202
    owner: Owner = request.getfixturevalue("owner")
    second = root.patch("/api/v1/workflows/sales", json={"paused": True}, headers=key)
    assert (second.status_code, second.content) == (200, first.content)
    assert len(owner.applied) == 1


@pytest.mark.parametrize("key", ["x" * 256, "tab\tbed"])
def test_a_key_that_is_none_is_refused(root: httpx.Client, key: str) -> None:
    reply = root.put("/api/v1/pools/p", json={"slots": 1}, headers={"Idempotency-Key": key})
    assert reply.status_code == 422


def test_old_replies_are_forgotten(root: httpx.Client, database: Database) -> None:
    body = {"slots": 1}
    root.put("/api/v1/pools/p", json=body, headers={"Idempotency-Key": "k1"})
    with database.write() as connection:
        assert idempotency.forget(connection, THEN) == 0
        connection.execute(schema.idempotency.update().values(created_at=THEN.replace(year=2020)))
        assert idempotency.forget(connection, THEN) == 1


# --- the audit ----------------------------------------------------------------------------------


def test_every_write_leaves_one_row_that_says_who_did_what(
    root: httpx.Client, red: httpx.Client, rows: Rows, owner: Owner
) -> None:
    rows.workflow("sales")
    run = red.post(RUNS, json={"conf": {"b": 1, "a": 2}, "run_id": "r1"}).json()
    red.patch("/api/v1/workflows/sales", json={"paused": True})
    red.post(f"/api/v1/runs/{run['id']}/clear", json={"only_failed": True})
    red.put("/api/v1/variables/key", json={"value": "secret"})
    root.put("/api/v1/pools/db", json={"slots": 3})
    found = root.get("/api/v1/audit").json()["items"]
    told = [(row["team"], row["principal"], row["action"], row["object_id"]) for row in reversed(found)]
    assert told == [
        ("red", "red", "run.trigger", "sales/r1"),
        ("red", "red", "workflow.pause", "sales"),
        ("red", "red", "run.clear", "sales/r1"),
        ("red", "red", "variable.set", "key"),
        ("default", "root", "pool.set", "db"),
    ]
    assert found[-1]["detail"] == {"params": ["a", "b"]}
    assert [row["seq"] for row in found] == [1, 4, 3, 2, 1]


def test_the_audit_is_searched(root: httpx.Client, rows: Rows) -> None:
    for name in ("a", "b"):
        root.put(f"/api/v1/pools/{name}", json={"slots": 1})
    root.delete("/api/v1/pools/a")
    queries: list[tuple[dict[str, str], int]] = [
        ({"action": "pool."}, 3),
        ({"action": "pool.delete"}, 1),
        ({"action": "pool_"}, 0),
        ({"object_id": "a"}, 2),
        ({"principal": "nobody"}, 0),
        ({"since": "2100-01-01T00:00:00Z"}, 0),
        ({"until": "2100-01-01T00:00:00Z", "object_type": "pool"}, 3),
    ]
    for query, number in queries:
        assert len(root.get("/api/v1/audit", params=query).json()["items"]) == number, query
    page = root.get("/api/v1/audit", params={"limit": 2}).json()
    rest = root.get("/api/v1/audit", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [row["seq"] for row in page["items"] + rest["items"]] == [3, 2, 1]


def test_an_untouched_chain_verifies_and_tells_its_head(root: httpx.Client, red: httpx.Client) -> None:
    for number in range(3):
        root.put("/api/v1/pools/p", json={"slots": number})
    red.put("/api/v1/variables/x", json={"value": "1"})
    newest = root.get("/api/v1/audit").json()["items"]
    heads = {row["team"]: row["hash"] for row in reversed(newest)}
    assert root.get("/api/v1/audit/chains").json() == [
        {"team": team, "rows": rows, "head": heads[team], "intact": True, "broken_at": None}
        for team, rows in (("default", 3), ("red", 1))
    ]
    assert [chain["team"] for chain in red.get("/api/v1/audit/chains").json()] == ["red"]


_SECOND = schema.audit.c.seq == 2


@pytest.mark.parametrize(
    "tampering",
    [schema.audit.update().values(principal="someone else"), schema.audit.delete(), text("TRUNCATE audit")],
    ids=["change", "remove", "empty"],
)
def test_the_database_refuses_to_change_the_audit(root: httpx.Client, database: Database, tampering: Any) -> None:
    if database.sqlite and not isinstance(tampering, UpdateBase):
        pytest.skip("SQLite has no TRUNCATE")
    root.put("/api/v1/pools/p", json={"slots": 1})
    with pytest.raises(DBAPIError, match="append-only"), database.write() as connection:
        connection.execute(tampering)
    [chain] = root.get("/api/v1/audit/chains").json()
    assert (chain["rows"], chain["intact"]) == (1, True)


@pytest.mark.parametrize(
    ("tampering", "broken_at"),
    [
        (schema.audit.update().where(_SECOND).values(principal="someone else"), 2),
        (schema.audit.update().where(_SECOND).values(detail={"slots": 7}), 2),
        (schema.audit.update().where(_SECOND).values(at=THEN), 2),
        (schema.audit.update().where(_SECOND).values(hash="0" * 64), 2),
        (schema.audit.delete().where(_SECOND), 3),
        (schema.audit.delete().where(schema.audit.c.seq == 1), 2),
    ],
    ids=["who", "detail", "when", "hash", "middle removed", "first removed"],
)
def test_a_changed_or_removed_row_is_found(
    root: httpx.Client, database: Database, tampering: Any, broken_at: int
) -> None:
    for number in range(4):
        root.put("/api/v1/pools/p", json={"slots": number})
    with database.write() as connection:
        lift_guards(connection)
        connection.execute(tampering)
    [chain] = root.get("/api/v1/audit/chains").json()
    assert (chain["intact"], chain["broken_at"]) == (False, broken_at)


def forge(database: Database, seq: int, **values: Any) -> None:
    """Change a row and give it the hash that then fits it."""
    with database.write() as connection:
        lift_guards(connection)
        here = schema.audit.c.seq == seq
        row = dict(connection.execute(schema.audit.select().where(here)).mappings().one()) | values
        connection.execute(schema.audit.update().where(here).values(**values, hash=audit.hash_of(row)))


def test_a_row_that_was_changed_and_hashed_anew_no_longer_fits_the_next(root: httpx.Client, database: Database) -> None:
    for number in range(3):
        root.put("/api/v1/pools/p", json={"slots": number})
    forge(database, 2, principal="someone else")
    [chain] = root.get("/api/v1/audit/chains").json()
    assert chain["broken_at"] == 3


def test_a_chain_whose_beginning_was_cut_off_is_found(root: httpx.Client, database: Database) -> None:
    for number in range(3):
        root.put("/api/v1/pools/p", json={"slots": number})
    with database.write() as connection:
        lift_guards(connection)
        connection.execute(schema.audit.delete().where(schema.audit.c.seq < 3))
    forge(database, 3, previous=audit.GENESIS)
    [chain] = root.get("/api/v1/audit/chains").json()
    assert chain["broken_at"] == 3


def test_a_row_fits_whatever_the_database_makes_of_its_numbers(database: Database) -> None:
    detail = {"a": 1.0, "b": 1e3, "c": 0.1, "d": [1e22, {"e": -0.0}], "f": "é\n", "g": None, "h": 1e-7}
    with database.write() as connection:
        entry = Entry(team="t", action="x.y", object_type="x", object_id="1", detail=detail)
        audit.append(connection, entry, "me", THEN)
    with database.read() as connection:
        assert audit.verify(connection, None)[0].broken_at is None


def test_concurrent_writes_of_one_team_make_one_chain(caller: Caller, root: httpx.Client) -> None:
    clients = [caller("root") for _ in range(6)]

    def put(numbered: tuple[int, httpx.Client]) -> int:
        number, client = numbered
        return client.put(f"/api/v1/pools/p{number}", json={"slots": 1}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(put, list(enumerate(clients)) * 1)) == {201}
    [chain] = root.get("/api/v1/audit/chains").json()
    assert (chain["rows"], chain["intact"]) == (6, True)


def test_a_write_that_cannot_be_audited_has_no_effect(
    root: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no audit")

    monkeypatch.setattr(audit, "append", fail)
    reply = root.put("/api/v1/pools/p", json={"slots": 1}, headers={"Idempotency-Key": "k"})
    assert reply.status_code == 500
    assert "no audit" not in reply.text
    assert root.get("/api/v1/pools/p").status_code == 404
    assert count(database, schema.idempotency) == 0
