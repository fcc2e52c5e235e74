"""`load_once`: what `piper validate` and `piper run` begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from piper.serializer.once import load_once
from piper.serializer.outcomes import LoadedFile
from piper.serializer.supervisor import Loader
from tests.integration.serializer.conftest import bad, defining, good


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_a_file_is_loaded_with_the_modules_beside_it_and_nothing_else_is(root: Path, loader: Loader) -> None:
    write(root, a="import helper\n" + defining("w"), helper="x = 1\n", other="1 / 0  # airflow dag\n")
    (outcome,) = load_once(root / "a.py", loader)
    assert good(outcome).ids == ["w"]
    assert loader.host is None


def test_a_file_named_by_a_person_is_loaded_whatever_it_looks_like(root: Path, loader: Loader) -> None:
    write(root, plain="x = 1\n")
    (outcome,) = load_once(root / "plain.py", loader)
    assert good(outcome).ids == []


def test_all_workflow_files_of_a_folder_are_loaded_in_order(root: Path, loader: Loader) -> None:
    write(root, b=defining("v"), a="x = (  # airflow dag\n", plain="1 / 0\n", **{"sub/c": defining("w", "v")})
    outcomes = load_once(root, loader)
    assert [outcome.file for outcome in outcomes] == ["a.py", "b.py", "sub/c.py"]
    assert bad(outcomes[0]).line == 1
    assert isinstance(outcomes[1], LoadedFile)
    assert "workflow id 'v' is already defined in b.py" in bad(outcomes[2]).message


def test_imports_begin_at_the_root_that_is_given(root: Path, loader: Loader) -> None:
    write(root, **{"lib": "name = 'w'\n", "team/a": "from lib import name\n" + defining("w")})
    assert "No module named 'lib'" in bad(load_once(root / "team/a.py", loader)[0]).message
    (outcome,) = load_once(root / "team/a.py", loader, root=root)
    assert outcome.file == "team/a.py"
    assert good(outcome).ids == ["w"]


def test_a_path_that_is_not_there_is_said(root: Path, loader: Loader) -> None:
    with pytest.raises(FileNotFoundError):
        load_once(root / "absent.py", loader)
