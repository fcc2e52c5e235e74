"""Connections and transactions: who may write when, and what a failure means.

Three ways in:

* `read()`: every statement sees what is committed when it begins; it never waits for a writer.
* `write()`: a transaction of a call, by a person or a worker. What it changes is guarded by identity and
  source states.
* `fenced(fence)`: a transaction of a service, which begins by proving that its member still owns the
  shards it will touch. `as_member(owner)` is the same without that proof, for coordination itself.

The two databases differ in `store.sqlite` and `store.postgres`, and nowhere else but there.

A transaction is all or nothing. `StoreUnavailable`, `Conflict` and `FenceLost` say that nothing was
written; after `AmbiguousCommit` that is not known, and the caller reads again. An error inside a block must
leave the block: after one, PostgreSQL refuses the rest of the transaction. What may exist already is
inserted with `ON CONFLICT` (`sqlalchemy.dialects.postgresql.insert` compiles for both databases).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, NoReturn, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Executable, text

from piper.model.errors import FenceLost, GuardFailed
from piper.store.postgres import PostgresDriver
from piper.store.sqlite import SqliteDriver

CommitHook = Callable[[str], None]

T = TypeVar("T")


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


class Database:
    """One metadata database.

    Arguments:
        url: `sqlite:///PATH` or `postgresql://…` (psycopg 3).
        synchronous: SQLite's durability, FULL unless a test of speed or a simulation says otherwise.
        pool_size: connections to keep open per pool.
        commit_hook: called with "before" and "after" around every commit: where a simulation crashes.

    Raises:
        InvalidSetting: the URL names another kind of database, or a file where SQLite cannot lock.
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
        self.driver = SqliteDriver(parsed, synchronous, pool_size) if self.sqlite else PostgresDriver(parsed, pool_size)
        self.engine = self.driver.engine
        self._commit_hook = commit_hook

    def close(self) -> None:
        """Close every connection. The object may not be used afterwards."""
        self.driver.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read with. Each statement sees what was committed before it began.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except Exception as error:
            self._raise_explained(error)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises.

        Raises:
            StoreUnavailable: nothing was written.
            Conflict: a row with the same key exists; nothing was written.
            Invalid: a value cannot be stored, such as a text with a NUL; nothing was written.
            AmbiguousCommit: the connection broke during COMMIT.
        """
        with self.as_member("") as connection:
            yield connection

    @contextmanager
    def fenced(self, fence: Fence) -> Iterator[Connection]:
        """A transaction under a fence: it begins by proving that `fence.owner` holds every shard of it.

        Raises:
            FenceLost: with the shards that are no longer held; nothing was written.
        """
        with self.as_member(fence.owner) as connection:
            held = self.driver.hold(connection, fence.owner, sorted(fence.epochs))
            lost = frozenset(s for s, epoch in fence.epochs.items() if held.get(s) != epoch)
            if lost:
                raise FenceLost(lost)
            yield connection

    @contextmanager
    def as_member(self, owner: str) -> Iterator[Connection]:
        """A transaction in the name of a member, under the session settings of services, without a fence.

        For what is itself coordination: to renew, to claim, to release. Raises as `write`.
        """
        try:
            with self.driver.transaction(owner) as connection:
                try:
                    yield connection
                    if self._commit_hook is not None:
                        self._commit_hook("before")
                    self.driver.commit(connection)
                except BaseException:
                    self.driver.roll_back(connection)
                    raise
        except Exception as error:
            self._raise_explained(error)
        if self._commit_hook is not None:
            self._commit_hook("after")

    def _raise_explained(self, error: Exception) -> NoReturn:
        explained = self.driver.explain(error)
        if explained is error:
            raise error
        raise explained from error


def among(column: ColumnElement[Any], states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """`column` is one of `states`, as constants: an IN list of parameters cannot be executed for many rows."""
    return sqlalchemy.or_(*(column == sqlalchemy.literal_column(f"'{state}'") for state in sorted(states)))


ROWS_PER_STATEMENT = 200
"""Rows that are handed over at once. PostgreSQL ends a service's transaction in which nothing comes for a second, and a
statement that takes 0.8 s: ten thousand rows would be too long in the making, and then too long in the writing."""


def in_portions(rows: Iterable[T]) -> Iterator[list[T]]:
    """The rows, as many at a time as a statement may be given; each portion is made when it is asked for."""
    left = iter(rows)
    while portion := list(islice(left, ROWS_PER_STATEMENT)):
        yield portion


def guarded(connection: Connection, statement: Executable, rows: Iterable[Mapping[str, Any]], what: str) -> None:
    """Execute an UPDATE or DELETE whose WHERE carries a guard, once per row; each must match one row.

    The WHERE must name a whole key, so that no row of `rows` can match two rows and hide one that matched none.

    Raises:
        GuardFailed: fewer rows matched than were meant: the world has moved on since the decision.
    """
    meant = matched = 0
    for portion in in_portions(rows):
        meant += len(portion)
        matched += connection.execute(statement, portion if len(portion) > 1 else portion[0]).rowcount
    if matched != meant:
        raise GuardFailed(f"{what}: {meant} rows were meant, {matched} matched their guard")


def ping(database: Database) -> None:
    """Raise StoreUnavailable unless the database answers."""
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
