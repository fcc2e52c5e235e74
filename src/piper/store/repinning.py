"""What the rows of a run say that follows from its version, when it goes on with another one."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam

from piper.model.run import Run
from piper.model.spec import WorkflowSpec
from piper.store.schema import run as run_table
from piper.store.schema import task_instance

_DEFINITION = ("operator", "code", "isolation", "pool", "pool_slots", "priority", "queue")
"""What an instance's row has from its task, for the executor and the worker."""

_REDEFINE = (
    task_instance.update()
    .where(task_instance.c.run == bindparam("of_run"), task_instance.c.task_id == bindparam("of_task"))
    .values({name: bindparam(f"new_{name}") for name in _DEFINITION})
)


def repin(connection: Connection, run: Run, spec: WorkflowSpec) -> None:
    """Make a run's rows say what the spec says that it is now pinned to: its file, and its tasks' definitions."""
    connection.execute(run_table.update().where(run_table.c.id == run.id).values(file=spec.source.file))
    rows = [
        {"of_run": run.id, "of_task": task.task_id, **{f"new_{name}": getattr(task, name) for name in _DEFINITION}}
        for task in spec.tasks
    ]
    if rows:
        connection.execute(_REDEFINE, rows)
