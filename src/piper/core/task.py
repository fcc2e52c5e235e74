"""The table of what may become of a task instance, and who writes it.

Every change of an instance's state, by anyone, is a row of TRANSITIONS: which states it may be in, what
happens to it, which states can follow, who writes the change, and the function that works it out. A pair
that has no row is refused (`NoSuchTransition`) and changes nothing; reports that are late, doubled or of
another execution are rows of their own, which do nothing. The diagram in docs/architecture.md is drawn
from this table, the store's guards are taken from it, and a test asks that each row be exercised.

The executor and the worker write two rows each with one UPDATE in the store (`scheduled → queued → running`);
their rows stand here so that the table is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from piper.core.retries import MAX_LOSSES, delay_after
from piper.core.triggers import first_wait
from piper.model.events import Deferred, Failed, Lost, Rescheduled, Skipped, Succeeded, TriggerFired
from piper.model.run import TaskInstance
from piper.model.spec import TaskSpec
from piper.model.states import FINISHED, IN_FLIGHT, WAITING, TaskState

State = TaskState


# --- what can happen to an instance, besides the reports of `model.events` ----------------------


class RuleDecided(Struct, frozen=True):
    """Its trigger rule, a setup, or a decision above it ends it without running."""

    state: TaskState


class Admitted(Struct, frozen=True):
    """Its rule holds and the run's limits leave room: it may be executed."""


class Passed(Struct, frozen=True):
    """Admitted, and there is nothing to execute."""


class Granted(Struct, frozen=True):
    """The executor has given it slots and sent it to a worker."""


class Started(Struct, frozen=True):
    """A worker has been let into user code."""


class TimedOut(Struct, frozen=True):
    """The trigger it waits for has not fired in time."""


class Stale(Struct, frozen=True):
    """A report of an execution that is not, or no longer, the current one."""


class Cleared(Struct, frozen=True):
    """A person wants it to run again."""


class Marked(Struct, frozen=True):
    """A person, or the end of its run, gives it this terminal state."""

    state: TaskState


class Vanished(Struct, frozen=True):
    """Its run goes on with a version that does not have this task."""


class Circumstances(NamedTuple):
    """What a transition may look at besides the instance and the event."""

    spec: TaskSpec
    now: datetime
    seed: str
    """See `retries.seed_of`."""


Apply = Callable[[TaskInstance, Any, Circumstances], TaskInstance]


class Row(NamedTuple):
    """One row: in any of `sources`, when `event` happens, `apply` leads to one of `targets`."""

    sources: frozenset[TaskState]
    event: type
    targets: frozenset[TaskState]
    writer: str
    apply: Apply
    cancels: bool = False
    """An execution of it that is still going on must be ended."""


class NoSuchTransition(Exception):
    """The table has no row for this state and event: nothing was changed."""

    def __init__(self, instance: TaskInstance, event: object) -> None:
        super().__init__(f"task {instance.task_id!r} is {instance.state}: {type(event).__name__} cannot happen to it")
        self.instance = instance
        self.event = event


# --- how the next instance is worked out --------------------------------------------------------


def _decide(ti: TaskInstance, event: RuleDecided, at: Circumstances) -> TaskInstance:
    return replace(ti, state=event.state, ended_at=at.now, due=None)


def _admit(ti: TaskInstance, _: Admitted, at: Circumstances) -> TaskInstance:
    """A new try, or the next leg of the try that gave its slot back. A try may begin with a wait for a trigger."""
    if ti.state is State.UP_FOR_RESCHEDULE:
        return replace(ti, state=State.SCHEDULED, leg=ti.leg + 1, due=None)
    begun = replace(
        ti,
        state=State.SCHEDULED,
        try_number=ti.try_number + 1,
        leg=0,
        due=None,
        resume=None,
        result_length=None,
        decision=None,
        started_at=None,
        ended_at=None,
    )
    wait = first_wait(at.spec, begun.identity)
    return begun if wait is None else replace(_defer(begun, wait, at), started_at=at.now)


def _pass(ti: TaskInstance, _: Passed, at: Circumstances) -> TaskInstance:
    return replace(
        ti, state=State.SUCCESS, try_number=ti.try_number + 1, leg=0, due=None, started_at=at.now, ended_at=at.now
    )


def _grant(ti: TaskInstance, _: Granted, at: Circumstances) -> TaskInstance:
    return replace(ti, state=State.QUEUED)


def _start(ti: TaskInstance, _: Started, at: Circumstances) -> TaskInstance:
    return replace(ti, state=State.RUNNING, started_at=ti.started_at or at.now)


def _succeed(ti: TaskInstance, event: Succeeded, at: Circumstances) -> TaskInstance:
    return replace(
        ti,
        state=State.SUCCESS,
        ended_at=at.now,
        due=None,
        resume=None,
        losses=0,
        result_length=event.result_length,
        decision=event.decision,
    )


def _skip(ti: TaskInstance, event: Skipped, at: Circumstances) -> TaskInstance:
    return replace(ti, state=State.SKIPPED, ended_at=at.now, due=None, resume=None)


def _fail(ti: TaskInstance, event: Failed, at: Circumstances) -> TaskInstance:
    """Another try while there are retries left, unless the failure itself forbids one."""
    if not (event.retry and ti.try_number <= ti.max_tries):
        return replace(ti, state=State.FAILED, ended_at=at.now, due=None, resume=None)
    delay = delay_after(at.spec.retry, ti.try_number, at.seed, event.delay)
    return replace(ti, state=State.UP_FOR_RETRY, ended_at=at.now, due=at.now + delay, resume=None)


def _lose(ti: TaskInstance, event: Lost, at: Circumstances) -> TaskInstance:
    """A loss is tried again at once and costs no retry, until there have been too many of them."""
    if ti.losses >= MAX_LOSSES:
        return _fail(ti, Failed(event.identity, event.error), at)
    return replace(
        ti,
        state=State.UP_FOR_RETRY,
        ended_at=at.now,
        due=at.now,
        resume=None,
        losses=ti.losses + 1,
        max_tries=ti.max_tries + 1,
    )


def _reschedule(ti: TaskInstance, event: Rescheduled, at: Circumstances) -> TaskInstance:
    return replace(ti, state=State.UP_FOR_RESCHEDULE, due=event.due)


def _defer(ti: TaskInstance, event: Deferred, at: Circumstances) -> TaskInstance:
    return replace(
        ti,
        state=State.DEFERRED,
        due=None if event.timeout is None else at.now + max(event.timeout, timedelta(0)),
        resume={"method": event.method, "arguments": event.method_arguments},
    )


def _fire(ti: TaskInstance, event: TriggerFired, at: Circumstances) -> TaskInstance:
    """User code is to be entered again with what the trigger says, unless the trigger ends the task."""
    if event.end_state is State.SUCCESS:
        return _succeed(ti, Succeeded(event.identity), at)
    if event.end_state is State.SKIPPED:
        return _skip(ti, Skipped(event.identity), at)
    if event.end_state is State.FAILED:
        return _fail(ti, Failed(event.identity, event.error), at)
    said = {"error": event.error} if event.error else {"event": event.payload}
    return replace(ti, state=State.UP_FOR_RESCHEDULE, due=at.now, resume={**(ti.resume or {}), **said})


def _time_out(ti: TaskInstance, _: TimedOut, at: Circumstances) -> TaskInstance:
    return replace(
        ti,
        state=State.UP_FOR_RESCHEDULE,
        due=at.now,
        resume={**(ti.resume or {}), "error": "the trigger did not fire in time", "timeout": True},
    )


def _ignore(ti: TaskInstance, _: object, at: Circumstances) -> TaskInstance:
    return ti


def _clear(ti: TaskInstance, _: object, at: Circumstances) -> TaskInstance:
    """As if it had not run, but for its try number, which is never used again.

    An execution that is still going on is cancelled; the next try is let into user code only when the attempt
    before it has ended (I7, `piper.task_api.handshake`).
    """
    return replace(
        ti,
        state=State.NONE,
        leg=0,
        max_tries=ti.try_number + at.spec.retry.retries,
        losses=0,
        due=None,
        result_length=None,
        decision=None,
        resume=None,
        started_at=None,
        ended_at=None,
    )


def _mark(ti: TaskInstance, event: Marked, at: Circumstances) -> TaskInstance:
    return replace(ti, state=event.state, ended_at=at.now, due=None, resume=None)


def _vanish(ti: TaskInstance, _: Vanished, at: Circumstances) -> TaskInstance:
    return replace(ti, state=State.REMOVED, ended_at=at.now, due=None, resume=None)


def _row(
    sources: frozenset[TaskState] | TaskState,
    event: type,
    targets: frozenset[TaskState] | TaskState,
    apply: Apply,
    *,
    writer: str = "owner",
    cancels: bool = False,
) -> Row:
    return Row(
        frozenset({sources}) if isinstance(sources, TaskState) else frozenset(sources),
        event,
        frozenset({targets}) if isinstance(targets, TaskState) else frozenset(targets),
        writer,
        apply,
        cancels,
    )


_STATES = frozenset(State) - {State.RESTARTING}  # Airflow's name; here a cleared execution is simply over
_ENDED_BY_RULE = frozenset({State.SKIPPED, State.UPSTREAM_FAILED, State.REMOVED})
_ENDED_BY_MARK = frozenset({State.SUCCESS, State.FAILED, State.SKIPPED})
_RETRIED = frozenset({State.UP_FOR_RETRY, State.FAILED})
_IDLE = frozenset({State.NONE, State.UP_FOR_RETRY, State.UP_FOR_RESCHEDULE})
_FIRED = frozenset({State.UP_FOR_RESCHEDULE, State.SUCCESS, State.FAILED, State.SKIPPED, State.UP_FOR_RETRY})
_LATE = FINISHED | {State.NONE, State.UP_FOR_RETRY, State.UP_FOR_RESCHEDULE}

TABLE: tuple[Row, ...] = (
    # decided by the owner
    _row(_IDLE, RuleDecided, _ENDED_BY_RULE, _decide),
    _row(_IDLE, Admitted, frozenset({State.SCHEDULED, State.DEFERRED}), _admit),
    _row(State.NONE, Passed, State.SUCCESS, _pass),
    # handed out and begun
    _row(State.SCHEDULED, Granted, State.QUEUED, _grant, writer="executor"),
    _row(State.QUEUED, Started, State.RUNNING, _start, writer="worker"),
    # reported by its worker, applied by the owner
    _row(IN_FLIGHT, Succeeded, State.SUCCESS, _succeed),
    _row(IN_FLIGHT, Failed, _RETRIED, _fail),
    _row(IN_FLIGHT, Skipped, State.SKIPPED, _skip),
    _row(IN_FLIGHT, Rescheduled, State.UP_FOR_RESCHEDULE, _reschedule),
    _row(IN_FLIGHT, Deferred, State.DEFERRED, _defer),
    _row(IN_FLIGHT, Lost, _RETRIED, _lose),
    # a wait ends
    _row(State.DEFERRED, TriggerFired, _FIRED, _fire),
    _row(State.DEFERRED, TimedOut, State.UP_FOR_RESCHEDULE, _time_out),
    # what comes late, twice, or of an execution that is over
    _row(_STATES, Stale, frozenset(), _ignore),
    *(
        _row(_LATE | {State.DEFERRED, State.AWAITING_INPUT}, report, frozenset(), _ignore)
        for report in (Succeeded, Failed, Skipped, Rescheduled, Deferred, Lost)
    ),
    _row(_STATES - {State.DEFERRED}, TriggerFired, frozenset(), _ignore),
    # people
    _row(FINISHED | WAITING | {State.NONE}, Cleared, State.NONE, _clear),
    _row(IN_FLIGHT, Cleared, State.NONE, _clear, cancels=True),
    _row(_STATES, Marked, _ENDED_BY_MARK, _mark, cancels=True),
    _row(_STATES, Vanished, State.REMOVED, _vanish, cancels=True),
)


def _indexed(rows: tuple[Row, ...]) -> Mapping[tuple[TaskState, type], Row]:
    table: dict[tuple[TaskState, type], Row] = {}
    for row in rows:
        for source in row.sources:
            if (source, row.event) in table:
                raise ValueError(f"two rows for {source} and {row.event.__name__}")
            table[source, row.event] = row
    return MappingProxyType(table)


TRANSITIONS: Mapping[tuple[TaskState, type], Row] = _indexed(TABLE)


def transition(ti: TaskInstance, event: Any, at: Circumstances) -> tuple[TaskInstance, Row]:
    """What `event` makes of an instance, and the row that says so.

    Raises:
        NoSuchTransition: the table has no such row.
    """
    row = TRANSITIONS.get((ti.state, type(event)))
    if row is None:
        raise NoSuchTransition(ti, event)
    return row.apply(ti, event, at), row


def sources(event: type) -> frozenset[TaskState]:
    """The states in which `event` changes something: what a guard in the store must ask for."""
    return frozenset().union(*(row.sources for row in TABLE if row.event is event and row.targets))
