"""Write what came of loading files, in short fenced transactions, and remember what has been written.

A chunk of workflows is one transaction: specs by their hash, workflow rows, versions, and a
SpecPublished event for the owner of each workflow's shard. What is unchanged is not written. The rows
of the files come in the last one: a crash before it means that the files are loaded again.

The memory is that of one term: after a failed write, a lost fence, or a new epoch it is `read` again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from piper.model.events import SpecPublished
from piper.model.ids import SERIALIZER_SHARD, shard_of
from piper.serializer.bundles import FOLDER, Bundle
from piper.serializer.changes import Claims, FileName, Tree, reload_interval, reload_moment
from piper.serializer.namings import give_assets_to_team, name_assets
from piper.serializer.outcomes import MOST_LINES, CheckedSpec, FailedFile, LoadedFile, without_nul
from piper.store.assets import forget_namings
from piper.store.bundles import (
    SourceFile,
    bundle_rows,
    forget_bundle,
    forget_files,
    record_refresh,
    record_trouble,
    save_bundle,
    save_failed,
    save_loaded,
    save_operators,
    source_files,
)
from piper.store.database import Database, Fence
from piper.store.events import append_events, event_row
from piper.store.snapshots import save_snapshot
from piper.store.workflows import (
    PublishedWorkflow,
    StandingWorkflow,
    active_versions_in_use,
    add_versions,
    create_workflows,
    give_to_team,
    move_to_snapshot,
    owners_of_file,
    present_workflows,
    replace_versions,
    standing_workflows,
    store_specs,
    update_workflows,
)

CHUNK = 100
"""Workflows per transaction: others wait for the writer of SQLite while it lasts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """Files of one bundle that have been loaded from one of its snapshots."""

    bundle: Bundle
    tree: Tree
    loaded: Sequence[LoadedFile] = ()
    failed: Sequence[FailedFile] = ()


class Publisher:
    """Writes under the fence of the serializer; every method may raise FenceLost and StoreUnavailable, and part
    of what it was to write may have been written then: that is consistent, and writing it again is harmless.

    Arguments:
        paused: whether a new workflow whose author does not say is paused.
    """

    def __init__(self, database: Database, *, paused: bool) -> None:
        self._database = database
        self._paused = paused
        self.claims = Claims()
        self.files: dict[str, dict[str, SourceFile]] = {}
        """Bundle → path → the file as it was loaded last."""

    def read(self, bundles: Sequence[Bundle]) -> None:
        """Remember what is written of these bundles."""
        with self._database.read() as connection:
            self.files = {bundle.name: source_files(connection, bundle.name) for bundle in bundles}
            present = list(present_workflows(connection))
        self.claims = Claims()
        for workflow_id, bundle, file in present:
            self.claims.add(FileName(bundle, file), workflow_id)

    def introduce(self, bundles: Sequence[Bundle], fence: Fence, now: datetime) -> int:
        """Make bundles known, and forget folders that are none any more. Returns how many events there are."""
        told = 0
        with self._database.fenced(_mine(fence)) as connection:
            rows = bundle_rows(connection)
            for bundle in bundles:
                row = rows.pop(bundle.name, None)
                if row is None or (row.team, row.kind, row.location) != (bundle.team, bundle.kind, str(bundle.folder)):
                    save_bundle(connection, bundle.name, bundle.team, bundle.kind, str(bundle.folder))
                    give_to_team(connection, bundle.name, bundle.team)
                    give_assets_to_team(connection, bundle.name, bundle.team, now)
            for name, row in rows.items():
                if row.kind == FOLDER:
                    told += _tell_stale(connection, self.claims.drop(name), now)
                    forget_bundle(connection, name)
        return told

    def adopt(self, bundle: Bundle, tree: Tree, settled: Iterable[str], fence: Fence, now: datetime) -> None:
        """A bundle has a new snapshot: the workflows of files that need not be loaded again run from it."""
        with self._database.fenced(_mine(fence)) as connection:
            save_snapshot(connection, tree.snapshot, bundle.name, tree.manifest, now)
            record_refresh(connection, bundle.name, tree.snapshot, now)
            move_to_snapshot(connection, bundle.name, list(settled), tree.snapshot)

    def reread(self, bundle: Bundle) -> None:
        """Remember anew what is written of a bundle's files: somebody may want one loaded though it has not changed."""
        with self._database.read() as connection:
            self.files[bundle.name] = source_files(connection, bundle.name)

    def record_trouble(self, bundle: Bundle, error: str, fence: Fence, now: datetime) -> None:
        """A bundle cannot be looked through; all that is published of it stays."""
        with self._database.fenced(_mine(fence)) as connection:
            record_trouble(connection, bundle.name, error, now)

    def publish(self, publication: Publication, fence: Fence, now: datetime) -> int:
        """Make the specs of loaded files active and record the errors of failed ones.

        There are no conflicts with `claims`: the caller has seen to that. Returns how many events there are for
        the owners of workflows.
        """
        specs = [(file.file, spec) for file in publication.loaded for spec in file.specs]
        whole = len(specs) // CHUNK * CHUNK
        told = 0
        for start in range(0, whole, CHUNK):
            with self._database.fenced(_mine(fence)) as connection:
                told += self._publish_specs(connection, publication, specs[start : start + CHUNK], now)
        with self._database.fenced(_mine(fence)) as connection:
            told += self._publish_specs(connection, publication, specs[whole:], now)
            told += self._publish_loaded(connection, publication, now)
            self._publish_failed(connection, publication, now)
        return told

    def withdraw(self, bundle: Bundle, paths: Sequence[str], fence: Fence, now: datetime) -> int:
        """Files are gone, and with them the workflows that they defined. Returns how many events there are."""
        told = 0
        with self._database.fenced(_mine(fence)) as connection:
            for path in paths:
                told += _tell_stale(connection, self.claims.take(FileName(bundle.name, path), ()), now)
                self.files[bundle.name].pop(path, None)
            forget_files(connection, bundle.name, paths)
        return told

    def holders(self, ids: Iterable[str], bundles: Sequence[Bundle]) -> dict[str, FileName]:
        """Who defines these workflows now: files of the bundles that are followed here, or whatever else has made
        them since this was read: a person, another kind of bundle."""
        found = {one: self.claims.holder(one) for one in ids}
        unknown = [one for one, holder in found.items() if holder is None]
        followed = {bundle.name for bundle in bundles}
        if unknown:
            with self._database.read() as connection:
                for one in standing_workflows(connection, unknown).values():
                    if not one.stale and one.bundle not in followed:
                        found[one.workflow_id] = FileName(one.bundle, one.file)
        return {one: holder for one, holder in found.items() if holder is not None}

    # --- inside -----------------------------------------------------------------------------------

    def _publish_specs(
        self, connection: Connection, publication: Publication, specs: Sequence[tuple[str, CheckedSpec]], now: datetime
    ) -> int:
        if not specs:
            return 0
        standing = standing_workflows(connection, [one.spec.workflow_id for _, one in specs])
        changed = [one for _, one in specs if _is_new(one, standing)]
        used = active_versions_in_use(connection, [one.spec.workflow_id for one in changed])
        rows = [self._row(publication, file, one, standing, used) for file, one in specs]
        new = [row for row in rows if row.workflow_id not in standing]
        known = [(row, standing[row.workflow_id]) for row in rows if row.workflow_id in standing]
        rewritten = [(row, before) for row, before in known if row.spec_hash != before.spec_hash]
        store_specs(connection, {one.hash: one.body for one in changed})
        create_workflows(connection, new, now)
        update_workflows(connection, [row for row, before in known if _is_elsewhere(row, before)], now)
        add_versions(connection, [row for row, before in rewritten if row.version > before.version], now)
        replace_versions(connection, [row for row, before in rewritten if row.version == before.version], now)
        news = [row for row in rows if self._is_news(row, standing.get(row.workflow_id))]
        other = {row.workflow_id for row in news} | {
            row.workflow_id for row, before in known if _is_elsewhere(row, before)
        }
        name_assets(
            connection,
            [one.spec for _, one in specs if one.spec.workflow_id in other],
            publication.bundle.team,
            now,
        )
        events = (SpecPublished(row.workflow_id, row.spec_hash) for row in news)
        append_events(connection, [event_row(shard_of(event.workflow_id), None, event, now) for event in events])
        return len(news)

    def _row(
        self,
        publication: Publication,
        file: str,
        one: CheckedSpec,
        standing: Mapping[str, StandingWorkflow],
        used: set[str],
    ) -> PublishedWorkflow:
        """The row of a workflow. Its version rises if the content is another and a run has used what it was;
        a version that no run has used takes the new content (a file may say another thing at each load)."""
        spec = one.spec
        before = standing.get(spec.workflow_id)
        rises = spec.workflow_id in used and _is_new(one, standing)
        return PublishedWorkflow(
            workflow_id=spec.workflow_id,
            team=publication.bundle.team,
            bundle=publication.bundle.name,
            file=file,
            version=1 if before is None else before.version + rises,
            spec_hash=one.hash,
            snapshot=publication.tree.snapshot,
            paused=self._paused if spec.paused_upon_creation is None else spec.paused_upon_creation,
            display_name=spec.display_name,
            description=spec.description,
            owner=spec.owner,
            tags=spec.tags,
            schedule_summary=spec.schedule.summary,
            max_active_runs=spec.max_active_runs,
        )

    def _is_news(self, row: PublishedWorkflow, before: StandingWorkflow | None) -> bool:
        """Whether the owner must hear of it. One whose end has been announced is claimed by nobody, and is news."""
        return (
            before is None
            or before.spec_hash != row.spec_hash
            or before.stale
            or self.claims.holder(row.workflow_id) is None
        )

    def _publish_loaded(self, connection: Connection, publication: Publication, now: datetime) -> int:
        """The rows of files that loaded, and an end to the workflows that they no longer define."""
        bundle, tree = publication.bundle, publication.tree
        gone: set[str] = set()
        rows = []
        for file in publication.loaded:
            gone |= self.claims.take(FileName(bundle.name, file.file), file.ids)
            save_operators(connection, bundle.name, bundle.team, file.operators)
            row = SourceFile(
                path=file.file,
                hash=tree.load_key(file.file, file.imports),
                imports=file.imports,
                load_seconds=file.seconds,
                workflows=len(file.specs),
                reload_at=reload_moment(
                    (one.spec for one in file.specs), reload_interval(bundle.reload_interval, file), now
                ),
            )
            rows.append(row)
        save_loaded(connection, bundle.name, bundle.team, rows, now)
        move_to_snapshot(connection, bundle.name, [row.path for row in rows], tree.snapshot)
        self.files[bundle.name].update({row.path: row for row in rows})
        return _tell_stale(connection, (one for one in gone if self.claims.holder(one) is None), now)

    def _publish_failed(self, connection: Connection, publication: Publication, now: datetime) -> None:
        """The rows of files that did not load; what they published last stays as it is."""
        bundle = publication.bundle
        files = self.files[bundle.name]
        for failure in publication.failed:
            before = files.get(failure.file)
            row = SourceFile(
                path=failure.file,
                hash=publication.tree.failure_key,
                imports=before.imports if before else (),
                load_seconds=failure.seconds,
                workflows=before.workflows if before else 0,
                error=failure.text,
                reload_at=now + reload_interval(bundle.reload_interval, failure),
            )
            owners = owners_of_file(connection, bundle.name, failure.file)
            line = failure.line if failure.line is None or 0 <= failure.line <= MOST_LINES else None
            save_failed(connection, bundle.name, bundle.team, row, without_nul(failure.error_file), line, owners, now)
            files[failure.file] = row


def _mine(fence: Fence) -> Fence:
    return fence.only([SERIALIZER_SHARD])


def _is_new(one: CheckedSpec, standing: Mapping[str, StandingWorkflow]) -> bool:
    before = standing.get(one.spec.workflow_id)
    return before is None or before.spec_hash != one.hash


def _is_elsewhere(row: PublishedWorkflow, before: StandingWorkflow) -> bool:
    """Whether anything of a workflow's row is another; a snapshot alone is moved for the whole file."""
    return before.stale or (row.spec_hash, row.team, row.bundle, row.file) != (
        before.spec_hash,
        before.team,
        before.bundle,
        before.file,
    )


def _tell_stale(connection: Connection, gone: Iterable[str], now: datetime) -> int:
    """Tell the owners of workflows that no file defines any more. They name no assets any more either."""
    ids = sorted(gone)
    forget_namings(connection, ids, now)
    rows = [event_row(shard_of(one), None, SpecPublished(one, stale=True), now) for one in ids]
    append_events(connection, rows)
    return len(rows)
