"""The real application on a real socket over a real database, with three callers: the owner of all, and two teams.

The server lives as long as the session, since making the application takes a fifth of a second; each test gives
it parts of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from piper.artifacts import ArtifactStore
from piper.logs import LogStore
from piper.secrets import Keys
from piper.service import SystemClock, Wakeups
from piper.settings import Settings, load_settings
from piper.store.database import Database
from piper.web.app import create_app
from piper.web.parts import WebParts
from piper.web.policy import Principal
from piper.web.server import WebServer
from tests.integration.web.owner import Owner
from tests.integration.web.rows import Rows

TOKENS = {
    "root-token": Principal("root", None),
    "red-token": Principal("red", frozenset({"red"})),
    "blue-token": Principal("blue", frozenset({"blue"})),
    "purple-token": Principal("purple", frozenset({"red", "blue"})),
}

Caller = Callable[[str], httpx.Client]


@pytest.fixture(scope="package")
def package_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    return load_settings({"PIPER_HOME": str(home)}, {"web.port": 0, "web.command_wait": "150ms"}).settings


@pytest.fixture(scope="package")
def server(package_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    nowhere = tmp_path_factory.mktemp("nowhere")
    database = Database(f"sqlite:///{nowhere / 'never-used.db'}")
    server = WebServer(create_app(_parts(database, package_settings, nowhere)), package_settings)
    server.start()
    yield server
    server.stop()
    database.close()


@pytest.fixture
def parts(database: Database, package_settings: Settings, server: WebServer, tmp_path: Path) -> Iterator[WebParts]:
    """What the server works with during this test."""
    before = server.app.state.parts
    server.app.state.parts = _parts(database, package_settings, tmp_path)
    yield server.app.state.parts
    server.app.state.parts = before


@pytest.fixture
def settings_of_test(parts: WebParts, server: WebServer) -> Callable[[Settings], None]:
    """Gives the server other settings for this test."""

    def give(settings: Settings) -> None:
        server.app.state.parts = replace(parts, settings=settings)

    return give


@pytest.fixture
def caller(server: WebServer, parts: WebParts) -> Iterator[Caller]:
    """Makes clients: `caller("red")` calls as team red; `caller("")` without a token."""
    made: list[httpx.Client] = []

    def make(name: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {name}-token"} if name else {}
        made.append(httpx.Client(base_url=server.address, headers=headers, trust_env=False, timeout=10))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def root(caller: Caller) -> httpx.Client:
    """Calls as the owner of everything."""
    return caller("root")


@pytest.fixture
def red(caller: Caller) -> httpx.Client:
    """Calls as team red."""
    return caller("red")


@pytest.fixture
def blue(caller: Caller) -> httpx.Client:
    """Calls as team blue."""
    return caller("blue")


@pytest.fixture
def rows(database: Database) -> Rows:
    """Fills the database directly."""
    return Rows(database)


@pytest.fixture
def owner(parts: WebParts) -> Iterator[Owner]:
    """The owner of all workflows at work: it applies what the server sends."""
    owner = Owner(parts.database, parts.wakeups.listen("scheduler"))
    owner.start()
    yield owner
    owner.stop()


def _parts(database: Database, settings: Settings, folder: Path) -> WebParts:
    return WebParts(
        database=database,
        wakeups=Wakeups(),
        clock=SystemClock(),
        settings=settings,
        authenticate=TOKENS.get,
        logs=LogStore(folder / "logs"),
        artifacts=ArtifactStore(folder / "artifacts"),
        snapshots=folder / "snapshots",
        keys=Keys([bytes(32)]),
    )
