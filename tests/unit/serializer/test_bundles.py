"""What a scan of a folder sees, and what it leaves out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from piper.model.bundle import content_hash, snapshot_hash, stream_hash
from piper.serializer.bundles import (
    Bundle,
    BundleLimits,
    FolderScanner,
    InvalidBundle,
    find_files,
    might_define_workflows,
)

DAG = "from airflow.sdk import DAG\n"


class Contents:
    """Stands for the blobs: remembers how often it was given a content."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def __call__(self, file: BinaryIO) -> tuple[str, int]:
        self.given.append(file.read())
        return content_hash(self.given[-1]), len(self.given[-1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


def write(folder: Path, **files: str) -> None:
    """`write(folder, a__b_py="…")` makes the file a/b.py."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def scanned(folder: Path) -> set[str]:
    return set(FolderScanner(folder, stream_hash).scan().manifest)


def loaded(folder: Path) -> set[str]:
    return set(FolderScanner(folder, stream_hash).scan().workflow_files)


def test_every_file_is_in_the_manifest_with_hash_size_and_mode(folder: Path) -> None:
    write(folder, a_py=DAG, sub__query="SELECT 1")
    (folder / "sub/query").chmod(0o755)
    manifest = FolderScanner(folder, stream_hash).scan().manifest
    assert set(manifest) == {"a.py", "sub/query"}
    entry = manifest["sub/query"]
    assert (entry.hash, entry.size, entry.executable) == (content_hash(b"SELECT 1"), 8, True)
    assert not manifest["a.py"].executable


def test_hidden_files_and_caches_are_left_out(folder: Path) -> None:
    write(folder, a_py=DAG, __pycache____a="x", sub__b_py=DAG)
    (folder / ".git").mkdir()
    (folder / ".git/c.py").write_text(DAG)
    (folder / ".hidden.py").write_text(DAG)
    assert scanned(folder) == {"a.py", "sub/b.py"}


def test_a_name_that_is_no_text_is_left_out_and_stops_nothing(folder: Path) -> None:
    write(folder, a_py=DAG)
    os.mkdir(os.fsencode(folder) + b"/caf\xe9")
    with open(os.fsencode(folder) + b"/caf\xe9.py", "w") as file:
        file.write(DAG)
    scan = FolderScanner(folder, stream_hash).scan()
    assert set(scan.manifest) == {"a.py"}
    assert scan.left_out == dict.fromkeys(["caf\\udce9", "caf\\udce9.py"], "its name is not UTF-8")
    snapshot_hash("dags", scan.manifest)


def test_only_python_that_speaks_of_dags_and_of_airflow_or_piper_is_loaded(folder: Path) -> None:
    write(folder, a_py=DAG, b_py="from piper.sdk import Asset", c_py="import os", notes="airflow DAG")
    assert scanned(folder) == {"a.py", "b.py", "c.py", "notes"}
    assert loaded(folder) == {"a.py", "b.py"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"from airflow import DAG", True),
        (b"from PIPER.sdk import dag", True),
        (b"import airflow  # Asset", True),
        (b"from airflow import models", False),
        (b"dag = 1", False),
        (b"\xff airflow \xfe dag", True),
    ],
)
def test_the_heuristic_looks_for_words_whatever_their_case(content: bytes, expected: bool) -> None:
    assert might_define_workflows(content) is expected


def test_a_bundle_that_names_its_files_loads_these_whatever_they_look_like(folder: Path) -> None:
    write(folder, a_py=DAG, plain_py="x = 1")
    scan = FolderScanner(folder, stream_hash).scan()
    bundle = Bundle(name="b", team="t", folder=folder, only=("plain.py", "absent.py"))
    assert find_files(scan, bundle) == {"plain.py"}


# --- ignore rules -------------------------------------------------------------------------------------


def test_piperignore_leaves_files_out_in_the_style_of_gitignore(folder: Path) -> None:
    write(folder, a_py=DAG, b_py=DAG, data__x="1", data__keep="2", sub__data__y="3", sub__c_py=DAG)
    (folder / ".piperignore").write_text("# comment\n/b.py\ndata/*\n!data/keep\n")
    assert scanned(folder) == {"a.py", "data/keep", "sub/data/y", "sub/c.py"}


def test_the_rules_of_a_deeper_directory_come_before_those_above(folder: Path) -> None:
    write(folder, a_tmp="1", sub__b_tmp="2", sub__c_tmp="3")
    (folder / ".piperignore").write_text("*_tmp\n")
    (folder / "sub/.piperignore").write_text("!b_tmp\n")
    assert scanned(folder) == {"sub/b_tmp"}


def test_an_ignored_directory_is_not_entered(folder: Path) -> None:
    write(folder, venv__lib__a_py=DAG, venv__b_py=DAG, c_py=DAG)
    (folder / ".piperignore").write_text("venv/\n")
    assert scanned(folder) == {"c.py"}


def test_airflowignore_keeps_files_importable_and_does_not_load_them(folder: Path) -> None:
    write(folder, a_py=DAG, lib__tools_py=DAG, lib__dags_py=DAG)
    (folder / ".airflowignore").write_text("lib/*\n!lib/dags.py\n")
    assert scanned(folder) == {"a.py", "lib/tools.py", "lib/dags.py"}
    assert loaded(folder) == {"a.py", "lib/dags.py"}


def test_a_change_of_the_rules_is_seen(folder: Path) -> None:
    write(folder, a_py=DAG, b_py=DAG)
    (folder / ".piperignore").write_text("a.py\n")
    scanner = FolderScanner(folder, stream_hash)
    assert set(scanner.scan().manifest) == {"b.py"}
    (folder / ".piperignore").write_text("# a.py again\n")
    assert set(scanner.scan().manifest) == {"a.py", "b.py"}


# --- links --------------------------------------------------------------------------------------------


def test_links_out_of_the_bundle_are_left_out_and_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/x.py").write_text(DAG)
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("../folder")
    scan = FolderScanner(folder, stream_hash).scan()
    assert scan.manifest == {}
    assert set(scan.left_out) == {"file", "up"}


def test_links_within_the_bundle_are_followed_except_in_circles(folder: Path) -> None:
    write(folder, real__a_py=DAG)
    (folder / "alias").symlink_to("real")
    (folder / "b.py").symlink_to("real/a.py")
    (folder / "real/again").symlink_to("..")
    assert scanned(folder) == {"real/a.py", "alias/a.py", "b.py"}


def test_a_link_to_itself_is_its_own_fault_and_leaves_the_others(folder: Path) -> None:
    (folder / "a.py").write_text(DAG)
    (folder / "self.py").symlink_to("self.py")
    found = FolderScanner(folder, stream_hash).scan()
    assert set(found.manifest) == {"a.py"}
    assert found.left_out["self.py"].startswith("it cannot be read")


def test_a_file_that_turns_into_a_link_out_is_not_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("s3cret")
    write(folder, a_py=DAG)
    contents = Contents()
    scanner = FolderScanner(folder, contents)
    walk = scanner._walk

    def walk_and_swap(*arguments: object) -> None:
        walk(*arguments)  # type: ignore[arg-type]
        (folder / "a.py").unlink()
        (folder / "a.py").symlink_to(tmp_path / "secret")

    monkeypatch.setattr(scanner, "_walk", walk_and_swap)
    assert scanner.scan().manifest == {}
    assert contents.given == []


def test_piper_home_is_no_part_of_a_bundle_that_it_lies_in(folder: Path) -> None:
    write(folder, a_py=DAG, home__dags__b_py=DAG, home__secret="s3cret")
    scanner = FolderScanner(folder, stream_hash, hidden=[folder / "home"])
    assert set(scanner.scan().manifest) == {"a.py"}


def test_a_bundle_within_piper_home_is_a_bundle(folder: Path) -> None:
    write(folder, dags__a_py=DAG)
    assert set(FolderScanner(folder / "dags", stream_hash, hidden=[folder]).scan().manifest) == {"a.py"}


# --- cost ---------------------------------------------------------------------------------------------


def test_nothing_is_read_again_and_the_same_scan_comes_back_while_nothing_changes(folder: Path) -> None:
    write(folder, a_py=DAG, sub__b_py=DAG)
    contents = Contents()
    scanner = FolderScanner(folder, contents)
    scanner.scan()
    age_for(scanner)
    first = scanner.scan()
    given = len(contents.given)
    assert scanner.scan() is first
    assert scanner.scan() is first
    assert len(contents.given) == given


def age_for(scanner: FolderScanner) -> None:
    """As if what was read had not just been written."""
    for path, known in scanner._known.items():
        known.stat = scanner._found.stats[path]


def test_a_changed_file_is_read_again_and_no_other(folder: Path) -> None:
    write(folder, a_py=DAG, b_py=DAG + "# b")
    contents = Contents()
    scanner = FolderScanner(folder, contents)
    scanner.scan()
    age_for(scanner)
    contents.given.clear()
    write(folder, a_py=DAG + "# other")
    assert scanner.scan().manifest["a.py"].hash == content_hash(b"from airflow.sdk import DAG\n# other")
    assert contents.given == [b"from airflow.sdk import DAG\n# other"]


def test_a_second_change_is_seen_where_the_clock_of_the_file_system_is_too_coarse_to_show_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_times(seen: os.stat_result) -> tuple[int, int, int, int, int]:
        return seen.st_size, 0, 0, seen.st_ino, seen.st_mode

    monkeypatch.setattr("piper.serializer.bundles._stat_key", without_times)
    write(folder, a_py=DAG + "# 1")
    scanner = FolderScanner(folder, stream_hash)
    scanner.scan()
    write(folder, a_py=DAG + "# 2")
    assert scanner.scan().manifest["a.py"].hash == content_hash((DAG + "# 2").encode())


def test_a_change_that_keeps_size_and_time_of_modification_is_seen(folder: Path) -> None:
    write(folder, a_py=DAG + "# 1")
    scanner = FolderScanner(folder, stream_hash)
    scanner.scan()
    age_for(scanner)
    seen = (folder / "a.py").stat()
    write(folder, a_py=DAG + "# 2")
    os.utime(folder / "a.py", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert scanner.scan().manifest["a.py"].hash == content_hash((DAG + "# 2").encode())


def test_a_vanished_file_leaves_the_manifest(folder: Path) -> None:
    write(folder, a_py=DAG, b_py=DAG)
    scanner = FolderScanner(folder, stream_hash)
    scanner.scan()
    (folder / "a.py").unlink()
    assert set(scanner.scan().manifest) == {"b.py"}


# --- what cannot be a bundle --------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_an_error_and_not_an_empty_bundle(folder: Path) -> None:
    with pytest.raises(InvalidBundle, match="cannot be read: No such file"):
        FolderScanner(folder / "absent", stream_hash).scan()


def test_a_bundle_with_too_many_files_or_bytes_is_refused_with_what_to_do(folder: Path) -> None:
    write(folder, a_py="x" * 100, b_py="y" * 100, c_py="z")
    with pytest.raises(InvalidBundle, match=r"more than 2 files: say in \.piperignore"):
        FolderScanner(folder, stream_hash, BundleLimits(files=2)).scan()
    with pytest.raises(InvalidBundle, match=r"MiB of files .*: say in \.piperignore"):
        FolderScanner(folder, stream_hash, BundleLimits(bytes=150)).scan()


def test_special_files_are_no_part_of_a_bundle(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")
    write(folder, a_py=DAG)
    assert scanned(folder) == {"a.py"}
