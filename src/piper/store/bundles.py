"""Bundles, their files, and the operators found in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Text, bindparam, cast, delete, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or

from piper.model.spec import Json
from piper.store.schema import bundle, operator, source_file

INSTALLED = ("piper.", "airflow.")
"""Where operators live that belong to no bundle."""


class BundleRow(Struct, frozen=True):
    """A bundle as last seen."""

    name: str
    team: str
    kind: str
    location: str
    snapshot: str | None
    refreshed_at: datetime | None
    error: str | None


class SourceFile(Struct, frozen=True, kw_only=True):
    """A workflow file as it was loaded last."""

    path: str
    hash: str
    """What it and all that it read were then (see `piper.serializer.changes`)."""
    imports: tuple[str, ...] = ()
    load_seconds: float = 0.0
    workflows: int = 0
    """Those that it published last."""
    error: str | None = None
    reload_at: datetime | None = None


_FILE_COLUMNS = tuple(source_file.c[name] for name in SourceFile.__struct_fields__)


def bundle_rows(connection: Connection) -> dict[str, BundleRow]:
    """Every bundle, by name."""
    rows = connection.execute(select(*(bundle.c[name] for name in BundleRow.__struct_fields__)))
    return {row.name: BundleRow(*row) for row in rows}


_TO_REFRESH = select(bundle.c.name).where(bundle.c.refreshed_at.is_(None))


def bundles_to_refresh(connection: Connection) -> set[str]:
    """Bundles that were never looked through, or that somebody wants looked through again."""
    return set(connection.execute(_TO_REFRESH).scalars())


def save_bundle(connection: Connection, name: str, team: str, kind: str, location: str) -> None:
    """Make a bundle known, or say anew whose and where it is."""
    values = {"team": team, "kind": kind, "location": location}
    connection.execute(
        insert_or(bundle).values(name=name, **values).on_conflict_do_update(index_elements=["name"], set_=values)
    )
    connection.execute(
        update(source_file).where(source_file.c.bundle == name, source_file.c.team != team).values(team=team)
    )


def record_refresh(connection: Connection, name: str, snapshot: str, now: datetime) -> None:
    """A bundle has been looked through, and this is its snapshot."""
    connection.execute(
        update(bundle).where(bundle.c.name == name).values(snapshot=snapshot, refreshed_at=now, error=None)
    )


def record_trouble(connection: Connection, name: str, error: str, now: datetime) -> None:
    """A bundle could not be looked through."""
    connection.execute(update(bundle).where(bundle.c.name == name).values(refreshed_at=now, error=error))


def forget_bundle(connection: Connection, name: str) -> None:
    """Forget a bundle and its files; what it published stays."""
    connection.execute(delete(source_file).where(source_file.c.bundle == name))
    connection.execute(delete(bundle).where(bundle.c.name == name))


def source_files(connection: Connection, name: str) -> dict[str, SourceFile]:
    """The files of a bundle, by path."""
    rows = connection.execute(select(*_FILE_COLUMNS).where(source_file.c.bundle == name))
    return {row.path: SourceFile(**(row._asdict() | {"imports": tuple(row.imports)})) for row in rows}


def save_loaded(connection: Connection, name: str, team: str, files: Sequence[SourceFile], now: datetime) -> None:
    """Files that have loaded: what they were, and no error any more."""
    cleared = {"error": None, "error_file": None, "error_line": None, "owners": None, "failed_at": None}
    _save(connection, name, team, [_file_row(file) | cleared | {"loaded_at": now} for file in files])


def save_failed(
    connection: Connection,
    name: str,
    team: str,
    file: SourceFile,
    error_file: str,
    error_line: int | None,
    owners: Collection[str],
    now: datetime,
) -> None:
    """A file that has not loaded: what is wrong, where, and whom it concerns. What it published last stays."""
    place = {"error_file": error_file, "error_line": error_line, "owners": sorted(owners), "failed_at": now}
    _save(connection, name, team, [_file_row(file) | place])


def forget_files(connection: Connection, name: str, paths: Collection[str]) -> None:
    """Files that are no longer there."""
    statement = delete(source_file).where(source_file.c.bundle == name, source_file.c.path == bindparam("gone"))
    if paths:
        connection.execute(statement, [{"gone": path} for path in sorted(paths)])


def save_operators(connection: Connection, name: str, team: str, schemas: Mapping[str, Json]) -> None:
    """The catalogue entries of operators that the files of a bundle use; installed ones belong to everybody."""
    if not schemas:
        return
    rows = [
        {"path": path, "bundle": "", "team": "", "schema": schema}
        if path.startswith(INSTALLED)
        else {"path": path, "bundle": name, "team": team, "schema": schema}
        for path, schema in sorted(schemas.items())
    ]
    statement = insert_or(operator)
    changed = {"team": statement.excluded.team, "schema": statement.excluded.schema}
    differs = cast(operator.c.schema, Text) != cast(statement.excluded.schema, Text)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["path", "bundle"], set_=changed, where=differs), rows
    )


def _save(connection: Connection, name: str, team: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    statement = insert_or(source_file)
    changed = {key: statement.excluded[key] for key in rows[0] if key != "path"}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["bundle", "path"], set_=changed | {"team": team}),
        [row | {"bundle": name, "team": team} for row in rows],
    )


def _file_row(file: SourceFile) -> dict[str, Any]:
    return {key: getattr(file, key) for key in SourceFile.__struct_fields__}
