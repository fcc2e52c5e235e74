"""What running tasks are told: the Task API, in memory.

It knows what the test has given (connections, variables, earlier runs, other DAGs), the run that is played, and the
runs that its tasks start. Answers pass through MessagePack, as they do over a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from piper.core.memory import NO_FACTS, Facts
from piper.model import wire
from piper.model.errors import Invalid, NotFound, PiperError
from piper.model.events import AssetEventOut
from piper.model.ids import UNMAPPED
from piper.model.run import Run
from piper.model.spec import Json
from piper.sdk.connection import Connection
from piper.testing.results import Record

if TYPE_CHECKING:
    from piper.sdk.dags import DAG

GivenXComs = Mapping["str | tuple[str, str]", Any]
"""Task id, or (task id, key) → value; of a mapped task a list, a value for each instance."""

Trigger = Callable[[wire.TriggerRun], str]
"""Starts a run of another DAG, and answers its run id."""


class Answers:
    """The answers to the questions of one run's tasks.

    Arguments:
        record: of the run that is played.
        earlier: of runs that there were before, of this DAG or others.
        dags: other DAGs that its tasks may ask about or start, by id.
        trigger: starts one of those.
    """

    def __init__(
        self,
        record: Record,
        *,
        connections: Mapping[str, Connection | str | Mapping[str, Any]],
        variables: Mapping[str, Any],
        earlier: Iterable[Record],
        dags: Mapping[str, DAG],
        trigger: Trigger,
    ) -> None:
        self.record = record
        self._connections = {name: _fields(name, given) for name, given in connections.items()}
        self._variables = {name: _text(given) for name, given in variables.items()}
        self._records = [*earlier]
        self._dags = dags
        self._trigger = trigger
        self._answers: dict[type, Callable[[Any], Any]] = {
            wire.GetXCom: self._xcom,
            wire.GetXComs: self._xcoms,
            wire.Mask: lambda _: None,
            wire.GetVariable: lambda asked: _named("variable", self._variables, asked.key),
            wire.SetVariable: lambda asked: self._variables.update({asked.key: asked.value}),
            wire.DeleteVariable: lambda asked: self._variables.pop(asked.key, None) and None,
            wire.GetConnection: lambda asked: _named("connection", self._connections, asked.conn_id),
            wire.TriggerRun: lambda asked: self._trigger(asked),
            wire.GetRun: self._run,
            wire.CountRuns: lambda asked: len(list(self._runs(asked))),
            wire.CountInstances: self._count_instances,
            wire.FindWorkflow: self._workflow,
            wire.GetPreviousRun: self._previous_run,
            wire.GetInstanceStates: self._instance_states,
            wire.GetAssetEvents: self._asset_events,
        }

    def answer(self, question: wire.Request) -> Any:
        """The answer to a question that does not depend on who asks.

        Raises:
            Invalid: it is no question that a task may ask.
        """
        answer = self._answers.get(type(question))
        if answer is None:
            raise Invalid(f"{type(question).__name__} is not a question that a task may ask")
        return answer(question)

    def remember(self, record: Record) -> None:
        """Another run that can be asked about from now on."""
        self._records.append(record)

    def push(self, task_id: str, map_index: int, xcom: wire.XComPush) -> None:
        """Keep a value for later tasks."""
        self.record.xcoms.setdefault((task_id, xcom.key), {})[map_index] = xcom.value

    def forget(self, task_id: str, map_index: int) -> None:
        """A new try begins without the values of the one before."""
        for (owner, _), values in self.record.xcoms.items():
            if owner == task_id:
                values.pop(map_index, None)

    def emit(self, events: Iterable[AssetEventOut], task_id: str, map_index: int, now: datetime) -> None:
        """Keep the asset events of a task that has succeeded."""
        run = self.record.run
        for event in events:
            self.record.asset_events.append(
                wire.AssetEventFound(
                    id=sum(len(record.asset_events) for record in self.records) + 1,
                    asset=event.asset,
                    timestamp=now,
                    extra=event.extra,
                    workflow_id=run.workflow_id,
                    run_id=run.run_id,
                    task_id=task_id,
                    map_index=map_index,
                    aliases=(event.alias,) if event.alias else (),
                    partition_key=event.partition_key,
                )
            )

    # --- XComs ----------------------------------------------------------------------------------------

    def _xcom(self, asked: wire.GetXCom) -> wire.XComFound:
        index = UNMAPPED if asked.map_index is None else asked.map_index
        for record in self._asked_records(asked):
            text = record.xcoms.get((asked.task_id, asked.key), {}).get(index)
            if text is not None:
                return _found(text, asked.element)
        return wire.XComFound(None)

    def _xcoms(self, asked: wire.GetXComs) -> wire.XComsFound:
        values: dict[int, bytes] = {}
        for record in self._asked_records(asked):
            values = record.xcoms.get((asked.task_id, asked.key), {})
        found = sorted(values.items())
        return wire.XComsFound(len(found), tuple(found[asked.start : asked.stop]))

    def _asked_records(self, asked: wire.GetXCom | wire.GetXComs) -> Iterator[Record]:
        """The runs that a question about XComs is about, the one that is to answer first."""
        own = self.record.run
        workflow_id, run_id = asked.workflow_id or own.workflow_id, asked.run_id or own.run_id
        if isinstance(asked, wire.GetXCom) and asked.include_prior_dates and own.logical_date is not None:
            yield from self._back_from(own.logical_date, workflow_id, inclusive=True)
            return
        yield from (one for one in self.records if (one.run.workflow_id, one.run.run_id) == (workflow_id, run_id))

    # --- runs, tasks, workflows, assets ---------------------------------------------------------------

    @property
    def records(self) -> list[Record]:
        """All runs that can be asked about, this one last."""
        return [*self._records, self.record]

    def find_run(self, workflow_id: str, run_id: str) -> Record | None:
        """The run of that id, if there is one."""
        return next(
            (one for one in self.records if (one.run.workflow_id, one.run.run_id) == (workflow_id, run_id)), None
        )

    def _back_from(self, date: datetime, workflow_id: str, *, inclusive: bool = False) -> list[Record]:
        """Runs of a workflow before a date, the latest first."""
        dated = [
            (one.run.logical_date, one)
            for one in self.records
            if one.run.workflow_id == workflow_id and one.run.logical_date is not None
        ]
        before = [(when, one) for when, one in dated if when < date or (inclusive and when == date)]
        return [one for _, one in sorted(before, key=lambda pair: pair[0], reverse=True)]

    def _runs(self, asked: wire.CountRuns | wire.CountInstances) -> Iterator[Record]:
        for record in self.records:
            run = record.run
            if (
                run.workflow_id == asked.workflow_id
                and (not asked.logical_dates or run.logical_date in asked.logical_dates)
                and (not asked.run_ids or run.run_id in asked.run_ids)
                and (not isinstance(asked, wire.CountRuns) or not asked.states or run.state in asked.states)
            ):
                yield record

    def _run(self, asked: wire.GetRun) -> wire.RunContext | None:
        for record in self.records:
            run = record.run
            wanted = run.run_id == asked.run_id if asked.run_id else run.logical_date == asked.logical_date
            if run.workflow_id == asked.workflow_id and wanted:
                return context_of(run)
        return None

    def _previous_run(self, asked: wire.GetPreviousRun) -> wire.RunContext | None:
        own = self.record.run
        if own.logical_date is None:
            return None
        found = (one.run for one in self._back_from(own.logical_date, own.workflow_id))
        return next((context_of(run) for run in found if asked.state is None or run.state is asked.state), None)

    def _count_instances(self, asked: wire.CountInstances) -> int:
        count = 0
        for record in self._runs(asked):
            wanted = set(asked.task_ids)
            if asked.group_id:
                if not any(group.group_id == asked.group_id for group in record.spec.groups):
                    raise NotFound(f"workflow {asked.workflow_id!r} has no task group {asked.group_id!r}")
                inside = (asked.group_id, f"{asked.group_id}.")
                wanted |= {
                    t.task_id for t in record.spec.tasks if t.group == inside[0] or t.group.startswith(inside[1])
                }
            count += sum(
                1
                for ti in record.instances.values()
                if (not wanted or ti.task_id in wanted) and (not asked.states or ti.state in asked.states)
            )
        return count

    def _instance_states(self, asked: wire.GetInstanceStates) -> dict[str, dict[int, str]]:
        found: dict[str, dict[int, str]] = {task_id: {} for task_id in asked.task_ids}
        for (task_id, index), ti in self.record.instances.items():
            if task_id in found:
                found[task_id][index] = ti.state.value
        return found

    def _workflow(self, asked: wire.FindWorkflow) -> wire.WorkflowFound | None:
        dag = self._dags.get(asked.workflow_id)
        if dag is None:
            return None
        return wire.WorkflowFound(
            dag.dag_id, paused=False, task_ids=tuple(dag.task_ids), group_ids=tuple(dag.task_group_dict)
        )

    def _asset_events(self, asked: wire.GetAssetEvents) -> list[wire.AssetEventFound]:
        events = [event for record in self.records for event in record.asset_events]
        if asked.triggering:
            return [event for record in self._records for event in record.asset_events]
        found = [event for event in events if _matches(event, asked)]
        if not asked.ascending:
            found.reverse()
        if asked.beyond is not None:
            found = found[[event.id for event in found].index(asked.beyond) + 1 :]
        return found if asked.limit is None else found[: asked.limit]

    def facts_of_past(self) -> Facts:
        """What the run before this one says to tasks that depend on it."""
        own = self.record.run
        if own.logical_date is None:
            return NO_FACTS
        for record in self._back_from(own.logical_date, own.workflow_id):
            states: dict[str, tuple[Any, ...]] = {}
            for (task_id, _), ti in record.instances.items():
                states[task_id] = (*states.get(task_id, ()), ti.state)
            return Facts(previous=states, previous_date=record.run.logical_date)
        return NO_FACTS


class MemoryChannel:
    """One execution's way to its answers."""

    def __init__(self, answers: Answers, task_id: str, map_index: int) -> None:
        self._answers = answers
        self._task_id = task_id
        self._map_index = map_index

    def ask(self, request: wire.Request) -> Any:
        """Ask, and return the answer."""
        if isinstance(request, wire.PushXCom):
            self._answers.push(self._task_id, self._map_index, request.xcom)
            return None
        return msgspec.msgpack.decode(msgspec.msgpack.encode(self._answers.answer(request)))

    def tell(self, request: wire.Request) -> None:
        """Say something; trouble with it is nobody's concern, as over a socket."""
        try:
            self.ask(request)
        except PiperError:
            return


def context_of(run: Run) -> wire.RunContext:
    """A run, as its tasks may see it."""
    return wire.RunContext(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        run_type=run.run_type,
        logical_date=run.logical_date,
        interval=run.interval,
        run_after=run.run_after,
        conf=run.conf,
        started_at=run.started_at,
        queued_at=run.queued_at,
        ended_at=run.ended_at,
        state=run.state,
        clears=run.clears,
        triggered_by=run.triggered_by,
        note=run.note,
    )


def _found(text: bytes, element: int | None) -> wire.XComFound:
    """A value, or one element of it; a tuple counts as its array (`wire.GetXCom`)."""
    whole = msgspec.json.decode(text)
    if isinstance(whole, dict) and whole.get("__classname__") == "builtins.tuple":
        whole = whole["__data__"]
    length = len(whole) if isinstance(whole, list | dict) else None
    if element is None:
        return wire.XComFound(text, length)
    if length is None or element >= length:
        return wire.XComFound(None, length)
    if isinstance(whole, list):
        return wire.XComFound(msgspec.json.encode(whole[element]), length)
    key, value = list(whole.items())[element]
    return wire.XComFound(msgspec.json.encode(value), length, key)


def _matches(event: wire.AssetEventFound, asked: wire.GetAssetEvents) -> bool:
    return (
        (not asked.alias or asked.alias in event.aliases)
        and (not asked.name or event.asset.name == asked.name)
        and (not asked.uri or event.asset.uri == asked.uri)
        and (asked.after is None or event.timestamp > asked.after)
        and (asked.before is None or event.timestamp < asked.before)
        and (not asked.partition_key or event.partition_key == asked.partition_key)
        and all(str(event.extra.get(key)) == value for key, value in asked.extra.items())
    )


def _named(kind: str, things: Mapping[str, Any], name: str) -> Any:
    if name not in things:
        raise NotFound(f"the test has given no {kind} {name!r}")
    return things[name]


def _text(given: Any) -> str:
    """A variable's text; what is no text is stored as JSON."""
    return given if isinstance(given, str) else msgspec.json.encode(given).decode()


def _fields(conn_id: str, given: Connection | str | Mapping[str, Any]) -> dict[str, Json]:
    """A connection's fields, from an object, a URI, JSON text, or the fields."""
    if isinstance(given, str):
        given = Connection.from_text(given, conn_id)
    elif isinstance(given, Mapping):
        given = Connection.from_fields(given, conn_id)
    names = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")
    return {"conn_id": conn_id, **{name: getattr(given, name) for name in names}}
