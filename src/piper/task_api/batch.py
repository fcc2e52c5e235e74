"""What workers report, many calls in one transaction: starts, reports, and XComs pushed meanwhile.

A batch is three steps: values are checked and long ones put away before the transaction; then every call is judged
(`handshake`) against the rows, which are locked; then what was granted is written, each table with one statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from piper.model import wire
from piper.model.errors import Invalid, NotFound
from piper.model.events import Deferred, Failed, TriggerFired
from piper.model.ids import UNMAPPED, log_path
from piper.model.run import Identity
from piper.model.spec import RETURN_KEY, Json
from piper.model.states import TaskState
from piper.model.wire import Call, CodeRef, Problem, Reply, TaskContext, XComFound, XComPush
from piper.store.events import append_events, event_row
from piper.store.executions import (
    Ending,
    Entry,
    Execution,
    RunFacts,
    close_attempts,
    end_by_triggers,
    end_outlived,
    enter,
    label_instances,
    lock,
    why_left,
)
from piper.store.xcoms import StoredXCom, XComKey, delete_xcoms_of, find_xcoms, store_xcoms
from piper.task_api import callbacks
from piper.task_api.assets import TaskAssets, assets_of_tasks, check_changes
from piper.task_api.deferrals import check_wait
from piper.task_api.handshake import OUTCOMES, PAUSES, Verdict, is_open, judge_report, judge_start
from piper.task_api.problems import NOT_YET, STALE, problem_of
from piper.task_api.runs import RunCache
from piper.task_api.specs import KnownSpec, SpecCache, TaskPlan
from piper.task_api.values import XComValues

BATCHED = frozenset({wire.Start, wire.GiveUp, wire.Report, wire.PushXCom})
"""The requests that a batch is made of."""

PREFETCHED = 8 << 10
"""Bytes up to which an upstream value is handed over with the start."""

MAX_LABEL = 250
"""Characters of the name of a mapped instance (airflow-semantics §3.7)."""

MAX_ERROR = 4000
"""Characters of an error that are kept: it is a line for people, the traceback is in the log."""


class _Started(NamedTuple):
    """A start that gets a context."""

    call: Call
    execution: Execution
    plan: TaskPlan
    run: RunFacts


class Batch:
    """Calls whose requests are all BATCHED, made to be applied once."""

    def __init__(self, calls: Sequence[Call], values: XComValues, specs: SpecCache, runs: RunCache) -> None:
        self._values = values
        self._specs = specs
        self._runs = runs
        self.replies: list[Reply] = []
        self._pushes: list[tuple[Call, Identity, list[tuple[str, StoredXCom]]]] = []
        self._reports: list[tuple[Call, wire.Report, list[tuple[str, StoredXCom]]]] = []
        self._starts: list[tuple[Call, Identity, wire.Start]] = []
        self._given_up: list[tuple[Call, Identity, wire.GiveUp]] = []
        self._endings: list[Ending] = []
        self._outlived: list[Identity] = []
        self._ended_by_triggers: list[Ending] = []
        self._labels: list[tuple[Identity, str]] = []
        self._events: list[dict[str, Any]] = []
        self._xcoms: list[tuple[XComKey, StoredXCom]] = []
        for call in calls:
            try:
                self._sort(call)
            except Exception as error:
                self.replies.append(Reply(call.id, problem=problem_of(error)))

    @property
    def has_events(self) -> bool:
        """Whether there is something for an owner to apply."""
        return bool(self._events)

    def apply(self, connection: Connection, now: datetime) -> None:
        """Judge and write; `replies` is whole afterwards, and true once the transaction is committed."""
        identities = [identity for _, identity, _ in self._pushes]
        identities += [report.event.identity for _, report, _ in self._reports]
        identities += [identity for _, identity, _ in (*self._starts, *self._given_up)]
        executions = lock(connection, {identity.instance for identity in identities})
        runs = self._runs.get(connection, executions.values())
        for call, identity, pushed in self._pushes:
            self._push(call, identity, executions, pushed)
        for call, report, pushed in self._reports:
            self._report(call, report, executions, runs, pushed, now)
        for call, identity, given_up in self._given_up:
            self._give_up(call, identity, executions.get(identity.instance), given_up.nonce)
        started = self._begin(connection, executions, runs, now)
        label_instances(connection, self._labels)
        close_attempts(connection, self._endings)
        end_by_triggers(connection, self._ended_by_triggers)
        end_outlived(connection, self._outlived, TaskState.FAILED, why_left(connection, self._outlived), now)
        store_xcoms(connection, self._xcoms, now)
        append_events(connection, self._events)
        self._hand_over(connection, started)

    def _sort(self, call: Call) -> None:
        request, identity = call.request, call.identity
        assert identity is not None
        if isinstance(request, wire.Start):
            self._starts.append((call, identity, request))
        elif isinstance(request, wire.GiveUp):
            self._given_up.append((call, identity, request))
        elif isinstance(request, wire.PushXCom):
            self._pushes.append((call, identity, self._put([request.xcom])))
        elif isinstance(request, wire.Report):
            if request.event.identity != identity:
                raise Invalid("a report must be about the execution in whose name it is made")
            check_changes(request.event)
            if isinstance(request.event, Deferred | TriggerFired):
                check_wait(request.event)
            self._reports.append((call, request, self._put(request.xcoms)))

    def _put(self, pushes: Iterable[XComPush]) -> list[tuple[str, StoredXCom]]:
        return [(push.key, self._values.put(push)) for push in pushes]

    def _push(
        self,
        call: Call,
        identity: Identity,
        executions: dict[int, Execution],
        pushed: Iterable[tuple[str, StoredXCom]],
    ) -> None:
        execution = executions.get(identity.instance)
        if execution is None or not is_open(execution, identity):
            self.replies.append(Reply(call.id, problem=STALE))
            return
        self._xcoms += _keyed(execution, pushed)
        self.replies.append(Reply(call.id))

    def _report(
        self,
        call: Call,
        report: wire.Report,
        executions: dict[int, Execution],
        runs: dict[int, RunFacts],
        pushed: Iterable[tuple[str, StoredXCom]],
        now: datetime,
    ) -> None:
        identity = report.event.identity
        execution = executions.get(identity.instance)
        verdict = judge_report(execution, report.event)
        if verdict is Verdict.STALE or execution is None:
            self.replies.append(Reply(call.id, problem=STALE))
            self._outlived.append(identity)
            return
        self.replies.append(Reply(call.id))
        if verdict is Verdict.REPEAT:
            return
        if is_open(execution, identity):
            outcome = OUTCOMES[type(report.event)]
            self._endings.append(_ending(report, outcome, now))
            if report.label:
                self._labels.append((identity, _line(report.label, MAX_LABEL)))
            self._xcoms += _keyed(execution, pushed)
            # A second report of it in the same batch meets what the first has done.
            executions[identity.instance] = execution._replace(attempt_state=outcome)
        elif isinstance(report.event, TriggerFired) and report.event.end_state is not None:
            ending = _ending(report, report.event.end_state, now)
            self._ended_by_triggers.append(ending._replace(started_at=execution.started_at))
            executions[identity.instance] = execution._replace(attempt_state=report.event.end_state)
            self._xcoms += _keyed(execution, pushed)
        self._events.append(event_row(runs[execution.run].shard, execution.run, report.event, now))

    def _give_up(self, call: Call, identity: Identity, execution: Execution | None, nonce: str) -> None:
        """Its holder never begins it. Told apart by the nonce from another holder, who may be at work."""
        if execution is not None and execution.start_nonce == nonce and not is_open(execution, identity):
            self._outlived.append(identity)
        self.replies.append(Reply(call.id))

    def _begin(
        self, connection: Connection, executions: dict[int, Execution], runs: dict[int, RunFacts], now: datetime
    ) -> list[_Started]:
        """Let those in that may enter. The answers are made by `_hand_over`, when everything has been written."""
        if not self._starts:
            return []
        specs = self._specs.get(connection, {facts.spec_hash for facts in runs.values()})
        entries: list[Entry] = []
        outdated: list[tuple[int, str, int]] = []
        started: list[_Started] = []
        for call, identity, start in self._starts:
            execution = executions.get(identity.instance)
            verdict = judge_start(execution, identity, start.nonce)
            if verdict is Verdict.STALE or execution is None:
                self.replies.append(Reply(call.id, problem=STALE))
                continue
            if verdict is Verdict.WAIT:
                self.replies.append(Reply(call.id, problem=NOT_YET))
                continue
            run = runs[execution.run]
            plan = _plan(specs, run, execution)
            if plan is None:
                self._fail_unknown(call, identity, execution, run, now)
                continue
            if verdict is Verdict.GRANT:
                first = now if identity.leg == 0 or execution.started_at is None else execution.started_at
                entries.append(Entry(identity, first, execution.queued_at, start.worker, start.nonce))
                execution = _entered(execution, start, first)
                executions[identity.instance] = execution
                if identity.try_number > 1 and identity.leg == 0:
                    outdated.append((execution.run, execution.task_id, execution.map_index))
            started.append(_Started(call, execution, plan, run))
        enter(connection, entries)
        delete_xcoms_of(connection, outdated)
        return started

    def _fail_unknown(self, call: Call, identity: Identity, execution: Execution, run: RunFacts, now: datetime) -> None:
        """End a task that its own spec does not have: otherwise it would be sent again and again."""
        error = f"task {execution.task_id!r} is not in the spec that its run is pinned to ({run.spec_hash})"
        self._events.append(event_row(run.shard, execution.run, Failed(identity, error, retry=False), now))
        self.replies.append(Reply(call.id, problem=Problem("stale", error)))

    def _hand_over(self, connection: Connection, started: Sequence[_Started]) -> None:
        """Answer granted starts with all that these executions need."""
        wanted: dict[XComKey, None] = {}
        for one in started:
            run = one.execution.run
            for task_id, key in one.plan.reads:
                wanted[XComKey(run, task_id, key, UNMAPPED)] = None
            if one.plan.element_of:
                wanted[XComKey(run, one.plan.element_of, RETURN_KEY, UNMAPPED)] = None
        found = find_xcoms(connection, list(wanted)) if wanted else {}
        assets = assets_of_tasks(connection, [(one.run.team, one.plan.task) for one in started])
        for one, its_assets in zip(started, assets, strict=True):
            self.replies.append(Reply(one.call.id, self._context(one, found, its_assets)))

    def _context(self, one: _Started, found: dict[XComKey, StoredXCom], assets: TaskAssets) -> TaskContext:
        execution, plan, run = one.execution, one.plan, one.run
        task = plan.task
        reads = ((f"{task_id}/{key}", XComKey(execution.run, task_id, key, UNMAPPED)) for task_id, key in plan.reads)
        xcoms = {name: found[key].value for name, key in reads if key in found}
        assert execution.started_at is not None
        context = TaskContext(
            identity=execution.identity,
            task=task,
            map_index=execution.map_index,
            max_tries=execution.max_tries,
            run=run.context,
            team=run.team,
            code=run.code if execution.code else CodeRef(),
            started_at=execution.started_at,
            resume=execution.resume,
            reschedules=execution.leg if task.sensor is not None and task.sensor.mode == "reschedule" else 0,
            element=self._element(execution, plan, found),
            xcoms={name: value for name, value in xcoms.items() if value is not None and len(value) <= PREFETCHED},
            log=log_path(execution.instance, execution.try_number),
            assets=assets.resolved,
            inactive_assets=assets.inactive,
        )
        return context if execution.callback is None else callbacks.context_of(execution.callback, context)

    def _element(self, execution: Execution, plan: TaskPlan, found: dict[XComKey, StoredXCom]) -> XComFound | None:
        """A mapped instance's own element, if its task maps over one value; the list stays where it is."""
        if not plan.element_of or execution.map_index == UNMAPPED:
            return None
        stored = found.get(XComKey(execution.run, plan.element_of, RETURN_KEY, UNMAPPED))
        if stored is None:
            return None
        try:
            element = self._values.element(stored, execution.map_index)
        except NotFound:
            return None  # its artifact is gone: the task hears of it when it asks
        return element if element.value is not None and len(element.value) <= wire.INLINE_XCOM else None


def _plan(specs: dict[str, KnownSpec], run: RunFacts, execution: Execution) -> TaskPlan | None:
    spec = specs.get(run.spec_hash)
    if spec is None:
        return None
    return spec.plan(execution.task_id) if execution.callback is None else callbacks.plan_of(execution.callback, spec)


def _entered(execution: Execution, start: wire.Start, started_at: datetime) -> Execution:
    """The execution as it is once its start is granted: what another start in the same batch meets."""
    return execution._replace(
        state=TaskState.RUNNING,
        started_at=started_at,
        start_nonce=start.nonce,
        worker=start.worker,
        attempt_state=TaskState.RUNNING,
        attempt_legs=execution.leg + 1,
    )


def _keyed(execution: Execution, pushed: Iterable[tuple[str, StoredXCom]]) -> list[tuple[XComKey, StoredXCom]]:
    return [(XComKey(execution.run, execution.task_id, key, execution.map_index), stored) for key, stored in pushed]


def _ending(report: wire.Report, outcome: TaskState, now: datetime) -> Ending:
    return Ending(
        identity=report.event.identity,
        state=outcome,
        ended_at=None if outcome in PAUSES else report.ended_at or now,
        pid=report.pid,
        exit_code=report.exit_code,
        signal=report.signal,
        error=_line(report.error, MAX_ERROR),
        inputs=_storable(report.inputs),
        outputs=_storable(report.outputs),
        parameters=_storable(report.parameters),
        metrics=_storable(report.metrics),
        environment=_storable(report.environment),
        rendered=_storable(report.rendered),
    )


def _line(text: str, limit: int) -> str:
    """Text for people, no longer than that, and without the character that PostgreSQL cannot hold."""
    return text[:limit].replace("\0", "")


def _storable(value: Json) -> Json:
    """The value without NUL characters, which PostgreSQL's JSON cannot hold."""
    if value is None:
        return None
    text = msgspec.json.encode(value)
    return msgspec.json.decode(text.replace(b"\\u0000", b"")) if b"\\u0000" in text else value
