"""PostgreSQL: two pools of connections with their session settings, and what failures mean.

The settings are part of the protocol of correctness §2.1. A service that is stopped in the middle of a
transaction holds its shards by FOR SHARE; PostgreSQL ends that session after one second, before the others
may declare the member dead after two, so that a takeover never waits for a stopped owner. People's and
workers' transactions get more time.

Transactions are spoken by us (the connections are in autocommit mode): BEGIN is a round trip that finds out
a dead connection before anything is at stake, and what COMMIT answers is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
import sqlalchemy
from sqlalchemy import Connection, Engine, Integer, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError

from piper.model.errors import AmbiguousCommit, Conflict, Invalid, StoreUnavailable
from piper.store.schema import shard

SERVICE_SESSION = {
    "idle_in_transaction_session_timeout": "1000ms",
    "statement_timeout": "800ms",
    "lock_timeout": "500ms",
    "synchronous_commit": "on",
}
"""Of every transaction in the name of a member. The first must stay well below the members' time to live."""

CALL_SESSION = {
    "idle_in_transaction_session_timeout": "5s",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "synchronous_commit": "on",
}
"""Of people's and workers' calls, and of all reads."""

TRANSPORT = {
    "connect_timeout": 2,
    "tcp_user_timeout": 1500,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
"""libpq's: a server that has vanished is noticed within two seconds."""

POOL_SECONDS = 5.0
"""How long a caller waits for a connection when all are in use."""

_SHARDS_HELD = (
    sqlalchemy.select(shard.c.shard, shard.c.epoch)
    .where(
        shard.c.owner == bindparam("owner"), shard.c.shard == sqlalchemy.any_(bindparam("shards", type_=ARRAY(Integer)))
    )
    .order_by(shard.c.shard)
    .with_for_update(read=True)
)

_MEANING = {
    "25006": "is read-only",
    "25P03": "ended this session, which had been idle inside a transaction",
    "40001": "could not serialise this transaction with others",
    "40P01": "ended a deadlock between this transaction and another",
    "53100": "has a full disk: free some space there",
    "53200": "is out of memory",
    "53300": "has no connection left: raise max_connections, or let fewer processes use it",
    "55P03": "has locked these rows for another transaction",
    "57014": "cancelled a statement that took too long",
    "57P01": "is being shut down, or an administrator ended this session",
    "57P02": "is recovering from a crash",
    "57P03": "is starting up or recovering",
}
_UNAVAILABLE = ("08", "25006", "25P03", "40", "53", "55P03", "57", "58", "F0", "XX")
_DUPLICATE = "23505"


class PostgresDriver:
    """Connections and transactions of one PostgreSQL database.

    Arguments:
        url: `postgresql://…`.
        pool_size: connections of each pool to keep open; twice as many may be in use.
    """

    def __init__(self, url: sqlalchemy.URL, pool_size: int) -> None:
        self._name = f"{url.host or 'local'}:{url.port or 5432}/{url.database}"
        url = url.set(drivername="postgresql+psycopg")
        self.engine = _engine(url, CALL_SESSION, pool_size)
        self._services = _engine(url, SERVICE_SESSION, pool_size)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self._services.dispose()

    @contextmanager
    def transaction(self, owner: str) -> Iterator[Connection]:
        """A connection in a new transaction: in the name of member `owner`, or of a call when that is empty."""
        connection = (self._services if owner else self.engine).connect()
        try:
            try:
                _begin(connection, owner)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # It died in the pool, where nothing was at stake; SQLAlchemy connects anew after this.
                connection.rollback()
                _begin(connection, owner)
            yield connection
        finally:
            connection.close()

    def commit(self, connection: Connection) -> None:
        """Make the transaction last.

        Raises:
            AmbiguousCommit: the connection broke before the answer came.
        """
        if connection.connection.dbapi_connection.info.transaction_status.name == "INERROR":  # type: ignore[union-attr]
            # PostgreSQL would answer COMMIT of a failed transaction with a quiet ROLLBACK.
            raise StoreUnavailable(
                f"{self._name}: an error inside the transaction was passed over; nothing was written"
            )
        try:
            connection.exec_driver_sql("COMMIT")
        except DBAPIError as error:
            # A session that was ended for idling had been rolled back before our COMMIT reached it.
            if error.connection_invalidated and _code(error) != "25P03":
                raise AmbiguousCommit(f"{self._name}: the connection broke during COMMIT: {error.orig}") from error
            raise

    def roll_back(self, connection: Connection) -> None:
        """Undo the transaction, or give up its connection when that cannot be done."""
        try:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
        except DBAPIError:
            connection.invalidate()

    def hold(self, connection: Connection, owner: str, shards: Sequence[int]) -> dict[int, int]:
        """The epochs of those of `shards` that `owner` owns, locked against a takeover until the transaction ends.

        A takeover's UPDATE waits for our commit; if it came first, the row is looked at again after the wait
        and is missing here. A plain SELECT would miss that (correctness §2.1).
        """
        rows = connection.execute(_SHARDS_HELD, {"owner": owner, "shards": list(shards)})
        return {row.shard: row.epoch for row in rows}

    def explain(self, error: Exception) -> Exception:
        """What an error of the driver means to a caller; a mistake in our own SQL stays what it is."""
        if isinstance(error, sqlalchemy.exc.TimeoutError):
            return StoreUnavailable(f"{self._name}: all connections of this process are in use; try again")
        if isinstance(error, sqlalchemy.exc.PendingRollbackError):
            return StoreUnavailable(
                f"{self._name}: the connection broke and the error was passed over; nothing was written"
            )
        if not isinstance(error, DBAPIError):
            return error
        if isinstance(error, sqlalchemy.exc.DataError):
            primary = getattr(error.orig, "diag", None)
            reason = (primary.message_primary if primary else None) or str(error.orig)
            return Invalid(f"a value cannot be stored: {reason}")
        code = _code(error)
        if code == _DUPLICATE:
            table = error.orig.diag.table_name  # type: ignore[union-attr]
            return Conflict(f"{table}: a row with this key exists already")
        if code.startswith(_UNAVAILABLE) or (not code and isinstance(error, sqlalchemy.exc.OperationalError)):
            meaning = _MEANING.get(code, "cannot be used")
            reason = " ".join(str(error.orig).split())
            return StoreUnavailable(f"the database {self._name} {meaning}; nothing was written ({reason})", meaning)
        return error


def _begin(connection: Connection, owner: str) -> None:
    if owner and connection.info.get("owner") != owner:
        # Others find this session by its member, to end it when they take over from a stopped process.
        connection.exec_driver_sql("SELECT set_config('application_name', %s, false)", (f"piper/{owner}",))
        connection.info["owner"] = owner
    connection.exec_driver_sql("BEGIN")


def _code(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _engine(url: sqlalchemy.URL, session: Mapping[str, str], pool_size: int) -> Engine:
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    return sqlalchemy.create_engine(
        url,
        connect_args={**TRANSPORT, "application_name": "piper", "options": options},
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,  # which would ask every new connection for a type that nothing here uses
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_SECONDS,
        pool_use_lifo=True,
        # The same encoder as on SQLite, so that a value reads back the same from both.
        json_serializer=msgspec.json.encode,
        json_deserializer=msgspec.json.decode,
    )
