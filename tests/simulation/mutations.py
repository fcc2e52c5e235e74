"""Each breaks one mechanism of the system under play. If no play finds that out, the simulation proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any
from unittest import mock

import sqlalchemy

from piper.core import run
from piper.core.selection import ANY_STATE
from piper.model.states import TaskState
from piper.store import database, grants, instances, schema
from piper.task_api import batch
from piper.task_api.handshake import Verdict
from tests.simulation import world


@contextmanager
def without_fence() -> Iterator[None]:
    """Nobody proves that it owns what it writes: a scheduler that was taken over goes on writing."""

    def hold(*_: Any) -> Any:
        return _Everything()

    with mock.patch.object(database.SqliteDriver, "hold", hold):
        yield


class _Everything(dict):
    def get(self, shard: Any, default: Any = None) -> Any:
        return _Equal()


class _Equal:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


@contextmanager
def without_start_handshake() -> Iterator[None]:
    """Whoever asks is let into user code."""

    def judge(execution: Any, identity: Any, *_: Any) -> Verdict:
        return Verdict.STALE if execution is None or execution.identity != identity else Verdict.GRANT

    with mock.patch.object(batch, "judge_start", judge), mock.patch.object(batch, "enter", return_value=None):
        yield


@contextmanager
def without_source_states() -> Iterator[None]:
    """Updates of instances name the row and nothing else."""
    table = schema.task_instance
    grant = (
        table.update()
        .where(table.c.id.in_(sqlalchemy.bindparam("instances", expanding=True)))
        .values(state=TaskState.QUEUED, queued_at=sqlalchemy.bindparam("now"))
        .returning(table.c.id, table.c.try_number, table.c.leg)
    )
    move = instances._MOVE.whereclause
    assert move is not None
    blind = table.update().where(table.c.id == sqlalchemy.bindparam("guard_id")).values(instances._MOVE._values)
    with mock.patch.object(grants, "_GRANT", grant), mock.patch.object(instances, "_MOVE", blind):
        yield


@contextmanager
def without_unique_runs() -> Iterator[None]:
    """A logical date may have any number of runs."""
    laid = world.World._lay_foundation

    def lay(self: Any, people: Any) -> None:
        unique = [c for c in schema.run.constraints if isinstance(c, sqlalchemy.UniqueConstraint)]
        for constraint in unique:
            schema.run.constraints.discard(constraint)
        try:
            laid(self, people)
        finally:
            for constraint in unique:
                schema.run.append_constraint(constraint)

    with mock.patch.object(world.World, "_lay_foundation", lay):
        yield


@contextmanager
def without_states_of_clears() -> Iterator[None]:
    """A clear takes back whatever it names, also what has not failed."""
    with mock.patch.object(run, "states_to_clear", return_value=ANY_STATE):
        yield


@contextmanager
def without_removal() -> Iterator[None]:
    """A run that takes another version keeps the tasks that this lacks."""
    with mock.patch.object(run._Draft, "_fit_into_version", return_value=None):
        yield


MUTATIONS: MappingProxyType[str, Callable[[], AbstractContextManager[None]]] = MappingProxyType(
    {
        "no fence": without_fence,
        "no start handshake": without_start_handshake,
        "no source-state guard": without_source_states,
        "no unique run key": without_unique_runs,
        "no states of clears": without_states_of_clears,
        "no removal of what vanished": without_removal,
    }
)
