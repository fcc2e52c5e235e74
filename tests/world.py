"""A small world for tests of the Task API and the executor: workflows, runs, instances, and who speaks for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from piper.artifacts import ArtifactStore
from piper.model import wire
from piper.model.events import Event, Succeeded, TaskEvent
from piper.model.ids import UNMAPPED, instance_id, shard_of
from piper.model.run import Identity
from piper.model.spec import SourceLocation, TaskSpec, WorkflowSpec, encode_spec, spec_hash
from piper.model.states import RunState, RunType, TaskState
from piper.secrets import Keys
from piper.service import Signal, Wakeups
from piper.store.database import Database
from piper.store.schema import attempt, event, run, spec, task_instance, workflow, xcom
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens
from tests.clock import FakeClock

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS = Keys([b"k" * 32])


class World:
    """A database with a Task API in front of it."""

    def __init__(self, database: Database, folder: Path, **limits: int) -> None:
        self.database = database
        self.clock = FakeClock(NOW)
        self.wakeups = Wakeups()
        self.scheduler: Signal = self.wakeups.listen("scheduler")
        self.tokens = Tokens(KEYS)
        self.artifacts = ArtifactStore(folder / "artifacts")
        self.api = TaskApi(database, self.clock, KEYS, self.artifacts, self.wakeups, **limits)
        self._calls = count(1)
        self._ordinals: dict[int, count[int]] = {}

    # --- what there is

    def add_workflow(self, *tasks: TaskSpec, workflow_id: str = "flow", team: str = "red", **values: Any) -> str:
        """Publish a workflow; returns its spec's hash."""
        row = {name: values.pop(name) for name in ("paused", "stale") if name in values}
        body = encode_spec(WorkflowSpec(workflow_id=workflow_id, source=SourceLocation("f.py"), tasks=tasks, **values))
        with self.database.write() as connection:
            connection.execute(spec.insert().values(hash=spec_hash(body), body=body.decode()))
            connection.execute(
                workflow.insert().values(
                    workflow_id=workflow_id,
                    shard=shard_of(workflow_id),
                    team=team,
                    bundle="bundle",
                    file="f.py",
                    version=1,
                    spec_hash=spec_hash(body),
                    snapshot="snap",
                    tags=[],
                    max_active_runs=16,
                    created_at=NOW,
                    updated_at=NOW,
                    **({"paused": False} | row),
                )
            )
        return spec_hash(body)

    def add_run(self, workflow_id: str = "flow", run_id: str = "r1", **values: Any) -> int:
        """Make a running run of a workflow; returns its number."""
        with self.database.write() as connection:
            found = connection.execute(select(workflow).where(workflow.c.workflow_id == workflow_id)).one()
            row = {
                "workflow_id": workflow_id,
                "run_id": run_id,
                "shard": found.shard,
                "team": found.team,
                "run_type": RunType.MANUAL,
                "state": RunState.RUNNING,
                "run_after": NOW,
                "spec_hash": found.spec_hash,
                "snapshot": found.snapshot,
                "bundle": found.bundle,
                "file": found.file,
                "conf": {},
                "created_at": NOW,
            }
            result = connection.execute(run.insert().values(row | values).returning(run.c.id))
            return int(result.scalar_one())

    def add_instance(self, run_number: int, task_id: str = "t", **values: Any) -> Identity:
        """Make a queued instance of a task; returns its execution."""
        ordinal = next(self._ordinals.setdefault(run_number, count()))
        row = {
            "id": instance_id(run_number, ordinal),
            "run": run_number,
            "task_id": task_id,
            "map_index": UNMAPPED,
            "team": "red",
            "state": TaskState.QUEUED,
            "try_number": 1,
            "leg": 0,
            "max_tries": 0,
            "operator": "PythonOperator",
            "code": True,
            "isolation": "fork",
            "pool": "default_pool",
            "pool_slots": 1,
            "priority": 1,
            "queue": "default",
        } | values
        with self.database.write() as connection:
            connection.execute(task_instance.insert().values(row))
        return Identity(row["id"], row["try_number"], row["leg"])

    def change_instance(self, instance: int, **values: Any) -> None:
        """Change an instance behind everybody's back, as its owner would."""
        with self.database.write() as connection:
            connection.execute(task_instance.update().where(task_instance.c.id == instance).values(values))

    def change_run(self, number: int, **values: Any) -> None:
        """Change a run, as its owner would."""
        with self.database.write() as connection:
            connection.execute(run.update().where(run.c.id == number).values(values))

    # --- who speaks

    def call(self, identity: Identity, request: wire.Request) -> wire.Call:
        """A call in the name of an execution."""
        return wire.Call(next(self._calls), identity, self.tokens.issue(identity), request)

    def handle(self, *calls: wire.Call) -> list[wire.Reply]:
        """The replies in the order of the calls, as they look on the wire."""
        replies = msgspec.msgpack.decode(msgspec.msgpack.encode(self.api.handle(calls)), type=list[wire.Reply])
        by_id = {reply.id: reply for reply in replies}
        assert len(by_id) == len(calls)
        return [by_id[call.id] for call in calls]

    def say(self, identity: Identity, request: wire.Request) -> wire.Reply:
        """The reply to one call."""
        return self.handle(self.call(identity, request))[0]

    def start(self, identity: Identity, nonce: str = "n", worker: str = "w") -> wire.TaskContext:
        """Start an execution, which must be granted."""
        return self.ask(identity, wire.Start(nonce, worker), wire.TaskContext)

    def ask(self, identity: Identity, request: wire.Request, answer: Any) -> Any:
        """The answer to a call that must succeed, as that type."""
        reply = self.say(identity, request)
        assert reply.problem is None, reply.problem
        return msgspec.convert(reply.result, answer)

    def problem(self, identity: Identity, request: wire.Request) -> wire.Problem:
        """The problem of a call that must fail."""
        reply = self.say(identity, request)
        assert reply.problem is not None, reply.result
        return reply.problem

    def report(self, outcome: TaskEvent, *xcoms: wire.XComPush, **values: Any) -> wire.Reply:
        """Report what became of an execution."""
        return self.say(outcome.identity, wire.Report(outcome, xcoms=xcoms, **values))

    def push(self, run_number: int, task_id: str, value: Any, key: str = "return_value", **values: Any) -> None:
        """Let an instance of a task of the run run, and push a value."""
        identity = self.add_instance(run_number, task_id, **values)
        self.start(identity)
        length = len(value) if isinstance(value, list | dict) else None
        pushed = wire.XComPush(key, value if isinstance(value, bytes) else msgspec.json.encode(value), length)
        assert self.report(Succeeded(identity), pushed).problem is None
        self.change_instance(identity.instance, state=TaskState.SUCCESS)

    # --- what became of it

    def state(self, instance: int) -> TaskState:
        """The state of an instance."""
        return TaskState(self.row(instance).state)

    def row(self, instance: int) -> Any:
        """The row of an instance."""
        with self.database.read() as connection:
            return connection.execute(task_instance.select().where(task_instance.c.id == instance)).one()

    def attempts(self, instance: int) -> Sequence[Any]:
        """The attempts of an instance."""
        with self.database.read() as connection:
            statement = attempt.select().where(attempt.c.instance == instance).order_by(attempt.c.try_number)
            return connection.execute(statement).all()

    def events(self) -> list[Event]:
        """What owners have been told, oldest first."""
        with self.database.read() as connection:
            bodies = connection.execute(select(event.c.body).order_by(event.c.id)).scalars().all()
        return [msgspec.json.decode(body, type=Event) for body in bodies]

    def xcoms(self) -> dict[tuple[str, str, int], bytes | None]:
        """Inline values by (task id, key, map index)."""
        with self.database.read() as connection:
            rows = connection.execute(xcom.select()).all()
        return {(row.task_id, row.key, row.map_index): row.value for row in rows}
