"""Every example of the documents does what the text around it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.docs.conftest import Instance
from tests.docs.documents import Block, blocks

PATIENCE = 60.0
_FENCED = re.compile(r"^(?P<before>.*)\n```(?P<language>\w+)$", re.MULTILINE)


def named(*kinds: str) -> list[object]:
    """The blocks of these kinds, as parameters of a test."""
    return [pytest.param(block, id=block.place) for block in blocks(*kinds)]


@pytest.fixture(scope="module")
def runs(instance: Instance) -> dict[str, int]:
    """File → the number of a run of its workflow; all are started before the first is looked at."""
    listed = instance.get("/workflows", limit=500)["items"]
    workflows = {row["file"]: row["workflow_id"] for row in listed}
    assert len(workflows) == len(listed), "a file of the documents has one workflow"
    return {file: instance.trigger(workflow_id) for file, workflow_id in workflows.items()}


@pytest.mark.parametrize("block", named("workflow"))
def test_a_workflow_of_the_documents_ends_as_they_say(instance: Instance, runs: dict[str, int], block: Block) -> None:
    wanted = block.name.partition(",")[2].strip() or "success"
    assert instance.end_of(runs[block.file]) == wanted, instance.get(f"/runs/{runs[block.file]}/tasks")


def test_the_first_example_of_the_readme_runs_in_fifteen_lines(environment: dict[str, str], tmp_path: Path) -> None:
    (block,) = [block for block in blocks("workflow") if block.document == ROOT / "README.md"]
    assert len(block.text.splitlines()) <= 15
    (tmp_path / block.file).write_text(block.text)
    done = subprocess.run(
        ["piper", "run", block.file, "-o", "json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert ended["state"] == "success"
    assert {task["state"] for task in ended["tasks"]} == {"success"}


@pytest.fixture(scope="module")
def validated(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """File → what `piper validate` says of it, line by line; one that is fine is not spoken of."""
    folder = tmp_path_factory.mktemp("validated")
    files = [block.file for block in blocks("validate", "warned", "broken")]
    assert len(files) == len(set(files)), "two documents have files of one name"
    for block in blocks("validate", "warned", "broken"):
        (folder / block.file).write_text(block.text)
    done = subprocess.run(
        ["piper", "validate", *files],
        env={**environment, "PIPER_HOME": str(folder / "home")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        file = line.partition(":")[0]
        said.setdefault(file if file in files else next(reversed(said)), []).append(line)
    return said


@pytest.mark.parametrize("block", named("validate", "warned", "broken"))
def test_a_file_of_the_documents_loads_or_says_why_not(validated: dict[str, list[str]], block: Block) -> None:
    assert (block.file in validated) == (block.kind != "validate"), validated.get(block.file)
    broken = any("Warning: " not in line for line in validated.get(block.file, []))
    assert broken == (block.kind == "broken"), validated.get(block.file)
    for error in blocks("error"):
        if (error.document, error.file) == (block.document, block.file):
            assert validated[block.file][: len(error.text.splitlines())] == error.text.splitlines()


def beside(block: Block) -> list[Block]:
    """The workflow files of the same document, which a test or a script may import."""
    return [other for other in blocks("workflow", "validate") if other.document == block.document]


@pytest.mark.parametrize("block", named("test", "script"))
def test_unit_tests_and_scripts_of_the_documents_pass(
    environment: dict[str, str], tmp_path: Path, block: Block
) -> None:
    for file in (*beside(block), block):
        (tmp_path / file.file).write_text(file.text)
    how = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if block.kind == "test" else []
    done = subprocess.run(
        [sys.executable, *how, block.file],
        env={**environment, "PIPER_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", named("shell"))
def test_commands_of_the_documents_succeed(instance: Instance, block: Block) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        env=instance.environment,
        cwd=instance.folder,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted({block.document for block in blocks("workflow")}), ids=lambda path: path.name)
def test_no_python_of_a_document_with_examples_stays_unmarked(path: Path) -> None:
    unmarked = [
        match["before"]
        for match in _FENCED.finditer(path.read_text())
        if match["language"] == "python" and not match["before"].startswith("<!-- ")
    ]
    assert unmarked == []
