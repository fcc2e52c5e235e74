"""Pools, variables, connections, bundles and operators over the API."""

from __future__ import annotations

import httpx
import pytest

from piper.model.states import TaskState
from piper.store import schema
from piper.store.connections import read_connection
from piper.store.database import Database
from piper.store.variables import read_variable
from piper.web.parts import WebParts
from tests.integration.web.rows import THEN, Rows

SECRET = "hunter2-and-more"


def test_a_pool_is_made_changed_and_deleted(root: httpx.Client, parts: WebParts) -> None:
    woken = parts.wakeups.listen("executor")
    made = root.put("/api/v1/pools/db", json={"slots": 2, "description": "one writer"})
    assert made.status_code == 201
    assert made.json() == {
        "name": "db",
        "team": "default",
        "slots": 2,
        "include_deferred": False,
        "description": "one writer",
        "used": 0,
        "free": 2,
    }
    assert woken.wait(0)
    assert root.put("/api/v1/pools/db", json={"slots": -1}).json()["free"] is None
    assert [pool["name"] for pool in root.get("/api/v1/pools").json()["items"]] == ["db", "default_pool"]
    assert root.delete("/api/v1/pools/db").status_code == 204
    assert root.get("/api/v1/pools/db").status_code == 404
    assert root.delete("/api/v1/pools/db").status_code == 404


def test_a_pool_tells_what_is_in_use(root: httpx.Client, rows: Rows) -> None:
    rows.workflow("sales")
    run = rows.run("sales")
    states = (TaskState.RUNNING, TaskState.QUEUED, TaskState.DEFERRED, TaskState.SCHEDULED)
    for ordinal, state in enumerate(states):
        rows.instance(run, f"t{ordinal}", state, ordinal, pool="db", pool_slots=2)
    root.put("/api/v1/pools/db", json={"slots": 10})
    assert root.get("/api/v1/pools/db").json()["used"] == 4
    assert root.put("/api/v1/pools/db", json={"slots": 10, "include_deferred": True}).json()["free"] == 4


def test_the_default_pool_stays(root: httpx.Client) -> None:
    assert root.delete("/api/v1/pools/default_pool").status_code == 409


@pytest.mark.parametrize("slots", [-2, 1.5, "many", None, 2**40])
def test_a_pool_with_a_wrong_number_of_slots_is_refused(root: httpx.Client, slots: object) -> None:
    assert root.put("/api/v1/pools/db", json={"slots": slots}).status_code == 422


def test_the_value_of_a_variable_is_for_tasks_only(root: httpx.Client, parts: WebParts, database: Database) -> None:
    reply = root.put("/api/v1/variables/a/key", json={"value": SECRET, "description": "d"})
    assert reply.status_code == 201
    shown = root.get("/api/v1/variables/a/key")
    audit = root.get("/api/v1/audit")
    listed = root.get("/api/v1/variables", params={"search": "KEY"})
    assert [row["key"] for row in listed.json()["items"]] == ["a/key"]
    for told in (reply, shown, audit, listed):
        assert SECRET not in told.text
    with database.read() as connection:
        assert read_variable(connection, parts.keys, "default", "a/key") == SECRET
        for table in ("variable", "audit"):
            assert SECRET not in str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())


def test_a_changed_variable_keeps_the_description_that_it_is_not_given(root: httpx.Client) -> None:
    root.put("/api/v1/variables/key", json={"value": "1", "description": "d"})
    again = root.put("/api/v1/variables/key", json={"value": "2"})
    assert (again.status_code, again.json()["description"]) == (200, "d")
    assert root.delete("/api/v1/variables/key").status_code == 204
    assert root.get("/api/v1/variables/key").status_code == 404


def test_a_connection_keeps_its_secret_unless_it_is_given_another(
    root: httpx.Client, parts: WebParts, database: Database
) -> None:
    path = "/api/v1/connections/warehouse"
    full = {"conn_type": "postgres", "host": "db", "port": 5432, "schema": "s", "login": "l"}
    made = root.put(path, json=full | {"password": SECRET, "extra": {"ssl": True, "key": SECRET}})
    assert made.status_code == 201
    assert made.json() | {"updated_at": None} == {
        "conn_id": "warehouse",
        "team": "default",
        "description": "",
        "has_secret": True,
        "updated_at": None,
        **full,
    }
    root.put(path, json=full | {"host": "other"})
    with database.read() as connection:
        settings, secret = read_connection(connection, parts.keys, "default", "warehouse")
    assert (settings.host, secret.password, secret.extra) == ("other", SECRET, f'{{"ssl":true,"key":"{SECRET}"}}')
    root.put(path, json=full | {"password": None, "extra": None})
    assert root.get(path).json()["has_secret"] is False
    for told in (made, root.get("/api/v1/connections"), root.get("/api/v1/audit")):
        assert SECRET not in told.text


def test_a_variable_is_made_for_the_callers_own_team(red: httpx.Client, root: httpx.Client) -> None:
    assert red.put("/api/v1/variables/key", json={"value": "1"}).json()["team"] == "red"
    assert root.put("/api/v1/variables/key", json={"value": "1"}).json()["team"] == "default"
    assert root.put("/api/v1/variables/key", params={"team": ""}, json={"value": "1"}).json()["team"] == ""
    teams = [row["team"] for row in red.get("/api/v1/variables").json()["items"]]
    assert teams == ["", "red"], "what belongs to no team is there for all"


def test_a_caller_with_several_teams_says_which(caller, root: httpx.Client) -> None:  # type: ignore[no-untyped-def]
    purple = caller("purple")
    reply = purple.put("/api/v1/variables/key", json={"value": "1"})
    assert (reply.status_code, "say which one" in reply.json()["detail"]) == (422, True)
    assert purple.put("/api/v1/variables/key", params={"team": "blue"}, json={"value": "1"}).status_code == 201


def test_bundles_tell_how_many_of_their_files_are_broken(root: httpx.Client, rows: Rows, parts: WebParts) -> None:
    rows.add(schema.bundle, name="dags", team="red", kind="folder", location="/x", refreshed_at=THEN)
    for number, error in enumerate((None, "SyntaxError: no", None)):
        rows.add(
            schema.source_file,
            bundle="dags",
            path=f"{number}.py",
            team="red",
            hash="h",
            imports=[],
            workflows=number,
            error=error,
            error_line=3 if error else None,
            owners=["ann"],
            failed_at=THEN if error else None,
        )
    [found] = root.get("/api/v1/bundles").json()["items"]
    assert (found["files"], found["workflows"], found["broken"]) == (3, 3, 1)
    [error] = root.get("/api/v1/import-errors").json()["items"]
    assert (error["file"], error["error"], error["error_line"], error["owners"]) == (
        "1.py",
        "SyntaxError: no",
        3,
        ["ann"],
    )
    woken = parts.wakeups.listen("serializer")
    assert root.post("/api/v1/bundles/dags/refresh").status_code == 202
    assert woken.wait(0)
    assert root.get("/api/v1/bundles/dags").json()["refreshed_at"] is None
    assert root.post("/api/v1/bundles/none/refresh").status_code == 404


def test_the_catalogue_of_operators_is_there_for_all_and_each_teams_own_for_itself(
    root: httpx.Client, blue: httpx.Client, rows: Rows
) -> None:
    own = {"properties": {"bash_command": {}}}
    rows.add(schema.operator, path="piper.operators.bash.BashOperator", bundle="", schema=own)
    rows.add(schema.operator, path="red.Own", bundle="dags", team="red", schema={})
    assert [row["path"] for row in root.get("/api/v1/operators").json()["items"]] == [
        "piper.operators.bash.BashOperator",
        "red.Own",
    ]
    assert [row["path"] for row in blue.get("/api/v1/operators").json()["items"]] == [
        "piper.operators.bash.BashOperator"
    ]
    shown = blue.get("/api/v1/operators/piper.operators.bash.BashOperator").json()
    assert shown["schema"] == {"properties": {"bash_command": {}}}
    assert blue.get("/api/v1/operators/red.Own").status_code == 404
    rows.add(schema.operator, path="red.Own", bundle="other", team="blue", schema={})
    assert blue.get("/api/v1/operators/red.Own").json()["bundle"] == "other"
    assert root.get("/api/v1/operators/red.Own").json()["bundle"] == "dags"
