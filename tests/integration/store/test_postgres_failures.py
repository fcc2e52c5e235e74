"""What a caller is told when PostgreSQL or the way to it fails, and that nothing is half written."""

from __future__ import annotations

import select
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Connection, text

from piper.model.errors import AmbiguousCommit, Conflict, StoreUnavailable
from piper.store.database import Database
from piper.store.schema import pool
from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

MEMBER = "0123456789"


@pytest.fixture
def db(postgres_url: str) -> Iterator[Database]:
    """A database on the session's server."""
    database = Database(postgres_url)
    yield database
    database.close()


@pytest.fixture
def proxy(postgres_server: Postgres) -> Iterator[Proxy]:
    """A way to the session's server that can be cut."""
    proxy = Proxy(postgres_server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def far(postgres_url: str, postgres_server: Postgres, proxy: Proxy) -> Iterator[Database]:
    """The same database as `db`, reached through `proxy`, with a connection in its pool."""
    database = Database(postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/"))
    with database.write():
        pass
    yield database
    database.close()


def add_pool(connection: Connection, name: str) -> None:
    connection.execute(pool.insert().values(name=name, team="t", slots=1, include_deferred=False))


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(pool.select().with_only_columns(pool.c.name)).scalars()) - {"default_pool"}


def session_of(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def kill(database: Database, session: int) -> None:
    with database.read() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend({session})"))


def wait_for_hangup(connection: Connection) -> None:
    """Return when the server has said something unasked: its farewell."""
    said, _, _ = select.select([connection.connection.dbapi_connection.fileno()], [], [], 10)  # type: ignore[union-attr]
    assert said


def test_a_session_killed_in_a_transaction_writes_nothing(db: Database) -> None:
    with pytest.raises(StoreUnavailable, match="ended this session"), db.write() as connection:
        add_pool(connection, "p")
        kill(db, session_of(connection))
        add_pool(connection, "q")
    assert names(db) == set()


def test_a_session_killed_before_commit_is_not_acknowledged(db: Database) -> None:
    with pytest.raises((StoreUnavailable, AmbiguousCommit)), db.write() as connection:
        add_pool(connection, "p")
        kill(db, session_of(connection))
        wait_for_hangup(connection)
    assert names(db) == set()


def test_a_commit_that_never_arrives_is_ambiguous(db: Database, far: Database, proxy: Proxy) -> None:
    proxy.cut_before(b"COMMIT")
    with pytest.raises(AmbiguousCommit), far.write() as connection:
        add_pool(connection, "p")
    assert names(db) == set()


def test_a_commit_whose_answer_is_lost_is_ambiguous(db: Database, far: Database, proxy: Proxy) -> None:
    proxy.lose_reply_to(b"COMMIT")
    with pytest.raises(AmbiguousCommit), far.write() as connection:
        add_pool(connection, "p")
    assert names(db) == {"p"}


def test_after_a_broken_connection_the_next_transaction_works(far: Database, proxy: Proxy) -> None:
    with far.write() as connection:
        add_pool(connection, "p")
    proxy.reset()
    with far.write() as connection:
        add_pool(connection, "q")
    assert names(far) == {"p", "q"}


def test_a_service_that_stands_still_in_a_transaction_is_ended_after_a_second(db: Database) -> None:
    with pytest.raises(StoreUnavailable), db.as_member(MEMBER) as connection:
        add_pool(connection, "p")
        wait_for_hangup(connection)
        add_pool(connection, "q")
    assert names(db) == set()


def test_a_service_ended_for_standing_still_may_not_commit(db: Database) -> None:
    with pytest.raises((StoreUnavailable, AmbiguousCommit)), db.as_member(MEMBER) as connection:
        add_pool(connection, "p")
        wait_for_hangup(connection)
    assert names(db) == set()


def test_a_service_waits_half_a_second_for_a_lock(db: Database) -> None:
    with db.write() as held:
        add_pool(held, "p")
        with pytest.raises(StoreUnavailable, match="has locked these rows"), db.as_member(MEMBER) as connection:
            add_pool(connection, "p")
    assert names(db) == {"p"}


def test_a_service_s_statement_that_takes_too_long_is_cancelled(db: Database) -> None:
    with pytest.raises(StoreUnavailable, match="took too long"), db.as_member(MEMBER) as connection:
        connection.execute(text("SELECT pg_sleep(5)"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("idle_in_transaction_session_timeout", "1s"),
        ("statement_timeout", "800ms"),
        ("lock_timeout", "500ms"),
        ("synchronous_commit", "on"),
        ("application_name", f"piper/{MEMBER}"),
        ("transaction_isolation", "read committed"),
        ("tcp_keepalives_idle", None),
    ],
)
def test_a_service_s_session_has_the_settings_of_the_protocol(db: Database, name: str, value: str | None) -> None:
    with db.as_member(MEMBER) as connection:
        found = connection.execute(text(f"SHOW {name}")).scalar_one()
    assert value is None or found == value


def test_a_member_that_registers_anew_renames_its_sessions(db: Database) -> None:
    with db.as_member(MEMBER):
        pass
    with db.as_member("another") as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "piper/another"


def test_libpq_is_told_to_notice_a_vanished_server(db: Database) -> None:
    with db.as_member(MEMBER) as connection:
        told = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
    wanted = {"connect_timeout": "2", "tcp_user_timeout": "1500", "keepalives_idle": "1", "keepalives_count": "2"}
    assert wanted.items() <= told.items()


def test_an_error_that_was_passed_over_is_not_acknowledged(db: Database) -> None:
    with pytest.raises(StoreUnavailable, match="passed over"), db.write() as connection:
        add_pool(connection, "p")
        with pytest.raises(Exception, match="duplicate key"):
            add_pool(connection, "p")
    assert names(db) == set()


def test_a_read_only_server_says_so(db: Database, postgres_url: str, postgres_server: Postgres) -> None:
    name = postgres_url.rpartition("/")[2]
    with postgres_server.connect() as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(StoreUnavailable, match="is read-only"), db.write() as connection:
        add_pool(connection, "p")


def test_a_server_that_is_not_there_says_where_it_should_be(proxy: Proxy) -> None:
    proxy.close()
    database = Database(f"postgresql://postgres@127.0.0.1:{proxy.port}/piper")
    attempts: list[AbstractContextManager[Connection]] = [database.read(), database.write(), database.as_member("m")]
    for attempt in attempts:
        with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{proxy.port}/piper.*refused"), attempt:
            pytest.fail("there is no server")
    database.close()


def test_a_duplicate_names_the_table(db: Database) -> None:
    with pytest.raises(Conflict, match="pool"), db.write() as connection:
        add_pool(connection, "default_pool")


def test_a_server_that_crashes_loses_what_was_not_committed_and_the_pool_recovers() -> None:
    server = postgres.start()
    try:
        database = Database(server.url())
        with database.write() as connection:
            pool.create(connection)
        with database.write() as connection:
            add_pool(connection, "kept")
        with pytest.raises(StoreUnavailable), database.write() as connection:
            add_pool(connection, "lost")
            server.stop(signal.SIGQUIT)
            add_pool(connection, "lost too")
        with pytest.raises(StoreUnavailable), database.write() as connection:
            pytest.fail("the server is down")
        server.start_again()
        with database.write() as connection:
            add_pool(connection, "after")
        assert names(database) == {"kept", "after"}
        database.close()
    finally:
        server.remove()
