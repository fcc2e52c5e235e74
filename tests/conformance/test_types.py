"""A value reads back the same from both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table

from piper.model.states import TaskState
from piper.store.database import Database
from piper.store.types import Enum, Instant, Json, from_microseconds, to_microseconds


class Point(msgspec.Struct, frozen=True):
    """A struct to keep in a column."""

    x: int
    at: datetime
    note: str | None = None


metadata = MetaData()
thing = Table(
    "thing",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant),
    Column("state", Enum(TaskState)),
    Column("value", Json),
    Column("point", Json(Point)),
)

instants = st.datetimes(
    min_value=datetime(1900, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.just(UTC),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)
on_one_database = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def things(database: Database) -> Database:
    with database.write() as connection:
        metadata.create_all(connection)
    return database


def stored(database: Database, **columns: Any) -> Any:
    """What a row reads back as."""
    with database.write() as connection:
        connection.execute(thing.delete())
        connection.execute(thing.insert(), {"id": 1, **columns})
    with database.read() as connection:
        return connection.execute(thing.select()).one()


@on_one_database
@given(at=instants)
def test_an_instant_is_kept_to_the_microsecond_in_utc(things: Database, at: datetime) -> None:
    found = stored(things, at=at).at
    assert found == at
    assert found.tzinfo is UTC


def test_an_instant_of_another_zone_is_the_same_instant(things: Database) -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert stored(things, at=at).at == at


def test_instants_are_ordered_and_compared_by_the_database(things: Database) -> None:
    times = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(5)]
    with things.write() as connection:
        connection.execute(thing.insert(), [{"id": number, "at": at} for number, at in enumerate(reversed(times))])
        found = connection.execute(thing.select().where(thing.c.at > times[1]).order_by(thing.c.at)).all()
    assert [row.at for row in found] == times[2:]


@on_one_database
@given(value=values)
def test_a_json_value_is_kept(things: Database, value: Any) -> None:
    found = stored(things, value=value).value
    assert repr(found) == repr(value)  # 1 is not 1.0, and keys keep their order


def test_a_struct_is_kept_as_that_struct(things: Database) -> None:
    point = Point(3, datetime(2026, 1, 1, tzinfo=UTC))
    assert stored(things, point=point).point == point


def test_a_struct_in_a_column_without_a_struct_reads_back_as_plain_data(things: Database) -> None:
    assert stored(things, value=Point(3, datetime(2026, 1, 1, tzinfo=UTC), "n")).value == {
        "x": 3,
        "at": "2026-01-01T00:00:00Z",
        "note": "n",
    }


def test_nothing_is_kept_as_nothing(things: Database) -> None:
    row = stored(things, at=None, state=None, value=None, point=None)
    assert (row.at, row.state, row.value, row.point) == (None, None, None, None)
    with things.read() as connection:
        assert connection.execute(thing.select().where(thing.c.value.is_(None))).all()


@pytest.mark.parametrize("state", TaskState)
def test_a_state_is_kept_as_that_state(things: Database, state: TaskState) -> None:
    found = stored(things, state=state).state
    assert found is state


@given(at=instants)
def test_microseconds_and_back_is_the_same_instant(at: datetime) -> None:
    assert from_microseconds(to_microseconds(at)) == at
