"""Connections and transactions: who may write when, and what a failure means.

SQLite has one writer. All writes of a process go through one connection behind a lock, each begun
with BEGIN IMMEDIATE, so that waiting happens in this lock (fair, microseconds) and never in SQLite's
busy handler (polling, up to tens of milliseconds); reads use their own connections and see the last
commit (WAL). On PostgreSQL every transaction takes a connection of the pool.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Executable, bindparam, text
from sqlalchemy.exc import DBAPIError

from piper.model.errors import AmbiguousCommit, FenceLost, GuardFailed, StoreUnavailable
from piper.store.schema import shard

CommitHook = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fence:
    """The term under which a service writes: its member id and the epoch of each shard it owns."""

    owner: str
    epochs: Mapping[int, int]

    def only(self, shards: Sequence[int] | set[int] | frozenset[int]) -> Fence:
        """The same term over fewer shards. Raises FenceLost for a shard that is not held."""
        missing = frozenset(s for s in shards if s not in self.epochs)
        if missing:
            raise FenceLost(missing)
        return Fence(self.owner, {s: self.epochs[s] for s in shards})


_SHARDS_HELD = (
    sqlalchemy.select(shard.c.shard, shard.c.epoch)
    .where(shard.c.owner == bindparam("owner"), shard.c.shard.in_(bindparam("shards", expanding=True)))
    .order_by(shard.c.shard)
)
_SHARDS_HELD_LOCKED = _SHARDS_HELD.with_for_update(read=True)
_ALL_SHARDS_HELD = sqlalchemy.select(shard.c.shard, shard.c.epoch).where(shard.c.owner == bindparam("owner"))


class Database:
    """One metadata database.

    Arguments:
        url: `sqlite:///PATH` or `postgresql://…` (psycopg 3).
        synchronous: SQLite's durability, FULL unless a test of speed or a simulation says otherwise.
        commit_hook: called with "before" and "after" around every commit: where a simulation crashes.
    """

    def __init__(
        self,
        url: str,
        *,
        synchronous: str = "FULL",
        pool_size: int = 8,
        commit_hook: CommitHook | None = None,
    ) -> None:
        parsed = sqlalchemy.make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self._commit_hook = commit_hook
        if self.sqlite:
            self.engine = _sqlite_engine(parsed, synchronous, pool_size)
        else:
            parsed = parsed.set(drivername="postgresql+psycopg")
            self.engine = sqlalchemy.create_engine(
                parsed, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True
            )
        self._write_lock = threading.Lock()
        self._writer: Connection | None = None

    def close(self) -> None:
        """Close every connection. The object may not be used afterwards."""
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read with; what it sees is one snapshot on SQLite, committed data on PostgreSQL."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise _translated(error) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises.

        Raises:
            StoreUnavailable: nothing was written.
            AmbiguousCommit: the connection broke during COMMIT.
        """
        if self.sqlite:
            with self._write_lock:
                if self._writer is None:
                    self._writer = self._open_writer()
                try:
                    with self._transaction(self._writer) as connection:
                        yield connection
                finally:
                    if self._writer is not None and self._writer.invalidated:
                        self._writer.close()
                        self._writer = None
        else:
            try:
                connection = self.engine.connect()
            except DBAPIError as error:
                raise _translated(error) from error
            with connection, self._transaction(connection):
                yield connection

    @contextmanager
    def fenced(self, fence: Fence) -> Iterator[Connection]:
        """A transaction under a fence: it begins by proving that `fence.owner` holds every shard of it.

        Raises:
            FenceLost: with the shards that are no longer held; nothing was written.
        """
        with self.write() as connection:
            check_fence(connection, fence)
            yield connection

    def _open_writer(self) -> Connection:
        try:
            return self.engine.connect()
        except DBAPIError as error:
            raise _translated(error) from error

    @contextmanager
    def _transaction(self, connection: Connection) -> Iterator[Connection]:
        try:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
        except BaseException as error:
            _roll_back(connection)
            if isinstance(error, DBAPIError):
                raise _translated(error) from error
            raise
        if self._commit_hook is not None:
            try:
                self._commit_hook("before")
            except BaseException:
                _roll_back(connection)
                raise
        try:
            connection.commit()
        except DBAPIError as error:
            _roll_back(connection)
            if error.connection_invalidated:
                raise AmbiguousCommit(f"the connection broke during COMMIT: {error.orig}") from error
            raise _translated(error) from error
        if self._commit_hook is not None:
            self._commit_hook("after")


def check_fence(connection: Connection, fence: Fence) -> None:
    """Prove, and on PostgreSQL hold until the end of the transaction, that the fence's shards are owned.

    On SQLite the write lock of BEGIN IMMEDIATE is what holds; on PostgreSQL it is FOR SHARE: a takeover's
    UPDATE waits for our commit, and if it came first the re-evaluated row is missing here.

    Raises:
        FenceLost: with the shards that are not held at their epochs.
    """
    if connection.dialect.name == "sqlite":
        # Many shards make a long IN list; on SQLite one process owns nearly everything, so read all it owns.
        statement: Executable = _ALL_SHARDS_HELD if len(fence.epochs) > 8 else _SHARDS_HELD
    else:
        statement = _SHARDS_HELD_LOCKED
    parameters: dict[str, Any] = {"owner": fence.owner}
    if statement is not _ALL_SHARDS_HELD:
        parameters["shards"] = sorted(fence.epochs)
    held = {row.shard: row.epoch for row in connection.execute(statement, parameters)}
    lost = frozenset(s for s, epoch in fence.epochs.items() if held.get(s) != epoch)
    if lost:
        raise FenceLost(lost)


def among(column: ColumnElement[Any], states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """`column` is one of `states`, as constants: an IN list of parameters cannot be executed for many rows."""
    return sqlalchemy.or_(*(column == sqlalchemy.literal_column(f"'{state}'") for state in sorted(states)))


def guarded(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]], what: str) -> None:
    """Execute an UPDATE or DELETE whose WHERE carries a guard, once per row; each must match one row.

    Raises:
        GuardFailed: fewer rows matched than were meant: the world has moved on since the decision.
    """
    if not rows:
        return
    result = connection.execute(statement, rows if len(rows) > 1 else rows[0])
    if result.rowcount != len(rows):
        raise GuardFailed(f"{what}: {len(rows)} rows were meant, {result.rowcount} matched their guard")


def _sqlite_engine(url: sqlalchemy.URL, synchronous: str, pool_size: int) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(
        url,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 5.0},
        poolclass=sqlalchemy.QueuePool,
        pool_size=pool_size,
        max_overflow=32,
    )

    @sqlalchemy.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "busy_timeout=5000",
            "foreign_keys=OFF",
            "temp_store=MEMORY",
            "cache_size=-16000",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _roll_back(connection: Connection) -> None:
    try:
        connection.rollback()
        if connection.dialect.name == "sqlite" and connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
            connection.connection.dbapi_connection.rollback()  # type: ignore[union-attr]
    except DBAPIError:
        connection.invalidate()


def _translated(error: DBAPIError) -> Exception:
    """A programming or integrity error stays what it is; the rest says that the database cannot be used."""
    if isinstance(error, (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.DataError)):
        return error
    return StoreUnavailable(f"the database did not do what was asked and nothing was written: {error.orig}")


def ping(database: Database) -> None:
    """Raise StoreUnavailable unless the database answers."""
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
