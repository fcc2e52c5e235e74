"""The packages that decide read no clock, draw no lots, open nothing and say nothing (architecture §6).

Seen from the syntax tree, so that what is never executed counts too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import SOURCE, modules_of, parsed

PURE = (
    "piper.model",
    "piper.timetables",
    "piper.core",
    "piper.designer",
    "piper.coordination.assign",
    "piper.coordination.detector",
    "piper.coordination.timing",
)

IMPURE_MODULES = frozenset(
    {"time", "random", "uuid", "secrets", "socket", "ssl", "os", "io", "sys", "logging", "subprocess", "threading"}
    | {"multiprocessing", "asyncio", "concurrent", "signal", "shutil", "tempfile", "sqlite3", "sqlalchemy", "psycopg"}
    | {"httpx", "urllib.request", "http", "warnings", "atexit", "select", "fcntl", "ctypes", "pathlib"}
)
IMPURE_CALLS = frozenset({"open", "print", "input", "eval", "exec", "compile", "__import__", "breakpoint"})
CLOCKS = frozenset({"now", "utcnow", "today"})
"""Methods that read a clock, whatever object of the standard library or of pendulum they are called on."""


def is_impure(module: str) -> bool:
    """Whether a module, or a package that it is in, reaches for the world."""
    parts = module.split(".")
    return any(".".join(parts[:length]) in IMPURE_MODULES for length in range(1, len(parts) + 1))


def impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and description of all that reaches for the world."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    if is_impure(name.name):
                        yield node.lineno, f"imports {name.name}"
            case ast.ImportFrom(module=str(module)):
                if is_impure(module):
                    yield node.lineno, f"imports from {module}"
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
                yield node.lineno, f"calls {name}()"
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                yield node.lineno, f"reads a clock with .{name}()"
            case ast.Global():
                yield node.lineno, "changes a global variable"


@pytest.mark.parametrize("path", [*modules_of(*PURE)], ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_that_decides_reaches_for_nothing(path: Path) -> None:
    assert list(impurities(parsed(path))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "import os.path",
        "from random import choice",
        "def f():\n    import socket",
        "open('x')",
        "print(1)",
        "datetime.now()",
        "datetime.datetime.now(tz=UTC)",
        "date.today()",
        "import logging.handlers",
        "def f():\n    global x",
    ],
)
def test_what_reaches_for_the_world_is_seen(text: str) -> None:
    assert list(impurities(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["from datetime import time", "now = event.at", "def step(now): return now", "re.compile('x')"]
)
def test_what_only_sounds_like_it_is_not(text: str) -> None:
    assert list(impurities(ast.parse(text))) == []
