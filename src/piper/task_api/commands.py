"""What a running task may change besides its own XComs: its team's variables, and runs of its team's workflows.

Each is audited like a person's call, under the name of the task: it changes what others rely on.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from piper.model import wire
from piper.model.errors import Conflict, NotFound, Refused
from piper.model.events import Clear, InstanceRef, RunQueued
from piper.model.ids import check_run_id, shard_of
from piper.model.schedule import DataInterval
from piper.model.spec import Json
from piper.model.states import RunType
from piper.secrets import Keys
from piper.store import audit, visible
from piper.store.audit import Entry
from piper.store.events import append_events, event_row
from piper.store.runs import create_run
from piper.store.variables import delete_variable, write_variable
from piper.task_api.questions import Asker
from piper.task_api.specs import KnownSpec, SpecCache
from piper.timetables import manual_interval

COMMANDS = frozenset({wire.SetVariable, wire.DeleteVariable, wire.TriggerRun})
"""The requests that are commands."""


class Commands:
    """Obeys commands, each in a transaction of its own."""

    def __init__(self, keys: Keys, specs: SpecCache) -> None:
        self._keys = keys
        self._specs = specs
        self._obeys: dict[type, Callable[[Connection, Asker, Any, datetime], Any]] = {
            wire.SetVariable: self._set_variable,
            wire.DeleteVariable: self._delete_variable,
            wire.TriggerRun: self._trigger_run,
        }

    def obey(self, connection: Connection, asker: Asker, command: wire.Request, now: datetime) -> Any:
        """Do what the command says, and note it in the audit; returns its answer.

        Raises:
            CallerError: it cannot be done, and nothing was.
        """
        answer, entry = self._obeys[type(command)](connection, asker, command, now)
        audit.append(connection, entry, f"task {asker.name}", now)
        return answer

    def _set_variable(
        self, connection: Connection, asker: Asker, command: wire.SetVariable, now: datetime
    ) -> tuple[None, Entry]:
        write_variable(connection, self._keys, asker.team, command.key, command.value, command.description, now)
        changed = ["value"] if command.description is None else ["description", "value"]
        return None, _of_variable("variable.set", asker, command.key, {"changed": changed})

    def _delete_variable(
        self, connection: Connection, asker: Asker, command: wire.DeleteVariable, now: datetime
    ) -> tuple[None, Entry]:
        delete_variable(connection, asker.team, command.key)
        return None, _of_variable("variable.delete", asker, command.key, {})

    def _trigger_run(
        self, connection: Connection, asker: Asker, command: wire.TriggerRun, now: datetime
    ) -> tuple[str, Entry]:
        workflow_id = command.workflow_id
        workflow = visible.find_workflow(connection, asker.team, workflow_id)
        spec = None if workflow is None else self._specs.get(connection, [workflow.spec_hash]).get(workflow.spec_hash)
        if workflow is None or spec is None:
            raise NotFound(f"there is no workflow {workflow_id!r} in team {asker.team!r}")
        if command.fail_when_paused and workflow.paused:
            raise Refused(f"workflow {workflow_id!r} is paused: unpause it, or allow it to be paused")
        _check_may_be_triggered(spec)
        if command.reset and self._reset(connection, asker, command, spec, now):
            return command.run_id, _of_run("run.clear", asker, workflow_id, command.run_id, {"runs": 1})
        run = create_run(
            connection,
            workflow_id=workflow_id,
            run_type=RunType.OPERATOR_TRIGGERED,
            now=now,
            run_id=check_run_id(command.run_id) if command.run_id else "",
            logical_date=command.logical_date,
            interval=_interval(spec, command.logical_date),
            run_after=command.run_after,
            conf=command.conf,
            triggered_by=asker.name,
            note=command.note,
            suffix=secrets.token_hex(4),
        )
        append_events(connection, [event_row(run.shard, run.id, RunQueued(run.id), now)])
        return run.run_id, _of_run("run.trigger", asker, workflow_id, run.run_id, {"params": sorted(command.conf)})

    def _reset(
        self, connection: Connection, asker: Asker, command: wire.TriggerRun, spec: KnownSpec, now: datetime
    ) -> bool:
        """Have the run of that id cleared, if there is one."""
        number = visible.find_run_number(connection, asker.team, command.workflow_id, command.run_id)
        if number is None:
            return False
        tasks = tuple(InstanceRef(task.task_id) for task in spec.spec.tasks)
        append_events(connection, [event_row(shard_of(command.workflow_id), number, Clear(number, tasks), now)])
        return True


def _of_variable(action: str, asker: Asker, key: str, detail: dict[str, Json]) -> Entry:
    return Entry(team=asker.team, action=action, object_type="variable", object_id=key, detail=detail)


def _of_run(action: str, asker: Asker, workflow_id: str, run_id: str, detail: dict[str, Json]) -> Entry:
    return Entry(team=asker.team, action=action, object_type="run", object_id=f"{workflow_id}/{run_id}", detail=detail)


def _check_may_be_triggered(spec: KnownSpec) -> None:
    allowed = spec.spec.allowed_run_types
    if allowed and RunType.OPERATOR_TRIGGERED not in allowed:
        raise Conflict(
            f"workflow {spec.spec.workflow_id!r} may not be triggered by a task: "
            f"its allowed run types are {', '.join(allowed)}"
        )


def _interval(spec: KnownSpec, logical_date: datetime | None) -> DataInterval | None:
    return None if logical_date is None else manual_interval(spec.spec.schedule.timetable, logical_date)
