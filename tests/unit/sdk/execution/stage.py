"""A stage for one execution: facts as the Task API would grant them, and a channel that answers from memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from piper.model import wire
from piper.model.errors import NotFound
from piper.model.events import Deferred, Failed, Rescheduled, Skipped, Succeeded
from piper.model.ids import UNMAPPED
from piper.model.run import Identity
from piper.model.schedule import DataInterval
from piper.model.spec import RETURN_KEY, TaskSpec
from piper.model.states import RunType
from piper.sdk.dags import DAG
from piper.sdk.execution import serde
from piper.sdk.execution.runner import run_task

NOON = datetime(2024, 5, 6, 12, 30, 15, tzinfo=UTC)
"""The logical date, a Monday."""


class MemoryChannel:
    """Answers from dicts, and remembers what was asked. Answers pass through MessagePack, as over a socket."""

    def __init__(
        self,
        xcoms: dict[tuple[str, str, int], Any] | None = None,
        variables: dict[str, str] | None = None,
        connections: dict[str, dict[str, Any]] | None = None,
        answers: dict[type, Callable[[Any], Any]] | None = None,
    ) -> None:
        self.xcoms = {key: serde.encode(value) for key, value in (xcoms or {}).items()}
        self.variables = variables or {}
        self.connections = connections or {}
        self.answers = answers or {}
        self.asked: list[wire.Request] = []
        self.masked: list[str] = []

    def ask(self, request: wire.Request) -> Any:
        self.asked.append(request)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(self._answer(request)))

    def tell(self, request: wire.Request) -> None:
        self.asked.append(request)

    def requests(self, kind: type) -> list[Any]:
        """What was asked of one kind."""
        return [request for request in self.asked if isinstance(request, kind)]

    def _answer(self, request: wire.Request) -> Any:
        if type(request) in self.answers:
            return self.answers[type(request)](request)
        match request:
            case wire.GetXCom():
                return self._xcom(request)
            case wire.GetXComs():
                return self._xcoms(request)
            case wire.PushXCom(xcom):
                self.xcoms["pushed", xcom.key, UNMAPPED] = xcom.value
            case wire.Mask(values):
                self.masked += values
            case wire.GetVariable(key):
                return self._named("variable", self.variables, key)
            case wire.SetVariable(key, value):
                self.variables[key] = value
            case wire.DeleteVariable(key):
                self._named("variable", self.variables, key)
                del self.variables[key]
            case wire.GetConnection(conn_id):
                return self._named("connection", self.connections, conn_id)
            case wire.GetPreviousRun() | wire.GetRun() | wire.FindWorkflow():
                return None
            case wire.GetAssetEvents():
                return []
            case _:
                raise AssertionError(f"the stage has no answer to {request}")
        return None

    def _named(self, kind: str, things: dict[str, Any], name: str) -> Any:
        if name not in things:
            raise NotFound(f"no {kind} {name!r}")
        return things[name]

    def _xcom(self, request: wire.GetXCom) -> wire.XComFound:
        text = self.xcoms.get(
            (request.task_id, request.key, UNMAPPED if request.map_index is None else request.map_index)
        )
        if text is None:
            return wire.XComFound(None)
        whole = msgspec.json.decode(text)
        if isinstance(whole, dict) and whole.get("__classname__") == "builtins.tuple":
            whole = whole["__data__"]
        length = len(whole) if isinstance(whole, list | dict) else None
        if request.element is None:
            return wire.XComFound(text, length)
        if length is None or request.element >= length:
            return wire.XComFound(None, length)
        if isinstance(whole, list):
            return wire.XComFound(msgspec.json.encode(whole[request.element]), length)
        key, value = list(whole.items())[request.element]
        return wire.XComFound(msgspec.json.encode(value), length, key)

    def _xcoms(self, request: wire.GetXComs) -> wire.XComsFound:
        found = sorted(
            (index, text)
            for (task_id, key, index), text in self.xcoms.items()
            if (task_id, key) == (request.task_id, request.key)
        )
        return wire.XComsFound(len(found), tuple(found[request.start : request.stop]))


def a_run(**changes: Any) -> wire.RunContext:
    """A scheduled run at NOON about the day before it."""
    fields: dict[str, Any] = {
        "workflow_id": "flow",
        "run_id": "scheduled__2024-05-06",
        "run_type": RunType.SCHEDULED,
        "logical_date": NOON,
        "interval": DataInterval(NOON - timedelta(days=1), NOON),
        "run_after": NOON,
        "started_at": NOON,
    }
    return wire.RunContext(**fields | changes)


def facts(
    task_id: str = "task",
    *,
    run: wire.RunContext | None = None,
    map_index: int = UNMAPPED,
    try_number: int = 1,
    max_tries: int = 0,
    spec: TaskSpec | None = None,
    **changes: Any,
) -> wire.TaskContext:
    """What the Task API grants an execution."""
    fields: dict[str, Any] = {
        "identity": Identity(7, try_number, 0),
        "task": spec or TaskSpec(task_id, "piper.operators.python.PythonOperator"),
        "map_index": map_index,
        "max_tries": max_tries,
        "run": run or a_run(),
        "team": "",
        "code": wire.CodeRef(),
        "started_at": NOON,
    }
    return wire.TaskContext(**fields | changes)


def perform(
    operator: Any, granted: wire.TaskContext | None = None, channel: MemoryChannel | None = None, **changes: Any
) -> wire.Report:
    """Run an operator as a worker's child would; the report passes through MessagePack, as over a socket."""
    report = run_task(operator, granted or facts(operator.task_id, **changes), channel or MemoryChannel())
    return msgspec.msgpack.decode(msgspec.msgpack.encode(report), type=wire.Report)


def a_dag(dag_id: str = "flow", **arguments: Any) -> DAG:
    """A DAG to put tasks into."""
    return DAG(dag_id, **arguments)


def result_of(report: wire.Report) -> Any:
    """What a task returned. Fails if it did not succeed."""
    assert isinstance(report.event, Succeeded), report.event
    return pushed(report).get(RETURN_KEY)


def pushed(report: wire.Report) -> dict[str, Any]:
    """The XComs of a report, by key."""
    return {xcom.key: serde.decode(xcom.value) for xcom in report.xcoms}


def error_of(report: wire.Report) -> str:
    """How a task failed. Fails if it did not fail."""
    assert isinstance(report.event, Failed), report.event
    return report.event.error


Ended = Succeeded | Failed | Skipped | Rescheduled | Deferred


def kinds(requests: Sequence[Any]) -> list[str]:
    """Names of what was asked."""
    return [type(request).__name__ for request in requests]
