"""Snapshots on disk: shared, read-only, whole or not there."""

from __future__ import annotations

import io
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from piper.model.bundle import FileEntry, Manifest
from piper.model.errors import StoreUnavailable
from piper.serializer.snapshots import SnapshotStore


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "home")


def keep(store: SnapshotStore, content: bytes) -> tuple[str, int]:
    return store.keep(io.BytesIO(content))


def manifest(store: SnapshotStore, **files: str) -> Manifest:
    return {
        name.replace("__", "/"): FileEntry(*keep(store, text.encode()), name.startswith("run"))
        for name, text in files.items()
    }


def test_a_tree_has_the_contents_and_is_read_only(store: SnapshotStore) -> None:
    tree = store.path_of(store.materialise("b", manifest(store, a="1", sub__deep__b="2", run_me="3")))
    assert (tree / "a").read_text() == "1"
    assert (tree / "sub/deep/b").read_text() == "2"
    assert stat.S_IMODE((tree / "a").stat().st_mode) == 0o444
    assert stat.S_IMODE((tree / "run_me").stat().st_mode) == 0o555
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (tree, tree / "sub", tree / "sub/deep")} == {0o555}


def test_equal_contents_share_a_blob_and_equal_manifests_a_tree(store: SnapshotStore) -> None:
    first = store.materialise("b", manifest(store, a="same", b="same"))
    second = store.materialise("b", manifest(store, a="same", b="same", c="other"))
    inodes = {(store.path_of(tree) / name).stat().st_ino for tree in (first, second) for name in "ab"}
    assert len(inodes) == 1
    assert store.materialise("b", manifest(store, b="same", a="same")) == first


def test_two_bundles_with_equal_files_have_snapshots_of_their_own(store: SnapshotStore) -> None:
    files = manifest(store, a="1")
    assert store.materialise("b", files) != store.materialise("c", files)


def test_files_are_copied_where_there_are_no_links(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    tree = store.path_of(store.materialise("b", manifest(store, a="1", run_me="2")))
    assert (tree / "a").read_text() == "1"
    assert os.access(tree / "run_me", os.X_OK)


@pytest.mark.parametrize("call", ["link", "chmod", "rename", "mkdir"])
def test_a_crash_at_any_point_leaves_no_tree_or_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The process dies at the n-th call of each kind, for every n; the next process goes on from what it finds."""
    for n in range(10):
        home = tmp_path / f"{call}{n}"
        store = SnapshotStore(home)
        files = manifest(store, a="1", sub__b="2", sub__c="3")
        with monkeypatch.context() as patch:
            patch.setattr(os, call, dying(getattr(os, call), n))
            with suppress(Dead):
                store.materialise("b", files)
        visible = [tree for tree in store.trees.iterdir() if not tree.name.startswith(".")]
        for tree in visible:
            assert {str(p.relative_to(tree)) for p in tree.rglob("*")} == {"a", "sub", "sub/b", "sub/c"}
        after = SnapshotStore(home)
        assert [tree.name for tree in after.trees.iterdir()] == [tree.name for tree in visible]
        tree = after.path_of(after.materialise("b", files))
        assert (tree / "sub/c").read_text() == "3"


class Dead(BaseException):
    """The process is killed here."""


def dying(function: object, n: int) -> object:
    calls = 0

    def call(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls > n:
            raise Dead
        return function(*arguments, **options)  # type: ignore[operator]

    return call


def test_a_content_that_a_crash_left_half_is_written_again(store: SnapshotStore) -> None:
    name, _ = keep(store, b"content")
    blob = store.blobs / name[:2] / name
    blob.chmod(0o600)
    blob.write_bytes(b"con")
    keep(store, b"content")
    assert blob.read_bytes() == b"content"


def test_a_full_disk_is_said_and_leaves_nothing(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files = manifest(store, a="1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr("shutil.copy", full)
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        store.materialise("b", files)
    assert list(store.trees.iterdir()) == []


def test_garbage_collection_keeps_what_is_kept_and_frees_the_rest(store: SnapshotStore) -> None:
    old = manifest(store, a="shared", b="old", run_old="old program")
    new = manifest(store, a="shared", c="new", run_new="new program")
    doomed, kept = store.materialise("b", old), store.materialise("b", new)
    freed = store.collect_garbage({kept: new})
    assert (freed.snapshots, freed.blobs) == (1, 3)
    assert not store.path_of(doomed).exists()
    assert (store.path_of(kept) / "c").read_text() == "new"
    assert store.materialise("b", new) == kept
    assert store.collect_garbage({kept: new}).blobs == 0


def test_an_interrupted_garbage_collection_is_finished_by_the_next_process(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = store.materialise("b", manifest(store, a="1", sub__b="2"))

    def die(*_: object, **__: object) -> None:
        raise Dead

    with monkeypatch.context() as patch, pytest.raises(Dead):
        patch.setattr("shutil.rmtree", die)
        store.collect_garbage({})
    assert not store.path_of(doomed).exists()
    assert list(SnapshotStore(tmp_path / "home").trees.iterdir()) == []
