"""The web server as a part of a process: start, address, stop."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from piper.model.errors import InvalidSetting
from piper.model.states import RunState
from piper.settings import load_settings
from piper.web import connections
from piper.web.app import create_app
from piper.web.parts import WebParts
from piper.web.server import WebServer, listen
from tests.integration.web.rows import Rows


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def make(parts: WebParts, home: Path, port: int = 0) -> WebServer:
    return WebServer(create_app(parts), load_settings({"PIPER_HOME": str(home)}, {"web.port": port}).settings)


def test_its_address_is_in_the_home_while_it_runs(parts: WebParts, tmp_path: Path) -> None:
    server = make(parts, tmp_path)
    server.start()
    assert (tmp_path / "address").read_text().strip() == server.address
    assert httpx.get(f"{server.address}/health/live", trust_env=False).status_code == 200
    server.stop()
    server.stop()
    assert not (tmp_path / "address").exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.address}/health/live", trust_env=False)


def test_a_port_that_is_taken_is_told(parts: WebParts, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InvalidSetting, match="another program"):
        make(parts, tmp_path, taken.getsockname()[1]).start()


def test_stopping_ends_the_streams_that_are_followed(parts: WebParts, rows: Rows, tmp_path: Path) -> None:
    rows.workflow("sales")
    run = rows.run("sales", state=RunState.RUNNING)
    server = make(parts, tmp_path)
    server.start()
    address = urlsplit(server.address)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.request("GET", f"/api/v1/runs/{run.id}/events", headers={"Authorization": "Bearer root-token"})
    reply = connection.getresponse()
    assert reply.readline().startswith(b"event:")
    server.stop()
    assert not server.running
    reply.read()  # to its end, which has come
    connection.close()


def test_stopping_answers_who_waits_for_a_run(
    parts: WebParts, rows: Rows, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows.workflow("sales")
    run = rows.run("sales", state=RunState.RUNNING)
    server = make(parts, tmp_path)
    server.start()
    address = urlsplit(server.address)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)) as connection:
        connection.request("GET", f"/api/v1/runs/{run.id}/wait", headers={"Authorization": "Bearer root-token"})
        assert httpx.get(f"{server.address}/health/live", trust_env=False).is_success, "and the one before is taken in"
        server.stop()
        assert connection.getresponse().status == 200
    assert "Traceback" not in caplog.text


def test_a_body_that_breaks_off_is_no_failure_of_the_server(
    parts: WebParts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(parts, tmp_path)
    server.start()
    address = urlsplit(server.address)
    head = "PUT /api/v1/pools/p HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer root-token\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as broken:
        broken.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{".encode())
        broken.shutdown(socket.SHUT_WR)
        broken.recv(1)
    server.stop()
    assert "failed" not in caplog.text


def test_of_connections_beyond_the_most_none_is_kept(
    parts: WebParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 3)
    server = make(parts, tmp_path)
    server.start()
    address = urlsplit(server.address)
    with ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(socket.create_connection((address.hostname, address.port), timeout=10))
        with socket.create_connection((address.hostname, address.port), timeout=10) as beyond, suppress(OSError):
            assert beyond.recv(1) == b""
    with httpx.Client(trust_env=False, transport=httpx.HTTPTransport(retries=5)) as client:
        assert client.get(f"{server.address}/health/live").status_code == 200, "there is room again"
    server.stop()


@pytest.mark.parametrize("begun", [b"", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_request_that_does_not_begin_in_time_loses_its_connection(
    begun: bytes, parts: WebParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    server = make(parts, tmp_path)
    server.start()
    address = urlsplit(server.address)
    with socket.create_connection((address.hostname, address.port), timeout=10) as slow, suppress(ConnectionError):
        slow.sendall(begun)
        assert slow.recv(1) == b""
    with socket.create_connection((address.hostname, address.port), timeout=10) as kept, suppress(ConnectionError):
        kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        kept.sendall(begun or b"G")
        while kept.recv(4096):
            pass  # the rest of the reply, and then the end
    server.stop()


def test_replies_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP, "asyncio sets TCP_NODELAY only where the protocol is named"
