"""Bundles: the folders that workflow files lie in, and what has changed in them.

A scan reads the directory entries and their stat; contents are read only of files whose stat is not
what it was. What is left out: hidden files, `__pycache__`, what `.piperignore` says (patterns of
`.gitignore`, per directory), links that lead out of the folder, names that are not UTF-8. What
`.airflowignore` says stays in the bundle, so that it can be imported, and is not loaded as a workflow
file: Airflow's meaning.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pathspec

from piper.model.bundle import FileEntry, Manifest
from piper.model.errors import AuthorError

LEFT_OUT = ".piperignore"
NOT_LOADED = ".airflowignore"
FOLDER = "folder"

MOST_CODE = 16 << 20
"""Bytes of a Python file that are looked at to see whether it defines workflows."""
SETTLED_NS = 100_000_000
"""A file changed less than this before it was read is read again: its clock is too coarse to show a second change."""


class InvalidBundle(AuthorError):
    """A bundle cannot be read, or is larger than it may be; what was published of it stays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A place that workflow files come from, the team that owns it, and what its files may do while they load."""

    name: str
    team: str
    folder: Path
    kind: str = FOLDER
    only: tuple[str, ...] = ()
    """Load these files alone (relative paths); the rest is there to be imported."""
    files: tuple[str, ...] = ()
    """It consists of these files alone (relative paths), whatever else lies in its folder; empty: of all there is."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that its files see while they are loaded."""
    readable: tuple[str, ...] = ()
    """Absolute paths outside of the bundle that its files may read while they are loaded."""
    reload_interval: timedelta = timedelta(0)
    """Load unchanged files again after this long, since they ask services; 0 is never."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleLimits:
    """How large a bundle may be: what lies in it is copied into every place that runs its tasks."""

    files: int = 20_000
    bytes: int = 512 << 20


OWN_FAULTS = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG})
"""Of one file or folder, and none of its bundle's; what else goes wrong, a disk for example, concerns it all."""

DEFAULT_LIMITS = BundleLimits()


@dataclass(frozen=True, slots=True)
class Scan:
    """The files of a bundle as last seen. The same object comes back as long as nothing changes."""

    manifest: Manifest
    workflow_files: frozenset[str]
    left_out: Mapping[str, str]
    """Path → why, for what a person might miss."""


StatKey = tuple[int, int, int, int, int]
Keep = Callable[[BinaryIO], tuple[str, int]]
"""Store what can be read from an open file, if it is new; returns its hash and its length."""
Rules = tuple[tuple[str, pathspec.GitIgnoreSpec], ...]
"""(directory prefix, patterns) from the root down to here."""


@dataclass(slots=True)
class _Found:
    """What one walk saw: the stat of every file, of every file of rules, what stays unloaded or out."""

    stats: dict[str, StatKey] = field(default_factory=dict)
    unloaded: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)
    rules: dict[str, StatKey] = field(default_factory=dict)
    size: int = 0


@dataclass(slots=True)
class _Known:
    """A file whose content has been read."""

    stat: StatKey | None
    """None: it had only just changed; read it again."""
    entry: FileEntry
    defines: bool


class FolderScanner:
    """Follows one folder.

    Arguments:
        keep: called with the content of every file that is new or has changed.
        files: those to look at (relative paths); all that the folder has, if there are none.
        hidden: folders that are no part of any bundle, wherever they lie: PIPER_HOME.
    """

    def __init__(
        self,
        folder: Path,
        keep: Keep,
        limits: BundleLimits = DEFAULT_LIMITS,
        *,
        files: Sequence[str] = (),
        hidden: Sequence[Path] = (),
    ) -> None:
        self._folder = folder
        self._files = files
        self._hidden = {os.path.realpath(path) for path in hidden}
        self._keep = keep
        self._limits = limits
        self._root = ""
        self._found = _Found()
        self._known: dict[str, _Known] = {}
        self._patterns: dict[str, tuple[StatKey, pathspec.GitIgnoreSpec]] = {}
        self._verdicts: dict[tuple[str, str], bool] = {}  # of (name of the rules' files, path)
        self._last = Scan({}, frozenset(), {})

    def scan(self) -> Scan:
        """Look at the folder as it is now.

        Raises:
            InvalidBundle: it is not there, cannot be read, or is larger than the limits.
        """
        found = self._look()
        if found.rules != self._found.rules:
            self._verdicts.clear()
        unchanged = found == self._found and all(known.stat is not None for known in self._known.values())
        self._found = found
        if not unchanged:
            self._read_changes(found)
        return self._last

    def measure(self) -> tuple[int, int]:
        """How many files there are, and bytes in them. Reads none of them, and goes no further than the limits.

        Raises:
            InvalidBundle: as `scan`.
        """
        found = self._look()
        return len(found.stats), found.size

    # --- walking ----------------------------------------------------------------------------------

    def _look(self) -> _Found:
        self._root = os.path.realpath(self._folder)
        found = _Found()
        try:
            if not self._files:
                self._walk(self._root, "", (), (), found, (self._root,))
            for path in self._files:
                with suppress(FileNotFoundError):
                    self._note(os.stat(os.path.join(self._root, path)), path, found)
        except OSError as error:
            raise InvalidBundle(f"the bundle's folder {self._folder} cannot be read: {error.strerror}") from error
        return found

    def _walk(
        self, folder: str, prefix: str, left_out: Rules, unloaded: Rules, found: _Found, above: tuple[str, ...]
    ) -> None:
        """Note every file at and below `folder`, whose entries are called `prefix + name`.

        `above` are the true paths of the folders that were entered on the way here: a link back to one is a loop.
        """
        with os.scandir(folder) as listing:
            entries = list(listing)
        left_out += self._rules_here(folder, prefix, LEFT_OUT, entries, found)
        unloaded += self._rules_here(folder, prefix, NOT_LOADED, entries, found)
        for entry in entries:
            name = entry.name
            if name[0] == "." or name == "__pycache__":
                continue
            path = prefix + name
            if not _is_text(name):  # manifests are JSON, and a task could not be told of it
                found.left_out[path.encode(errors="backslashreplace").decode()] = "its name is not UTF-8"
                continue
            try:
                self._visit(entry, path, left_out, unloaded, found, above)
            except FileNotFoundError:  # gone since it was listed, or a link to nothing
                continue
            except OSError as error:
                if error.errno not in OWN_FAULTS:
                    raise
                found.left_out[path] = f"it cannot be read: {error.strerror}"

    def _visit(
        self,
        entry: os.DirEntry[str],
        path: str,
        left_out: Rules,
        unloaded: Rules,
        found: _Found,
        above: tuple[str, ...],
    ) -> None:
        """Note a file, or what is in a folder. Raises OSError where it cannot be looked at."""
        linked = entry.is_symlink()
        true_path = os.path.realpath(entry.path) if linked else entry.path
        if linked and not self._within(true_path):
            found.left_out[path] = "it links to a place outside of the bundle"
            return
        is_folder = entry.is_dir()
        if self._matches(LEFT_OUT, left_out, path + "/" if is_folder else path):
            return
        if not is_folder:
            self._note(entry.stat(), path, found)
            if path.endswith(".py") and self._matches(NOT_LOADED, unloaded, path):
                found.unloaded.add(path)
        elif linked and true_path in above:
            found.left_out[path] = "it links to a folder that it is in"
        elif true_path not in self._hidden:
            self._walk(entry.path, path + "/", left_out, unloaded, found, (*above, true_path))

    def _note(self, seen: os.stat_result, path: str, found: _Found) -> None:
        if not stat.S_ISREG(seen.st_mode):
            return
        found.stats[path] = _stat_key(seen)
        found.size += seen.st_size
        if len(found.stats) > self._limits.files:
            raise InvalidBundle(
                f"the bundle's folder {self._folder} has more than {self._limits.files} files: "
                f"say in {LEFT_OUT} what does not belong to it"
            )
        if found.size > self._limits.bytes:
            raise InvalidBundle(
                f"the bundle's folder {self._folder} has more than {self._limits.bytes >> 20} MiB of files (up to "
                f"{path}): say in {LEFT_OUT} what does not belong to it, or keep data elsewhere"
            )

    def _within(self, true_path: str) -> bool:
        return true_path == self._root or true_path.startswith(self._root.rstrip("/") + "/")

    # --- ignore rules -----------------------------------------------------------------------------

    def _rules_here(self, folder: str, prefix: str, name: str, entries: list[os.DirEntry[str]], found: _Found) -> Rules:
        entry = next((entry for entry in entries if entry.name == name), None)
        if entry is None:
            return ()
        path = prefix + name
        try:
            key = _stat_key(entry.stat())
            if path not in self._patterns or self._patterns[path][0] != key:
                text = Path(folder, name).read_text(errors="replace")
                self._patterns[path] = key, pathspec.GitIgnoreSpec.from_lines(text.splitlines())
        except FileNotFoundError:
            return ()
        except ValueError as error:
            raise InvalidBundle(f"{path} has a pattern that cannot be understood: {error}", file=path) from error
        found.rules[path] = key
        return ((prefix, self._patterns[path][1]),)

    def _matches(self, kind: str, rules: Rules, path: str) -> bool:
        """Whether the rules name a path (of a folder with `/` at its end). The deepest directory that says
        anything about it decides, as in git."""
        if not rules:
            return False
        verdict = self._verdicts.get((kind, path))
        if verdict is None:
            said = (patterns.check_file(path[len(prefix) :]).include for prefix, patterns in reversed(rules))
            verdict = next((include for include in said if include is not None), False)
            self._verdicts[kind, path] = verdict
        return verdict

    # --- contents ---------------------------------------------------------------------------------

    def _read_changes(self, found: _Found) -> None:
        known: dict[str, _Known] = {}
        left_out = dict(found.left_out)
        for path in sorted(found.stats):
            before = self._known.get(path)
            if before is not None and before.stat == found.stats[path]:
                known[path] = before
                continue
            try:
                known[path] = self._read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                left_out[path] = f"it cannot be read: {error.strerror}"
        self._known = known
        manifest = {path: file.entry for path, file in known.items()}
        workflow_files = frozenset(p for p, file in known.items() if file.defines and p not in found.unloaded)
        if (manifest, workflow_files, left_out) != (
            self._last.manifest,
            self._last.workflow_files,
            self._last.left_out,
        ):
            self._last = Scan(manifest, workflow_files, left_out)

    def _read(self, path: str) -> _Known:
        """Read a file that is within the root when it is open, whatever its name has come to mean since."""
        with open(os.path.join(self._root, path), "rb", opener=_open_without_waiting) as file:
            before = os.fstat(file.fileno())
            if not self._within(_true_path(file)) or not stat.S_ISREG(before.st_mode):
                raise PermissionError(0, "it leads out of the bundle")
            started = time.time_ns()
            name, size = self._keep(file)
            file.seek(0)
            defines = path.endswith(".py") and might_define_workflows(file.read(MOST_CODE))
            after = os.fstat(file.fileno())
        key = _stat_key(after)
        settled = key == _stat_key(before) and abs(started - max(after.st_mtime_ns, after.st_ctime_ns)) > SETTLED_NS
        entry = FileEntry(name, size, bool(after.st_mode & stat.S_IXUSR))
        return _Known(key if settled else None, entry, defines)


def might_define_workflows(content: bytes) -> bool:
    """Whether a Python file is worth loading (airflow-semantics §3.6, "safe mode"): it speaks of DAGs or assets
    and of Airflow or Piper."""
    text = content.lower()
    return (b"dag" in text or b"asset" in text) and (b"airflow" in text or b"piper" in text)


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe in a file's place would let the scan wait for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _true_path(file: BinaryIO) -> str:
    """Where an open file is. The kernel's word for it, since its name may have been replaced by a link by now."""
    known_to_kernel = f"/proc/self/fd/{file.fileno()}"
    return os.path.realpath(known_to_kernel if os.path.exists(known_to_kernel) else file.name)


def _is_text(name: str) -> bool:
    """Whether a file's name is text, rather than bytes that Python could only note down (PEP 383)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stat_key(seen: os.stat_result) -> StatKey:
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_mode


def find_files(scan: Scan, bundle: Bundle) -> frozenset[str]:
    """The files of a bundle that are loaded. Those that it names itself need not look like workflow files."""
    return frozenset(path for path in bundle.only if path in scan.manifest) if bundle.only else scan.workflow_files
