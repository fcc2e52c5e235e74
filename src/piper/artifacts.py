"""The artifact store: values too long for the database, as files addressed by what is in them.

An artifact is written once and never changed. Its name is the BLAKE2b hash of its content, so writing it again is
harmless, and a reference to it in a row that was rolled back costs disk until it is collected, nothing else. An
artifact may have an index beside it (`task_api.elements`): fixed-width positions to read a part by.

What no row refers to is collected (`ArtifactStore.collect`) once it has not been written for so long that no row can be
about to name it. Writing again what is there counts: it makes it young, under a lock that a collection takes, too.

Files are 0600 in folders of 0700: a task process of another user must not read what another team pushed. A name
comes from a row that its reader was allowed to read; nobody can list or guess.

How it fails. A full or read-only disk: `StoreUnavailable`, and no file under the final name. A name that is not
there (a backup restored without its artifacts): `NotFound`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from piper.model.errors import NotFound, StoreUnavailable

NAME = re.compile(r"[0-9a-f]{64}")
_INDEX_SUFFIX = ".index"
_LOCK = ".lock"

PARTS = 256
"""Folders of a store, by the first two digits of the names in them: what a collection may take one at a time."""


class ArtifactStore:
    """Artifacts as files below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, content: bytes, index: bytes = b"") -> str:
        """Keep `content`, and beside it its index if there is one; durable when this returns. Returns its name.

        Raises:
            StoreUnavailable: the disk is full or cannot be written.
        """
        name = hashlib.blake2b(content, digest_size=32).hexdigest()
        path = self._path(name)
        try:
            with self._locked(fcntl.LOCK_SH):
                if index:
                    self._write_file(path.with_suffix(_INDEX_SUFFIX), index)
                self._write_file(path, content)
        except OSError as error:
            raise StoreUnavailable(f"an artifact of {len(content)} bytes could not be written: {error}") from error
        return name

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """The content of an artifact, or its bytes `start` ≤ position < `stop`.

        Raises:
            NotFound: there is no such artifact.
        """
        return self._read_file(self._path(name), name, start, stop)

    def read_index(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Bytes of an artifact's index; fewer than asked, or none, where it ends before.

        Raises:
            NotFound: the artifact has no index.
        """
        return self._read_file(self._path(name).with_suffix(_INDEX_SUFFIX), name, start, stop)

    def size(self, name: str) -> int:
        """Bytes of an artifact. Raises NotFound if there is none."""
        try:
            return self._path(name).stat().st_size
        except OSError as error:
            raise _missing(name, error) from error

    def collect(self, part: int, before: float, in_use: Callable[[Sequence[str]], set[str]]) -> int:
        """Remove what has not been written since `before` and is not in use. Returns how many artifacts that were.

        Arguments:
            part: which of the PARTS folders.
            before: seconds since 1970, so long ago that whoever has written an artifact has since named it in a row.
            in_use: which of these artifacts rows refer to.

        Raises:
            StoreUnavailable: a file cannot be removed.
        """
        folder = self._root / f"{part:02x}"
        try:
            old = _old_ones(folder, before)
            names = [name for name in sorted(folder.name + stem for stem in old) if NAME.fullmatch(name)]
            left = [name for name in old if name.startswith(".")]  # the beginning of a file, when its writer died
            unused = [self._path(name) for name in sorted(set(names) - in_use(names))] if names else []
            if not (unused or left):
                return 0
            with self._locked(fcntl.LOCK_EX):
                gone = [path for path in unused if not _is_younger(path, before)]
                for path in (*gone, *(folder / name for name in left)):
                    path.unlink(missing_ok=True)
                    path.with_suffix(_INDEX_SUFFIX).unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"artifacts in {folder} cannot be removed: {error}") from error
        return len(gone)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold the store's lock: shared by those who write, alone for who removes."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> Path:
        if NAME.fullmatch(name) is None:  # it becomes part of a path
            raise NotFound(f"{name!r} is not the name of an artifact")
        return self._root / name[:2] / name[2:]

    def _write_file(self, path: Path, content: bytes) -> None:
        try:
            os.utime(path)  # it is there, and is as if it had been written now
            return
        except FileNotFoundError:
            pass
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")  # mkstemp's mode is 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read_file(self, path: Path, name: str, start: int, stop: int | None) -> bytes:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise _missing(name, error) from error
        try:
            length = os.fstat(descriptor).st_size - start if stop is None else stop - start
            return os.pread(descriptor, max(0, length), start)
        finally:
            os.close(descriptor)


def _old_ones(folder: Path, before: float) -> set[str]:
    """The files of a folder that have not been written since, an index by the name of its artifact."""
    found: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # it has just been given its final name
                    if entry.stat().st_mtime < before:
                        found.add(Path(entry.name).stem)
    except FileNotFoundError:
        pass
    return found


def _is_younger(path: Path, moment: float) -> bool:
    """Whether an artifact, or its index, has been written since."""
    files = (path, path.with_suffix(_INDEX_SUFFIX))
    return any(file.stat().st_mtime >= moment for file in files if file.exists())


def _missing(name: str, error: OSError) -> NotFound:
    return NotFound(
        f"artifact {name} cannot be read ({error.strerror}): was the artifact folder restored with the data?"
    )
