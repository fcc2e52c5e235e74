"""Executions: what a worker's call is judged by, and what is written when one begins, ends or is lost.

Everything here is for many executions at once. `lock` reads their rows and, on PostgreSQL, holds them in the order
of their numbers until the transaction ends (on SQLite the write lock does); the caller decides on what it read, and
each write carries its guard again.

The attempt's row says whether an execution has been reported on: it is `running` with `legs = leg + 1` from its start
until its report, or until it is declared lost. The instance's row does not change by a report: its owner changes it,
when it applies the event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Insert, Row, bindparam, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from piper.model.events import Lost
from piper.model.run import Callback, Identity
from piper.model.schedule import DataInterval
from piper.model.spec import Json
from piper.model.states import FINISHED, TaskState
from piper.model.wire import CodeRef, RunContext
from piper.store.database import guarded
from piper.store.events import append_events, event_row
from piper.store.schema import attempt, run, spec, task_instance

_instance = task_instance.c
_QUEUED: ColumnElement[str] = sqlalchemy.literal_column("'queued'")
_RUNNING: ColumnElement[str] = sqlalchemy.literal_column("'running'")
_HOLDS_A_SLOT = sqlalchemy.text("task_instance.state IN ('queued', 'running')")
"""The condition of the partial index, word for word: SQLite takes the index only where it finds that in the query."""


class Execution(NamedTuple):
    """The row of a task instance, as far as a call in its name is concerned, and that of its current attempt."""

    instance: int
    run: int
    task_id: str
    map_index: int
    team: str
    state: TaskState
    try_number: int
    leg: int
    max_tries: int
    resume: Json
    code: bool
    queued_at: datetime | None
    started_at: datetime | None
    start_nonce: str | None
    worker: str | None
    attempt_state: TaskState | None
    attempt_legs: int | None
    run_clears: int
    """How often its run has been cleared: what is known of the run is true as long as that does not change."""
    predecessor_is_open: bool
    """Whether an earlier try of it, which was cleared or marked, has not been seen to end."""
    callback: Callback | None = None
    """This is no task but a callback."""

    @property
    def identity(self) -> Identity:
        """The current execution of the instance."""
        return Identity(self.instance, self.try_number, self.leg)

    @property
    def is_unreported(self) -> bool:
        """Whether it has begun and neither a report nor a loss of it has been accepted."""
        return self.attempt_state is TaskState.RUNNING and self.attempt_legs == self.leg + 1


class RunFacts(NamedTuple):
    """What the executions of a run need to know of it."""

    shard: int
    team: str
    spec_hash: str
    code: CodeRef
    context: RunContext


class Entry(NamedTuple):
    """A granted start, to be written."""

    identity: Identity
    started_at: datetime
    """First entry of user code in this try."""
    queued_at: datetime | None
    worker: str
    nonce: str


class Ending(NamedTuple):
    """An accepted report or loss, to be written to the attempt."""

    identity: Identity
    state: TaskState
    ended_at: datetime | None
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: str = ""
    inputs: Json = None
    outputs: Json = None
    parameters: Json = None
    metrics: Json = None
    environment: Json = None
    rendered: Json = None
    started_at: datetime | None = None
    """Of a wait that nothing came before: first entry of its try."""


_earlier = attempt.alias("earlier")
_EXECUTIONS = select(
    _instance.id,
    _instance.run,
    _instance.task_id,
    _instance.map_index,
    _instance.team,
    _instance.state,
    _instance.try_number,
    _instance.leg,
    _instance.max_tries,
    _instance.resume,
    _instance.code,
    _instance.queued_at,
    _instance.started_at,
    _instance.start_nonce,
    _instance.worker,
    attempt.c.state.label("attempt_state"),
    attempt.c.legs,
    run.c.clears.label("run_clears"),
    exists()
    .where(
        _earlier.c.instance == _instance.id,
        _earlier.c.try_number < _instance.try_number,
        _earlier.c.state == _RUNNING,
    )
    .label("predecessor_is_open"),
    _instance.callback,
).select_from(
    task_instance.join(run, run.c.id == _instance.run).join(
        attempt,
        (attempt.c.instance == _instance.id) & (attempt.c.try_number == _instance.try_number),
        isouter=True,
    )
)
_BY_NUMBER = _EXECUTIONS.where(_instance.id.in_(bindparam("instances", expanding=True))).order_by(_instance.id)
_LOCK = (
    select(_instance.id)
    .where(_instance.id.in_(bindparam("instances", expanding=True)))
    .order_by(_instance.id)
    .with_for_update()
)
_IS_OPEN = sqlalchemy.text("attempt.state = 'running'")
"""The condition of the partial index, word for word: SQLite takes the index only where it finds that in the query."""
_OPEN_ON = select(attempt.c.instance, attempt.c.try_number, attempt.c.legs).where(
    _IS_OPEN, attempt.c.worker == bindparam("worker")
)


def lock(connection: Connection, instances: Iterable[int]) -> dict[int, Execution]:
    """The executions of these instances, by instance number, held until the transaction ends."""
    numbers = sorted(instances)
    if connection.dialect.name != "sqlite":
        # First the locks, then what is true: a statement that waits for a lock sees the locked rows as they are
        # afterwards, but the attempts as they were before.
        connection.execute(_LOCK, {"instances": numbers})
    return load(connection, numbers)


def load(connection: Connection, instances: Iterable[int]) -> dict[int, Execution]:
    """The executions of these instances, by instance number."""
    return _executions(connection.execute(_BY_NUMBER, {"instances": sorted(instances)}))


def _executions(rows: Iterable[Row[Any]]) -> dict[int, Execution]:
    return {row[0]: Execution._make(row) for row in rows}


_RUNS = select(
    run.c.id,
    run.c.shard,
    run.c.team,
    run.c.spec_hash,
    run.c.bundle,
    run.c.snapshot,
    run.c.file,
    run.c.workflow_id,
    run.c.run_id,
    run.c.run_type,
    run.c.logical_date,
    run.c.interval_start,
    run.c.interval_end,
    run.c.run_after,
    run.c.conf,
    run.c.started_at,
    run.c.queued_at,
    run.c.state,
    run.c.clears,
    run.c.triggered_by,
    run.c.note,
).where(run.c.id.in_(bindparam("runs", expanding=True)))


def runs_of(connection: Connection, runs: Iterable[int]) -> dict[int, RunFacts]:
    """The facts of these runs, by run number."""
    rows = connection.execute(_RUNS, {"runs": sorted(runs)})
    return {
        row.id: RunFacts(
            row.shard, row.team, row.spec_hash, CodeRef(row.bundle, row.snapshot, row.file), context_of(row)
        )
        for row in rows
    }


def context_of(row: Row[*tuple[Any, ...]]) -> RunContext:
    """A run as user code may see it, from a row of the run table."""
    interval = None if row.interval_start is None else DataInterval(row.interval_start, row.interval_end)
    return RunContext(
        workflow_id=row.workflow_id,
        run_id=row.run_id,
        run_type=row.run_type,
        logical_date=row.logical_date,
        interval=interval,
        run_after=row.run_after,
        conf=row.conf,
        started_at=row.started_at,
        queued_at=row.queued_at,
        state=row.state,
        clears=row.clears,
        triggered_by=row.triggered_by,
        note=row.note,
    )


_SPECS = select(spec.c.hash, spec.c.body).where(spec.c.hash.in_(bindparam("hashes", expanding=True)))


def specs_of(connection: Connection, hashes: Iterable[str]) -> dict[str, str]:
    """The texts of these specs, by hash."""
    return {row.hash: row.body for row in connection.execute(_SPECS, {"hashes": sorted(hashes)})}


# --- beginning ----------------------------------------------------------------------------------

_ENTER = (
    task_instance.update()
    .where(
        _instance.id == bindparam("of_instance"),
        _instance.try_number == bindparam("of_try"),
        _instance.leg == bindparam("of_leg"),
        _instance.state == _QUEUED,
    )
    .values(
        state=_RUNNING,
        started_at=bindparam("started_at"),
        worker=bindparam("worker"),
        start_nonce=bindparam("start_nonce"),
    )
)


def enter(connection: Connection, entries: Sequence[Entry]) -> None:
    """Move these executions from queued to running and open their attempts.

    Raises:
        GuardFailed: one was no longer queued.
    """
    if not entries:
        return
    guarded(
        connection,
        _ENTER,
        [
            {
                "of_instance": entry.identity.instance,
                "of_try": entry.identity.try_number,
                "of_leg": entry.identity.leg,
                "started_at": entry.started_at,
                "worker": entry.worker,
                "start_nonce": entry.nonce,
            }
            for entry in entries
        ],
        "starting executions",
    )
    connection.execute(
        _OPEN_ATTEMPT[connection.dialect.name],
        [
            {
                "instance": entry.identity.instance,
                "try_number": entry.identity.try_number,
                "legs": entry.identity.leg + 1,
                "worker": entry.worker,
                "queued_at": entry.queued_at,
                "started_at": entry.started_at,
            }
            for entry in entries
        ],
    )


def _open_attempt(insert: sqlite.Insert | postgresql.Insert) -> Insert:
    names = ("instance", "try_number", "legs", "worker", "queued_at", "started_at")
    values = insert.values(state=_RUNNING, **{name: bindparam(name) for name in names})
    again = {"state": _RUNNING, "legs": values.excluded.legs, "worker": values.excluded.worker, "ended_at": None}
    return values.on_conflict_do_update(index_elements=["instance", "try_number"], set_=again)


_OPEN_ATTEMPT = {
    "sqlite": _open_attempt(sqlite.insert(attempt)),
    "postgresql": _open_attempt(postgresql.insert(attempt)),
}

# --- ending -------------------------------------------------------------------------------------

_CLOSE_ATTEMPT = (
    attempt.update()
    .where(
        attempt.c.instance == bindparam("of_instance"),
        attempt.c.try_number == bindparam("of_try"),
        attempt.c.legs == bindparam("of_legs"),
        attempt.c.state == _RUNNING,
    )
    .values({name: bindparam(name) for name in Ending._fields if name not in ("identity", "started_at")})
)


def close_attempts(connection: Connection, endings: Sequence[Ending]) -> None:
    """Note in their attempts how these executions ended or paused: nothing more is accepted from them.

    Raises:
        GuardFailed: one had been reported on before.
    """
    rows = []
    for ending in endings:
        values = ending._asdict()
        identity = values.pop("identity")
        del values["started_at"]
        of = {"of_instance": identity.instance, "of_try": identity.try_number, "of_legs": identity.leg + 1}
        rows.append(of | values)
    guarded(connection, _CLOSE_ATTEMPT, rows, "closing attempts")


def _end_by_trigger(insert: sqlite.Insert | postgresql.Insert) -> Insert:
    names = ("instance", "try_number", "legs", "state", "started_at", "ended_at", "error")
    values = insert.values(**{name: bindparam(name) for name in names})
    ended = {"state": values.excluded.state, "ended_at": values.excluded.ended_at, "error": values.excluded.error}
    return values.on_conflict_do_update(index_elements=["instance", "try_number"], set_=ended)


_END_BY_TRIGGER = {
    "sqlite": _end_by_trigger(sqlite.insert(attempt)),
    "postgresql": _end_by_trigger(postgresql.insert(attempt)),
}


def end_by_triggers(connection: Connection, endings: Sequence[Ending]) -> None:
    """Note in their attempts that triggers have ended these deferred tries; a try may have begun with its wait."""
    rows = [
        {
            "instance": ending.identity.instance,
            "try_number": ending.identity.try_number,
            "legs": ending.identity.leg + 1,
            "state": ending.state,
            "started_at": ending.started_at,
            "ended_at": ending.ended_at,
            "error": ending.error,
        }
        for ending in endings
    ]
    if rows:
        connection.execute(_END_BY_TRIGGER[connection.dialect.name], rows)


_END_WAITING = (
    attempt.update()
    .where(
        attempt.c.instance == bindparam("of_instance"),
        attempt.c.try_number == bindparam("of_try"),
        attempt.c.state == sqlalchemy.literal_column("'deferred'"),
    )
    .values(state=TaskState.FAILED, ended_at=bindparam("at"), error=bindparam("why"))
)


def end_waiting(connection: Connection, whys: Mapping[Identity, str], now: datetime) -> None:
    """Note in their attempts that these tries ended while they waited, unless their triggers have ended them."""
    rows = [{"of_instance": one.instance, "of_try": one.try_number, "at": now, "why": why} for one, why in whys.items()]
    if rows:
        connection.execute(_END_WAITING, rows)


_LABEL = (
    task_instance.update()
    .where(
        _instance.id == bindparam("of_instance"),
        _instance.try_number == bindparam("of_try"),
        _instance.leg == bindparam("of_leg"),
    )
    .values(label=bindparam("name"))
)


def label_instances(connection: Connection, labels: Iterable[tuple[Identity, str]]) -> None:
    """Give mapped instances the names that their current executions have reported."""
    rows = [
        {"of_instance": one.instance, "of_try": one.try_number, "of_leg": one.leg, "name": name} for one, name in labels
    ]
    if rows:
        connection.execute(_LABEL, rows)


_END = (
    attempt.update()
    .where(
        attempt.c.instance == bindparam("of_instance"),
        attempt.c.try_number == bindparam("of_try"),
        attempt.c.legs == bindparam("of_legs"),
        attempt.c.state == _RUNNING,
    )
    .values(state=bindparam("ended_as"), ended_at=bindparam("at"), error=bindparam("why"))
)


_LEFT = (
    select(_instance.id, _instance.try_number, _instance.state, run.c.reason)
    .join(run, run.c.id == _instance.run)
    .where(_instance.id.in_(bindparam("instances", expanding=True)))
)

RUN_ENDED = {
    "cancelled": "its run was cancelled",
    "timed_out": "its run took longer than its dagrun_timeout",
}
"""What is said of an execution that was ended since its run was, by the run's reason."""


def why_left(connection: Connection, identities: Sequence[Identity]) -> dict[Identity, str]:
    """Why executions were ended before they could report, for people; of those whose instances are gone nothing."""
    if not identities:
        return {}
    found = {row.id: row for row in connection.execute(_LEFT, {"instances": sorted({i.instance for i in identities})})}
    return {one: _why_left(one, found[one.instance]) for one in identities if one.instance in found}


def _why_left(identity: Identity, row: Row[*tuple[Any, ...]]) -> str:
    if row.try_number != identity.try_number or row.state not in FINISHED:
        return "it was cleared"
    return RUN_ENDED.get(row.reason, "it was marked, or another task had failed (fail_fast)")


def end_outlived(
    connection: Connection,
    identities: Iterable[Identity],
    state: TaskState,
    whys: Mapping[Identity, str],
    now: datetime,
) -> None:
    """Note that executions have ended which their instances had left behind (see `why_left`).

    Nothing else changes by it; but until it is noted the next try of the instance is not let into user code (I7).
    """
    rows = [
        {
            "of_instance": one.instance,
            "of_try": one.try_number,
            "of_legs": one.leg + 1,
            "ended_as": state,
            "at": now,
            "why": whys.get(one, "it was cleared"),
        }
        for one in identities
    ]
    if rows:
        connection.execute(_END, rows)


def lose(connection: Connection, executions: Iterable[Execution], error: str, now: datetime) -> list[Identity]:
    """Declare those of these locked executions lost that have not been reported on; returns them.

    Their attempts are closed, so that a report which is still under way changes nothing, and their owners are told.
    """
    lost = [execution for execution in executions if execution.is_unreported]
    close_attempts(connection, [Ending(one.identity, TaskState.FAILED, now, error=error) for one in lost])
    facts = runs_of(connection, {one.run for one in lost}) if lost else {}
    append_events(
        connection, [event_row(facts[one.run].shard, one.run, Lost(one.identity, error), now) for one in lost]
    )
    return [one.identity for one in lost]


def lose_worker(connection: Connection, worker: str, error: str, now: datetime) -> list[Identity]:
    """Declare lost what runs on a worker that is gone, and ended what its instances had left behind there."""
    rows = connection.execute(_OPEN_ON, {"worker": worker})
    opened = [Identity(row.instance, row.try_number, row.legs - 1) for row in rows]
    if not opened:
        return []
    found = lock(connection, {one.instance for one in opened})
    running = [one for one in found.values() if one.state is TaskState.RUNNING and one.identity in opened]
    lost = lose(connection, running, error, now)
    outlived = [one for one in opened if one not in lost]
    end_outlived(connection, outlived, TaskState.FAILED, dict.fromkeys(outlived, error), now)
    return lost


_WORKERS = select(attempt.c.worker).where(_IS_OPEN).distinct()


def workers_of_running(connection: Connection) -> set[str]:
    """The workers that hold running executions, by what these executions say."""
    return set(connection.execute(_WORKERS).scalars())
