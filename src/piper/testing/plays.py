"""Playing a run: the scheduler's decisions and the tasks' code, one after the other in this process."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from piper.core.graph import Graph
from piper.core.memory import RunMemory
from piper.core.run import Begin, Due, RunEvent, RunOverdue, step
from piper.model import wire
from piper.model.errors import Conflict, NotFound
from piper.model.events import Deferred, Failed, Rescheduled, Skipped, Succeeded, TaskEvent
from piper.model.ids import UNMAPPED, run_id_for, shard_of
from piper.model.run import NOT_SIZED, Decision, Run, TaskInstance
from piper.model.spec import RETURN_KEY, Json, TaskSpec, WorkflowSpec, encode_spec, spec_hash
from piper.model.states import IN_FLIGHT, RunState, RunType, TaskState
from piper.sdk.dags import DAG
from piper.sdk.execution import serde
from piper.sdk.execution.outcome import is_retried
from piper.sdk.operator import AbstractOperator
from piper.sdk.params import ParamsDict
from piper.sdk.placeholders import NOTSET
from piper.sdk.specs import spec_of
from piper.sdk.xcom_arg import PlainXComArg
from piper.testing.answers import Answers, GivenXComs
from piper.testing.clocks import Clock, clock_at
from piper.testing.performing import Performer, due_of, leg_after
from piper.testing.results import Record, RunResult, TaskResult
from piper.timetables import manual_interval

if TYPE_CHECKING:
    from piper.sdk.connection import Connection

Connections = Mapping[str, "Connection | str | Mapping[str, Any]"]


@dataclass(frozen=True)
class Given:
    """What a test gives to the runs that it plays."""

    xcoms: GivenXComs = field(default_factory=dict)
    connections: Connections = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[RunResult, ...] = ()
    dags: tuple[DAG, ...] = ()
    passing: re.Pattern[str] | None = None
    """Tasks whose ids match it succeed without being run."""
    dice: random.Random | None = None
    """Decide which of the tasks that are ready runs next; without, the one that has waited longest."""


def run_dag(
    dag: DAG,
    *,
    logical_date: Any = NOTSET,
    run_after: datetime | None = None,
    run_type: RunType = RunType.MANUAL,
    params: Mapping[str, Json] | None = None,
    xcoms: GivenXComs | None = None,
    connections: Connections | None = None,
    variables: Mapping[str, Any] | None = None,
    earlier: Iterable[RunResult] = (),
    dags: Iterable[DAG] = (),
    clock: datetime | None = None,
) -> RunResult:
    """Run a DAG to its end, in this process.

    Arguments:
        logical_date: the run's date; by default now. None: a run without one.
        run_after: when the run was due; by default its date.
        run_type: why there is the run.
        params: values of its params, as someone who triggers it would give them.
        xcoms: task id → what it returns, or (task id, key) → a value. These tasks are not run: they succeed with
            that. Of a mapped task a list, a value for each instance; of a branch, what it follows.
        connections: conn_id → a Connection, its URI, or its fields as a dict.
        variables: name → value; what is no text is stored as JSON.
        earlier: results of runs that there were before, of this DAG or of others: for depends_on_past, XComs of
            prior dates, sensors of other DAGs, asset events.
        dags: other DAGs, which its tasks may trigger; a triggered run is played at once.
        clock: the moment at which the run begins. Time then stands still; who waits finds that it is later.
            Without it the computer's clock counts, and waiting takes its time.

    Returns:
        How the run and its tasks ended. That it failed is a result too, and raises nothing.

    Raises:
        ParamValidationError: the params are not valid.
        AuthorError: the DAG is not well formed.
    """
    given = Given(xcoms or {}, connections or {}, variables or {}, tuple(earlier), tuple(dags))
    return play(dag, given, clock_at(clock), logical_date, run_after, run_type, params)


def run_task(
    task: Any,
    *,
    logical_date: Any = NOTSET,
    run_type: RunType = RunType.MANUAL,
    params: Mapping[str, Json] | None = None,
    map_index: int = UNMAPPED,
    try_number: int = 1,
    xcoms: GivenXComs | None = None,
    connections: Connections | None = None,
    variables: Mapping[str, Any] | None = None,
    earlier: Iterable[RunResult] = (),
    dags: Iterable[DAG] = (),
    clock: datetime | None = None,
) -> TaskResult:
    """Run one try of one task alone, whatever its upstream tasks and its trigger rule say.

    A sensor is asked until it is done, a deferred task waits for its trigger, all within this call.

    Arguments:
        task: an operator, or what calling a `@task` function gave.
        map_index: of a mapped task, which instance.
        try_number: which try it takes itself to be.
        xcoms: what upstream tasks have left: task id → what it returned, or (task id, key) → a value.

    The other arguments are those of `run_dag`.

    Returns:
        How it ended: success, failed, skipped, or up_for_retry after a failure that is tried again.
    """
    operator = task.operator if isinstance(task, PlainXComArg) else task
    dag = operator.get_dag() or _dag_around(operator)
    given = Given(xcoms or {}, connections or {}, variables or {}, tuple(earlier), tuple(dags))
    the_clock = clock_at(clock)
    with the_clock.running():
        run = Play(dag, given, the_clock, logical_date, None, run_type, params)
        return run.play_alone(operator, map_index, try_number)


def play(
    dag: DAG,
    given: Given,
    clock: Clock,
    logical_date: Any = NOTSET,
    run_after: datetime | None = None,
    run_type: RunType = RunType.MANUAL,
    conf: Mapping[str, Json] | None = None,
) -> RunResult:
    """As `run_dag`, of what has been put together."""
    with clock.running():
        return Play(dag, given, clock, logical_date, run_after, run_type, conf).play()


class Play:
    """One run while it is played.

    The loop is the scheduler's, without its database: decide on memory, take the changes over, run what became
    ready, report. When nothing is ready, the next trigger or timer is waited for, whichever comes first.
    """

    def __init__(
        self,
        dag: DAG,
        given: Given,
        clock: Clock,
        logical_date: Any = NOTSET,
        run_after: datetime | None = None,
        run_type: RunType = RunType.MANUAL,
        conf: Mapping[str, Json] | None = None,
        run_id: str = "",
        others: Iterable[Record] = (),
    ) -> None:
        self._dag, self._given, self._clock = dag, given, clock
        self._spec = spec_of(dag, file=dag.fileloc, now=clock.now())
        self._tasks = {task.task_id: task for task in self._spec.tasks}
        self._check_given(conf or {})
        date = clock.now() if logical_date is NOTSET else logical_date
        run = _a_run(self._spec, date, run_after or date or clock.now(), run_type, conf or {}, run_id, clock.now())
        record = Record(run, self._spec)
        earlier = [result.record for result in _with_triggered(given.earlier)]
        self._answers = Answers(
            record,
            connections=given.connections,
            variables=given.variables,
            earlier=[*earlier, *others],
            dags={each.dag_id: each for each in (*given.dags, dag)},
            trigger=self._trigger,
        )
        self._performer = Performer(self._answers, clock)
        self._memory = RunMemory(run, Graph(self._spec))
        self._facts = self._answers.facts_of_past()
        self._ready: dict[int, TaskInstance] = {}
        self._deferred: dict[int, TaskInstance] = {}
        self._triggered: list[RunResult] = []

    # --- to the end -----------------------------------------------------------------------------------

    def play(self) -> RunResult:
        """The whole run."""
        self._say(Begin())
        try:
            while not self._memory.run.state.finished:
                if self._is_overdue():
                    self._say(RunOverdue())
                elif self._ready:
                    ti = self._next()
                    self._say(self._run(ti))
                elif not self._wait():
                    break  # another run holds it up: it stays running, as it would in production
        finally:
            self._performer.close()
        return self.result()

    def play_alone(self, operator: AbstractOperator, map_index: int, try_number: int) -> TaskResult:
        """One try of one task, without the scheduler."""
        spec = self._tasks[operator.task_id]
        for task_id, key in self._given_keys():
            for index, value in self._given_values(self._tasks[task_id], key).items():
                self._push(task_id, index, key, value)
        retries = spec.retry.retries
        ti = TaskInstance(id=1, task_id=spec.task_id, map_index=map_index, try_number=try_number, max_tries=retries)
        while True:
            event = self._performer.perform(operator, spec, ti)
            if isinstance(event, Rescheduled):
                self._clock.wait_until(event.due)
                ti = leg_after(ti, event, None)
            elif isinstance(event, Deferred):
                due = due_of(event, self._clock.now())
                ti = leg_after(ti, event, self._performer.await_triggers([ti], due))
            else:
                break
        self._performer.close()
        record = self._answers.record
        record.instances[spec.task_id, map_index] = replace(ti, state=_end_of(event, ti))
        return self.result().tasks[0]

    def result(self) -> RunResult:
        """What there is to see."""
        return RunResult(self._answers.record, tuple(self._triggered))

    # --- one step -------------------------------------------------------------------------------------

    def _say(self, *events: RunEvent) -> None:
        """Let the scheduler's core decide, and take over what it says."""
        changes = step(self._memory, events, self._clock.now(), self._facts)
        assert not changes.refused, changes.refused
        self._memory.take_over(changes)
        record = self._answers.record
        record.run = self._memory.run
        for (node, index), ti in changes.instances.items():
            task_id = self._spec.tasks[node].task_id
            if ti is None:
                record.instances.pop((task_id, index), None)
                continue
            record.instances[task_id, index] = ti
            for state, those in ((IN_FLIGHT, self._ready), ({TaskState.DEFERRED}, self._deferred)):
                if ti.state in state:
                    those[ti.id] = ti
                else:
                    those.pop(ti.id, None)

    def _next(self) -> TaskInstance:
        if self._given.dice is not None:
            return self._given.dice.choice(list(self._ready.values()))
        return next(iter(self._ready.values()))

    def _run(self, ti: TaskInstance) -> TaskEvent:
        task = self._tasks[ti.task_id]
        if any(task_id == ti.task_id for task_id, _ in self._given_keys()):
            return self._take_given(task, ti)
        if self._given.passing is not None and self._given.passing.fullmatch(ti.task_id):
            return Succeeded(ti.identity)
        return self._performer.perform(self._dag.get_task(ti.task_id), task, ti)

    def _wait(self) -> bool:
        """Let the next happen that somebody waits for, a trigger or a moment; whether there is any."""
        timers = sorted(self._memory.timers())
        moment = min((each for each in (timers[0][0] if timers else None, self._memory.deadline) if each), default=None)
        if self._deferred:
            fired = self._performer.await_triggers(self._deferred.values(), moment)
            if fired is not None:
                self._say(fired)
                return True
        if moment is None:
            return False
        self._clock.wait_until(moment)
        now = self._clock.now()
        self._say(Due(tuple(number for moment, number in timers if moment <= now)))
        return True

    def _is_overdue(self) -> bool:
        deadline = self._memory.deadline
        return deadline is not None and deadline <= self._clock.now()

    # --- what the test has given ----------------------------------------------------------------------

    def _given_keys(self) -> list[tuple[str, str]]:
        return [_key(each) for each in self._given.xcoms]

    def _check_given(self, conf: Mapping[str, Json]) -> None:
        """Raise ParamValidationError or TaskNotFound if what the test gives does not fit the DAG."""
        params = ParamsDict(self._dag.params)
        params.update(conf)
        params.validate()
        for task_id, _ in self._given_keys():
            self._dag.get_task(task_id)

    def _given_values(self, task: TaskSpec, key: str) -> dict[int, Any]:
        """Map index → the value that a test gave for a task."""
        value = next(value for each, value in self._given.xcoms.items() if _key(each) == (task.task_id, key))
        operator = self._dag.get_task(task.task_id)
        if not (operator.is_mapped or operator.get_closest_mapped_task_group() is not None):
            return {UNMAPPED: value}
        if not isinstance(value, list | tuple):
            raise TypeError(f"xcoms: task {task.task_id!r} is mapped: give a list, a value for each instance")
        return {index: one for index, one in enumerate(value) if one is not None}

    def _take_given(self, task: TaskSpec, ti: TaskInstance) -> Succeeded:
        """Let a task succeed with what the test has given for it."""
        length, decision = None, None
        for task_id, key in self._given_keys():
            values = self._given_values(task, key) if task_id == ti.task_id else {}
            if ti.map_index not in values:
                continue
            value = values[ti.map_index]
            if key == RETURN_KEY:
                length = len(value) if isinstance(value, list | tuple | dict) else NOT_SIZED
                decision = Decision(followed=self._followed(value)) if task.branches else None
            self._push(task_id, ti.map_index, key, value)
        return Succeeded(ti.identity, length, decision)

    def _followed(self, chosen: str | Iterable[str]) -> tuple[str, ...]:
        """The tasks that a branch follows; a group stands for the tasks that it begins with."""
        groups = self._dag.task_group_dict
        named = [chosen] if isinstance(chosen, str) else list(chosen)
        return tuple(
            task_id
            for name in named
            for task_id in ([t.task_id for t in groups[name].roots] if name in groups else [name])
        )

    def _push(self, task_id: str, map_index: int, key: str, value: Any) -> None:
        self._answers.push(task_id, map_index, wire.XComPush(key, serde.encode(value)))

    # --- runs of other DAGs ---------------------------------------------------------------------------

    def _trigger(self, asked: wire.TriggerRun) -> str:
        """Play a run of another DAG, now; its run id."""
        dag = next((each for each in self._given.dags if each.dag_id == asked.workflow_id), None)
        if dag is None:
            raise NotFound(f"there is no DAG {asked.workflow_id!r} here: give it to the test with dags=[…]")
        date = asked.logical_date
        moment = asked.run_after or date or self._clock.now()
        run_id = asked.run_id or run_id_for(RunType.OPERATOR_TRIGGERED, moment)
        existing = self._answers.find_run(asked.workflow_id, run_id)
        if existing is not None and not asked.reset:
            raise Conflict(f"DAG {asked.workflow_id!r} has a run {run_id!r} already")
        others = [record for record in self._answers.records if record is not existing]
        run = Play(dag, self._given, self._clock, date, moment, RunType.OPERATOR_TRIGGERED, asked.conf, run_id, others)
        result = run.play()
        self._triggered.append(result)
        self._answers.remember(result.record)
        return run_id


def _key(given: str | tuple[str, str]) -> tuple[str, str]:
    return (given, RETURN_KEY) if isinstance(given, str) else given


def _with_triggered(results: Iterable[RunResult]) -> Iterable[RunResult]:
    for result in results:
        yield from _with_triggered(result.triggered)
        yield result


def _a_run(
    spec: WorkflowSpec,
    date: datetime | None,
    run_after: datetime,
    run_type: RunType,
    conf: Mapping[str, Json],
    run_id: str,
    now: datetime,
) -> Run:
    """The run, as it waits to begin."""
    return Run(
        id=1,
        workflow_id=spec.workflow_id,
        run_id=run_id or run_id_for(run_type, date or run_after),
        shard=shard_of(spec.workflow_id),
        team="",
        run_type=run_type,
        state=RunState.QUEUED,
        logical_date=date,
        interval=None if date is None else manual_interval(spec.schedule.timetable, date),
        run_after=run_after,
        spec_hash=spec_hash(encode_spec(spec)),
        snapshot="",
        conf=dict(conf),
        created_at=now,
        queued_at=now,
    )


def _dag_around(operator: AbstractOperator) -> DAG:
    dag = DAG("test", auto_register=False)
    dag.add_task(operator)
    return dag


def _end_of(event: TaskEvent, ti: TaskInstance) -> TaskState:
    """The state of an instance after an event that ends its try."""
    match event:
        case Succeeded():
            return TaskState.SUCCESS
        case Skipped():
            return TaskState.SKIPPED
        case Failed() if is_retried(event, ti.max_tries):
            return TaskState.UP_FOR_RETRY
        case _:
            return TaskState.FAILED
