"""Fixtures for every suite that needs a database: `def test_x(database):` runs on SQLite and on PostgreSQL.

Each test gets its own empty database with the current schema, made from a template in a few milliseconds:
a copied file on SQLite, `CREATE DATABASE … TEMPLATE` on PostgreSQL. The PostgreSQL server is private to the
session and starts with the first test that asks for it.

At the end of a session each suite's time is printed.
"""

from __future__ import annotations

import shutil
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import hypothesis
import pytest

from piper.store.database import Database, Fence
from piper.store.migrations import migrate
from piper.store.schema import shard
from tests.servers import postgres
from tests.servers.postgres import Postgres

KINDS = ("sqlite", "postgres")
_numbers = count()

# How long one example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("piper", deadline=None, print_blob=True)
hypothesis.settings.load_profile("piper")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The session's PostgreSQL server. A test that stops or breaks a server starts one of its own."""
    server = postgres.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite-template") / "piper.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Postgres) -> str:
    """The name of a migrated PostgreSQL database to copy."""
    with postgres_server.connect() as connection:
        connection.execute("CREATE DATABASE piper_template")
    database = Database(postgres_server.url("piper_template"))
    migrate(database)
    database.close()
    return "piper_template"


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a migrated, otherwise empty SQLite database."""
    shutil.copy(sqlite_template, tmp_path / "piper.db")
    return f"sqlite:///{tmp_path / 'piper.db'}"


@pytest.fixture
def postgres_url(postgres_server: Postgres, postgres_template: str) -> Iterator[str]:
    """The URL of a migrated, otherwise empty PostgreSQL database."""
    name = f"piper_{next(_numbers)}"
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template} STRATEGY file_copy")
    yield postgres_server.url(name)
    with postgres_server.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, otherwise empty database of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, otherwise empty database, on SQLite and on PostgreSQL in turn."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def fence(database: Database) -> Fence:
    """A term that owns every shard of `database`, for tests that write as a service does."""
    with database.write() as connection:
        connection.execute(shard.update().values(owner="test", epoch=1))
        numbers = connection.execute(shard.select().with_only_columns(shard.c.shard)).scalars().all()
    return Fence("test", dict.fromkeys(numbers, 1))


def pytest_configure() -> None:
    """Let Ctrl-C interrupt what the tests start: what starts them in the background has it ignored, for them too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


_seconds: defaultdict[str, float] = defaultdict(float)
_tests: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    suite = Path(report.nodeid.partition("::")[0]).parts[1:2]
    _seconds["/".join(suite)] += report.duration
    _tests["/".join(suite)] += report.when == "call"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("seconds per suite")
    for suite, seconds in sorted(_seconds.items()):
        terminalreporter.write_line(f"{seconds:8.1f} s  {_tests[suite]:5d} tests  {suite}")
