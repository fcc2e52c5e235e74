"""Real loads: files, a loader with its host, and what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from piper.serializer.loads import LoadRequest
from piper.serializer.outcomes import FailedFile, LoadedFile, Outcome
from piper.serializer.protocol import Limits
from piper.serializer.supervisor import Loader

DO = "from piper.sdk import DAG, BaseOperator\nclass Do(BaseOperator):\n    def execute(self, context): ...\n"
"""Three lines with which a file begins that defines workflows."""

LIMITS = Limits(seconds=5.0, cpu_seconds=1, memory=200 << 20, processes=32, output=2 << 20)
"""Less than users have, so that tests need not wait for it."""


def defining(*ids: str) -> str:
    """A file that defines workflows of one task each."""
    return DO + "".join(f"with DAG({one!r}):\n    Do(task_id='t')\n" for one in ids)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder to load from."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A PIPER_HOME with a secret in it."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (folder / "secret.key").write_text("s3cret")
    return folder


@pytest.fixture
def loader(home: Path) -> Iterator[Loader]:
    loader = Loader(limits=LIMITS, hidden=[home])
    yield loader
    loader.close()


Run = Callable[..., dict[str, Outcome]]


@pytest.fixture
def run(loader: Loader, root: Path) -> Run:
    """`run(a="text of a.py", …)` writes these files and loads them all; what came of each, by name."""

    def run(**files: str) -> dict[str, Outcome]:
        for name, text in files.items():
            (root / f"{name}.py").write_text(text)
        return load_all(loader, [LoadRequest(root=root, file=f"{name}.py") for name in files])

    return run


def load_all(loader: Loader, requests: list[LoadRequest]) -> dict[str, Outcome]:
    waiting = list(reversed(requests))
    outcomes: dict[str, Outcome] = {}
    deadline = time.monotonic() + 60
    while (waiting or loader.busy) and time.monotonic() < deadline:
        while waiting and loader.free > 0:
            loader.start(waiting.pop())
        outcomes |= {outcome.file.removesuffix(".py"): outcome for _, outcome in loader.wait(1.0)}
    return outcomes


def good(outcome: Outcome) -> LoadedFile:
    assert isinstance(outcome, LoadedFile), outcome
    return outcome


def bad(outcome: Outcome) -> FailedFile:
    assert isinstance(outcome, FailedFile), outcome
    return outcome
