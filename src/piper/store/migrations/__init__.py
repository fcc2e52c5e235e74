"""Bring a database to the tables that this version of Piper works with.

Theory. `store.schema` says what the tables are now; the revisions in `versions` say how any older database
becomes that, one step after another, and a test compares the outcome on both databases. A database carries
the number of its revision; a start that finds HEAD there reads one row and loads nothing else, since Alembic
costs a tenth of a second. All steps of a migration, and the rows that every installation has, are one
transaction: a migration that fails or is killed leaves the database as it was.

Two processes that start together migrate one after the other: the second finds the work done.

A revision that old code can live with (a new table, a new column with a default) is applied before the new
version is rolled out and says `pre` in its name; one that old code cannot live with says `post`.
`make revision MESSAGE=…` drafts the next one from the difference to the schema. (Until the first release there
is one revision: remove its file and draft it anew.)

How it fails. A database that a newer Piper has written, or one that is not migrated where the caller may not
do that: `WrongSchema`, which says what to do.
"""

from __future__ import annotations

import logging
import uuid

import sqlalchemy
from sqlalchemy import Connection, column, table, text
from sqlalchemy.dialects.postgresql import insert

from piper.model.errors import WrongSchema
from piper.model.ids import SHARDS, SINGLETON_SHARDS
from piper.store.database import Database
from piper.store.schema import coordination, pool, shard

log = logging.getLogger(__name__)

HEAD = "0001"
"""The newest revision in `versions`: written here so that a start need not look for it."""

KNOWN = ("0001",)
"""Every revision, oldest first."""

COORDINATORS = {"sqlite": "sqlite", "postgresql": "postgres"}
"""What coordinates the members of a new installation, by its database."""

DEFAULT_POOL = "default_pool"
DEFAULT_POOL_SLOTS = 128
DEFAULT_TEAM = "default"

_REVISION = table("alembic_version", column("version_num"))
_MIGRATION_LOCK = 0x50697065
"""The key of PostgreSQL's advisory lock under which one process migrates."""


def migrate(database: Database) -> None:
    """Create or change the tables as needed, and fill in what every installation has.

    Does nothing when the database is up to date.

    Raises:
        WrongSchema: a newer version of Piper has written this database.
        StoreUnavailable: it cannot be written; it stays as it was.
    """
    if revision(database) == HEAD:
        return
    with database.write() as connection:
        if not database.sqlite:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        found = _revision_seen_by(connection)
        _refuse_unknown(found)
        if found == HEAD:  # another process was here first
            return
        # Alembic is loaded only here: most starts find nothing to do.
        from piper.store.migrations.upgrade import upgrade

        upgrade(connection)
        _fill(connection)
    log.info("the tables are of revision %s now (before: %s)", HEAD, found or "none")


def check(database: Database) -> None:
    """See that this version of Piper can work with the database as it is.

    Raises:
        WrongSchema: it is empty, or of an older or a newer version.
    """
    found = revision(database)
    _refuse_unknown(found)
    if found != HEAD:
        state = "is empty" if found is None else f"has tables of revision {found}, this version needs {HEAD}"
        raise WrongSchema(f"the database {state}: run `piper db migrate` first")
    with database.read() as connection:
        shards = connection.execute(sqlalchemy.select(coordination.c.shards)).scalar_one()
    if shards != SHARDS:
        raise WrongSchema(f"the database is cut into {shards} shards, this version of Piper works with {SHARDS}")


def revision(database: Database) -> str | None:
    """The revision of a database's tables; None when it is empty."""
    with database.read() as connection:
        return _revision_seen_by(connection)


def _revision_seen_by(connection: Connection) -> str | None:
    if not sqlalchemy.inspect(connection).has_table(_REVISION.name):
        return None
    return connection.execute(sqlalchemy.select(_REVISION.c.version_num)).scalar_one_or_none()


def _refuse_unknown(found: str | None) -> None:
    if found is not None and found not in KNOWN:
        raise WrongSchema(
            f"the database has tables of revision {found}, which this version of Piper does not know (it knows up to "
            f"{HEAD}): a newer version has written it. Use that version, or a backup from before"
        )


def _fill(connection: Connection) -> None:
    """The rows that every installation has; those that exist stay as they are."""
    connection.execute(
        insert(coordination)
        .values(
            one=True, cluster_uid=str(uuid.uuid4()), shards=SHARDS, coordinator=COORDINATORS[connection.dialect.name]
        )
        .on_conflict_do_nothing()
    )
    connection.execute(
        insert(shard).on_conflict_do_nothing(),
        [{"shard": number} for number in (*SINGLETON_SHARDS, *range(SHARDS))],
    )
    connection.execute(
        insert(pool)
        .values(
            name=DEFAULT_POOL,
            team=DEFAULT_TEAM,
            slots=DEFAULT_POOL_SLOTS,
            include_deferred=False,
            description="Tasks that name no pool of their own run here.",
        )
        .on_conflict_do_nothing()
    )
