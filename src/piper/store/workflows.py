"""Workflows as the serializer publishes them: versions, the active one, and the bodies of their specs.

The columns of the schedule cursor, `paused` and `stale` belong to the owner of the workflow's shard
(`schedules`): they get a value when the row is made and are left alone here ever after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or

from piper.model.ids import shard_of
from piper.store.schema import backfill, run, spec, workflow, workflow_version

MOST_IDS = 500
"""Ids in one list of a statement."""


class StandingWorkflow(Struct, frozen=True):
    """What a publication must know of a workflow that exists."""

    workflow_id: str
    team: str
    bundle: str
    file: str
    version: int
    spec_hash: str
    stale: bool


class PublishedWorkflow(Struct, frozen=True, kw_only=True):
    """What a publication says of a workflow."""

    workflow_id: str
    team: str
    bundle: str
    file: str
    version: int
    spec_hash: str
    snapshot: str
    paused: bool
    """Only of a new workflow."""
    display_name: str
    description: str
    owner: str
    tags: tuple[str, ...]
    schedule_summary: str
    max_active_runs: int


_STANDING = select(*(workflow.c[name] for name in StandingWorkflow.__struct_fields__)).where(
    workflow.c.workflow_id.in_(bindparam("ids", expanding=True))
)


def standing_workflows(connection: Connection, ids: Sequence[str]) -> dict[str, StandingWorkflow]:
    """Those of these workflows that exist, by id."""
    found: dict[str, StandingWorkflow] = {}
    for part in _parts(ids):
        found |= {row.workflow_id: StandingWorkflow(*row) for row in connection.execute(_STANDING, {"ids": part})}
    return found


def present_workflows(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """(id, bundle, file) of every workflow that is not stale."""
    rows = connection.execute(
        select(workflow.c.workflow_id, workflow.c.bundle, workflow.c.file).where(workflow.c.stale.is_(False))
    )
    return ((row.workflow_id, row.bundle, row.file) for row in rows)


def active_versions_in_use(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these workflows of whose active version there is a run."""
    used = exists().where(run.c.workflow_id == workflow.c.workflow_id, run.c.spec_hash == workflow.c.spec_hash)
    statement = select(workflow.c.workflow_id).where(workflow.c.workflow_id.in_(bindparam("ids", expanding=True)), used)
    return {row.workflow_id for part in _parts(ids) for row in connection.execute(statement, {"ids": part})}


def store_specs(connection: Connection, bodies: Mapping[str, str]) -> None:
    """Store specs (hash → JSON); those that are there stay."""
    if bodies:
        statement = insert_or(spec).on_conflict_do_nothing()
        connection.execute(statement, [{"hash": key, "body": body} for key, body in bodies.items()])


def create_workflows(connection: Connection, new: Sequence[PublishedWorkflow], now: datetime) -> None:
    """Make workflows with their first versions."""
    if not new:
        return
    times = {"created_at": now, "updated_at": now}
    connection.execute(
        insert(workflow), [_row(one) | times | {"shard": shard_of(one.workflow_id), "stale": False} for one in new]
    )
    add_versions(connection, new, now)


_UPDATED = tuple(name for name in PublishedWorkflow.__struct_fields__ if name not in ("workflow_id", "paused"))
_UPDATE = (
    update(workflow)
    .where(workflow.c.workflow_id == bindparam("guard_id"))
    .values({name: bindparam(f"new_{name}") for name in (*_UPDATED, "updated_at")})
)


def update_workflows(connection: Connection, changed: Sequence[PublishedWorkflow], now: datetime) -> None:
    """Make other specs, files or owners active. The fence of the serializer is the guard: nobody else writes these."""
    if changed:
        connection.execute(
            _UPDATE,
            [
                {"guard_id": one.workflow_id, "new_updated_at": now} | {f"new_{k}": getattr(one, k) for k in _UPDATED}
                for one in changed
            ],
        )


def add_versions(connection: Connection, published: Sequence[PublishedWorkflow], now: datetime) -> None:
    """Note new versions in the history."""
    if published:
        connection.execute(insert(workflow_version), [_version_row(one, now) for one in published])


def replace_versions(connection: Connection, published: Sequence[PublishedWorkflow], now: datetime) -> None:
    """Give versions that no run has used another content."""
    if published:
        where = (
            workflow_version.c.workflow_id == bindparam("guard_id"),
            workflow_version.c.version == bindparam("guard_version"),
        )
        rows = [{"guard_id": one.workflow_id, "guard_version": one.version} for one in published]
        connection.execute(delete(workflow_version).where(*where), rows)
        add_versions(connection, published, now)


def move_to_snapshot(connection: Connection, bundle: str, files: Collection[str], snapshot: str) -> int:
    """Let the workflows of these files run from this snapshot from now on. Returns how many did not yet."""
    statement = (
        update(workflow)
        .where(
            workflow.c.bundle == bundle,
            workflow.c.file.in_(bindparam("files", expanding=True)),
            workflow.c.snapshot != snapshot,
            workflow.c.stale.is_(False),
        )
        .values(snapshot=snapshot)
    )
    return sum(connection.execute(statement, {"files": part}).rowcount for part in _parts(sorted(files)))


def give_to_team(connection: Connection, bundle: str, team: str) -> None:
    """Let a team own the workflows of a bundle."""
    connection.execute(update(workflow).where(workflow.c.bundle == bundle, workflow.c.team != team).values(team=team))


def owners_of_file(connection: Connection, bundle: str, file: str) -> list[str]:
    """Who is named as owner of the workflows that a file last published, sorted."""
    rows = connection.execute(
        select(workflow.c.owner).where(workflow.c.bundle == bundle, workflow.c.file == file).distinct()
    )
    return sorted({name.strip() for row in rows for name in row.owner.split(",") if name.strip()})


def unused_specs(connection: Connection) -> set[str]:
    """Specs that no workflow, version, run or backfill refers to."""
    columns = (workflow.c.spec_hash, workflow_version.c.spec_hash, run.c.spec_hash, backfill.c.spec_hash)
    used = [select(column) for column in columns]
    rows = connection.execute(select(spec.c.hash).where(*(spec.c.hash.not_in(statement) for statement in used)))
    return {row.hash for row in rows}


def delete_specs(connection: Connection, hashes: Collection[str]) -> None:
    """Delete specs."""
    for part in _parts(sorted(hashes)):
        connection.execute(delete(spec).where(spec.c.hash.in_(part)))


def _row(one: PublishedWorkflow) -> dict[str, Any]:
    return {name: getattr(one, name) for name in PublishedWorkflow.__struct_fields__}


def _version_row(one: PublishedWorkflow, now: datetime) -> dict[str, Any]:
    return {
        "workflow_id": one.workflow_id,
        "version": one.version,
        "spec_hash": one.spec_hash,
        "snapshot": one.snapshot,
        "created_at": now,
    }


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + MOST_IDS] for start in range(0, len(ids), MOST_IDS))
