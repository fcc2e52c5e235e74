"""What a caller is told when SQLite or its disk fails, and that nothing is half written."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from piper.model.errors import Conflict, InvalidSetting, StoreUnavailable
from piper.store import sqlite
from piper.store.database import Database
from piper.store.migrations import migrate
from piper.store.schema import pool
from piper.store.sqlite import LockFile, SqliteDriver

NOBODY = 65534
LARGE = "x" * 3_000_000


@pytest.fixture
def db(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "piper-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def path_of(database: Database) -> Path:
    assert isinstance(database.driver, SqliteDriver)
    return database.driver.path


def add_pool(connection: Connection, name: str, description: str = "") -> None:
    connection.execute(
        pool.insert().values(name=name, team="t", slots=1, include_deferred=False, description=description)
    )


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(pool.select().with_only_columns(pool.c.name)).scalars()) - {"default_pool"}


def is_sound(path: Path) -> bool:
    with sqlite3.connect(path) as connection:
        answer = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(answer == ("ok",))


def test_a_database_locked_by_another_process_says_so(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    database = Database(sqlite_url)
    other = sqlite3.connect(path_of(database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"piper\.db is locked by another process"), database.write():
        pytest.fail("the lock was not ours")
    other.execute("ROLLBACK")
    other.close()
    with database.write() as connection:
        add_pool(connection, "p")
    assert names(database) == {"p"}
    database.close()


def test_a_writer_that_waits_too_long_for_another_thread_says_so(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WRITER_LOCK_SECONDS", 0.05)
    failures: list[Exception] = []

    def write() -> None:
        try:
            with db.write():
                pass
        except StoreUnavailable as error:
            failures.append(error)

    with db.write():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert "another thread has been writing" in str(failures)


def test_a_full_disk_is_said_to_be_full_and_what_was_acknowledged_stays(small_disk: Path) -> None:
    database = Database(f"sqlite:///{small_disk}/piper.db")
    migrate(database)
    acknowledged: set[str] = set()
    with pytest.raises(StoreUnavailable, match="the disk is full: free some space"):
        for number in range(100):
            with database.write() as connection:
                add_pool(connection, f"p{number}", "x" * 20_000)
            acknowledged.add(f"p{number}")
    assert acknowledged
    assert names(database) == acknowledged
    database.close()
    assert is_sound(small_disk / "piper.db")


def test_a_writer_goes_on_when_the_disk_has_room_again(small_disk: Path) -> None:
    database = Database(f"sqlite:///{small_disk}/piper.db")
    migrate(database)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
    with pytest.raises(StoreUnavailable, match="full"), database.write() as connection:
        add_pool(connection, "p", "x" * 100_000)
    filler.unlink()
    with database.write() as connection:
        add_pool(connection, "q", "x" * 100_000)
    assert names(database) == {"q"}
    database.close()


def test_a_file_that_may_not_grow_is_an_error_and_nothing_is_half_written(db: Database) -> None:
    with db.write() as connection:
        add_pool(connection, "p")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(StoreUnavailable, match="a limit on file sizes refused"), db.write() as connection:
            add_pool(connection, "q", LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(db) == {"p"}
    with db.write() as connection:
        add_pool(connection, "q", LARGE)
    assert names(db) == {"p", "q"}


@contextmanager
def without_privilege() -> Iterator[None]:
    """As a user to whom the modes of files mean something."""
    was = os.geteuid()
    os.seteuid(was or NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_read_only_file_says_so_and_is_written_once_it_may_be(sqlite_template: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        path = Path(folder) / "piper.db"
        shutil.copy(sqlite_template, path)
        Path(folder).chmod(0o777)
        path.chmod(0o444)
        with without_privilege():
            database = Database(f"sqlite:///{path}")
            with pytest.raises(StoreUnavailable, match="is read-only: make its files"), database.write() as connection:
                add_pool(connection, "p")
        for file in Path(folder).iterdir():  # SQLite gave its log the mode of the file
            file.chmod(0o666)
        with without_privilege():
            with database.write() as connection:
                add_pool(connection, "q")
            assert names(database) == {"q"}
            database.close()


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/piper.db")
    with pytest.raises(StoreUnavailable, match="its folder must exist"), database.write():
        pytest.fail("there is no folder")
    with pytest.raises(StoreUnavailable, match="its folder must exist"), database.read():
        pytest.fail("there is no folder")
    database.close()


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "piper.db").write_text("PIPER" * 1000)
    database = Database(f"sqlite:///{tmp_path}/piper.db")
    with pytest.raises(StoreUnavailable, match="is not a SQLite file"), database.write():
        pytest.fail("this is no database")
    database.close()


def test_a_new_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/piper.db")
    migrate(database)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "piper.db": 0o600,
        "piper.db-wal": 0o600,
        "piper.db-shm": 0o600,
    }
    database.close()


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="is no file"):
        Database("sqlite:///:memory:")


def test_a_duplicate_names_the_table(db: Database) -> None:
    with pytest.raises(Conflict, match="pool"), db.write() as connection:
        add_pool(connection, "default_pool")


def test_readers_do_not_wait_for_the_writer(db: Database) -> None:
    with db.write() as connection:
        add_pool(connection, "p")
        assert names(db) == set()
    assert names(db) == {"p"}


def test_a_transaction_inside_a_transaction_of_its_thread_is_refused_instead_of_waiting_for_ever(db: Database) -> None:
    with db.write() as connection:
        add_pool(connection, "p")
        with pytest.raises(RuntimeError, match="inside a transaction"), db.write():
            pytest.fail("the lock is not ours twice")
    assert names(db) == {"p"}


COMMIT_WITHOUT_SYNC = """
import ctypes, os, struct, sys
from piper.model.errors import AmbiguousCommit
from piper.store.database import Database
from piper.store.schema import pool

database = Database(sys.argv[1])
with database.write() as connection:
    connection.execute(pool.insert().values(name="p", team="t", slots=1, include_deferred=False))

# From here on the kernel answers fsync and fdatasync with EIO (seccomp; numbers of x86-64 and of aarch64).
numbers = (74, 75) if os.uname().machine == "x86_64" else (82, 83)
load, equal, answer = 0x20, 0x15, 0x06
steps = [(load, 0, 0, 0), (equal, 1, 0, numbers[0]), (equal, 0, 1, numbers[1])]
steps += [(answer, 0, 0, 0x00050000 | 5), (answer, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
try:
    with database.write() as connection:
        connection.execute(pool.insert().values(name="q", team="t", slots=1, include_deferred=False))
except AmbiguousCommit as error:
    print("ambiguous", error)
"""


def test_a_commit_that_did_not_surely_reach_the_disk_is_ambiguous(sqlite_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMIT_WITHOUT_SYNC, sqlite_url], capture_output=True, text=True, check=False
    )
    assert "ambiguous" in done.stdout, done.stderr
    assert is_sound(tmp_path / "piper.db")


COMMIT_FOR_EVER = """
import itertools, sys
from piper.store.database import Database
from piper.store.schema import pool

database = Database(sys.argv[1])
for number in itertools.count():
    with database.write() as connection:
        connection.execute(pool.insert().values(name=f"p{number}", team="t", slots=1, include_deferred=False))
    print(number, flush=True)
"""


@pytest.mark.parametrize("commits", [1, 17, 60])
def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_commits(
    sqlite_url: str, tmp_path: Path, commits: int
) -> None:
    writer = subprocess.Popen([sys.executable, "-c", COMMIT_FOR_EVER, sqlite_url], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(commits)]
    writer.kill()
    acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    assert is_sound(tmp_path / "piper.db")
    database = Database(sqlite_url)
    assert names(database) >= {f"p{number}" for number in acknowledged}
    with database.write() as connection:
        add_pool(connection, "after")
    database.close()


HOLD_THE_LOCK = """
import sys
from pathlib import Path
from piper.store.sqlite import LockFile

lock = LockFile(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_the_lock_file_names_its_holder_and_is_free_when_that_dies(tmp_path: Path) -> None:
    path = tmp_path / "piper.db"
    program = [sys.executable, "-c", HOLD_THE_LOCK, str(path)]
    holder = subprocess.Popen(program, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "None\n"
    lock = LockFile(path)
    assert lock.acquire() == holder.pid
    assert not lock.held
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    assert lock.acquire() is None
    assert lock.held
    assert LockFile(path).acquire() == os.getpid()
    lock.release()
    assert LockFile(path).acquire() is None


def test_another_process_that_leaves_the_database_takes_nothing_away(db: Database) -> None:
    """The last to leave removes the log: nobody else may take itself for that, however many connections there are."""
    with db.write() as connection, db.read() as one, db.read() as another:
        add_pool(connection, "a")
        assert one is not another
    log = path_of(db).with_name(path_of(db).name + "-wal")
    inode = log.stat().st_ino
    look = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM pool').fetchone(); c.close()"
    )
    subprocess.run([sys.executable, "-c", look, str(path_of(db))], check=True)
    assert log.stat().st_ino == inode
    with db.write() as connection:
        add_pool(connection, "b")
    assert {"a", "b"} <= names(db)
