"""The real application over a real database, with three callers: everything's owner, and two teams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from piper.artifacts import ArtifactStore
from piper.logs import LogStore
from piper.secrets import Keys
from piper.service import SystemClock, Wakeups
from piper.settings import Settings, load_settings
from piper.store.database import Database
from piper.web.app import create_app
from piper.web.parts import WebParts
from piper.web.policy import Principal

TOKENS = {
    "root-token": Principal("root", None),
    "red-token": Principal("red", frozenset({"red"})),
    "blue-token": Principal("blue", frozenset({"blue"})),
}


class Sources:
    """Snapshots of one file."""

    def read_file(self, snapshot: str, path: str) -> bytes:
        return f"# {path} of {snapshot}\n".encode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    options = {"web.command_wait": "200ms", "web.port": 0}
    return load_settings({"PIPER_HOME": str(tmp_path / "home")}, options).settings


@pytest.fixture
def parts(database: Database, settings: Settings, tmp_path: Path) -> WebParts:
    return WebParts(
        database=database,
        wakeups=Wakeups(),
        clock=SystemClock(),
        settings=settings,
        authenticate=TOKENS.get,
        logs=LogStore(tmp_path / "logs"),
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        snapshots=Sources(),
        keys=Keys([bytes(32)]),
    )


@pytest.fixture
def app(parts: WebParts) -> FastAPI:
    return create_app(parts)


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx.Client]:
    """Calls as the owner of everything."""
    with TestClient(app, base_url="http://localhost", headers={"Authorization": "Bearer root-token"}) as client:
        yield client
