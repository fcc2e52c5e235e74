"""Load files here and now, without a database: what `piper validate` and `piper run` begin with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from piper.model.bundle import stream_hash
from piper.serializer.bundles import FolderScanner
from piper.serializer.loads import LoadRequest
from piper.serializer.outcomes import LoadedFile, Outcome, already_defined
from piper.serializer.supervisor import Loader


def load_once(path: Path, loader: Loader, *, root: Path | None = None) -> list[Outcome]:
    """Load one file, or all workflow files beneath a folder, as the serializer would.

    Arguments:
        root: the bundle's root, which `import` begins at; by default the folder, or the folder of the file.

    Returns:
        What came of each file, in order of their paths (relative to the root).

    Raises:
        InvalidBundle: the folder cannot be read, or is larger than a bundle may be.
        FileNotFoundError: there is no such file.
    """
    true_path = path.resolve(strict=True)
    top = root.resolve(strict=True) if root else true_path if true_path.is_dir() else true_path.parent
    if true_path.is_dir():
        found = FolderScanner(true_path, stream_hash, hidden=loader.hidden).scan().workflow_files
        files = sorted((true_path / file).relative_to(top).as_posix() for file in found)
    else:
        files = [true_path.relative_to(top).as_posix()]
    return _without_duplicates(_load_all(top, files, loader))


def _load_all(root: Path, files: Sequence[str], loader: Loader) -> list[Outcome]:
    waiting = list(reversed(files))
    outcomes: list[Outcome] = []
    try:
        while waiting or loader.busy:
            while waiting and loader.free > 0:
                loader.start(LoadRequest(root=root, file=waiting.pop()))
            outcomes += [outcome for _, outcome in loader.wait(1.0)]
    finally:
        loader.close()
    return sorted(outcomes, key=lambda outcome: outcome.file)


def _without_duplicates(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Of two files that define the same workflow the second is wrong."""
    first: dict[str, str] = {}
    checked: list[Outcome] = []
    for outcome in outcomes:
        taken = sorted(first.keys() & outcome.ids) if isinstance(outcome, LoadedFile) else []
        if isinstance(outcome, LoadedFile) and taken:
            outcome = already_defined(outcome, taken[0], f"in {first[taken[0]]}")
        if isinstance(outcome, LoadedFile):
            first |= dict.fromkeys(outcome.ids, outcome.file)
        checked.append(outcome)
    return checked
