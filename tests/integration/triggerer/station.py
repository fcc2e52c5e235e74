"""A triggerer with real children over a real database; the test is the owner of the runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from piper.lane import Lane
from piper.logs import LogStore, parse_lines
from piper.model.events import TriggerFired
from piper.model.ids import TRIGGERER_SHARD, log_path, run_of
from piper.model.run import Identity
from piper.model.states import TaskState
from piper.model.wire import Call, Reply
from piper.service import SystemClock
from piper.store.database import Database, Fence
from piper.store.schema import trigger
from piper.store.triggers import NewTrigger, write_triggers
from piper.triggerer.desk import Desk
from piper.triggerer.service import TriggererService
from tests.world import NOW, World

PATIENCE = 30.0
SNAPSHOT = "snap"


class Leading:
    """Owns the triggerer's shard, until told otherwise."""

    def __init__(self) -> None:
        self.leads = True

    def fence(self) -> Fence | None:
        return Fence("me", {TRIGGERER_SHARD: 1}) if self.leads else None


class Station:
    """Started by `start`, to be stopped by `stop`."""

    def __init__(self, database: Database, folder: Path, patience: float = 10.0) -> None:
        self.world = World(database, folder)
        self.snapshot = folder / "snapshots" / SNAPSHOT
        self.snapshot.mkdir(parents=True)
        self.logs = LogStore(folder / "logs", writer="test")
        self.term = Leading()
        self.asked: list[Call] = []
        self.lane = Lane("triggers")
        self.service = TriggererService(
            database,
            SystemClock(),
            self.world.wakeups,
            self.term,
            desk=Desk(self.handle, self.world.tokens),
            lane=self.lane,
            logs=LogStore(folder / "logs", writer="triggerer"),
            snapshots=folder / "snapshots",
            environment={name: value for name, value in os.environ.items() if not name.startswith("PIPER_")},
            patience=patience,
        )
        self.lane.host(self.service)

    def handle(self, calls: Sequence[Call]) -> list[Reply]:
        self.asked += calls
        return self.world.api.handle(calls)

    def start(self) -> None:
        self.lane.start()

    def stop(self) -> None:
        self.lane.stop(30)

    # --- what the owner does

    def defer(
        self, run: int, class_path: str, arguments: Any = None, *, team: str = "red", snapshot: str = SNAPSHOT
    ) -> Identity:
        """Have an instance wait for a trigger."""
        task_id = f"t{len(self.wanted())}-{time.monotonic_ns()}"
        identity = self.world.add_instance(run, task_id, state=TaskState.DEFERRED, team=team)
        new = NewTrigger(identity, run, 0, team, class_path, arguments, "bundle", snapshot, None)
        with self.world.database.write() as connection:
            write_triggers(connection, (), (new,), NOW)
        self.world.wakeups.notify("triggerer")
        return identity

    def resolve(self, identity: Identity, **moved: Any) -> None:
        """Move an instance on, and take its trigger away."""
        self.world.change_instance(identity.instance, **moved)
        with self.world.database.write() as connection:
            write_triggers(connection, (identity,), (), NOW)
        self.world.wakeups.notify("triggerer")

    def wanted(self) -> set[int]:
        with self.world.database.read() as connection:
            return set(connection.execute(select(trigger.c.instance)).scalars())

    # --- what becomes of it

    def fires(self, identity: Identity | None = None) -> list[TriggerFired]:
        """What has been reported."""
        fired = [event for event in self.world.events() if isinstance(event, TriggerFired)]
        return [event for event in fired if identity is None or event.identity == identity]

    def fire_of(self, identity: Identity) -> TriggerFired:
        """What the trigger of an instance says."""
        (fired,) = self.eventually(lambda: self.fires(identity))
        return fired

    def log(self, identity: Identity) -> list[str]:
        """The lines of the attempt's log."""
        path = log_path(identity.instance, identity.try_number)
        return [line.text for line in parse_lines(self.logs.read(path).data)]

    def children(self) -> list[int]:
        """Process ids."""
        return [child.process.pid for child in list(self.service._children.values())]

    def eventually(self, question: Callable[[], Any]) -> Any:
        """The first answer that is true; other threads and processes are at work."""
        deadline = time.monotonic() + PATIENCE
        while not (answer := question()):
            assert time.monotonic() < deadline, f"it did not happen; fired so far: {self.fires()}"
            assert self.lane.is_alive()
            self.world.scheduler.wait(0.02)
        return answer


def run_number(identity: Identity) -> int:
    return run_of(identity.instance)
