"""Artifacts: written once, addressed by content, private."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from piper.artifacts import PARTS, ArtifactStore
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


# --- collection -----------------------------------------------------------------------------------


LONG_AGO = 1_000_000_000.0
"""Seconds since 1970, and long before any test."""


def age(store: Path, name: str = "") -> None:
    """Make files old."""
    for path in store.rglob(f"{name[2:]}*"):
        if path.is_file():
            os.utime(path, (LONG_AGO, LONG_AGO))


def collect(store: ArtifactStore, *in_use: str) -> int:
    return sum(store.collect(part, LONG_AGO + 1, lambda names: set(names) & set(in_use)) for part in range(PARTS))


def test_what_is_old_and_in_nobody_s_use_is_collected_with_its_index(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    used, unused, young = store.write(b"used", b"i"), store.write(b"unused", b"i"), store.write(b"young", b"i")
    age(tmp_path, used)
    age(tmp_path, unused)
    assert collect(store, used) == 1
    assert (store.read(used), store.read_index(used), store.read(young)) == (b"used", b"i", b"young")
    for ask in (store.read, store.read_index):
        with pytest.raises(NotFound):
            ask(unused)


def test_what_is_written_again_while_a_collection_looks_at_it_stays(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.write(b"again", b"index")
    age(tmp_path)

    def nobody(names: Sequence[str]) -> set[str]:
        assert store.write(b"again", b"index") == name, "a row will name it"
        return set()

    assert [store.collect(int(name[:2], 16), LONG_AGO + 1, nobody)] == [0]
    assert (store.read(name), store.read_index(name)) == (b"again", b"index")


def test_what_is_written_again_after_it_was_collected_is_there_again(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.write(b"again", b"index")
    age(tmp_path)
    assert collect(store) == 1
    assert store.write(b"again", b"index") == name
    assert store.read_index(name) == b"index"


def test_what_a_dead_writer_left_half_done_is_removed(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.write(b"whole")
    half = tmp_path / name[:2] / ".half"
    half.write_bytes(b"ha")
    assert collect(store, name) == 0
    assert half.exists(), "it may still be written"
    os.utime(half, (LONG_AGO, LONG_AGO))
    assert collect(store, name) == 0
    assert not half.exists()


def test_an_empty_store_has_nothing_to_collect(tmp_path: Path) -> None:
    assert collect(ArtifactStore(tmp_path / "none")) == 0
    assert not (tmp_path / "none").exists()
