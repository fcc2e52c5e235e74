"""What became of a run, for tests to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from piper.model import wire
from piper.model.ids import UNMAPPED
from piper.model.run import Run, TaskInstance
from piper.model.spec import RETURN_KEY, Json, WorkflowSpec
from piper.model.states import RunState, TaskState
from piper.sdk.execution import serde
from piper.sdk.spelling import did_you_mean


@dataclass
class Record:
    """All that a run leaves behind, as it is stored: what later tasks and runs can ask about."""

    run: Run
    spec: WorkflowSpec
    instances: dict[tuple[str, int], TaskInstance] = field(default_factory=dict)
    """By task id and map index."""
    reports: dict[int, wire.Report] = field(default_factory=dict)
    """The last one of each instance, by its number."""
    errors: dict[int, str] = field(default_factory=dict)
    """The last failure of each instance."""
    xcoms: dict[tuple[str, str], dict[int, bytes]] = field(default_factory=dict)
    """(task id, key) → map index → JSON text."""
    asset_events: list[wire.AssetEventFound] = field(default_factory=list)


@dataclass(frozen=True)
class TaskResult:
    """How one task instance ended."""

    task_id: str
    map_index: int
    """-1 unless it is one of a mapped task's instances."""
    state: TaskState
    """Compares with text: `result.state == "success"`."""
    attempts: int
    """How often it was tried; 0 if its rule or a branch ended it."""
    xcoms: dict[str, Any]
    """What it left for later tasks, by key."""
    error: str
    """The last line of what it raised, the last time it failed; empty if it never did."""
    rendered: dict[str, Json]
    """Its template fields as its code saw them, secrets masked."""
    label: str
    """What `map_index_template` made of it."""

    @property
    def result(self) -> Any:
        """What it returned, as later tasks get it; None if nothing."""
        return self.xcoms.get(RETURN_KEY)

    @property
    def name(self) -> str:
        """`task`, or `task[2]` of a mapped one."""
        return name_of(self.task_id, self.map_index)


MOST_SHOWN = 20
"""Tasks that a result names when it is printed, as in a failed assertion."""


@dataclass(frozen=True, repr=False)
class RunResult:
    """How a run ended. `result["task"]` and `result["mapped[2]"]` are its tasks' results."""

    record: Record = field(repr=False)
    """What it has left behind, for `earlier=` of another run."""
    triggered: tuple[RunResult, ...] = ()
    """The runs of other DAGs that its tasks have started."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}: {state}" for name, state in list(self.states.items())[:MOST_SHOWN])
        more = len(self.states) - MOST_SHOWN
        rest = f", … {more} more" if more > 0 else ""
        return f"<RunResult {self.dag_id}/{self.run_id}: {self.state.value} ({shown}{rest})>"

    @property
    def dag_id(self) -> str:
        """The DAG's id."""
        return self.record.run.workflow_id

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record.run.run_id

    @property
    def logical_date(self) -> datetime | None:
        """The run's date."""
        return self.record.run.logical_date

    @property
    def state(self) -> RunState:
        """`success` or `failed`; `running`, if an earlier run holds it up (depends_on_past)."""
        return self.record.run.state

    @property
    def reason(self) -> str:
        """Why it ended so: success, task_failure, timed_out, all_tasks_deadlocked."""
        return self.record.run.reason

    @property
    def tasks(self) -> list[TaskResult]:
        """Its task instances, in the order of the DAG."""
        order = {task.task_id: i for i, task in enumerate(self.record.spec.tasks)}
        keys = sorted(self.record.instances, key=lambda key: (order[key[0]], key[1]))
        return [self._result(self.record.instances[key]) for key in keys]

    @property
    def states(self) -> dict[str, str]:
        """Name → state of every task instance; a state that is not reached yet is `none`."""
        return {name_of(*key): ti.state.value for key, ti in sorted(self.record.instances.items())}

    @property
    def attempts(self) -> dict[str, int]:
        """Name → how often it was tried."""
        return {name_of(*key): ti.try_number for key, ti in sorted(self.record.instances.items())}

    @property
    def result(self) -> Any:
        """The result of the DAG: what the task returned that its author declared to be it. None if there is none."""
        task_id = self.record.spec.result_task
        return self[task_id].result if (task_id, UNMAPPED) in self.record.instances else None

    def __getitem__(self, name: str) -> TaskResult:
        for key, instance in self.record.instances.items():
            if name_of(*key) == name:
                return self._result(instance)
        known = [name_of(*key) for key in self.record.instances]
        raise KeyError(f"the run has no task {did_you_mean(name, known)}")

    def get_task_instances(self) -> list[TaskResult]:
        """Its task instances, under the name that Airflow's DagRun has for them."""
        return self.tasks

    def _result(self, instance: TaskInstance) -> TaskResult:
        report = self.record.reports.get(instance.id)
        values = {
            key: serde.decode(by_index[instance.map_index])
            for (task_id, key), by_index in self.record.xcoms.items()
            if task_id == instance.task_id and instance.map_index in by_index
        }
        return TaskResult(
            task_id=instance.task_id,
            map_index=instance.map_index,
            state=instance.state,
            attempts=instance.try_number,
            xcoms=values,
            error=self.record.errors.get(instance.id, ""),
            rendered=(report.rendered or {}) if report else {},
            label=report.label if report else "",
        )


def name_of(task_id: str, map_index: int) -> str:
    """`task`, or `task[2]` of a mapped one."""
    return task_id if map_index == UNMAPPED else f"{task_id}[{map_index}]"
