"""What both databases promise about transactions."""

from __future__ import annotations

import pytest

from piper.model.errors import FenceLost
from piper.store.database import Database, Fence
from piper.store.schema import pool, shard


def test_a_block_that_ends_is_committed(database: Database) -> None:
    with database.write() as connection:
        connection.execute(pool.insert().values(name="p", team="t", slots=1, include_deferred=False))
    with database.read() as connection:
        assert set(connection.execute(pool.select().with_only_columns(pool.c.name)).scalars()) == {"default_pool", "p"}


def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(pool.insert().values(name="p", team="t", slots=1, include_deferred=False))
        raise ZeroDivisionError
    with database.read() as connection:
        assert set(connection.execute(pool.select().with_only_columns(pool.c.name)).scalars()) == {"default_pool"}


def test_a_term_that_holds_its_shards_may_write(database: Database, fence: Fence) -> None:
    with database.fenced(fence.only([1, 2])) as connection:
        connection.execute(pool.insert().values(name="p", team="t", slots=1, include_deferred=False))


def test_a_lost_fence_names_its_shards_and_writes_nothing(database: Database, fence: Fence) -> None:
    with database.write() as connection:
        connection.execute(shard.update().where(shard.c.shard == 2).values(epoch=2))
    with pytest.raises(FenceLost) as lost, database.fenced(fence.only([1, 2])):
        pytest.fail("the block of a lost fence is not entered")
    assert lost.value.shards == {2}
