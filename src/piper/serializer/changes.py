"""What has changed for whom: which files are loaded again, and which file may define which workflow. Pure.

A file is characterised by its *load key*: what it and everything it read when it was loaded last are
in a given tree. The same key means the same outcome, so the file is not loaded again; any other key
(a module it imports, a data file it opens, a directory it lists, a file it looked for in vain) means
that it is. A file that failed could have failed for the lack of anything: its key is the whole tree.
"""

from __future__ import annotations

import hmac
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import msgspec

import piper
from piper.model.bundle import Manifest, content_hash
from piper.model.spec import FORMAT, WorkflowSpec
from piper.serializer.outcomes import FailedFile, Outcome
from piper.store.bundles import SourceFile

ABSENT = ""
RETRY_AFTER = timedelta(minutes=5)
"""A file that failed is loaded again after this long, although nothing changed: what it asked may answer now."""
LOOKUP_INTERVAL = timedelta(seconds=30)
"""A file that reads variables or connections while it is loaded is loaded again so often, although nothing of it
changed: Airflow's `min_file_process_interval`."""
RELOAD_SHARE = 20
"""…but both take at most one part in so many of the time."""


def engine_of(environment: Mapping[str, str], key: bytes) -> str:
    """What the outcome of a load depends on besides files: the versions of Piper and Python, the environment.

    Arguments:
        environment: of every load.
        key: makes the digest of the environment, parts of which are secret, one that nobody else can make.
    """
    digest = hmac.new(key, msgspec.json.encode(sorted(environment.items())), "sha256").hexdigest()
    return f"piper {piper.__version__}, format {FORMAT}, python {sys.version.split()[0]}, environment {digest[:32]}"


class Tree:
    """A snapshot, as load keys see it.

    Arguments:
        engine: what else the outcome of a load depends on (`engine_of`).
    """

    def __init__(self, snapshot: str, manifest: Manifest, engine: str) -> None:
        self.snapshot = snapshot
        self.manifest = manifest
        self._engine = engine

    def load_key(self, path: str, imports: Iterable[str]) -> str:
        """What a file that read `imports` comes to in this tree."""
        facts = [self._engine, self._state_of(path), *((other, self._state_of(other)) for other in imports)]
        return content_hash(msgspec.json.encode(facts))

    @cached_property
    def failure_key(self) -> str:
        """What a file that failed comes to in this tree."""
        return content_hash(msgspec.json.encode([self._engine, self.snapshot]))

    def key_of(self, file: SourceFile) -> str:
        """What a file comes to in this tree, given how it was loaded last."""
        return self.load_key(file.path, file.imports) if file.error is None else self.failure_key

    def _state_of(self, path: str) -> str:
        if path.endswith("/"):
            return "/".join(sorted(self._listings.get(path.removeprefix("./"), ())))
        entry = self.manifest.get(path)
        return ABSENT if entry is None else entry.hash

    @cached_property
    def _listings(self) -> dict[str, set[str]]:
        """Directory with `/` at its end (the root: empty) → the names in it."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for path in self.manifest:
            while path:
                above, slash, name = path.rpartition("/")
                if name in found[above + slash]:
                    break
                found[above + slash].add(name)
                path = above
        return found


def must_load(path: str, known: SourceFile | None, tree: Tree, now: datetime) -> bool:
    """Whether a file has to be loaded from this tree."""
    if known is None or (known.reload_at is not None and known.reload_at <= now):
        return True
    return known.hash != tree.key_of(known)


def reload_moment(specs: Iterable[WorkflowSpec], interval: timedelta, now: datetime) -> datetime | None:
    """When a file that loaded is to be loaded again although nothing changes: a custom timetable knows no further,
    or it is to be loaded regularly (`interval` > 0, see `reload_interval`)."""
    moments = [moment for spec in specs if (moment := spec.schedule.refresh_after) is not None]
    if interval > timedelta(0):
        moments.append(now + interval)
    return max(min(moments), now + timedelta(seconds=1)) if moments else None


def reload_interval(wanted: timedelta, outcome: Outcome) -> timedelta:
    """How often a file is loaded again although nothing of it changes; 0: never.

    Arguments:
        wanted: by its bundle.
        outcome: of its last load.
    """
    if outcome.questions:
        own = LOOKUP_INTERVAL
    elif isinstance(outcome, FailedFile):
        own = RETRY_AFTER
    else:
        return wanted
    own = max(own, timedelta(seconds=RELOAD_SHARE * outcome.seconds))
    return min(own, wanted) if wanted else own


@dataclass(frozen=True, slots=True, order=True)
class FileName:
    """A file of a bundle."""

    bundle: str
    path: str


class Claims:
    """Which file defines which workflow. An id belongs to the file that came first, until that gives it up."""

    def __init__(self) -> None:
        self._holders: dict[str, FileName] = {}
        self._ids: defaultdict[FileName, set[str]] = defaultdict(set)

    def add(self, file: FileName, workflow_id: str) -> None:
        """Note what is known."""
        self._holders[workflow_id] = file
        self._ids[file].add(workflow_id)

    def drop(self, bundle: str) -> set[str]:
        """Forget a bundle with all its files. Returns what they defined."""
        return {one for file in [f for f in self._ids if f.bundle == bundle] for one in self.take(file, ())}

    def holder(self, workflow_id: str) -> FileName | None:
        """The file that defines a workflow."""
        return self._holders.get(workflow_id)

    def take(self, file: FileName, ids: Collection[str]) -> set[str]:
        """Let a file define `ids` and nothing else, whoever did before. Returns those that nobody defines now."""
        gone = self._ids.get(file, set()) - set(ids)
        for one in ids:
            previous = self._holders.get(one)
            if previous is not None and previous != file:
                self._ids[previous].discard(one)
            self._holders[one] = file
        for one in gone:
            del self._holders[one]
        if ids:
            self._ids[file] = set(ids)
        else:
            self._ids.pop(file, None)
        return gone
