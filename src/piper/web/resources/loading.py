"""Load first, then authorise what was loaded: how handlers come by the object that their address names."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from fastapi import Path, Query
from sqlalchemy import Connection

from piper.model.errors import NotFound
from piper.model.ids import ORDINAL_BITS, UNMAPPED
from piper.model.nearest import nearest
from piper.model.spec import WorkflowSpec, decode_spec
from piper.store import backfills, listings
from piper.store.listings import AnyRow
from piper.web.policy import Kind
from piper.web.problems import Missing
from piper.web.routing import Call

_LARGEST_RUN = (1 << (63 - ORDINAL_BITS)) - 1
_LARGEST_INTEGER = (1 << 31) - 1

WorkflowId = Annotated[str, Path(max_length=250, description="Id of the workflow.")]
RunNumber = Annotated[int, Path(ge=1, le=_LARGEST_RUN, description="Number of the run: its `id`.")]
BackfillNumber = Annotated[int, Path(ge=1, le=_LARGEST_INTEGER, description="Number of the backfill: its `id`.")]
TaskId = Annotated[str, Path(max_length=250, description="Id of the task.")]
TryNumber = Annotated[int, Path(ge=0, le=_LARGEST_INTEGER, description="Which try, from 1.")]
MapIndex = Annotated[
    int, Query(ge=UNMAPPED, le=_LARGEST_INTEGER, description="Of a mapped task: which instance; else -1.")
]
AnyMapIndex = Annotated[
    int | None, Query(ge=UNMAPPED, le=_LARGEST_INTEGER, description="Of a mapped task: which instance only.")
]


def load_workflow(call: Call, connection: Connection, workflow_id: str) -> AnyRow:
    """The workflow, if the caller may do to it what the endpoint does. Raises NotFound, Refused."""
    row = listings.find_workflow(connection, workflow_id)
    missing = None
    if row is None or not _readable(call, row.team):
        # The same look-up for what is not there and for what may not be seen: they take the same time.
        known = listings.workflow_ids_like(connection, call.principal.teams, workflow_id)
        missing = Missing(f"there is no workflow {workflow_id!r}", nearest(workflow_id, known))
    call.authorise(Kind.WORKFLOW, workflow_id, row.team if row else None, missing)
    assert row is not None
    return row


def load_run(call: Call, connection: Connection, number: int) -> AnyRow:
    """The run of that number, if the caller may do to it what the endpoint does. Raises NotFound, Refused."""
    row = listings.find_run(connection, number)
    call.authorise(Kind.RUN, str(number), row.team if row else None, NotFound(f"there is no run number {number}"))
    assert row is not None
    return row


def load_run_by_name(call: Call, connection: Connection, workflow_id: str, run_id: str) -> AnyRow:
    """The run of that id of that workflow. Raises NotFound, Refused."""
    load_workflow(call, connection, workflow_id)
    row = listings.find_run_by_name(connection, workflow_id, run_id)
    missing = NotFound(f"workflow {workflow_id!r} has no run {run_id!r}")
    call.authorise(Kind.RUN, run_id, row.team if row else None, missing)
    assert row is not None
    return row


def load_backfill(call: Call, connection: Connection, number: int) -> AnyRow:
    """The backfill of that number, if the caller may do to it what the endpoint does. Raises NotFound, Refused."""
    row = backfills.find_backfill(connection, number)
    missing = NotFound(f"there is no backfill number {number}")
    call.authorise(Kind.BACKFILL, str(number), row.team if row else None, missing)
    assert row is not None
    return row


def load_instance(call: Call, connection: Connection, run: AnyRow, task_id: str, map_index: int) -> AnyRow:
    """The task instance of a run that was authorised. Raises NotFound."""
    row = listings.find_instance(connection, run.id, task_id, map_index)
    if row is not None:
        return row
    known = listings.task_ids_of(connection, run.id)
    if task_id in known:
        is_mapped = "is mapped: say which instance by map_index (--map-index)"
        which = is_mapped if map_index < 0 else f"has no instance {map_index}"
        raise NotFound(f"task {task_id!r} of run {run.run_id!r} {which}")
    raise Missing(
        f"run {run.run_id!r} of workflow {run.workflow_id!r} has no task {task_id!r}", nearest(task_id, known)
    )


def load_spec(connection: Connection, spec_hash: str) -> WorkflowSpec:
    """A stored spec. Raises NotFound when it has been collected."""
    body = listings.spec_body(connection, spec_hash)
    if body is None:
        raise NotFound(f"the definition {spec_hash} is no longer stored")
    return _decoded(body)


@lru_cache(maxsize=64)
def _decoded(body: str) -> WorkflowSpec:
    return decode_spec(body)


def _readable(call: Call, team: str) -> bool:
    return call.principal.teams is None or team in call.principal.teams
