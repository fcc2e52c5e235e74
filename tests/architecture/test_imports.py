"""Who imports whom: the contracts of pyproject.toml, and what they cannot say."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest

from tests.architecture.source import ROOT, modules_of, parsed

MEETS_USER_CODE = (
    "piper.sdk",
    "piper.operators",
    "piper.compat",
    "piper.serializer.child",
    "piper.worker.channel",
    "piper.worker.loading",
    "piper.worker.parent",
    "piper.worker.zygote",
    "piper.worker.child",
    "piper.triggerer.child",
)
"""Everything that is loaded into a process which runs the code of users."""

IMPORT_NOTHING = """
import json, sys, time
before = set(sys.modules)
began = time.perf_counter()
import piper
print(json.dumps([time.perf_counter() - began, sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Who imports whom, without what only type checkers see."""
    return grimp.build_graph("piper", exclude_type_checking_imports=True, cache_dir=None)


def contracts() -> list[dict[str, Any]]:
    """The contracts of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(settings["tool"]["importlinter"]["contracts"])


def test_every_contract_is_kept(graph: grimp.ImportGraph, tmp_path: Path) -> None:
    """As `make lint`, but without the modules that a partial tree lacks."""
    config = configparser.ConfigParser()
    config["importlinter"] = {"root_packages": "\npiper", "include_external_packages": "True"}
    config["importlinter"]["exclude_type_checking_imports"] = "True"
    for contract in contracts():
        options = {
            option: "\n" + "\n".join(present(value, graph)) if isinstance(value, list) else str(value)
            for option, value in contract.items()
        }
        if all(option.strip() for option in options.values()):  # a tree may lack all that a contract is about
            config["importlinter:contract:" + contract["name"].replace(":", "")] = options
    with (tmp_path / "contracts.ini").open("w") as file:
        config.write(file)
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--config", tmp_path / "contracts.ini"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def present(modules: list[str], graph: grimp.ImportGraph) -> list[str]:
    """Without the modules of Piper that do not exist in this tree."""
    return [name for name in modules if "*" in name or not name.startswith("piper.") or name in graph.modules]


@pytest.mark.parametrize("package", MEETS_USER_CODE)
def test_whatever_meets_user_code_stands_in_both_isolation_contracts(package: str) -> None:
    if not any(modules_of(package)):
        return
    (protected,) = (contract for contract in contracts() if contract["type"] == "protected")
    (isolated,) = (contract for contract in contracts() if "piper.sdk" in contract.get("source_modules", ()))
    for names in (protected["protected_modules"], protected["allowed_importers"], isolated["source_modules"]):
        assert package in names


def test_no_module_imports_itself_by_way_of_others(graph: grimp.ImportGraph) -> None:
    assert knots(graph) == []


def knots(graph: grimp.ImportGraph) -> list[list[str]]:
    """Groups of modules each of which imports every other, directly or not (Tarjan's algorithm, 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported not in number:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], number[imported])
        if lowest[module] == number[module]:
            first = stack.index(module)
            knot = stack[first:]
            del stack[first:]
            if len(knot) > 1:
                found.append(sorted(knot))

    for module in sorted(graph.modules):
        if module not in number:
            visit(module)
    return found


def test_a_knot_would_be_found() -> None:
    graph = grimp.ImportGraph()
    for name in "abcd":
        graph.add_module(name)
    for importer, imported in ("ab", "bc", "ca", "cd"):
        graph.add_import(importer=importer, imported=imported)
    assert knots(graph) == [["a", "b", "c"]]


def test_the_language_names_what_it_may_not_import_in_one_module(graph: grimp.ImportGraph) -> None:
    assert dict(names_above("piper.sdk", graph)).keys() == {"batteries.py"}


def names_above(package: str, graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    """File and text, for each dotted path in a string that leads to a package which this one does not import."""
    imported = {package, *graph.find_upstream_modules(package, as_package=True)}
    for path in modules_of(package):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = ".".join(node.value.split(".")[:2])
                if re.fullmatch(r"piper(\.\w+)+\.?", node.value) and name in graph.modules and name not in imported:
                    yield path.name, node.value


def test_to_import_piper_loads_nothing_else_and_takes_no_time() -> None:
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", IMPORT_NOTHING], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    assert {name for _seconds, names in runs for name in names} == {"piper"}
    assert min(seconds for seconds, _names in runs) < 0.02
