"""Every example of the documents does what the text around it says."""

from __future__ import annotations

import json
import re
import subprocess
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


def workflow_of(instance: Instance, block: Block) -> str:
    """The id of the workflow that a block defines."""
    listed = json.loads(instance.piper("workflows", "list", "--limit", "0", "-o", "json").stdout)
    (found,) = [row["workflow_id"] for row in listed if row["file"] == block.file]
    return str(found)


@pytest.mark.parametrize("block", named("workflow"))
def test_a_workflow_of_the_documents_ends_as_they_say(instance: Instance, block: Block) -> None:
    wanted = block.name.partition(",")[2].strip() or "success"
    done = instance.piper(
        "workflows", "trigger", workflow_of(instance, block), "--wait", "--timeout", "50s", "-o", "json"
    )
    assert json.loads(done.stdout)["state"] == wanted, done.stderr + (block.document.parent / block.file).name
    assert done.returncode == (0 if wanted == "success" else 1)


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


@pytest.mark.parametrize("block", named("validate", "broken"))
def test_a_file_of_the_documents_loads_or_says_why_not(
    environment: dict[str, str], tmp_path: Path, block: Block
) -> None:
    (tmp_path / block.file).write_text(block.text)
    done = subprocess.run(
        ["piper", "validate", block.file],
        env={**environment, "PIPER_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == (1 if block.kind == "broken" else 0), done.stdout + done.stderr
    for said in blocks("error"):
        if (said.document, said.file) == (block.document, block.file):
            assert done.stdout.splitlines()[: len(said.text.splitlines())] == said.text.splitlines()


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
