"""Snapshots of bundles: which there are, and which nobody needs any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import Connection, and_, delete, or_, select
from sqlalchemy.dialects.postgresql import insert as insert_or

from piper.model.bundle import FileEntry, Manifest
from piper.model.states import RunState
from piper.store.database import among
from piper.store.schema import backfill, bundle, run, snapshot, workflow


def save_snapshot(connection: Connection, name: str, bundle_name: str, manifest: Manifest, now: datetime) -> None:
    """Make a snapshot known, unless it is."""
    connection.execute(
        insert_or(snapshot)
        .values(
            hash=name,
            bundle=bundle_name,
            manifest=msgspec.to_builtins(manifest),
            bytes=sum(entry.size for entry in manifest.values()),
            created_at=now,
        )
        .on_conflict_do_nothing()
    )


def manifest_of(connection: Connection, name: str) -> Manifest | None:
    """The files of a snapshot; None if it is unknown."""
    found = connection.execute(select(snapshot.c.manifest).where(snapshot.c.hash == name)).scalar_one_or_none()
    return None if found is None else msgspec.convert(found, dict[str, FileEntry])


def all_manifests(connection: Connection) -> dict[str, Manifest]:
    """The files of every snapshot, by its hash."""
    rows = connection.execute(select(snapshot.c.hash, snapshot.c.manifest))
    return {row.hash: msgspec.convert(row.manifest, dict[str, FileEntry]) for row in rows}


def unused_snapshots(connection: Connection, before: datetime, never_run_before: datetime) -> set[str]:
    """Snapshots that no bundle, no workflow, no unfinished run and no unended backfill uses.

    Arguments:
        before: made before this moment.
        never_run_before: if no run has ever used it: made before this moment.
    """
    unfinished = among(run.c.state, [state for state in RunState if not state.finished])
    used = (
        select(bundle.c.snapshot).where(bundle.c.snapshot.is_not(None)),
        select(workflow.c.snapshot),
        select(run.c.snapshot).where(unfinished),
        select(backfill.c.snapshot).where(backfill.c.ended_at.is_(None)),
    )
    never_run = and_(snapshot.c.created_at < never_run_before, snapshot.c.hash.not_in(select(run.c.snapshot)))
    rows = connection.execute(
        select(snapshot.c.hash).where(
            or_(snapshot.c.created_at < before, never_run),
            *(snapshot.c.hash.not_in(statement) for statement in used),
        )
    )
    return {row.hash for row in rows}


def delete_snapshots(connection: Connection, names: Collection[str]) -> None:
    """Forget snapshots; their trees are to be removed after this has been committed."""
    if names:
        connection.execute(delete(snapshot).where(snapshot.c.hash.in_(sorted(names))))
