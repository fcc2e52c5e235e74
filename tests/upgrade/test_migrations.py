"""The revisions build exactly the schema, from empty, on both databases; a start with nothing to do is quick."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy
from alembic.script import ScriptDirectory

from piper.model.errors import WrongSchema
from piper.model.ids import SHARDS, SINGLETON_SHARDS
from piper.store import migrations
from piper.store.database import Database
from piper.store.migrations.upgrade import FOLDER
from piper.store.schema import coordination, metadata, pool, shard
from tests.conftest import KINDS
from tests.servers.postgres import Postgres

_numbers = count()

SQLITE_OBJECTS = """
    SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name <> 'alembic_version' ORDER BY name
"""
POSTGRES_COLUMNS = """
    SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'S') AND a.attnum > 0
      AND c.relname <> 'alembic_version'
    ORDER BY 1, 2
"""
POSTGRES_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2
"""
POSTGRES_INDEXES = """
    SELECT tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2
"""


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """The URLs of two databases without tables, of each kind in turn."""
    if request.param == "sqlite":
        yield [f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db"]
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    names = [f"empty_{next(_numbers)}" for _ in range(2)]
    with server.connect() as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    yield [server.url(name) for name in names]
    with server.connect() as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def described(database: Database) -> list[tuple[object, ...]]:
    """Every table, column, default, constraint and index of a database, as it says itself."""
    questions = [SQLITE_OBJECTS] if database.sqlite else [POSTGRES_COLUMNS, POSTGRES_CONSTRAINTS, POSTGRES_INDEXES]
    with database.read() as connection:
        rows = [tuple(row) for question in questions for row in connection.execute(sqlalchemy.text(question))]
    # The order in which a table's constraints are written is no difference.
    return [
        tuple(sorted(str(value).replace("\t", "").removesuffix("\n)").split(", \n")) for value in row) for row in rows
    ]


def test_the_revisions_build_exactly_the_schema(empty: list[str]) -> None:
    by_revisions, by_schema = (Database(url) for url in empty)
    migrations.migrate(by_revisions)
    with by_schema.write() as connection:
        metadata.create_all(connection)
    expected = described(by_schema)
    assert len(expected) > 20
    assert described(by_revisions) == expected
    by_revisions.close()
    by_schema.close()


def test_the_newest_revision_is_the_one_that_is_written_down() -> None:
    scripts = ScriptDirectory(str(FOLDER))
    assert scripts.get_current_head() == migrations.HEAD
    assert tuple(sorted(script.revision for script in scripts.walk_revisions())) == migrations.KNOWN


def test_a_new_database_has_what_every_installation_has(database: Database) -> None:
    with database.read() as connection:
        one = connection.execute(coordination.select()).one()
        shards = connection.execute(shard.select()).all()
        pools = connection.execute(pool.select()).all()
    assert (one.shards, one.coordinator) == (SHARDS, "sqlite" if database.sqlite else "postgres")
    assert {row.shard for row in shards} == {*range(SHARDS), *SINGLETON_SHARDS}
    assert {(row.owner, row.epoch) for row in shards} == {(None, 0)}
    assert [(row.name, row.team, row.slots) for row in pools] == [("default_pool", "default", 128)]


def test_to_migrate_again_changes_nothing(database: Database) -> None:
    with database.write() as connection:
        connection.execute(pool.update().values(slots=3))
    migrations.migrate(database)
    migrations.check(database)
    with database.read() as connection:
        assert connection.execute(pool.select().with_only_columns(pool.c.slots)).scalars().all() == [3]


def test_an_empty_database_is_refused_with_what_to_do(empty: list[str]) -> None:
    database = Database(empty[0])
    with pytest.raises(WrongSchema, match="is empty: run `piper db migrate`"):
        migrations.check(database)
    database.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
    for refuses in (migrations.check, migrations.migrate):
        with pytest.raises(WrongSchema, match=r"revision 9999.*newer version"):
            refuses(database)


def test_a_migration_that_fails_leaves_the_database_empty(empty: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(empty[0])
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "_fill", lambda _connection: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            migrations.migrate(database)
    assert migrations.revision(database) is None
    assert sqlalchemy.inspect(database.engine).get_table_names() == []
    migrations.migrate(database)
    migrations.check(database)
    database.close()


def test_two_that_migrate_at_once_both_find_the_work_done(empty: list[str]) -> None:
    databases = [Database(empty[0]), Database(empty[0])]
    failures: list[Exception] = []

    def migrate(database: Database) -> None:
        try:
            migrations.migrate(database)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for database in databases:
        migrations.check(database)
        database.close()


def test_a_start_that_has_nothing_to_do_does_not_load_alembic(sqlite_url: str) -> None:
    program = (
        "import sys; from piper.store.database import Database; from piper.store.migrations import migrate;"
        f"migrate(Database({sqlite_url!r})); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_database_is_made_from_empty_in_less_than_four_tenths_of_a_second(tmp_path: Path) -> None:
    program = (
        "import time; from piper.store.database import Database; from piper.store.migrations import migrate;"
        "began = time.process_time();"  # and not the time that others on the machine have taken
        f"migrate(Database('sqlite:///{tmp_path}/new.db')); print(time.process_time() - began)"
    )
    seconds = []
    for _ in range(3):
        (tmp_path / "new.db").unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout))
    assert min(seconds) < 0.4, seconds
