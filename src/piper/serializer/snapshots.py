"""Snapshots on disk: shared blobs, and read-only trees made of links to them.

    PIPER_HOME/blobs/3f/3f09…          a content, mode 0444 (`….x`: the same, executable)
    PIPER_HOME/snapshots/a41c…/…       the tree of one snapshot; its name is the hash of its manifest

A tree is built under another name and renamed when it is whole, so that a tree which can be seen is
complete, whenever the machine stopped: contents are on the disk before the name is. A tree is taken
away in the same order. Nothing is written twice: equal contents share a blob, equal manifests a tree.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from piper.model.bundle import FileEntry, Manifest, snapshot_hash, stream_hash
from piper.model.errors import StoreUnavailable

_UNFINISHED = ".new-"
_NEW_BLOB = ".new-blob"
_DOOMED = ".old-"
_EXECUTABLE = ".x"


@dataclass(frozen=True, slots=True)
class Freed:
    """What a garbage collection took away."""

    snapshots: int
    blobs: int
    bytes: int


class SnapshotStore:
    """The blobs and snapshots of one PIPER_HOME. One thread writes; anybody may read the finished trees."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.blobs = self.home / "blobs"
        self.trees = self.home / "snapshots"
        self.prepare()

    def prepare(self) -> None:
        """Have the folders that all lies in, and nothing half made in them."""
        for folder in (self.blobs, self.trees):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_leftovers()

    def path_of(self, snapshot: str) -> Path:
        """The root of a snapshot's tree, without symlinks."""
        return self.trees / snapshot

    def keep(self, file: BinaryIO) -> tuple[str, int]:
        """Store what can be read from an open file, unless it is there; returns its hash and its length.

        Raises:
            StoreUnavailable: the disk is full or cannot be written.
        """
        name, length = stream_hash(file)
        if self._has(self._blob(name), length):
            return name, length
        file.seek(0)
        try:
            with self._new_blob(0o444) as copy:
                name, length = stream_hash(file, copy)  # once more: it may have changed in between
                self._finish(copy, self._blob(name))
        except OSError as error:
            raise StoreUnavailable(f"{self.blobs} cannot be written: {error.strerror}") from error
        return name, length

    def materialise(self, bundle: str, manifest: Manifest) -> str:
        """Make the tree of a manifest whose contents have all been kept, unless it is there; returns its hash.

        Raises:
            StoreUnavailable: the disk is full or cannot be written; no tree was made.
        """
        name = snapshot_hash(bundle, manifest)
        if self.path_of(name).is_dir():
            return name
        unfinished = self.trees / f"{_UNFINISHED}{name}"
        try:
            _remove_tree(unfinished)
            self._build(unfinished, manifest)
            unfinished.rename(self.path_of(name))
            _sync(self.trees)
        except OSError as error:
            _remove_tree(unfinished)
            raise StoreUnavailable(f"{self.trees} cannot be written: {error.strerror}") from error
        return name

    def collect_garbage(self, kept: Mapping[str, Manifest]) -> Freed:
        """Remove every snapshot but those `kept`, and every content that none of them has."""
        doomed = [tree for tree in self.trees.iterdir() if tree.name not in kept]
        for tree in doomed:
            _remove_tree(tree.rename(self.trees / f"{_DOOMED}{tree.name}"))
        used = {entry.hash for manifest in kept.values() for entry in manifest.values()}
        blobs = freed = 0
        for blob in self.blobs.glob("*/*"):
            if blob.name.removesuffix(_EXECUTABLE) not in used:
                freed += blob.stat().st_size
                blobs += 1
                blob.unlink()
        return Freed(len(doomed), blobs, freed)

    # --- inside -----------------------------------------------------------------------------------

    def _blob(self, name: str) -> Path:
        return self.blobs / name[:2] / name

    def _has(self, blob: Path, length: int) -> bool:
        """Whether a blob is there, and whole: another length is what a power cut may have left of it."""
        try:
            return blob.stat().st_size == length
        except FileNotFoundError:
            return False

    @contextmanager
    def _new_blob(self, mode: int) -> Iterator[BinaryIO]:
        """A file to write a content to; it is gone afterwards if it has not been given a name."""
        unfinished = self.blobs / _NEW_BLOB
        unfinished.unlink(missing_ok=True)
        try:
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                os.fchmod(file.fileno(), mode)  # whatever the umask is
                yield file
        finally:
            unfinished.unlink(missing_ok=True)

    def _finish(self, copy: BinaryIO, blob: Path) -> None:
        """Give a new blob its name, once its content is on the disk."""
        copy.flush()
        os.fsync(copy.fileno())
        blob.parent.mkdir(mode=0o700, exist_ok=True)
        (self.blobs / _NEW_BLOB).rename(blob)

    def _build(self, root: Path, manifest: Manifest) -> None:
        root.mkdir(mode=0o700)
        folders = {root}
        for path, entry in manifest.items():
            target = root / path
            missing = [parent for parent in target.parents if parent not in folders and root in parent.parents]
            for folder in reversed(missing):
                folder.mkdir(mode=0o700)
                folders.add(folder)
            _link(self._source(entry), target)
        for folder in folders:
            folder.chmod(0o555)

    def _source(self, entry: FileEntry) -> Path:
        """The blob of a file. A link has its blob's mode, so an executable file has a blob of its own."""
        blob = self._blob(entry.hash)
        if not entry.executable:
            return blob
        executable = blob.with_name(blob.name + _EXECUTABLE)
        if not self._has(executable, entry.size):
            with blob.open("rb") as file, self._new_blob(0o555) as copy:
                stream_hash(file, copy)
                self._finish(copy, executable)
        return executable

    def _remove_leftovers(self) -> None:
        """What a crash left in the middle of a build or of a removal."""
        (self.blobs / _NEW_BLOB).unlink(missing_ok=True)
        for tree in self.trees.iterdir():
            if tree.name.startswith((_UNFINISHED, _DOOMED)):
                _remove_tree(tree)


def _link(blob: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none or no more of them."""
    try:
        os.link(blob, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy(blob, target)  # with the mode


def _remove_tree(tree: Path) -> None:
    """Remove a tree whose folders are read-only, if it is there."""
    for folder, _, _ in os.walk(tree):
        os.chmod(folder, 0o700)
    shutil.rmtree(tree, ignore_errors=True)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
