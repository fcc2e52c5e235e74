"""A running Piper for the examples of the documents: one instance, with all of them in its folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.documents import blocks

PATIENCE = 60.0


@dataclass(frozen=True)
class Instance:
    """`piper standalone` over a folder."""

    environment: dict[str, str]
    folder: Path

    @property
    def home(self) -> Path:
        """Its PIPER_HOME."""
        return Path(self.environment["PIPER_HOME"])

    @cached_property
    def _http(self) -> httpx.Client:
        token = (self.home / "token").read_text().strip()
        address = (self.home / "address").read_text().strip()
        return httpx.Client(base_url=f"{address}/api/v1", headers={"Authorization": f"Bearer {token}"})

    def close(self) -> None:
        """No more calls."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """What its API has at a path."""
        reply = self._http.get(path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def trigger(self, workflow_id: str) -> int:
        """Start a run; its number."""
        reply = self._http.post(f"/workflows/{workflow_id}/runs", json={})
        assert reply.status_code == 201, reply.text
        number: int = reply.json()["id"]
        return number

    def end_of(self, run: int) -> str:
        """Wait for a run's end: its state."""
        deadline = time.monotonic() + PATIENCE
        while (state := str(self.get(f"/runs/{run}")["state"])) not in ("success", "failed"):
            assert time.monotonic() < deadline, self.get(f"/runs/{run}/tasks")
            time.sleep(0.05)
        return state

    def piper(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call its command line."""
        return subprocess.run(
            [sys.executable, "-m", "piper.cli.main", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """That of a person who has installed Piper and set nothing."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIPER_")}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{clean.get('PATH', '')}"
    return {**clean, "PATH": programs, "COLUMNS": "100", "NO_COLOR": "1"}


@pytest.fixture(scope="package")
def instance(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance that has loaded every workflow of the documents."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("dags")
    for block in blocks("workflow"):
        (folder / block.file).write_text(block.text)
    home.chmod(0o700)
    running = {**environment, "PIPER_HOME": str(home), "PIPER_CORE__LOG_LEVEL": "WARNING"}
    with (home / "standalone.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "piper.cli.main", "standalone", "--port", "0", "--dags", str(folder)],
            env=running,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        found = Instance(running, folder)
        deadline = time.monotonic() + PATIENCE
        loaded = f'"files": {len(list(folder.iterdir()))},'
        while not (home / "address").exists() or loaded not in found.piper("bundles", "list", "-o", "json").stdout:
            assert process.poll() is None, (home / "standalone.log").read_text()
            assert time.monotonic() < deadline, (home / "standalone.log").read_text()
            time.sleep(0.1)
        yield found
        found.close()
    finally:
        process.terminate()
        process.wait(PATIENCE)
