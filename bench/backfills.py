"""How fast the runs of a backfill are made, and how fast their rows could be written by anybody."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.instance import PATIENCE, Instance
from piper.scheduler.backfills import CHUNK

DATES = 10_000
FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def make_runs(piper: Instance, workflow: str) -> float:
    """Runs per second of a backfill of DATES hours: from the request until all are committed."""
    span = {"from_date": FIRST.isoformat(), "to_date": (FIRST + timedelta(hours=DATES - 1)).isoformat()}
    begun = time.perf_counter()
    answer = piper.http.post(f"/workflows/{workflow}/backfills", json=span)
    answer.raise_for_status()
    number = answer.json()["id"]
    while piper.database.execute("SELECT state FROM backfill WHERE id = ?", (number,)).fetchone()[0] == "creating":
        if time.perf_counter() - begun > PATIENCE:
            raise TimeoutError("the backfill was not made")
        time.sleep(0.005)
    wall = time.perf_counter() - begun
    made = piper.database.execute("SELECT count(*) FROM run WHERE backfill = ?", (number,)).fetchone()[0]
    assert made == DATES, made
    return DATES / wall


def floor(piper: Instance) -> float:
    """Runs per second of a loop that writes the same rows into the same tables in as many commits, and does no more."""
    tables = piper.database.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name IN ('run', 'backfill') AND sql NOTNULL"
    )
    rows = piper.database.execute("SELECT * FROM run WHERE backfill = 1 ORDER BY id").fetchall()
    backfill = piper.database.execute("SELECT * FROM backfill WHERE id = 1").fetchone()
    with tempfile.TemporaryDirectory(dir=piper.home.parent) as folder:
        database = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=full")
        for (statement,) in tables.fetchall():
            database.execute(statement)
        database.execute(f"insert into backfill values ({', '.join('?' * len(backfill))})", backfill)
        insert = f"insert into run values ({', '.join('?' * len(rows[0]))})"
        begun = time.perf_counter()
        for start in range(0, len(rows), CHUNK):
            database.execute("begin immediate")
            database.executemany(insert, rows[start : start + CHUNK])
            database.execute("update backfill set cursor = ?, created = ? where id = 1", (start, start))
            database.execute("commit")
        wall = time.perf_counter() - begun
        database.close()
    return len(rows) / wall
