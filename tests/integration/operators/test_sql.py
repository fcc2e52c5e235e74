"""SQL tasks run statements in one transaction, with values bound and never written into the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from piper.model.events import Succeeded
from piper.operators.sql import SqlOperator
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, error_of, perform, result_of


def running(database: Path | None, sql: Any, channel: MemoryChannel | None = None, **arguments: Any) -> Any:
    place = {"database": str(database)} if database is not None else {}
    with a_dag():
        operator = SqlOperator(task_id="task", sql=sql, **place, **arguments)
    return perform(operator, channel=channel)


def rows_in(database: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(database)) as session:
        return session.execute(sql).fetchall()


def test_statements_run_one_after_the_other_and_the_rows_of_the_last_are_the_result(tmp_path: Path) -> None:
    database = tmp_path / "w.duckdb"
    report = running(
        database,
        ["CREATE TABLE t AS SELECT 1 AS a, 'x' AS b", "INSERT INTO t VALUES ($n, $day)", "SELECT * FROM t ORDER BY a"],
        parameters={"n": 2, "day": "{{ ds }}"},
    )
    assert result_of(report) == [{"a": 1, "b": "x"}, {"a": 2, "b": "2024-05-06"}]
    assert rows_in(database, "SELECT count(*) FROM t") == [(2,)]


def test_a_failure_undoes_all_statements(tmp_path: Path) -> None:
    database = tmp_path / "w.duckdb"
    rows_in(database, "CREATE TABLE t (a INTEGER)")
    assert "nowhere" in error_of(running(database, ["INSERT INTO t VALUES (1)", "SELECT * FROM nowhere"]))
    assert rows_in(database, "SELECT count(*) FROM t") == [(0,)]


def test_a_value_is_no_part_of_the_statement(tmp_path: Path) -> None:
    evil = "x'; DROP TABLE t; --"
    database = tmp_path / "w.duckdb"
    report = running(database, ["CREATE TABLE t AS SELECT 1 AS a", "SELECT $v AS v"], parameters={"v": evil})
    assert result_of(report) == [{"v": evil}]
    assert rows_in(database, "SELECT count(*) FROM t") == [(1,)]


def test_no_more_rows_are_kept_than_asked_for() -> None:
    with a_dag():
        operator = SqlOperator(task_id="t", sql="SELECT * FROM range(50)", database=":memory:", max_rows=3)
    assert len(result_of(perform(operator))) == 3


def test_statements_may_come_from_a_template_file(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("SELECT '{{ ds }}' AS day")
    with a_dag(template_searchpath=[str(tmp_path)]):
        operator = SqlOperator(task_id="t", sql="q.sql", database=":memory:")
    assert result_of(perform(operator)) == [{"day": "2024-05-06"}]


def test_a_connection_reaches_other_databases(tmp_path: Path) -> None:
    channel = MemoryChannel(connections={"db": {"conn_type": "sqlite", "schema": f"{tmp_path}/x.db"}})
    statements = ["CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (:n)", "SELECT a FROM t"]
    report = running(None, statements, channel, connection="db", parameters={"n": 5})
    assert result_of(report) == [{"a": 5}]
    again = running(None, "SELECT count(*) AS n FROM t", channel, connection="db")
    assert isinstance(again.event, Succeeded)
    assert result_of(again) == [{"n": 1}]


@pytest.mark.parametrize("place", [{}, {"database": "a", "connection": "b"}])
def test_one_place_must_be_given(place: Any) -> None:
    with pytest.raises(ValueError, match="give either `database`, a DuckDB file, or `connection`"):
        SqlOperator(task_id="t", sql="SELECT 1", **place)
