"""A running Piper for the examples of the documents: one instance, with all of them in its folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.documents import blocks

PATIENCE = 60.0


@dataclass(frozen=True)
class Instance:
    """`piper standalone` over a folder."""

    environment: dict[str, str]
    folder: Path

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


@pytest.fixture(scope="session")
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
        while not (home / "address").exists() or '"files": 0' in found.piper("bundles", "list", "-o", "json").stdout:
            assert process.poll() is None, (home / "standalone.log").read_text()
            assert time.monotonic() < deadline, (home / "standalone.log").read_text()
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(PATIENCE)
