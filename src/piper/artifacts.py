"""The artifact store: values too long for the database, as files addressed by what is in them.

An artifact is written once and never changed. Its name is the BLAKE2b hash of its content, so writing it again is
harmless, and a reference to it in a row that was rolled back costs disk until it is collected, nothing else. An
artifact may have an index beside it (`task_api.elements`): fixed-width positions to read a part by.

Files are 0600 in folders of 0700: a task process of another user must not read what another team pushed. A name
comes from a row that its reader was allowed to read; nobody can list or guess.

How it fails. A full or read-only disk: `StoreUnavailable`, and no file under the final name. A name that is not
there (a backup restored without its artifacts): `NotFound`.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from piper.model.errors import NotFound, StoreUnavailable

NAME = re.compile(r"[0-9a-f]{64}")
_INDEX_SUFFIX = ".index"


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

    def remove(self, name: str) -> None:
        """Forget an artifact that no row refers to any more. Does nothing if it is not there."""
        path = self._path(name)
        path.unlink(missing_ok=True)
        path.with_suffix(_INDEX_SUFFIX).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if NAME.fullmatch(name) is None:  # it becomes part of a path
            raise NotFound(f"{name!r} is not the name of an artifact")
        return self._root / name[:2] / name[2:]

    def _write_file(self, path: Path, content: bytes) -> None:
        if path.exists():
            return
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


def _missing(name: str, error: OSError) -> NotFound:
    return NotFound(
        f"artifact {name} cannot be read ({error.strerror}): was the artifact folder restored with the data?"
    )
