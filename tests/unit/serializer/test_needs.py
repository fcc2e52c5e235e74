"""What a file that is run by hand needs of the folder that it lies in."""

from __future__ import annotations

from pathlib import Path

import pytest

from piper.serializer.needs import LARGEST_TEMPLATE, SMALL, is_small, needed_by


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_sql", ".sql").replace("_csv", ".csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_file_alone_needs_itself(tmp_path: Path) -> None:
    write(tmp_path, dag_py="import os\nfrom piper.sdk import dag\n", other_py="", data_csv="1,2")
    assert needed_by(tmp_path / "dag.py") == ("dag.py",)


def test_modules_and_packages_that_it_imports_are_needed_with_what_those_import(tmp_path: Path) -> None:
    write(
        tmp_path,
        dag_py="import near\nfrom pack.deep import thing\n",
        near_py="def f():\n    import far\n",
        far_py="",
        pack__deep_py="",
        pack__more__query_sql="",
        pack__table_csv="",
        unused_py="",
    )
    assert needed_by(tmp_path / "dag.py") == ("dag.py", "far.py", "near.py", "pack/deep.py", "pack/more/query.sql")


def test_files_and_folders_that_it_names_are_needed_and_templates_beside_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        dag_py="A = 'data.csv'\nB = 'queries'\nC = '..'\nD = '/etc/passwd'\nE = '../x'\nF = '.'\n",
        data_csv="1",
        other_csv="1",
        queries__one_sql="",
        beside_sql="",
    )
    assert needed_by(tmp_path / "dag.py") == ("beside.sql", "dag.py", "data.csv", "queries/one.sql")


def test_a_template_that_is_too_large_is_none(tmp_path: Path) -> None:
    write(tmp_path, dag_py="", big_sql="x" * (LARGEST_TEMPLATE + 1))
    assert needed_by(tmp_path / "dag.py") == ("dag.py",)


def test_a_file_with_an_error_needs_itself_and_is_told_of_it_when_it_is_loaded(tmp_path: Path) -> None:
    write(tmp_path, dag_py="def (")
    assert needed_by(tmp_path / "dag.py") == ("dag.py",)


def test_nothing_outside_of_the_folder_is_taken_by_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder, dag_py="A = 'link'\n")
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert needed_by(folder / "dag.py") == ("dag.py",)


@pytest.mark.parametrize(("count", "small"), [(SMALL.files, True), (SMALL.files + 1, False)])
def test_a_folder_is_small_up_to_a_number_of_files(tmp_path: Path, count: int, small: bool) -> None:
    for number in range(count):
        (tmp_path / str(number)).touch()
    assert is_small(tmp_path) is small


def test_a_folder_is_small_up_to_a_number_of_bytes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(SMALL.bytes + 1)
    assert not is_small(tmp_path)
