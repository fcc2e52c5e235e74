"""Connections, variables, hooks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from piper.sdk.connection import Connection, register_hook
from piper.sdk.exceptions import AirflowException
from piper.sdk.hook import BaseHook
from piper.sdk.variable import Variable


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        (
            "postgres://ann:p%40ss@db.Example.org:5432/sales?sslmode=require",
            {
                "conn_type": "postgres",
                "login": "ann",
                "password": "p@ss",
                "host": "db.Example.org",
                "port": 5432,
                "schema": "sales",
                "extra": '{"sslmode": "require"}',
            },
        ),
        ("postgresql://host", {"conn_type": "postgres", "host": "host"}),
        ("google-cloud-platform://", {"conn_type": "google_cloud_platform"}),
        ("http://https://api.example.org:8443", {"conn_type": "http", "host": "https://api.example.org", "port": 8443}),
        ("spark://?__extra__=%7B%22a%22%3A+%5B1%5D%7D", {"conn_type": "spark", "extra": '{"a": [1]}'}),
        ("mysql://:secret@host", {"conn_type": "mysql", "password": "secret", "host": "host"}),
        ("x://h%2Fo%2Fst/s", {"conn_type": "x", "host": "h/o/st", "schema": "s"}),
    ],
)
def test_a_uri_is_taken_apart(uri: str, parts: dict[str, Any]) -> None:
    connection = Connection(conn_id="c", uri=uri)
    assert {name: value for name, value in vars(connection).items() if name != "conn_id"} == parts


@pytest.mark.parametrize(
    "parts",
    [
        {"conn_type": "postgres", "host": "h", "login": "a b", "password": "p:/@", "port": 1, "schema": "s/t"},
        {"conn_type": "http", "host": "https://api.example.org"},
        {"conn_type": "aws", "extra": '{"region": "eu"}'},
        {"conn_type": "aws", "extra": '{"nested": {"a": [1, 2]}}', "schema": "s"},
        {"conn_type": "x_y", "port": 5},
    ],
)
def test_a_connection_survives_its_uri_and_its_json(parts: dict[str, Any]) -> None:
    connection = Connection(conn_id="c", **parts)
    assert Connection.from_uri(connection.get_uri(), "c") == connection
    assert Connection.from_json(connection.as_json(), "c") == connection
    assert Connection.from_text(connection.as_json(), "c") == Connection.from_text(connection.get_uri(), "c")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("a://b://c://d", "more than two"),
        ("http://me@http://host", "follows a login"),
        ("x://h:port", "port is not a number"),
    ],
)
def test_a_wrong_uri_is_refused_without_showing_it(uri: str, words: str) -> None:
    with pytest.raises(AirflowException, match=words) as caught:
        Connection(conn_id="c", uri=uri)
    assert uri not in str(caught.value)


def test_mistakes_with_parts_are_refused() -> None:
    with pytest.raises(TypeError, match="did you mean 'login'"):
        Connection(conn_id="c", logn="ann")
    with pytest.raises(AirflowException, match="not both"):
        Connection(conn_id="c", uri="x://h", host="h")
    with pytest.raises(ValueError, match="Expected integer value for `port`"):
        Connection.from_json('{"port": "many"}', "c")
    assert Connection(conn_id="c", extra="not json").extra_dejson == {}


def test_a_connection_does_not_show_its_password() -> None:
    assert "secret" not in repr(Connection(conn_id="c", uri="x://ann:secret@h"))


def test_connections_and_variables_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DB", "postgres://ann@host/sales")
    monkeypatch.setenv("AIRFLOW_CONN_API", '{"conn_type": "http", "extra": {"token": "t"}}')
    monkeypatch.setenv("AIRFLOW_VAR_LIMITS", '{"rows": 5}')
    assert Connection.get("db").login == "ann"
    assert BaseHook.get_connection("api").extra_dejson == {"token": "t"}
    assert asyncio.run(BaseHook.aget_connection("db")).schema == "sales"
    assert Variable.get("limits", deserialize_json=True) == {"rows": 5}


class Database(BaseHook):
    """A hook of the tests."""

    conn_name_attr = "db_conn_id"

    def __init__(self, db_conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.db_conn_id = db_conn_id

    def test_connection(self) -> tuple[bool, str]:
        return True, "fine"


def test_a_hook_is_found_by_the_type_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    register_hook("testdb", f"{__name__}.Database")
    monkeypatch.setenv("AIRFLOW_CONN_MINE", "testdb://host")
    hook = BaseHook.get_hook("mine")
    assert isinstance(hook, Database)
    assert hook.db_conn_id == "mine"
    assert hook.log.name.endswith("Database")
    assert Connection.get("mine").test_connection() == (True, "fine")
    assert Connection(conn_id="x", conn_type="testbd").test_connection() == (
        False,
        "Unknown hook type 'testbd' (did you mean 'testdb'?)",
    )
    with pytest.raises(NotImplementedError):
        hook.get_conn()
