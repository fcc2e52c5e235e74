"""How long it takes from files in a folder to workflows in the database, and what watching them costs.

`python -m bench.serializer` prints the figures.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from piper.model.ids import SERIALIZER_SHARD
from piper.secrets import Keys
from piper.serializer.bundles import Bundle
from piper.serializer.service import SerializerService
from piper.serializer.snapshots import SnapshotStore
from piper.serializer.supervisor import Loader
from piper.service import SystemClock, Wakeups
from piper.store import schema
from piper.store.database import Database, Fence
from piper.store.migrations import migrate

OPERATOR = """\
from datetime import datetime
from piper.sdk import DAG, BaseOperator

class Do(BaseOperator):
    template_fields = ("command",)
    def __init__(self, command="", **kwargs):
        super().__init__(**kwargs)
        self.command = command
    def execute(self, context):
        pass
"""
MANY_WORKFLOWS = (
    OPERATOR
    + """
for number in range(5000):
    with DAG(f"workflow_{number}", schedule="0 3 * * *", start_date=datetime(2026, 1, 1), tags=["bench"]):
        first = Do(task_id="extract", command="echo {{ ds }}")
        last = Do(task_id="load", command="echo load", retries=2)
        for part in range(3):
            first >> Do(task_id=f"transform_{part}", command=f"echo {part}") >> last
"""
)
SMALL_FILE = (
    OPERATOR
    + """
with DAG("small_{number}", schedule="@daily", start_date=datetime(2026, 1, 1)):
    Do(task_id="a", command="echo a") >> Do(task_id="b", command="echo b")
"""
)


class _Always:
    """A term that owns the serializer's shard."""

    def fence(self) -> Fence:
        return Fence("bench", {SERIALIZER_SHARD: 1})


@contextmanager
def serializer(home: Path) -> Iterator[tuple[SerializerService, Database]]:
    """A serializer of `home/dags` on SQLite with synchronous=FULL."""
    database = Database(f"sqlite:///{home / 'piper.db'}")
    migrate(database)
    with database.write() as connection:
        mine = schema.shard.c.shard == SERIALIZER_SHARD
        connection.execute(schema.shard.update().where(mine).values(owner="bench", epoch=1))
    service = SerializerService(
        database,
        _Always(),
        SystemClock(),
        Wakeups(),
        bundles=[Bundle(name="dags", team="default", folder=home / "dags")],
        snapshots=SnapshotStore(home),
        loader=Loader(hidden=[home]),
        keys=Keys.load(home / "secret.key"),
    )
    try:
        yield service, database
    finally:
        service.on_stop()
        database.close()


def settle(service: SerializerService) -> float:
    """Seconds until everything that is to be loaded has been published."""
    started = time.perf_counter()
    while True:
        service.tick()
        if service.settled:
            return time.perf_counter() - started


def measure(home: Path, expected: int) -> dict[str, float]:
    """Publish `home/dags`, then watch it."""
    with serializer(home) as (service, database):
        wall = settle(service)
        with database.read() as connection:
            found = connection.execute(select(func.count()).select_from(schema.workflow)).scalar_one()
            failed = connection.execute(select(schema.source_file.c.error).where(schema.source_file.c.error > "")).all()
            (load,) = connection.execute(select(func.max(schema.source_file.c.load_seconds))).one()
        if found != expected or failed:
            raise SystemExit(f"{found} of {expected} workflows, {len(failed)} files failed: {failed[:1]}")
        for followed in service._followed:
            followed.next_scan = 0.0
        busy = time.process_time()
        for _ in range(20):
            for followed in service._followed:
                followed.next_scan = 0.0
            service.tick()
        busy = (time.process_time() - busy) / 20
    with serializer(home) as (service, _):
        restart = settle(service)
    return {"wall_s": wall, "longest_load_s": load, "tick_cpu_ms": busy * 1000, "restart_s": restart}


def figures() -> dict[str, float]:
    """All figures of the serializer."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder, "dags")
        dags.mkdir()
        (dags / "many.py").write_text(MANY_WORKFLOWS)
        found |= {f"parse_5000.{name}": value for name, value in measure(Path(folder), 5000).items()}
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder, "dags")
        dags.mkdir()
        for number in range(1000):
            (dags / f"file_{number}.py").write_text(SMALL_FILE.replace("{number}", str(number)))
        found |= {f"parse_1000_files.{name}": value for name, value in measure(Path(folder), 1000).items()}
    return found


if __name__ == "__main__":
    for name, value in figures().items():
        print(f"{name:40} {value:10.3f}")
