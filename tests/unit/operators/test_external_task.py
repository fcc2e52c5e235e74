"""A sensor can wait for tasks, groups and runs of other workflows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from piper.model import wire
from piper.model.errors import NotFound
from piper.model.events import Deferred, Failed, Rescheduled, Skipped, Succeeded
from piper.operators.sensors.external_task import DuplicateStateError, ExternalTaskMarker, ExternalTaskSensor
from tests.unit.sdk.execution.stage import NOON, MemoryChannel, a_dag, a_run, error_of, facts, perform

Instances = dict[tuple[Any, str], str]
"""State by (logical date, task id)."""


class World(MemoryChannel):
    """A server that knows instances and runs of one workflow, `other`, with the group `g` of tasks g.a and g.b."""

    def __init__(self, instances: Instances | None = None, runs: dict[Any, str] | None = None) -> None:
        answers: dict[type, Callable[[Any], Any]] = {
            wire.CountInstances: self._count_instances,
            wire.CountRuns: self._count_runs,
            wire.FindWorkflow: self._find,
        }
        super().__init__(answers=answers)
        self.instances = instances or {}
        self.runs = runs or {}

    def _count_instances(self, asked: wire.CountInstances) -> int:
        if asked.group_id and asked.group_id != "g":
            raise NotFound(f"workflow 'other' has no group {asked.group_id!r}")
        return sum(
            date in asked.logical_dates
            and (not asked.task_ids or task_id in asked.task_ids)
            and (not asked.group_id or task_id.startswith(asked.group_id))
            and (not asked.states or state in asked.states)
            for (date, task_id), state in self.instances.items()
        )

    def _count_runs(self, asked: wire.CountRuns) -> int:
        return sum(date in asked.logical_dates and state in asked.states for date, state in self.runs.items())

    def _find(self, asked: wire.FindWorkflow) -> Any:
        return wire.WorkflowFound("other", False, ("a", "g.a", "g.b"), ("g",)) if asked.workflow_id == "other" else None


def sensing(world: World, run: Any = None, **arguments: Any) -> wire.Report:
    arguments = {"external_dag_id": "other", "mode": "reschedule", **arguments}
    with a_dag():
        sensor = ExternalTaskSensor(task_id="task", **arguments)
    return perform(sensor, channel=world, run=run or a_run())


def outcome(*given: Any, **arguments: Any) -> str:
    return type(sensing(*given, **arguments).event).__name__


BEFORE = NOON - timedelta(days=1)


# --- what is waited for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "ends"), [("success", "Succeeded"), ("running", "Rescheduled"), ("failed", "Rescheduled")]
)
def test_a_run_is_waited_for_by_its_logical_date(state: str, ends: str) -> None:
    assert outcome(World(runs={NOON: state})) == ends
    assert outcome(World(runs={BEFORE: state})) == "Rescheduled"


@pytest.mark.parametrize(
    ("states", "ends"),
    [
        ({"a": "success", "b": "success"}, "Succeeded"),
        ({"a": "success", "b": "running"}, "Rescheduled"),
        ({"a": "success"}, "Rescheduled"),
    ],
    ids=str,
)
def test_tasks_are_waited_for_until_all_have_ended_well(states: dict[str, str], ends: str) -> None:
    world = World({(NOON, task_id): state for task_id, state in states.items()})
    assert outcome(world, external_task_ids=["a", "b"]) == ends


def test_one_task_is_waited_for() -> None:
    assert outcome(World({(NOON, "a"): "success"}), external_task_id="a") == "Succeeded"
    assert outcome(World({(NOON, "a"): "success"}), external_task_id="b") == "Rescheduled"


@pytest.mark.parametrize(
    ("states", "ends"),
    [
        ({"g.a": "success", "g.b": "success"}, "Succeeded"),
        ({"g.a": "success", "g.b": "failed"}, "Rescheduled"),
        ({}, "Rescheduled"),
    ],
    ids=str,
)
def test_a_group_is_waited_for_until_all_its_instances_have_ended_well(states: dict[str, str], ends: str) -> None:
    world = World({(NOON, task_id): state for task_id, state in states.items()})
    assert outcome(world, external_task_group_id="g") == ends


def test_a_group_that_the_workflow_does_not_have_fails_the_sensor() -> None:
    assert "no group 'h'" in error_of(sensing(World(), external_task_group_id="h"))


# --- of which run -------------------------------------------------------------------------------


def test_the_run_may_be_an_earlier_one() -> None:
    world = World(runs={BEFORE: "success"})
    assert outcome(world, execution_delta=timedelta(days=1)) == "Succeeded"


@pytest.mark.parametrize(
    "function",
    [
        lambda date: date - timedelta(days=1),
        lambda date, ti: [date - timedelta(days=1)] if ti.task_id == "task" else [],
        lambda dt, **context: dt - timedelta(days=1) if "ti" in context else None,
        lambda logical_date, context: context["logical_date"] - timedelta(days=1),
    ],
    ids=["date", "keys", "kwargs", "context"],
)
def test_a_function_may_say_which_run(function: Any) -> None:
    assert outcome(World(runs={BEFORE: "success"}), execution_date_fn=function) == "Succeeded"


def test_several_runs_are_waited_for_until_all_have_ended_well() -> None:
    def both(date: Any) -> list[Any]:
        return [date, date - timedelta(days=1)]

    assert outcome(World(runs={NOON: "success"}), execution_date_fn=both) == "Rescheduled"
    assert outcome(World(runs={NOON: "success", BEFORE: "success"}), execution_date_fn=both) == "Succeeded"
    group = World({(date, task): "success" for date in (NOON, BEFORE) for task in ("g.a", "g.b")})
    assert outcome(group, execution_date_fn=both, external_task_group_id="g") == "Succeeded"


def test_a_run_without_a_logical_date_waits_for_when_it_may_run() -> None:
    assert outcome(World(runs={NOON: "success"}), run=a_run(logical_date=None, interval=None)) == "Succeeded"


# --- other states -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({"failed_states": ["failed"]}, Failed),
        ({"failed_states": ["failed"], "soft_fail": True}, Skipped),
        ({"skipped_states": ["failed"]}, Skipped),
        ({"allowed_states": ["failed"]}, Succeeded),
        ({}, Rescheduled),
    ],
    ids=str,
)
def test_what_a_failure_means_can_be_said(options: Any, ends: type) -> None:
    for world, what in (
        (World(runs={NOON: "failed"}), {}),
        (World({(NOON, "a"): "failed"}), {"external_task_id": "a"}),
        (World({(NOON, "g.a"): "failed"}), {"external_task_group_id": "g"}),
    ):
        assert isinstance(sensing(world, **what, **options).event, ends)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"external_task_id": "a", "external_task_ids": ["b"]}, ValueError),
        ({"external_task_ids": ["b"], "external_task_group_id": "g"}, ValueError),
        ({"execution_delta": timedelta(1), "execution_date_fn": print}, ValueError),
        ({"allowed_states": ["sucess"]}, ValueError),
        ({"allowed_states": ["skipped"]}, ValueError),  # no state of a run
        ({"allowed_states": ["success"], "failed_states": ["success"]}, DuplicateStateError),
    ],
    ids=str,
)
def test_arguments_that_contradict_each_other_are_refused(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        sensing(World(), **arguments)


def test_a_state_that_is_misspelt_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"'sucess' \(did you mean 'success'\?\) is no state of runs"):
        sensing(World(), allowed_states=["sucess"])


def test_the_same_task_twice_fails_the_sensor() -> None:
    assert "Duplicate task_ids passed" in error_of(sensing(World(), external_task_ids=["a", "a"]))


# --- existence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"external_dag_id": "nowhere"}, "The external DAG nowhere does not exist"),
        ({"external_task_id": "aa"}, "The external task 'aa' (did you mean 'a'?) in DAG other does not exist"),
        ({"external_task_group_id": "h"}, "The external task group 'h' in DAG other does not exist"),
    ],
    ids=str,
)
def test_what_does_not_exist_fails_the_sensor_at_once_when_that_is_asked_for(what: Any, message: str) -> None:
    assert message in error_of(sensing(World(), check_existence=True, **what))


def test_what_exists_is_waited_for() -> None:
    assert outcome(World(), check_existence=True, external_task_ids=["a", "g.a"]) == "Rescheduled"


# --- without a worker ---------------------------------------------------------------------------


def test_the_wait_can_be_without_a_worker() -> None:
    event = sensing(World(), deferrable=True, external_task_id="a", timeout=100, poke_interval=7).event
    assert isinstance(event, Deferred)
    assert event.trigger == "piper.operators.triggers.external_task.WorkflowTrigger"
    assert event.timeout == timedelta(seconds=100)
    assert event.arguments["external_task_ids"] == ["a"]
    assert event.arguments["poke_interval"] == 7


@pytest.mark.parametrize(
    ("said", "soft_fail", "ends"),
    [
        ({"status": "success"}, False, Succeeded),
        ({"status": "skipped"}, False, Skipped),
        ({"status": "failed"}, False, Failed),
        ({"status": "failed"}, True, Skipped),
        (None, False, Failed),
    ],
    ids=str,
)
def test_after_the_wait_the_trigger_decides(said: Any, soft_fail: bool, ends: type) -> None:
    with a_dag():
        sensor = ExternalTaskSensor(task_id="task", external_dag_id="other", soft_fail=soft_fail)
    report = perform(sensor, facts(resume={"method": "execute_complete", "arguments": {}, "event": said}))
    assert isinstance(report.event, ends)


def test_the_edge_between_the_workflows_is_known() -> None:
    with a_dag():
        assert ExternalTaskSensor(task_id="task", external_dag_id="other").waits_for_workflow == "other"


def test_the_old_name_of_the_interval_is_taken_with_a_warning() -> None:
    with a_dag(), pytest.warns(DeprecationWarning, match="use poke_interval"):
        assert ExternalTaskSensor(task_id="task", external_dag_id="other", poll_interval=3).poke_interval == 3


# --- markers ------------------------------------------------------------------------------------


def test_a_marker_does_nothing_and_knows_who_waits() -> None:
    with a_dag():
        marker = ExternalTaskMarker(task_id="m", external_dag_id="other", external_task_id="a", logical_date=NOON)
    assert marker.inert
    assert marker.logical_date == NOON.isoformat()
    assert isinstance(perform(marker).event, Succeeded)


@pytest.mark.parametrize(("wrong", "error"), [({"recursion_depth": 0}, ValueError), ({"logical_date": 5}, TypeError)])
def test_a_marker_refuses_what_makes_no_sense(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ExternalTaskMarker(task_id="m", external_dag_id="o", external_task_id="a", **wrong)
