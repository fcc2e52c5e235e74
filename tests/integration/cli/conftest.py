"""The command line as a user types it, against a real server."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import yaml

from piper.cli.main import main
from piper.settings import Settings
from piper.web.server import WebServer
from tests.integration.web.conftest import (  # noqa: F401, fixtures
    owner,
    package_settings,
    parts,
    rows,
    server,
)


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return msgspec.json.decode(self.out)

    @property
    def yaml(self) -> Any:
        """Standard output, which must be YAML and nothing else."""
        return yaml.safe_load(self.out)


Piper = Callable[..., Result]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The command line does not know which database there is."""
    return sqlite_url


@pytest.fixture
def piper(
    server: WebServer,  # noqa: F811
    package_settings: Settings,  # noqa: F811
    parts: object,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Piper]:
    """Runs a command: `piper("runs", "list", stdin="…")`."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.setenv("PIPER_HOME", str(package_settings.home))
    monkeypatch.delenv("PIPER_TOKEN", raising=False)
    monkeypatch.delenv("PIPER_SERVER", raising=False)
    (package_settings.home / "token").write_text("root-token\n")

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, out, err)

    yield run
    root.handlers[:] = before  # commands that start services say where these log: to the stream of this test
    root.setLevel(level)
