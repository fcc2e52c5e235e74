"""How many triggers one process carries: the service of a real instance over a database with only triggers in it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from piper.artifacts import ArtifactStore
from piper.lane import Lane
from piper.logs import LogStore
from piper.model.ids import TRIGGERER_SHARD, instance_id
from piper.model.run import Identity
from piper.secrets import Keys
from piper.service import SystemClock, Wakeups
from piper.store.database import Database, Fence
from piper.store.migrations import migrate
from piper.store.schema import run, task_instance
from piper.store.triggers import NewTrigger, write_triggers
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens
from piper.triggerer.desk import Desk
from piper.triggerer.service import TriggererService

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTLED_SECONDS = 120.0
MEASURED_SECONDS = 10.0


class Always:
    """Leads."""

    def fence(self) -> Fence | None:
        return Fence("bench", {TRIGGERER_SHARD: 1})


def sleeping(count: int) -> tuple[float, float, float, float]:
    """Seconds until so many triggers sleep, MB (PSS) of their process, percent of a core of it and of the service."""
    with tempfile.TemporaryDirectory(prefix="piper-bench-") as folder, _triggerer(Path(folder)) as (database, service):
        _fill(database, count)
        begun = time.perf_counter()
        service.signal.set()
        child = _wait_for(service, count)
        taken = time.perf_counter() - begun
        time.sleep(2.0)
        theirs, ours = _cpu_seconds(child), time.process_time()
        time.sleep(MEASURED_SECONDS)
        theirs, ours = _cpu_seconds(child) - theirs, time.process_time() - ours
        return taken, _pss_mb(child), 100 * theirs / MEASURED_SECONDS, 100 * ours / MEASURED_SECONDS


@contextmanager
def _triggerer(folder: Path) -> Iterator[tuple[Database, TriggererService]]:
    database = Database(f"sqlite:///{folder / 'piper.db'}")
    migrate(database)
    keys, clock, wakeups, lane = Keys([bytes(32)]), SystemClock(), Wakeups(), Lane("triggers")
    api = TaskApi(database, clock, keys, ArtifactStore(folder / "artifacts"), wakeups)
    service = TriggererService(
        database,
        clock,
        wakeups,
        Always(),
        desk=Desk(api.handle, Tokens(keys)),
        lane=lane,
        logs=LogStore(folder / "logs"),
        snapshots=folder / "snapshots",
        environment=dict(os.environ),
        patience=60.0,
    )
    lane.host(service)
    lane.start()
    try:
        yield database, service
    finally:
        lane.stop(30)
        database.close()


def _fill(database: Database, count: int) -> None:
    moment = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    path, arguments = "piper.operators.triggers.temporal.DateTimeTrigger", {"target_time": moment}
    with database.write() as connection:
        values = {"id": 1, "workflow_id": "w", "run_id": "r", "shard": 0, "team": "default", "run_type": "manual"}
        values |= {"state": "running", "run_after": NOW, "spec_hash": "", "snapshot": "", "bundle": "b", "file": "f"}
        connection.execute(run.insert().values(**values, conf={}, created_at=NOW))
        rows = [
            {
                "id": instance_id(1, number),
                "run": 1,
                "task_id": f"t{number}",
                "map_index": -1,
                "team": "default",
                "state": "deferred",
                "try_number": 1,
                "leg": 0,
                "max_tries": 0,
                "operator": "Sensor",
                "code": False,
                "isolation": "fork",
                "pool": "default_pool",
                "pool_slots": 1,
                "priority": 1,
                "queue": "default",
            }
            for number in range(count)
        ]
        connection.execute(task_instance.insert(), rows)
        identities = [Identity(instance_id(1, number), 1, 0) for number in range(count)]
        new = [NewTrigger(one, 1, 0, "default", path, arguments, "b", "", None) for one in identities]
        write_triggers(connection, (), new, NOW)


def _wait_for(service: TriggererService, count: int) -> int:
    """Wait until all sleep: two steps of each are over. Returns the process that they sleep in."""
    deadline = time.perf_counter() + SETTLED_SECONDS
    while time.perf_counter() < deadline:
        children = list(service._children.values())
        if children and children[0].process.read_mark().steps >= 2 * count:
            return children[0].process.pid
        time.sleep(0.05)
    raise TimeoutError(f"{count} triggers were not begun within {SETTLED_SECONDS:g} s")


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
