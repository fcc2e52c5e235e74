"""Bring a database to the schema that this version of Piper needs."""

from __future__ import annotations

import uuid

from sqlalchemy import Connection

from piper.model.ids import SHARDS, SINGLETON_SHARDS
from piper.store.database import Database
from piper.store.schema import coordination, metadata, pool, shard

DEFAULT_POOL = "default_pool"
DEFAULT_POOL_SLOTS = 128


def migrate(database: Database) -> None:
    """Create or change the tables as needed; does nothing when the database is up to date."""
    with database.write() as connection:
        metadata.create_all(connection)
        _fill(connection)


def _fill(connection: Connection) -> None:
    connection.execute(
        coordination.insert().values(
            one=True, cluster_uid=str(uuid.uuid4()), shards=SHARDS, coordinator=connection.dialect.name
        )
    )
    connection.execute(shard.insert(), [{"shard": number} for number in (*SINGLETON_SHARDS, *range(SHARDS))])
    connection.execute(
        pool.insert().values(
            name=DEFAULT_POOL,
            team="default",
            slots=DEFAULT_POOL_SLOTS,
            include_deferred=False,
            description="Tasks that name no pool of their own run here.",
        )
    )
