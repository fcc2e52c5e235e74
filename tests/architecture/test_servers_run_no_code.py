"""No server makes code or objects of data, whoever wrote it (security.md §2 rows 11 and 12).

Beside the import contracts, which keep user code's packages away: neither pickles, nor templates, nor `eval`, nor a
module or a shell command whose name is data. Seen from the syntax tree, so that what is never executed counts too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import SOURCE, modules_of, parsed

FOR_USER_CODE = ("sdk", "operators", "compat", "testing", "worker", "triggerer", "serializer/child")
"""Parts of `piper` that meet user code, and run it."""

MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle", "jinja2", "runpy", "code"})
CALLS = frozenset({"eval", "exec", "compile", "__import__", "import_module"})
METHODS = frozenset({("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("importlib", "import_module")})
NAMED_BY_A_TABLE = frozenset({"piper/cli/main.py"})
"""Imports commands by their names in a table of its own."""


def servers() -> list[Path]:
    outside = tuple(str(SOURCE / "piper" / part) for part in FOR_USER_CODE)
    return [path for path in modules_of("piper") if not str(path).startswith(outside)]


def wrongs(tree: ast.Module) -> Iterator[str]:
    """What makes code or objects of data."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if (module, name) in METHODS:
                yield f"{module}.{name}"
            case ast.keyword(arg="shell"):
                yield "shell"


@pytest.mark.parametrize("path", servers(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_server_makes_no_code_of_data(path: Path) -> None:
    allowed = {"import_module"} if str(path.relative_to(SOURCE)) in NAMED_BY_A_TABLE else set()
    assert set(wrongs(parsed(path))) - allowed == set()


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "def f():\n    from jinja2.sandbox import SandboxedEnvironment",
        "eval('1')",
        "yaml.load(text)",
        "importlib.import_module(name)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_what_makes_code_of_data_is_seen(text: str) -> None:
    assert list(wrongs(ast.parse(text)))


@pytest.mark.parametrize("text", ["re.compile('x')", "yaml.safe_load(text)", "from importlib import resources"])
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert not list(wrongs(ast.parse(text)))
