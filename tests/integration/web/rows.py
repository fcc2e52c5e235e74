"""Rows as the serializer, the scheduler and the workers would have written them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from piper.model.backfill import BackfillState, Reprocess
from piper.model.ids import instance_id, shard_of
from piper.model.run import Run
from piper.model.spec import ParamSpec, SourceLocation, TaskSpec, WorkflowSpec, encode_spec, spec_hash
from piper.model.states import RunType, TaskState
from piper.store import schema
from piper.store.database import Database
from piper.store.runs import create_run

THEN = datetime(2026, 11, 1, tzinfo=UTC)


class Rows:
    """Adds rows to a database. What a test does not care about has some value."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def workflow(
        self,
        workflow_id: str,
        team: str = "red",
        tasks: tuple[TaskSpec, ...] = (TaskSpec("say", "piper.operators.bash.BashOperator"),),
        params: dict[str, ParamSpec] | None = None,
        spec: dict[str, Any] | None = None,
        **values: Any,
    ) -> WorkflowSpec:
        """A published workflow."""
        made = WorkflowSpec(
            workflow_id,
            SourceLocation(f"{workflow_id}.py"),
            tasks=tasks,
            params=params or {},
            **(spec or {}),
        )
        body = encode_spec(made)
        row: dict[str, Any] = {
            "workflow_id": workflow_id,
            "shard": shard_of(workflow_id),
            "team": team,
            "bundle": "dags",
            "file": f"{workflow_id}.py",
            "version": 1,
            "spec_hash": spec_hash(body),
            "snapshot": "0" * 32,
            "paused": False,
            "tags": [],
            "max_active_runs": 16,
            "created_at": THEN,
            "updated_at": THEN,
        }
        row |= values
        with self._database.write() as connection:
            known = schema.spec.select().where(schema.spec.c.hash == row["spec_hash"])
            if connection.execute(known).one_or_none() is None:
                connection.execute(schema.spec.insert().values(hash=row["spec_hash"], body=body.decode()))
            connection.execute(schema.workflow.insert().values(**row))
            self._add(
                connection,
                schema.workflow_version,
                workflow_id=workflow_id,
                version=row["version"],
                spec_hash=row["spec_hash"],
                snapshot=row["snapshot"],
                created_at=THEN,
            )
        return made

    def run(self, workflow_id: str, day: int = 0, **values: Any) -> Run:
        """A run of the `day`-th logical date, changed as `values` say."""
        with self._database.write() as connection:
            made = create_run(
                connection,
                workflow_id=workflow_id,
                run_type=RunType.SCHEDULED,
                now=THEN + timedelta(days=day),
                logical_date=THEN + timedelta(days=day),
            )
            if values:
                connection.execute(schema.run.update().where(schema.run.c.id == made.id).values(**values))
        return made

    def instance(
        self, run: Run, task_id: str, state: TaskState = TaskState.SUCCESS, ordinal: int = 0, **values: Any
    ) -> int:
        """A task instance; its number."""
        number = instance_id(run.id, ordinal)
        row: dict[str, Any] = {
            "id": number,
            "run": run.id,
            "task_id": task_id,
            "map_index": -1,
            "team": run.team,
            "state": state,
            "try_number": 1,
            "leg": 0,
            "max_tries": 0,
            "operator": "piper.operators.bash.BashOperator",
            "code": False,
            "isolation": "fork",
            "pool": "default_pool",
            "pool_slots": 1,
            "priority": 1,
            "queue": "default",
        }
        with self._database.write() as connection:
            connection.execute(schema.task_instance.insert().values(**(row | values)))
        return number

    def change_instance(self, number: int, **values: Any) -> None:
        """Change a task instance as its owner would."""
        table = schema.task_instance
        with self._database.write() as connection:
            connection.execute(table.update().where(table.c.id == number).values(**values))

    def change_run(self, run: Run, **values: Any) -> None:
        """Change a run as its owner would."""
        with self._database.write() as connection:
            connection.execute(schema.run.update().where(schema.run.c.id == run.id).values(**values))

    def attempt(self, instance: int, try_number: int = 1, state: TaskState = TaskState.SUCCESS, **values: Any) -> None:
        """A try of an instance."""
        with self._database.write() as connection:
            self._add(connection, schema.attempt, instance=instance, try_number=try_number, state=state, **values)

    def xcom(self, run: Run, task_id: str, key: str, value: bytes | None, **values: Any) -> None:
        """An XCom; `value` is JSON text."""
        row = {"run": run.id, "task_id": task_id, "key": key, "map_index": -1, "value": value, "created_at": THEN}
        with self._database.write() as connection:
            self._add(connection, schema.xcom, **(row | values))

    def backfill(self, workflow_id: str, **values: Any) -> int:
        """A backfill of the first of January 2025 of a workflow; its number."""
        new_year = datetime(2025, 1, 1, tzinfo=UTC)
        table = schema.workflow
        with self._database.write() as connection:
            found = connection.execute(table.select().where(table.c.workflow_id == workflow_id)).one()
            row = {
                "workflow_id": workflow_id,
                "shard": found.shard,
                "team": found.team,
                "state": BackfillState.RUNNING,
                "from_date": new_year,
                "to_date": new_year,
                "reprocess": Reprocess.NONE,
                "backwards": False,
                "max_active_runs": 10,
                "conf": {},
                "version": found.version,
                "spec_hash": found.spec_hash,
                "snapshot": found.snapshot,
                "bundle": found.bundle,
                "file": found.file,
                "first_date": new_year,
                "total": 1,
                "created_at": THEN,
            }
            made = connection.execute(schema.backfill.insert().values(**(row | values)).returning(schema.backfill.c.id))
            return int(made.scalar_one())

    def asset(self, name: str, uri: str, team: str = "red", **values: Any) -> int:
        """An active asset; its number."""
        row = {"team": team, "name": name, "uri": uri, "group": "asset", "extra": {}, "active": True}
        row |= {"created_at": THEN, "updated_at": THEN} | values
        with self._database.write() as connection:
            made = connection.execute(schema.asset.insert().values(**row).returning(schema.asset.c.id))
            return int(made.scalar_one())

    def add(self, table: Any, **values: Any) -> None:
        """Any row."""
        with self._database.write() as connection:
            self._add(connection, table, **values)

    @staticmethod
    def _add(connection: Connection, table: Any, **values: Any) -> None:
        connection.execute(table.insert().values(**values))


def lift_guards(connection: Connection) -> None:
    """Do as somebody may who owns the tables."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
    else:
        for name in ("audit_no_update", "audit_no_delete"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
