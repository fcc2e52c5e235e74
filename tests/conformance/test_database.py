"""What both databases promise about transactions."""

from __future__ import annotations

from enum import StrEnum

import pytest
from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects.postgresql import insert

from piper.model.errors import Conflict, FenceLost, GuardFailed, Invalid
from piper.store.database import Database, Fence, among, guarded, ping
from piper.store.schema import pool, shard

RESIZE = (
    pool.update()
    .where(pool.c.name == bindparam("which"), pool.c.slots == bindparam("seen"))
    .values(slots=bindparam("wanted"))
)
REMOVE = pool.delete().where(pool.c.name == bindparam("which"), pool.c.slots == bindparam("seen"))


class Failure(Exception):
    """What a block of these tests raises."""


def add(connection: Connection, *names: str, slots: int = 1) -> None:
    rows = [{"name": name, "team": "t", "slots": slots, "include_deferred": False} for name in names]
    connection.execute(pool.insert(), rows)


def slots(database: Database) -> dict[str, int]:
    with database.read() as connection:
        found = connection.execute(pool.select().where(pool.c.name != "default_pool")).all()
    return {row.name: row.slots for row in found}


def test_a_block_that_ends_is_committed(database: Database) -> None:
    with database.write() as connection:
        add(connection, "a")
    assert slots(database) == {"a": 1}


def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(Failure), database.write() as connection:
        add(connection, "a")
        raise Failure
    assert slots(database) == {}
    with database.write() as connection:
        add(connection, "b")
    assert slots(database) == {"b": 1}


def test_what_is_not_committed_is_not_read(database: Database) -> None:
    with database.write() as connection:
        add(connection, "a")
        assert slots(database) == {}
        with database.read() as reader:
            before = reader.execute(pool.select()).all()
    with database.read() as reader:
        assert len(reader.execute(pool.select()).all()) == len(before) + 1


def test_each_statement_of_a_reader_sees_what_is_committed_before_it(database: Database) -> None:
    with database.read() as reader:
        before = len(reader.execute(pool.select()).all())
        with database.write() as connection:
            add(connection, "a")
        assert len(reader.execute(pool.select()).all()) == before + 1


def test_a_key_that_exists_is_a_conflict(database: Database) -> None:
    with database.write() as connection:
        add(connection, "a")
    with pytest.raises(Conflict, match="pool: a row with this key exists already"), database.write() as connection:
        add(connection, "b")
        add(connection, "a")
    assert slots(database) == {"a": 1}


def test_a_missing_value_is_a_mistake_of_ours_and_stays_what_it_is(database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)not.null"), database.write() as connection:
        connection.execute(pool.insert().values(name="a", team="t", include_deferred=False))


def test_a_name_that_is_not_in_the_schema_is_a_mistake_of_ours_and_stays_what_it_is(database: Database) -> None:
    with pytest.raises(Exception, match="nonsense"), database.write() as connection:
        connection.exec_driver_sql("SELECT * FROM nonsense")


def test_what_may_exist_is_inserted_by_one_statement_for_both(database: Database) -> None:
    row = {"name": "a", "team": "t", "slots": 1, "include_deferred": False}
    with database.write() as connection:
        for wanted in (1, 2):
            statement = insert(pool).values({**row, "slots": wanted})
            connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
        assert connection.execute(pool.select().where(pool.c.name == "a")).one().slots == 1
        statement = insert(pool).values({**row, "slots": 3})
        changed = statement.on_conflict_do_update(index_elements=["name"], set_={"slots": statement.excluded.slots})
        connection.execute(changed)
    assert slots(database) == {"a": 3}


@pytest.mark.parametrize("count", [1, 2, 1200])
def test_guarded_changes_as_many_rows_as_were_meant(database: Database, count: int) -> None:
    names = [f"pool-{number}" for number in range(count)]
    with database.write() as connection:
        add(connection, *names)
        guarded(connection, RESIZE, [{"which": name, "seen": 1, "wanted": 2} for name in names], "resize")
    assert slots(database) == dict.fromkeys(names, 2)
    with database.write() as connection:
        guarded(connection, REMOVE, [{"which": name, "seen": 2} for name in names], "remove")
    assert slots(database) == {}


@pytest.mark.parametrize("count", [1, 2, 1200])
def test_one_guard_that_fails_undoes_all(database: Database, count: int) -> None:
    names = [f"pool-{number}" for number in range(count)]
    with database.write() as connection:
        add(connection, *names)
        connection.execute(pool.update().where(pool.c.name == names[-1]).values(slots=7))
    before = slots(database)
    rows = [{"which": name, "seen": 1, "wanted": 2} for name in names]
    expected = rf"resize: {count} rows were meant, {count - 1} matched"
    with pytest.raises(GuardFailed, match=expected), database.write() as connection:
        guarded(connection, RESIZE, rows, "resize")
    assert slots(database) == before


def test_nothing_to_guard_is_nothing_to_do(database: Database) -> None:
    with database.write() as connection:
        guarded(connection, RESIZE, [], "resize")


def test_states_can_be_guarded_for_many_rows(database: Database) -> None:
    class Name(StrEnum):
        A = "a"
        B = "b"

    statement = pool.update().where(pool.c.slots == bindparam("seen"), among(pool.c.name, Name)).values(slots=9)
    with database.write() as connection:
        add(connection, "a", slots=1)
        add(connection, "b", slots=2)
        add(connection, "c", slots=3)
        guarded(connection, statement, [{"seen": 1}, {"seen": 2}], "both")
    assert slots(database) == {"a": 9, "b": 9, "c": 3}


def test_a_term_that_holds_its_shards_may_write(database: Database, fence: Fence) -> None:
    with database.fenced(fence.only([1, 2])) as connection:
        add(connection, "a")
    with database.fenced(fence) as connection:
        add(connection, "b")
    assert slots(database) == {"a": 1, "b": 1}


@pytest.mark.parametrize("others", [(), range(20, 60)])
def test_a_lost_fence_names_its_shards_and_writes_nothing(database: Database, fence: Fence, others: range) -> None:
    with database.write() as connection:
        connection.execute(shard.update().where(shard.c.shard == 2).values(epoch=2))
        connection.execute(shard.update().where(shard.c.shard == 3).values(owner="another"))
        connection.execute(shard.update().where(shard.c.shard == 4).values(owner=None))
    with pytest.raises(FenceLost) as lost, database.fenced(fence.only([1, 2, 3, 4, *others])):
        pytest.fail("the block of a lost fence is not entered")
    assert lost.value.shards == {2, 3, 4}


def test_a_term_can_be_narrowed_to_shards_that_it_has() -> None:
    fence = Fence("me", {1: 5, 2: 6})
    assert fence.only({2}) == Fence("me", {2: 6})
    with pytest.raises(FenceLost) as lost:
        fence.only([1, 3, 4])
    assert lost.value.shards == {3, 4}


def test_hooks_are_called_around_each_commit(database_url: str) -> None:
    said: list[str] = []
    database = Database(database_url, commit_hook=said.append)
    with database.write() as connection:
        add(connection, "a")
        assert said == []
    assert said == ["before", "after"]
    with pytest.raises(Failure), database.write():
        raise Failure
    assert said == ["before", "after"]
    database.close()


@pytest.mark.parametrize(("when", "remains"), [("before", {}), ("after", {"a": 1})])
def test_a_crash_before_commit_loses_all_and_one_after_it_nothing(
    database_url: str, when: str, remains: dict[str, int]
) -> None:
    def crash(moment: str) -> None:
        if moment == when:
            raise KeyboardInterrupt

    database = Database(database_url, commit_hook=crash)
    with pytest.raises(KeyboardInterrupt), database.write() as connection:
        add(connection, "a")
    assert slots(database) == remains
    database.close()


def test_a_text_that_postgresql_cannot_store_is_the_caller_s_fault(database: Database) -> None:
    """SQLite keeps it."""
    if not database.sqlite:
        with pytest.raises(Invalid, match="cannot be stored"), database.write() as connection:
            add(connection, "nul \0 byte")
        assert slots(database) == {}


def test_a_database_that_answers_says_so(database: Database) -> None:
    ping(database)
