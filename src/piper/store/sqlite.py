"""SQLite: one writing connection behind a lock, reading connections beside it, and what failures mean.

All writes of a process go through one connection, each begun with BEGIN IMMEDIATE, so that waiting happens
in our lock (fair, microseconds) and never in SQLite's busy handler (polling, up to tens of milliseconds). Readers
use connections of their own and see the last commit (WAL): the writer never blocks them.

SQLAlchemy executes statements, but transactions are spoken to the driver itself: its own begin and commit
cost more than SQLite's, and BEGIN IMMEDIATE is the fence.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from piper.model.errors import AmbiguousCommit, Conflict, Invalid, InvalidSetting, StoreUnavailable
from piper.store.fair_lock import FairLock

BUSY_SECONDS = 5.0
"""How long a writer waits for another process's transaction (SQLite's busy handler)."""

WRITER_LOCK_SECONDS = 2 * BUSY_SECONDS
"""How long a writer waits for another thread of this process, which may itself be waiting BUSY_SECONDS."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "beegfs", "gpfs", "ocfs2"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.ceph", "fuse.rclone"}
)
"""File systems whose locks or shared memory SQLite cannot rely on: a database there is corrupted sooner or later."""

_MEANING = {
    sqlite3.SQLITE_BUSY: "is locked by another process: only one Piper may use it",
    sqlite3.SQLITE_LOCKED: "is locked by another connection of this process",
    sqlite3.SQLITE_PROTOCOL: "is locked by another process: only one Piper may use it",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "is read-only: make its files and their folder writable for this user",
    sqlite3.SQLITE_PERM: "is read-only: make its files and their folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: its folder must exist and be writable for this user",
    sqlite3.SQLITE_IOERR: "cannot be read or written, the disk or a limit on file sizes refused",
    sqlite3.SQLITE_NOMEM: "cannot be used, this process is out of memory",
    sqlite3.SQLITE_INTERRUPT: "was interrupted",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup",
    sqlite3.SQLITE_NOTADB: "is not a SQLite file: see that PIPER_HOME is the folder you mean",
}
_LOST_SYNC = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
_DUPLICATES = frozenset(
    {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
)


class SqliteDriver:
    """Connections and transactions of one SQLite file.

    Arguments:
        url: `sqlite:///PATH`.
        synchronous: FULL makes a commit survive a power cut; OFF is for measurements and simulations.
        pool_size: reading connections to keep open.

    Raises:
        InvalidSetting: the file would lie in memory or on a network file system.
    """

    def __init__(self, url: sqlalchemy.URL, synchronous: str, pool_size: int) -> None:
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise InvalidSetting(f"the database {url} is no file: say sqlite:/// and a path")
        self.path = Path(url.database)
        refuse_network_file_system(self.path)
        self.engine = _engine(url, synchronous, pool_size, cache_kib=2048)
        self._writer_engine = _engine(url, synchronous, pool_size=1, cache_kib=16384)
        self._lock = FairLock()
        self._holder: int | None = None
        self._writer: Connection | None = None

    def close(self) -> None:
        """Close every connection."""
        if self._lock.acquire(WRITER_LOCK_SECONDS):  # a writer that hangs shall not keep a process from ending
            self._drop_writer()
            self._lock.release()
        self._writer_engine.dispose()
        self.engine.dispose()

    @contextmanager
    def transaction(self, _owner: str) -> Iterator[Connection]:
        """The writing connection, for this thread alone, with the write lock of the file taken."""
        thread = threading.get_ident()
        if self._holder == thread:
            raise RuntimeError("a transaction was begun inside a transaction of the same thread: pass its connection")
        if not self._lock.acquire(WRITER_LOCK_SECONDS):
            raise StoreUnavailable(f"{self.path}: another thread has been writing for {WRITER_LOCK_SECONDS:.0f} s")
        self._holder = thread
        try:
            if self._writer is None:
                # SQLAlchemy's own transaction is begun once and never ended: ours are spoken to the driver.
                self._writer = self._writer_engine.connect()
                self._writer.begin()
            _raw(self._writer).execute("BEGIN IMMEDIATE")
            yield self._writer
        except (sqlite3.Error, DBAPIError, AmbiguousCommit):
            # It may have been opened while the file was read-only, or the file may have been replaced since.
            self._drop_writer()
            raise
        finally:
            self._holder = None
            self._lock.release()

    def commit(self, connection: Connection) -> None:
        """Make the transaction last.

        Raises:
            AmbiguousCommit: the log was written but did not surely reach the disk: only a restart will tell.
        """
        try:
            _raw(connection).execute("COMMIT")
        except sqlite3.Error as error:
            if error.sqlite_errorcode in _LOST_SYNC:
                raise AmbiguousCommit(f"{self.path}: the disk failed during COMMIT: {error}") from error
            raise

    def roll_back(self, connection: Connection) -> None:
        """Undo the transaction; does nothing if SQLite has done so already."""
        raw = _raw(connection)
        try:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
        except sqlite3.Error:
            self._drop_writer()

    def hold(self, connection: Connection, owner: str, shards: Sequence[int]) -> dict[int, int]:
        """The epochs of those of `shards` that `owner` owns. The write lock is what holds them."""
        question = "SELECT shard, epoch FROM shard WHERE owner = ?"
        if len(shards) <= 8:  # a long list costs more than to read all that one process owns
            question += f" AND shard IN ({','.join(map(str, shards))})"
        return dict(_raw(connection).execute(question, (owner,)).fetchall())

    def explain(self, error: Exception) -> Exception:
        """What an error of the driver means to a caller; a mistake in our own SQL stays what it is."""
        if isinstance(error, OverflowError):  # of a number beyond 64 bits, which sqlite3 does not call its own error
            return Invalid(f"a value cannot be stored: {error}")
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, sqlite3.Error):
            if getattr(cause, "sqlite_errorcode", None) in _DUPLICATES:
                table = str(cause).partition(": ")[2].partition(".")[0]
                return Conflict(f"{table}: a row with this key exists already")
            meaning = _MEANING.get(_primary_code(cause))
            if meaning is not None:
                return StoreUnavailable(f"the database {self.path} {meaning}; nothing was written ({cause})", meaning)
        elif isinstance(error, sqlalchemy.exc.TimeoutError):
            return StoreUnavailable(f"the database {self.path} is read by too many at once; try again")
        return error

    def _drop_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.invalidate()
            writer.close()


def refuse_network_file_system(path: Path) -> None:
    """Raise InvalidSetting if `path` would lie on a network file system, as far as Linux can tell."""
    folder = next(parent for parent in path.absolute().parents if os.path.exists(parent))
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError:  # not Linux
        return
    kind = file_system_of(os.stat(folder).st_dev, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise InvalidSetting(
            f"{path} would lie on a network file system ({kind}), where SQLite cannot lock: "
            f"put PIPER_HOME on a local disk, or use PostgreSQL"
        )


def file_system_of(device: int, mounts: str) -> str:
    """The kind of the file system on `device`, from the text of /proc/self/mountinfo; empty if it is not there."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for mount in mounts.splitlines():
        before, _, after = mount.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0]
    return ""


class LockFile:
    """The file beside a database that says which process serves it. The kernel frees it when that process dies."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> int | None:
        """Take the lock. Returns None when it is ours, else the id of the process that has it (0 if unknown)."""
        if self._descriptor is not None:
            return None
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32)
            os.close(descriptor)
            return int(holder) if holder.isdigit() else 0
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return None

    def release(self) -> None:
        """Give the lock back; does nothing when it is not ours. The file stays: to remove it would race."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _raw(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _primary_code(error: sqlite3.Error) -> int:
    """The error's class: SQLite's extended codes carry it in their low byte."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _engine(url: sqlalchemy.URL, synchronous: str, pool_size: int, cache_kib: int) -> Engine:
    engine = sqlalchemy.create_engine(
        url,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_SECONDS},
        poolclass=sqlalchemy.QueuePool,
        pool_size=pool_size,
        max_overflow=32,
        pool_timeout=BUSY_SECONDS,
        pool_use_lifo=True,
        skip_autocommit_rollback=True,
    )

    @sqlalchemy.event.listens_for(engine, "do_connect")
    def create_private(*_arguments: object) -> None:
        # SQLite would create it readable by all; its log takes the mode of the file. What fails here, SQLite reports.
        # Only if it is not there: to close a descriptor of a file drops every lock that this process has on it, and the
        # next process that leaves the database would take itself for the last, and remove the log under the others.
        with contextlib.suppress(OSError):
            os.close(os.open(str(url.database), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    @sqlalchemy.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        mode = _keep_write_ahead_log(connection)
        if mode != "wal":
            raise InvalidSetting(f"{url.database}: SQLite cannot keep a write-ahead log there, only {mode!r}")
        for pragma in (
            f"synchronous={synchronous}",
            "foreign_keys=OFF",
            "temp_store=MEMORY",
            f"cache_size=-{cache_kib}",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _keep_write_ahead_log(connection: sqlite3.Connection) -> str:
    """Ask for a write-ahead log; returns the journal that there is then.

    SQLite's busy handler does not cover this change, which two that open a new database meet.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
