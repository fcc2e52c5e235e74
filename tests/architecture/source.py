"""The modules of Piper as files, and the repository around them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"


def modules_of(*packages: str) -> Iterator[Path]:
    """The files of packages or single modules (dotted names), as far as they exist."""
    for package in packages:
        path = SOURCE.joinpath(*package.split("."))
        if path.is_dir():
            yield from sorted(path.rglob("*.py"))
        elif path.with_suffix(".py").exists():
            yield path.with_suffix(".py")


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


def committed_files() -> list[Path]:
    """Every file that git keeps, or would keep after an add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]
