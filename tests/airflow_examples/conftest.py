"""The unpacked examples; and what they need around them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from piper import compat
from tests.airflow_examples.wheels import unpack


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the examples lie as `airflow/example_dags/…` and `airflow/providers/standard/…`."""
    return unpack(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="session")
def no_sleep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program `sleep` that does not: what examples do with bash then takes no time."""
    folder = tmp_path_factory.mktemp("no-sleep")
    program = folder / "sleep"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture
def strict(root: Path, no_sleep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The strict mode, in this process, with the environment that the examples expect."""
    monkeypatch.setenv(compat.VARIABLE, "strict")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{no_sleep}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "path", [*sys.path, str(root)])
    # Neither wheel depends on pandas; where it is there, one timetable looks up holidays, each in a quarter second.
    monkeypatch.setitem(sys.modules, "pandas", None)
    compat.uninstall()
    compat.install()
    yield
    compat.uninstall()
