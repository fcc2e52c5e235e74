"""XComs: what tasks leave for later ones. A value is JSON text, in its row or, when long, in the artifact store.

A key is (run, task, key, map index); the primary key has that order, so that the values of a mapped task are one
range, in the order of their map indexes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import sqlalchemy
from sqlalchemy import Connection, Insert, bindparam, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from piper.model.wire import INLINE_XCOM
from piper.store.schema import run, xcom


class XComKey(NamedTuple):
    """Which value."""

    run: int
    task_id: str
    key: str
    map_index: int


class StoredXCom(NamedTuple):
    """A value, or where it lies."""

    value: bytes | None
    artifact: str | None
    length: int | None


_COLUMNS = ("run", "task_id", "key", "map_index", "value", "artifact", "length", "created_at")


def _upsert(insert: sqlite.Insert | postgresql.Insert) -> Insert:
    values = insert.values({name: bindparam(name) for name in _COLUMNS})
    replaced = {name: values.excluded[name] for name in ("value", "artifact", "length", "created_at")}
    return values.on_conflict_do_update(index_elements=list(XComKey._fields), set_=replaced)


_STORE = {"sqlite": _upsert(sqlite.insert(xcom)), "postgresql": _upsert(postgresql.insert(xcom))}


def store_xcoms(connection: Connection, xcoms: Iterable[tuple[XComKey, StoredXCom]], created_at: datetime) -> None:
    """Keep these values in place of any that had the same keys."""
    rows = [{**key._asdict(), **stored._asdict(), "created_at": created_at} for key, stored in xcoms]
    if rows:
        connection.execute(_STORE[connection.dialect.name], rows)


_KEYS_OF_TASK = sqlalchemy.text(
    """
    WITH RECURSIVE keys(name) AS (
      SELECT min(key) FROM xcom WHERE run = :run AND task_id = :task_id
      UNION ALL
      SELECT (SELECT min(key) FROM xcom WHERE run = :run AND task_id = :task_id AND key > keys.name)
      FROM keys WHERE keys.name IS NOT NULL
    )
    SELECT name FROM keys WHERE name IS NOT NULL
    """
)
_DELETE = xcom.delete().where(*(xcom.c[name] == bindparam(f"of_{name}") for name in XComKey._fields))


def delete_xcoms_of(connection: Connection, instances: Iterable[tuple[int, str, int]]) -> None:
    """Remove all values of these instances, each a (run, task, map index).

    The keys of a task are few, and found by seeking from one to the next; so that the cost for one of 10,000 mapped
    instances does not depend on the others' values.
    """
    keys: dict[tuple[int, str], list[str]] = {}
    rows = []
    for run_number, task_id, map_index in instances:
        task = (run_number, task_id)
        if task not in keys:
            found = connection.execute(_KEYS_OF_TASK, {"run": run_number, "task_id": task_id})
            keys[task] = list(found.scalars())
        rows += [
            {"of_run": run_number, "of_task_id": task_id, "of_key": key, "of_map_index": map_index}
            for key in keys[task]
        ]
    if rows:
        connection.execute(_DELETE, rows)


_STORED = (xcom.c.value, xcom.c.artifact, xcom.c.length)
_FIND = select(xcom.c.run, xcom.c.task_id, xcom.c.key, xcom.c.map_index, *_STORED).where(
    tuple_(xcom.c.run, xcom.c.task_id, xcom.c.key, xcom.c.map_index).in_(bindparam("keys", expanding=True))
)
# SQLite scans the whole table for a row value IN a list; it seeks when the list is the outer side of a join.
_FIND_ON_SQLITE = sqlalchemy.text(
    """
    SELECT xcom.run, xcom.task_id, xcom.key, xcom.map_index, xcom.value, xcom.artifact, xcom.length
    FROM json_each(:keys) AS wanted CROSS JOIN xcom
    WHERE xcom.run = json_extract(wanted.value, '$[0]') AND xcom.task_id = json_extract(wanted.value, '$[1]')
      AND xcom.key = json_extract(wanted.value, '$[2]') AND xcom.map_index = json_extract(wanted.value, '$[3]')
    """
)
_FIND_ONE = select(*_STORED).where(*(xcom.c[name] == bindparam(name) for name in XComKey._fields))


def find_xcoms(connection: Connection, keys: Sequence[XComKey]) -> dict[XComKey, StoredXCom]:
    """Those of these values that there are."""
    if len(keys) == 1:
        row = connection.execute(_FIND_ONE, keys[0]._asdict()).one_or_none()
        return {} if row is None else {keys[0]: StoredXCom._make(row)}
    if connection.dialect.name == "sqlite":
        rows = connection.execute(_FIND_ON_SQLITE, {"keys": msgspec.json.encode(keys).decode()})
    else:
        rows = connection.execute(_FIND, {"keys": list(keys)})
    return {XComKey._make(row[:4]): StoredXCom._make(row[4:]) for row in rows}


_OF_TASK = (xcom.c.run == bindparam("run"), xcom.c.task_id == bindparam("task_id"), xcom.c.key == bindparam("key"))
_COUNT = select(func.count()).select_from(xcom).where(*_OF_TASK)
_SPAN = (
    select(xcom.c.map_index, *_STORED)
    .where(*_OF_TASK)
    .order_by(xcom.c.map_index)
    .offset(bindparam("start"))
    .limit(bindparam("limit"))
)
_LENGTHS = (
    select(func.coalesce(func.length(xcom.c.value), 0))
    .where(*_OF_TASK)
    .order_by(xcom.c.map_index)
    .offset(bindparam("start"))
    .limit(bindparam("limit"))
)
"""Of a binary value both databases know its length without reading it."""


def count_values(connection: Connection, run_number: int, task_id: str, key: str) -> int:
    """How many instances of a task have pushed this key: of an unmapped one, one at most."""
    return connection.execute(_COUNT, {"run": run_number, "task_id": task_id, "key": key}).scalar_one()


def span_of_values(
    connection: Connection, run_number: int, task_id: str, key: str, start: int, limit: int, room: int
) -> list[tuple[int, StoredXCom]]:
    """The values that a task's instances have pushed, by map index, from position `start` on.

    Arguments:
        room: bytes of inline values to read at most, beyond the first.
    """
    bounds: dict[str, Any] = {"run": run_number, "task_id": task_id, "key": key, "start": start, "limit": limit}
    if limit * INLINE_XCOM > room:  # it could be more
        lengths = connection.execute(_LENGTHS, bounds).scalars().all()
        bounds["limit"] = max(1, sum(total <= room for total in accumulate(lengths)))
    return [(row[0], StoredXCom._make(row[1:])) for row in connection.execute(_SPAN, bounds)]


_LATEST_RUN_WITH = (
    select(run.c.id)
    .join_from(run, xcom, (xcom.c.run == run.c.id))
    .where(
        run.c.workflow_id == bindparam("workflow_id"),
        run.c.team == bindparam("team"),
        run.c.logical_date <= bindparam("logical_date"),
        xcom.c.task_id == bindparam("task_id"),
        xcom.c.key == bindparam("key"),
        xcom.c.map_index == bindparam("map_index"),
    )
    .order_by(run.c.logical_date.desc())
    .limit(1)
)


def latest_run_with(
    connection: Connection, workflow_id: str, team: str, logical_date: datetime, key: XComKey
) -> int | None:
    """The latest run of a team's workflow, up to a logical date, in which this task has pushed this key."""
    values = {**key._asdict(), "workflow_id": workflow_id, "team": team, "logical_date": logical_date}
    del values["run"]
    found: int | None = connection.execute(_LATEST_RUN_WITH, values).scalar_one_or_none()
    return found


def artifacts_in_use(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of these artifacts that a value refers to: the rest may be collected."""
    statement = select(xcom.c.artifact).where(xcom.c.artifact.in_(names)).distinct()
    return set(connection.execute(statement).scalars())
