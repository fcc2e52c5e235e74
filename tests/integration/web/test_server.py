"""The web server as a part of a process: start, address, stop."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from piper.model.errors import InvalidSetting
from piper.model.states import RunState
from piper.settings import load_settings
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


def test_replies_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP, "asyncio sets TCP_NODELAY only where the protocol is named"
