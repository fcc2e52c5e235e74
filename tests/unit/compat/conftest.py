"""The import layer in each of its modes, taken away after each test; and files to load with it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from piper import compat
from piper.sdk.loader import LoadedFile, load_file

Load = Callable[..., LoadedFile]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    path = list(sys.path)
    yield
    compat.uninstall()
    sys.path[:] = path


@pytest.fixture
def lenient() -> None:
    compat.install(compat.Mode.LENIENT)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compat.VARIABLE, "strict")
    compat.install()


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a file of this text from a bundle of its own, with what else lies there by path."""

    def load(text: str, **others: str) -> LoadedFile:
        for name, content in {"flows": text, **others}.items():
            file = tmp_path / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(content))
        compat.install()
        return load_file(tmp_path, "flows.py")

    return load
