"""An instance whose server and database are real, and whose tasks are played: each file's text says how they end.

# workflow ID          a workflow of this id
# TASK: STATE text     a task, how it ends, and what it writes
# error 3: text        the file cannot be loaded, because of line 3
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from piper.artifacts import ArtifactStore
from piper.logs import LogStore, Masker
from piper.model.events import MarkRun, RunQueued
from piper.model.ids import SHARDS, instance_id, log_path
from piper.model.spec import TaskSpec
from piper.model.states import RunState, TaskState
from piper.secrets import Keys
from piper.service import Service, Signal, SystemClock, Wakeups
from piper.settings import Settings
from piper.store import schema
from piper.store.database import Database
from piper.store.events import delete_events, pending_events
from piper.store.migrations import migrate
from piper.store.runs import runs_by_number
from piper.web.app import create_app
from piper.web.parts import WebParts
from piper.web.server import WebServer
from piper.web.tokens import authenticator, ensure_token
from tests.integration.web.rows import Rows

_WORKFLOW = re.compile(r"# workflow (\w+)( paused)?")
_TASK = re.compile(r"# (\w+): (\w+)(?: (.*))?")
_ERROR = re.compile(r"# error (\d+): (.*)")

Tasks = list[tuple[str, str, str]]


class Instance:
    """What `piper.wiring.Instance` is to the command line."""

    stopped = 0
    notes: tuple[str, ...] = ()

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings = settings
        self.file = file
        self.address = ""
        self.token = ""

    def start(self) -> None:
        home = self.settings.home
        self.token = ensure_token(self.settings.token_file)
        self.database = Database(self.settings.database_url, synchronous="OFF")
        migrate(self.database)
        wakeups, logs = Wakeups(), LogStore(home / "logs")
        self.player = Player(self.database, logs, wakeups.listen("scheduler"), self._load())
        parts = WebParts(
            database=self.database,
            wakeups=wakeups,
            clock=SystemClock(),
            settings=self.settings,
            authenticate=authenticator(self.token),
            logs=logs,
            artifacts=ArtifactStore(home / "artifacts"),
            snapshots=home / "snapshots",
            keys=Keys([bytes(32)]),
        )
        self.server = WebServer(create_app(parts), self.settings)
        self.player.start()
        self.server.start()
        self.address = self.server.address

    def stop(self) -> None:
        type(self).stopped += 1
        if self.address:
            self.server.stop()
            self.player.stop()
            self.database.close()

    def _load(self) -> dict[str, Tasks]:
        """What the file says: workflow → its tasks."""
        rows = Rows(self.database)
        found: dict[str, Tasks] = {}
        paused: set[str] = set()
        for line in self.file.read_text().splitlines():
            if match := _ERROR.fullmatch(line):
                values = {"bundle": "dags", "path": self.file.name, "team": "default", "hash": "h", "imports": []}
                rows.add(schema.source_file, error=match[2], error_line=int(match[1]), **values)
            elif match := _WORKFLOW.fullmatch(line):
                found[match[1]] = []
                paused |= {match[1]} if match[2] else set()
            elif match := _TASK.fullmatch(line):
                next(reversed(found.values())).append((match[1], match[2], match[3] or ""))
        for name, tasks in found.items():
            specs = tuple(TaskSpec(task_id, "x") for task_id, _, _ in tasks)
            rows.workflow(name, team="default", tasks=specs, file=self.file.name, paused=name in paused)
        return found


class Player(Service):
    """Plays the scheduler and the workers."""

    def __init__(self, database: Database, logs: LogStore, signal: Signal, tasks: dict[str, Tasks]) -> None:
        super().__init__("player", signal)
        self._database = database
        self._logs = logs
        self._tasks = tasks
        self._rows = Rows(database)

    def tick(self) -> float:
        with self._database.write() as connection:
            found = pending_events(connection, range(SHARDS), 100)
            delete_events(connection, [each.id for each in found])
        for each in found:
            match each.event:
                case RunQueued(number):
                    self._play(number)
                case MarkRun(number, state, reason):
                    self._end(number, state, reason)
                case _:
                    pass
        return 1.0

    def _play(self, number: int) -> None:
        with self._database.read() as connection:
            [run] = runs_by_number(connection, [number])
        now = datetime.now(UTC)
        self._rows.change_run(run, state=RunState.RUNNING, started_at=now)
        end = RunState.SUCCESS
        for ordinal, (task_id, how, text) in enumerate(self._tasks[run.workflow_id]):
            instance = self._rows.instance(run, task_id, TaskState.RUNNING, ordinal, started_at=now)
            if text:
                writer = self._logs.begin(log_path(instance, 1), Masker())
                writer.write(text.format(conf=run.conf, date=run.logical_date).encode() + b"\n")
                writer.close()
            if how == "hangs":
                return
            self._rows.change_instance(instance, state=TaskState(how), ended_at=datetime.now(UTC))
            if how == "failed":
                end = RunState.FAILED
        self._rows.change_run(run, state=end, ended_at=datetime.now(UTC))

    def _end(self, number: int, state: RunState, reason: str) -> None:
        with self._database.read() as connection:
            [run] = runs_by_number(connection, [number])
        for ordinal in range(len(self._tasks[run.workflow_id])):
            self._rows.change_instance(instance_id(number, ordinal), state=TaskState.FAILED)
        self._rows.change_run(run, state=state, reason=reason, ended_at=datetime.now(UTC))
