"""Unit tests know values only: whoever reaches for the world from one is stopped, with the reason.

An audit hook sees what the code itself does, below every library. A socket pair is allowed, since an event
loop is made of one; to connect or to listen is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

FORBIDDEN = {
    "socket.connect": "opens a connection",
    "socket.bind": "listens",
    "socket.getaddrinfo": "looks up a host",
    "sqlite3.connect": "opens a database",
    "subprocess.Popen": "starts a process",
    "os.fork": "forks",
    "os.forkpty": "forks",
    "os.exec": "executes a program",
    "os.posix_spawn": "starts a process",
    "os.system": "starts a process",
    "time.sleep": "sleeps",
}
_watching = False


def _refuse(event: str, _arguments: object) -> None:
    if _watching and event in FORBIDDEN:
        raise AssertionError(
            f"a unit test {FORBIDDEN[event]} ({event}): give the code values instead, "
            f"or move the test to tests/integration or tests/conformance"
        )


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def _no_outside_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    global _watching
    monkeypatch.setattr("time.sleep", _refuse_sleep)  # Python 3.11 does not audit it
    if "psycopg" in sys.modules:  # libpq connects in C, which no audit hook sees
        monkeypatch.setattr("psycopg.connect", _refuse_postgres)
        monkeypatch.setattr("psycopg.Connection.connect", _refuse_postgres)
    _watching = True
    yield
    _watching = False


def _refuse_sleep(*_arguments: object) -> None:
    _refuse("time.sleep", ())


def _refuse_postgres(*_arguments: object, **_options: object) -> None:
    raise AssertionError("a unit test opens a database (psycopg): move it to tests/conformance")
