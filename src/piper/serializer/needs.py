"""What one workflow file needs of the folder that it lies in, as far as its text shows.

For a file that is run by hand, from a folder that nobody made for workflows and that may hold anything: `/tmp`, a home.
Where the folder is small, all of it is copied, as for a bundle. Where it is not, only:

* the file;
* the modules and packages of the folder that it imports, and what those import;
* the files and folders of the folder that it names in a string (`template_searchpath`, a script, a table of data);
* templates and settings right beside it: `.sql`, `.sh`, `.j2`, `.yaml` and the like, each up to 1 MiB.
"""

from __future__ import annotations

import ast
import os
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from piper.model.bundle import stream_hash
from piper.serializer.bundles import BundleLimits, FolderScanner, InvalidBundle

SMALL = BundleLimits(files=1_000, bytes=32 << 20)
"""A folder up to which all of it is copied."""

TEMPLATES = frozenset(
    {".sql", ".hql", ".sh", ".bash", ".j2", ".jinja", ".jinja2", ".html", ".md", ".txt", ".yaml", ".yml", ".json"}
    | {".toml", ".ini", ".cfg"}
)
LARGEST_TEMPLATE = 1 << 20
_LONGEST_NAME = 250


def is_small(folder: Path, hidden: tuple[Path, ...] = ()) -> bool:
    """Whether all of a folder can be copied for the sake of one file."""
    try:
        FolderScanner(folder, stream_hash, SMALL, hidden=hidden).measure()
    except InvalidBundle:
        return False
    return True


def needed_by(file: Path) -> tuple[str, ...]:
    """The files that a file needs of its folder, itself included, by their paths in it."""
    root = file.parent
    found = {file.name}
    found.update(entry.name for entry in _entries(root) if _is_template(entry))
    waiting = deque([file.name])
    while waiting:
        modules, names = _mentions(root / waiting.popleft())
        for path in (*_modules(root, modules), *_named(root, names)):
            if path not in found:
                found.add(path)
                if path.endswith(".py"):
                    waiting.append(path)
    return tuple(sorted(found))


def _mentions(path: Path) -> tuple[set[str], set[str]]:
    """The top-level names of what a file imports, and every string in it that may name a file."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # what is wrong with it is told when it is loaded
        return set(), set()
    modules: set[str] = set()
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=imported):
                modules.update(alias.name.partition(".")[0] for alias in imported)
            case ast.ImportFrom(module=str(module), level=0):
                modules.add(module.partition(".")[0])
            case ast.Constant(value=str(text)) if 0 < len(text) <= _LONGEST_NAME and "\n" not in text:
                names.add(text)
            case _:
                pass
    return modules, names


def _modules(root: Path, modules: set[str]) -> Iterator[str]:
    for name in modules:
        if (root / f"{name}.py").is_file():
            yield f"{name}.py"
        if (root / name).is_dir():
            yield from _inside(root, root / name)


def _named(root: Path, names: set[str]) -> Iterator[str]:
    true_root = root.resolve()
    for name in names:
        if name.strip("./") == "" or "\0" in name:
            continue
        try:
            path = (true_root / name).resolve()
            if path == true_root or not path.is_relative_to(true_root):
                continue
            if path.is_file():
                yield path.relative_to(true_root).as_posix()
            elif path.is_dir():
                inside = list(islice(_inside(true_root, path), SMALL.files + 1))
                yield from inside if len(inside) <= SMALL.files else ()  # so large it is something else
        except OSError:
            continue


def _inside(root: Path, folder: Path) -> Iterator[str]:
    """Modules and templates in a folder and those below it."""
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        kept = TEMPLATES | {".py"}
        yield from (Path(here, name).relative_to(root).as_posix() for name in files if Path(name).suffix in kept)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as listing:
        yield from listing


def _is_template(entry: os.DirEntry[str]) -> bool:
    if Path(entry.name).suffix not in TEMPLATES or entry.name.startswith("."):
        return False
    try:
        return entry.is_file(follow_symlinks=False) and entry.stat().st_size <= LARGEST_TEMPLATE
    except OSError:
        return False
