"""Artifacts: written once, addressed by content, private."""

from __future__ import annotations

from pathlib import Path

import pytest

from piper.artifacts import ArtifactStore
from piper.model.errors import NotFound, StoreUnavailable


def test_content_is_read_whole_or_in_part(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    name = store.write(b"0123456789")
    assert store.read(name) == b"0123456789"
    assert store.read(name, 3, 6) == b"345"
    assert store.read(name, 8, 99) == b"89"
    assert store.size(name) == 10


def test_the_same_content_has_the_same_name(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert store.write(b"a") == store.write(b"a") != store.write(b"b")


def test_an_index_lies_beside_its_artifact(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.write(b"content", b"index")
    assert store.read_index(name) == b"index"
    assert store.read_index(name, 1, 3) == b"nd"
    assert store.read_index(name, 99, 120) == b""


def test_files_are_private(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    store.write(b"content", b"index")
    for path in (tmp_path / "artifacts").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for ask in (store.read, store.read_index, store.size):
        with pytest.raises(NotFound):
            ask("0" * 64)
    with pytest.raises(NotFound):
        store.read_index(store.write(b"no index"))


@pytest.mark.parametrize("name", ["", "../secret.key", "a/b", "0" * 63, "0" * 63 + "/", "0" * 64 + "\n"])
def test_a_name_that_is_not_a_hash_names_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        ArtifactStore(tmp_path).read(name)


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"a file where the folder should be")
    with pytest.raises(StoreUnavailable):
        ArtifactStore(tmp_path / "artifacts").write(b"content")


def test_a_removed_artifact_is_gone_with_its_index(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.write(b"content", b"index")
    store.remove(name)
    store.remove(name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
