"""A run played by hand: build a small workflow, say what happens, look at the states.

The play keeps a `RunMemory` and takes over each step's changes at once, as the shell does after a commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from piper.core.graph import Graph
from piper.core.memory import NO_FACTS, Cancel, Changes, Facts, RunMemory
from piper.core.run import Begin, Due, RunEvent, step
from piper.model.events import Deferred, Failed, Lost, Rescheduled, Skipped, Succeeded
from piper.model.ids import UNMAPPED
from piper.model.run import Decision, Identity, Run, TaskInstance
from piper.model.spec import GroupSpec, SourceLocation, TaskSpec, WorkflowSpec
from piper.model.states import IN_FLIGHT, RunState, RunType, TaskState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def task(task_id: str, *upstream: str, **fields: Any) -> TaskSpec:
    """A task below `upstream`."""
    return TaskSpec(task_id=task_id, operator="test.Operator", upstream=tuple(sorted(upstream)), **fields)


def workflow(*tasks: TaskSpec, groups: Sequence[GroupSpec] = (), **fields: Any) -> WorkflowSpec:
    """A workflow of these tasks, which stand in topological order."""
    return WorkflowSpec(workflow_id="w", source=SourceLocation("w.py", 1), tasks=tasks, groups=tuple(groups), **fields)


def a_run(**fields: Any) -> Run:
    """A queued run of it."""
    values: dict[str, Any] = {
        "id": 7,
        "workflow_id": "w",
        "run_id": "manual__1",
        "shard": 0,
        "team": "default",
        "run_type": RunType.MANUAL,
        "state": RunState.QUEUED,
        "logical_date": NOON,
        "interval": None,
        "run_after": NOON,
        "spec_hash": "h",
        "snapshot": "s",
        "created_at": NOON,
    }
    return Run(**(values | fields))


class Play:
    """One run of `spec`, begun."""

    def __init__(self, spec: WorkflowSpec, *, facts: Facts = NO_FACTS, begin: bool = True, **run: Any) -> None:
        self.graph = Graph(spec)
        self.memory = RunMemory(a_run(**run), self.graph)
        self.now = NOON
        self.facts = facts
        self.last: Changes = Changes(self.memory.run)
        if begin:
            self.say(Begin())

    def say(self, *events: RunEvent) -> Changes:
        """Let events happen in one step."""
        self.last = step(self.memory, events, self.now, self.facts)
        self.memory.take_over(self.last)
        return self.last

    def ti(self, task_id: str, map_index: int = UNMAPPED) -> TaskInstance:
        """An instance."""
        return self.memory.instances[self.graph.index[task_id], map_index]

    def identity(self, task_id: str, map_index: int = UNMAPPED) -> Identity:
        """Its current execution."""
        return self.ti(task_id, map_index).identity

    def succeed(self, *task_ids: str, at: int = UNMAPPED, length: int | None = None, decision: Decision | None = None):
        """Report success of the named tasks' executions, one step each."""
        for task_id in task_ids:
            self.say(Succeeded(self.identity(task_id, at), length, decision))

    def fail(self, *task_ids: str, at: int = UNMAPPED, **fields: Any) -> None:
        """Report failure."""
        for task_id in task_ids:
            self.say(Failed(self.identity(task_id, at), "boom", **fields))

    def skip(self, *task_ids: str, at: int = UNMAPPED) -> None:
        """Report a skip."""
        for task_id in task_ids:
            self.say(Skipped(self.identity(task_id, at)))

    def lose(self, task_id: str, at: int = UNMAPPED) -> None:
        """Lose the execution."""
        self.say(Lost(self.identity(task_id, at), "worker gone"))

    def reschedule(self, task_id: str, seconds: float = 60) -> None:
        """Give the slot back."""
        self.say(Rescheduled(self.identity(task_id), self.now + timedelta(seconds=seconds)))

    def defer(self, task_id: str, **fields: Any) -> None:
        """Wait for a trigger."""
        self.say(Deferred(self.identity(task_id), "test.Trigger", method="resume", **fields))

    def wait(self, seconds: float) -> None:
        """Let time pass and ring every timer that is due."""
        self.now += timedelta(seconds=seconds)
        due = tuple(number for moment, number in self.memory.timers() if moment <= self.now)
        self.say(Due(due))

    @property
    def states(self) -> dict[str, str]:
        """`{task id or "task[i]": state}`; in flight is shown as scheduled."""
        return {
            ti.task_id if index == UNMAPPED else f"{ti.task_id}[{index}]": ti.state.value
            for (_, index), ti in sorted(self.memory.instances.items())
        }

    @property
    def in_flight(self) -> list[str]:
        """Names of what is in flight."""
        return [name for name, state in self.states.items() if TaskState(state) in IN_FLIGHT]

    @property
    def run(self) -> Run:
        """The run as it is now."""
        return self.memory.run

    @property
    def cancelled(self) -> list[Identity]:
        """Executions that the last step ended."""
        return [e.identity for e in self.last.effects if isinstance(e, Cancel)]


def states_of(spec: WorkflowSpec, outcomes: Mapping[str, str]) -> dict[str, str]:
    """Play a run to its end: each task ends as `outcomes` says (default success); the states at the end."""
    play = Play(spec)
    while not play.run.state.finished and play.in_flight:
        name = play.in_flight[0]
        task_id, _, index = name.partition("[")
        at = int(index[:-1]) if index else UNMAPPED
        outcome = outcomes.get(name, outcomes.get(task_id, "success"))
        {"success": play.succeed, "failed": play.fail, "skipped": play.skip}[outcome](task_id, at=at)
    return play.states | {"": play.run.state.value}
