"""Tasks that run SQL, in DuckDB or in any database that SQLAlchemy reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Unpack

from piper.sdk.arguments import OperatorArguments
from piper.sdk.exceptions import AirflowException
from piper.sdk.importing import import_for
from piper.sdk.operator import BaseOperator

DIALECTS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
"""Type of a connection → SQLAlchemy's name for database and driver, where the two differ."""


class SqlOperator(BaseOperator):
    """Runs SQL statements, all in one transaction. The rows of the last one are the task's result.

    Values go into `parameters`, never into the text: `$name` stands for one in DuckDB, `:name` elsewhere.

    Example::

        SqlOperator(
            task_id="features",
            sql=["DELETE FROM features WHERE day = $day", "INSERT INTO features SELECT … WHERE day = $day"],
            database="warehouse.duckdb",
            parameters={"day": "{{ ds }}"},
        )

    Arguments:
        sql: a statement, several of them, or the path of a template file that ends in `.sql`. (templated)
        database: path of a DuckDB file; `:memory:` for none. (templated)
        connection: id of a connection to a database, in place of `database`. (templated)
        parameters: values for the statements, by name. (templated)
        max_rows: how many rows of the last statement are kept as the task's result.
    """

    template_fields: Sequence[str] = ("sql", "database", "connection", "parameters")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[Mapping[str, str]] = {"sql": "sql", "parameters": "json"}
    ui_color = "#e6f0fb"

    def __init__(
        self,
        *,
        task_id: str,
        sql: str | list[str],
        database: str | None = None,
        connection: str | None = None,
        parameters: dict[str, Any] | None = None,
        max_rows: int = 1000,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        if (database is None) == (connection is None):
            raise ValueError(f"task {self.task_id!r}: give either `database`, a DuckDB file, or `connection`, an id")
        self.sql = sql
        self.database = database
        self.connection = connection
        self.parameters = parameters
        self.max_rows = max_rows
        self._interrupt: Any = None

    def execute(self, context: Any) -> list[dict[str, Any]] | None:
        """Run the statements."""
        statements = [self.sql] if isinstance(self.sql, str) else list(self.sql)
        if self.database is not None:
            return self._run_in_duckdb(statements)
        return self._run_elsewhere(statements)

    def on_kill(self) -> None:
        """Stop the statement that runs, where the database allows it."""
        if self._interrupt is not None:
            self._interrupt()

    def _run_in_duckdb(self, statements: list[str]) -> list[dict[str, Any]] | None:
        duckdb = import_for("SqlOperator(database=…)", "duckdb")
        rows = None
        with duckdb.connect(self.database) as session:
            self._interrupt = session.interrupt
            session.begin()
            for statement in statements:
                self.log.info("Running: %s", statement)
                cursor = session.execute(statement, _named_in(statement, self.parameters or {}) or None)
                names = [column[0] for column in cursor.description or ()]
                rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(self.max_rows)]
            session.commit()
            self._interrupt = None
        return rows or None

    def _run_elsewhere(self, statements: list[str]) -> list[dict[str, Any]] | None:
        sqlalchemy = import_for("SqlOperator(connection=…)", "sqlalchemy")
        rows = None
        with _engine(sqlalchemy, str(self.connection)) as engine, engine.begin() as session:
            for statement in statements:
                self.log.info("Running: %s", statement)
                result = session.execute(sqlalchemy.text(statement), self.parameters or {})
                if result.returns_rows:
                    rows = [dict(row._mapping) for row in result.fetchmany(self.max_rows)]
                else:
                    rows = None
                    self.log.info("%s rows changed", result.rowcount)
        return rows


def _named_in(statement: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a statement names: DuckDB refuses to be given others."""
    return {name: value for name, value in parameters.items() if re.search(rf"\${re.escape(name)}\b", statement)}


@contextmanager
def _engine(sqlalchemy: Any, conn_id: str) -> Iterator[Any]:
    """An engine for the database of a connection."""
    from piper.sdk.connection import Connection  # few tasks use connections

    found = Connection.get(conn_id)
    if not found.conn_type:
        raise AirflowException(f"connection {conn_id!r} has no type: set it to postgres, mysql, sqlite …")
    url = sqlalchemy.URL.create(
        DIALECTS.get(found.conn_type, found.conn_type),
        username=found.login or None,
        password=found.password or None,
        host=found.host or None,
        port=found.port,
        database=found.schema or None,
    )
    engine = sqlalchemy.create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
