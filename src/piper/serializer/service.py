"""The serializer's loop: look at the bundles, load what changed, publish what came out.

A tick never waits for a file: loads go on beside it, and while one hangs until its limit, changes are
seen and other files are loaded and published. What is in memory can be read or computed again at any
time; after anything that went wrong it is.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from piper.model.errors import FenceLost, Invalid
from piper.model.ids import SERIALIZER_SHARD
from piper.model.wire import Lookup
from piper.secrets import Keys
from piper.serializer.bundles import (
    DEFAULT_LIMITS,
    Bundle,
    BundleLimits,
    FolderScanner,
    InvalidBundle,
    Scan,
    find_files,
)
from piper.serializer.changes import FileName, Tree, engine_of, must_load
from piper.serializer.contention import resolve
from piper.serializer.loads import LoadRequest
from piper.serializer.outcomes import FailedFile, LoadedFile, Outcome, cannot_be_stored
from piper.serializer.publish import CHUNK, Publication, Publisher
from piper.serializer.snapshots import SnapshotStore
from piper.serializer.supervisor import Loader
from piper.service import POLL_SECONDS, Clock, Service, Wakeups
from piper.store.bundles import bundles_to_refresh
from piper.store.database import Database, Fence
from piper.store.snapshots import all_manifests, delete_snapshots, unused_snapshots
from piper.store.workflows import delete_specs, unused_specs
from piper.task_api.lookups import look_up

log = logging.getLogger(__name__)

SCAN_SHARE = 100
"""A scan takes at most one part in so many of the time: large trees are looked at less often."""
WAIT_SECONDS = 0.05
"""For outcomes, while files are being loaded."""
GATHER_SECONDS = 0.2
"""Outcomes of small files are published together, at most this old."""
CLEAN_SECONDS = 3600.0
IDLE_SECONDS = 10.0
"""After which the host of loads is ended; the next load starts another."""
NEVER_RUN_RETENTION = timedelta(days=1)
"""How long a snapshot is kept that nothing uses and no run was ever made from: one of an author's many saves."""
NOTHING = Scan({}, frozenset(), {})
NEVER = datetime.max.replace(tzinfo=UTC)


class Term(Protocol):
    """What the serializer must know of its ownership (see `piper.coordination`)."""

    def fence(self) -> Fence | None:
        """The shards it owns at their epochs, or None while it may not write at all."""
        ...


@dataclass(slots=True, eq=False)
class _Followed:
    """A bundle and what is being done about it."""

    bundle: Bundle
    scanner: FolderScanner
    scan: Scan = NOTHING
    tree: Tree = field(default_factory=lambda: Tree("", {}, ""))
    """The snapshot that it runs from; empty until the first scan."""
    next_scan: float = 0.0
    trouble: str = ""
    """Why it could not be scanned."""
    retry: bool = False
    """Somebody wants the files that failed to be tried again."""
    plan_at: datetime = NEVER
    """When to ask again which files must be loaded."""
    waiting: list[tuple[float, str]] = field(default_factory=list)
    """(how long its last load took, path) of files to be loaded; the quickest is at the end."""
    gone: set[str] = field(default_factory=set)
    """Files that have vanished. Their workflows may turn up in a file that is still to be loaded."""


@dataclass(frozen=True, slots=True)
class _Load:
    """A load under way, or just done: of which bundle, and from which tree."""

    followed: _Followed
    path: str
    tree: Tree

    @property
    def file(self) -> FileName:
        """What it loads."""
        return FileName(self.followed.bundle.name, self.path)

    @property
    def is_wanted(self) -> bool:
        """Whether the file is still there."""
        return self.path in find_files(self.followed.scan, self.followed.bundle)


class SerializerService(Service):
    """Follows bundles, while it owns SERIALIZER_SHARD.

    Arguments:
        keys: open the variables and connections that files read while they are loaded.
        paused: whether a new workflow whose author does not say is paused.
        scan_seconds: how often a bundle is looked at, if that takes little.
        retention: how long a snapshot from which runs were made is kept when nothing uses it any more (its runs can
            be cleared meanwhile), from when it was made.
    """

    def __init__(
        self,
        database: Database,
        term: Term,
        clock: Clock,
        wakeups: Wakeups,
        *,
        bundles: Sequence[Bundle],
        snapshots: SnapshotStore,
        loader: Loader,
        keys: Keys,
        paused: bool = False,
        scan_seconds: float = 1.0,
        bundle_limits: BundleLimits = DEFAULT_LIMITS,
        retention: timedelta = timedelta(days=30),
    ) -> None:
        super().__init__("serializer", wakeups.listen("serializer"))
        self._database = database
        self._term = term
        self._clock = clock
        self._wakeups = wakeups
        self._bundles = tuple(bundles)
        self._snapshots = snapshots
        self._loader = loader
        self._keys = keys
        self._engine = engine_of(loader.environment, keys.derived("environment of loads")[0])
        self._scan_seconds = scan_seconds
        self._limits = bundle_limits
        self._retention = retention
        self._publisher = Publisher(database, paused=paused)
        self._epoch: int | None = None
        self._followed: list[_Followed] = []
        self._loads: dict[int, _Load] = {}
        self._outcomes: list[tuple[_Load, Outcome]] = []
        self._reported: dict[FileName, tuple[str, tuple[object, ...]]] = {}
        """What was logged last of each file."""
        self._loaded_at = 0.0
        """When the oldest outcome that is not published came."""
        self._worked_at = 0.0
        self._next_clean = 0.0
        self._unused_specs: set[str] = set()

    @property
    def settled(self) -> bool:
        """Whether all bundles have been looked at and all that was to be loaded has been published."""
        looked_at = all(one.tree.snapshot or one.trouble for one in self._followed)
        return self._epoch is not None and looked_at and not self._working()

    def tick(self) -> float:
        """One round. Returns the seconds until the next, 0 if files are being loaded."""
        fence = self._term.fence()
        if fence is None or SERIALIZER_SHARD not in fence.epochs:
            self._forget()
            return POLL_SECONDS
        try:
            if fence.epochs[SERIALIZER_SHARD] != self._epoch or self._lacks_a_snapshot():
                self._begin(fence)
            self._look(fence)
            self._start_loads()
            self._gather()
            self._publish(fence)
            self._withdraw(fence)
            self._clean(fence)
        except FenceLost:
            self._forget()
            return 0.0
        except BaseException:
            self._forget()
            raise
        self._rest()
        return 0.0 if self._working() else self._seconds_to_next_scan()

    def on_stop(self) -> None:
        self._forget()

    def _working(self) -> bool:
        return bool(self._loads or self._outcomes or any(one.waiting or one.gone for one in self._followed))

    def _seconds_to_next_scan(self) -> float:
        next_scan = min((one.next_scan for one in self._followed), default=math.inf)
        return min(POLL_SECONDS, max(0.01, next_scan - self._clock.monotonic()))

    # --- terms ------------------------------------------------------------------------------------

    def _begin(self, fence: Fence) -> None:
        """A new term: read what is written, look at everything."""
        self._forget()
        self._snapshots.prepare()
        self._publisher.read(self._bundles)
        self._tell_owners(self._publisher.introduce(self._bundles, fence, self._clock.now()))
        self._followed = [
            _Followed(
                bundle,
                FolderScanner(
                    bundle.folder, self._snapshots.keep, self._limits, files=bundle.files, hidden=[self._snapshots.home]
                ),
            )
            for bundle in self._bundles
        ]
        self._next_clean = self._clock.monotonic() + CLEAN_SECONDS
        self._epoch = fence.epochs[SERIALIZER_SHARD]

    def _lacks_a_snapshot(self) -> bool:
        """Whether somebody has removed what tasks run from: it is made again, from what the folders hold now."""
        names = {one.tree.snapshot for one in self._followed if one.tree.snapshot}
        gone = [name for name in names if not self._snapshots.path_of(name).is_dir()]
        if gone:
            log.error(
                "%s has been removed: it is made again", ", ".join(str(self._snapshots.path_of(it)) for it in gone)
            )
        return bool(gone)

    def _forget(self) -> None:
        """End what is being loaded; remember nothing."""
        if self._epoch is not None:
            self._loader.close()
        self._epoch = None
        self._followed = []
        self._loads.clear()
        self._outcomes.clear()

    # --- looking ----------------------------------------------------------------------------------

    def _look(self, fence: Fence) -> None:
        with self._database.read() as connection:
            asked = bundles_to_refresh(connection)
        for followed in self._followed:
            if followed.bundle.name in asked or followed.next_scan <= self._clock.monotonic():
                self._look_at(followed, fence, asked=followed.bundle.name in asked)
            if followed.plan_at <= self._clock.now():
                self._plan(followed)

    def _look_at(self, followed: _Followed, fence: Fence, *, asked: bool) -> None:
        """Scan one bundle; if it is not what it was, make its snapshot."""
        started, now = self._clock.monotonic(), self._clock.now()
        before = followed.scan
        if asked:
            self._publisher.reread(followed.bundle)
        try:
            scan = followed.scanner.scan()
        except InvalidBundle as error:
            if asked or followed.trouble != str(error):
                log.error("bundle %s: %s", followed.bundle.name, error)
                self._publisher.record_trouble(followed.bundle, str(error), fence, now)
            followed.trouble = str(error)
        else:
            if asked or followed.trouble or scan is not followed.scan:
                self._adopt(followed, scan, fence, now)
            followed.trouble = ""
            followed.retry |= asked
        finished = self._clock.monotonic()
        # Where something has changed files were read, which says nothing of what the next look will take.
        cost = finished - started if followed.scan is before else 0.0
        followed.next_scan = finished + max(self._scan_seconds, SCAN_SHARE * cost)

    def _adopt(self, followed: _Followed, scan: Scan, fence: Fence, now: datetime) -> None:
        """What was scanned becomes the snapshot that the bundle runs from."""
        bundle = followed.bundle
        for path, reason in scan.left_out.items():
            if path not in followed.scan.left_out:
                log.warning("bundle %s: %s is left out, since %s", bundle.name, path, reason)
        tree = Tree(self._snapshots.materialise(bundle.name, scan.manifest), scan.manifest, self._engine)
        files = self._publisher.files[bundle.name]
        present = find_files(scan, bundle)
        unchanged = [path for path in present if path in files and files[path].hash == tree.key_of(files[path])]
        self._publisher.adopt(bundle, tree, [path for path in unchanged if files[path].error is None], fence, now)
        followed.scan, followed.tree, followed.plan_at = scan, tree, now

    def _plan(self, followed: _Followed) -> None:
        """Which files have to be loaded, and when that is to be asked again."""
        now, tree, files = self._clock.now(), followed.tree, self._publisher.files[followed.bundle.name]
        present = find_files(followed.scan, followed.bundle)
        for number, load in list(self._loads.items()):
            if load.followed is followed and load.tree.manifest[load.path] != tree.manifest.get(load.path):
                self._loader.stop(number)  # the file itself has changed or gone meanwhile
                del self._loads[number]
        loads = (*self._loads.values(), *(load for load, _ in self._outcomes))
        busy = {load.path for load in loads if load.followed is followed}
        followed.gone = files.keys() - present
        failed = {path for path, file in files.items() if file.error is not None} if followed.retry else set()
        wanted = {path for path in present - busy if path in failed or must_load(path, files.get(path), tree, now)}
        took = {path: files[path].load_seconds for path in wanted & files.keys()}
        followed.waiting = sorted(((took.get(path, 0.0), path) for path in wanted), reverse=True)
        followed.retry = False
        moments = (files[path].reload_at or NEVER for path in files.keys() & present - busy - wanted)
        followed.plan_at = min(moments, default=NEVER)

    # --- loading ----------------------------------------------------------------------------------

    def _start_loads(self) -> None:
        """Begin as many loads as may be under way; files that loaded quickly go first."""
        while self._loader.free > 0 and (candidates := [one for one in self._followed if one.waiting]):
            followed = min(candidates, key=lambda one: one.waiting[-1])
            _, path = followed.waiting.pop()
            request = LoadRequest(
                root=self._snapshots.path_of(followed.tree.snapshot),
                file=path,
                environment=followed.bundle.environment,
                readable=followed.bundle.readable,
                look_up=partial(self._look_up, followed.bundle.team),
            )
            self._loads[self._loader.start(request)] = _Load(followed, path, followed.tree)
            self._worked_at = self._clock.monotonic()

    def _look_up(self, team: str, lookup: Lookup) -> Any:
        """What a file asks while it is loaded, answered as to a task of its team."""
        with self._database.read() as connection:
            return look_up(connection, self._keys, team, lookup)

    def _gather(self) -> None:
        if not self._outcomes:
            self._loaded_at = self._clock.monotonic()
        for number, outcome in self._loader.wait(WAIT_SECONDS) if self._loads else ():
            self._outcomes.append((self._loads.pop(number), outcome))

    # --- publishing -------------------------------------------------------------------------------

    def _publish(self, fence: Fence) -> None:
        """Publish what has come, unless more will come at once."""
        specs = sum(len(outcome.specs) for _, outcome in self._outcomes if isinstance(outcome, LoadedFile))
        waited = self._clock.monotonic() - self._loaded_at
        if not self._outcomes or (self._loads and specs < CHUNK and waited < GATHER_SECONDS):
            return
        now = self._clock.now()
        for (followed, tree), outcomes in self._ready().items():
            self._publish_outcomes(followed.bundle, tree, outcomes, fence, now)
            followed.plan_at = now  # if the tree was an old one, or when to load again must be seen

    def _publish_outcomes(
        self, bundle: Bundle, tree: Tree, outcomes: Sequence[Outcome], fence: Fence, now: datetime
    ) -> None:
        """Publish these together; if the database cannot hold something of them, each alone.

        So that one file with such a value is an error of that file, and does not keep all others from being published.
        """
        loaded = [outcome for outcome in outcomes if isinstance(outcome, LoadedFile)]
        failed = [outcome for outcome in outcomes if isinstance(outcome, FailedFile)]
        publication = Publication(bundle=bundle, tree=tree, loaded=loaded, failed=failed)
        try:
            self._tell_owners(self._publisher.publish(publication, fence, now))
        except Invalid as error:
            self._publisher.read(self._bundles)  # part of it may have been written, and more remembered
            if len(outcomes) == 1 and failed:
                raise
            for outcome in outcomes:
                alone = outcome if len(outcomes) > 1 else cannot_be_stored(outcome, str(error))
                self._publish_outcomes(bundle, tree, [alone], fence, now)
        else:
            for outcome in outcomes:
                self._report(bundle, tree, outcome)

    def _report(self, bundle: Bundle, tree: Tree, outcome: Outcome) -> None:
        """Log what came of a file; not again and again of one that is loaded regularly and stays as it is."""
        key = tree.load_key(outcome.file, outcome.imports) if isinstance(outcome, LoadedFile) else tree.failure_key
        said = (key, outcome.summary)
        file = FileName(bundle.name, outcome.file)
        if self._reported.get(file) == said:
            return
        self._reported[file] = said
        if isinstance(outcome, FailedFile):
            log.warning("bundle %s: %s line %s: %s", bundle.name, outcome.error_file, outcome.line, outcome.message)
            return
        log.info("bundle %s: %s loaded, workflows: %s", bundle.name, outcome.file, len(outcome.specs))
        for warning in outcome.warnings:
            log.warning("bundle %s: %s", bundle.name, warning)

    def _ready(self) -> Mapping[tuple[_Followed, Tree], Sequence[Outcome]]:
        """The outcomes that can be published, by bundle and tree; the others wait for the file they contend with."""
        loads = {load.file: load for load, _ in self._outcomes}
        outcomes = {load.file: outcome for load, outcome in self._outcomes if load.is_wanted}
        ids = [one for outcome in outcomes.values() if isinstance(outcome, LoadedFile) for one in outcome.ids]
        waiting = (FileName(one.bundle.name, path) for one in self._followed for _, path in one.waiting)
        resolved = resolve(
            outcomes,
            self._publisher.holders(ids, self._bundles),
            gone={FileName(one.bundle.name, path) for one in self._followed for path in one.gone},
            pending={*waiting, *(load.file for load in self._loads.values())},
            teams={bundle.name: bundle.team for bundle in self._bundles},
        )
        self._outcomes = [(loads[file], outcomes[file]) for file in sorted(resolved.waiting)]
        ready: dict[tuple[_Followed, Tree], list[Outcome]] = {}
        for file, outcome in resolved.ready.items():
            load = loads[file]
            ready.setdefault((load.followed, _newest_tree(load, outcome)), []).append(outcome)
        return ready

    def _withdraw(self, fence: Fence) -> None:
        """End the workflows of files that are gone, once no file is left to load that may have taken them over."""
        busy = {id(load.followed) for load in self._loads.values()} | {id(load.followed) for load, _ in self._outcomes}
        for followed in self._followed:
            if followed.gone and not followed.waiting and id(followed) not in busy:
                gone = sorted(followed.gone)
                self._tell_owners(self._publisher.withdraw(followed.bundle, gone, fence, self._clock.now()))
                followed.gone.clear()

    def _tell_owners(self, events: int) -> None:
        if events:
            self._wakeups.notify("scheduler")

    # --- chores -----------------------------------------------------------------------------------

    def _clean(self, fence: Fence) -> None:
        """Remove snapshots and specs that nothing uses."""
        if self._clock.monotonic() < self._next_clean or self._working():
            return
        self._next_clean = self._clock.monotonic() + CLEAN_SECONDS
        with self._database.fenced(fence.only([SERIALIZER_SHARD])) as connection:
            now = self._clock.now()
            snapshots = unused_snapshots(connection, now - self._retention, now - NEVER_RUN_RETENTION)
            delete_snapshots(connection, snapshots)
            kept = all_manifests(connection)
            # A run may be about to be made of a version that has just been replaced: look twice.
            specs = unused_specs(connection)
            delete_specs(connection, specs & self._unused_specs)
            self._unused_specs = specs - self._unused_specs
        freed = self._snapshots.collect_garbage(kept)
        if freed.snapshots or freed.blobs:
            log.info("removed %s snapshots and %s files (%s MiB)", freed.snapshots, freed.blobs, freed.bytes >> 20)

    def _rest(self) -> None:
        """End the host of loads when there has been nothing to load for a while."""
        idle = self._clock.monotonic() - self._worked_at
        if self._loader.host is not None and idle > IDLE_SECONDS and not self._loads:
            self._loader.close()


def _newest_tree(load: _Load, outcome: Outcome) -> Tree:
    """The bundle's present tree, if the file would come out of it as it did; else the one it was loaded from."""
    newest = load.followed.tree
    if isinstance(outcome, FailedFile):
        return load.tree
    same = newest.load_key(load.path, outcome.imports) == load.tree.load_key(load.path, outcome.imports)
    return newest if same else load.tree
