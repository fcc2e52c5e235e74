"""Triggers in the store, and what is said and asked in the names of tasks that wait, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from piper.model import wire
from piper.model.events import Deferred, TriggerFired
from piper.model.run import Identity
from piper.model.spec import TaskSpec
from piper.model.states import RunState, TaskState
from piper.model.wire import CodeRef, Problem, XComPush
from piper.store.commands import delete_workflow
from piper.store.database import Database
from piper.store.executions import end_waiting
from piper.store.triggers import (
    CHUNK,
    NewTrigger,
    StoredTrigger,
    load_triggers,
    resumed,
    wanted_triggers,
    write_triggers,
)
from piper.task_api.problems import STALE
from tests.world import NOW, World


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    return world


@pytest.fixture
def run(world: World) -> int:
    return world.add_run()


def trigger_of(identity: Identity, run: int) -> NewTrigger:
    return NewTrigger(identity, run, 3, "red", "m.Wait", {"n": [1]}, "bundle", "snap", NOW)


def deferred(world: World, run: int, task_id: str = "t", **values: object) -> Identity:
    """An instance that has been on a worker and waits now."""
    identity = world.add_instance(run, task_id, **values)
    world.start(identity)
    world.report(Deferred(identity, "m.Wait"))
    world.change_instance(identity.instance, state=TaskState.DEFERRED)
    return identity


# --- the rows --------------------------------------------------------------------------------------


def test_what_is_written_is_wanted_and_loaded_with_its_task(world: World, run: int) -> None:
    identity = world.add_instance(run, map_index=4)
    with world.database.write() as connection:
        write_triggers(connection, (), (trigger_of(identity, run),), NOW)
    with world.database.read() as connection:
        assert wanted_triggers(connection) == {identity}
        assert load_triggers(connection, [identity.instance, 99]) == [
            StoredTrigger(
                identity, "red", "m.Wait", {"n": [1]}, CodeRef("bundle", "snap", "f.py"), "flow", "r1", "t", 4
            )
        ]


def test_only_the_trigger_of_that_wait_is_removed(world: World, run: int) -> None:
    identity = world.add_instance(run)
    another_wait = Identity(identity.instance, identity.try_number, identity.leg + 1)
    with world.database.write() as connection:
        write_triggers(connection, (), (trigger_of(another_wait, run),), NOW)
        write_triggers(connection, (identity,), (), NOW)
    with world.database.read() as connection:
        assert wanted_triggers(connection) == {another_wait}
    with world.database.write() as connection:
        write_triggers(connection, (another_wait,), (trigger_of(identity, run),), NOW)
    with world.database.read() as connection:
        assert wanted_triggers(connection) == {identity}


def test_more_than_a_statement_holds_are_loaded(world: World, run: int) -> None:
    identities = [world.add_instance(run, f"t{number}") for number in range(CHUNK + 3)]
    with world.database.write() as connection:
        write_triggers(connection, (), [trigger_of(identity, run) for identity in identities], NOW)
    with world.database.read() as connection:
        assert len(load_triggers(connection, [identity.instance for identity in identities])) == CHUNK + 3


def test_triggers_go_with_their_workflow(world: World, run: int) -> None:
    identity = world.add_instance(run)
    with world.database.write() as connection:
        write_triggers(connection, (), (trigger_of(identity, run),), NOW)
        delete_workflow(connection, "flow", NOW)
        assert wanted_triggers(connection) == set()


def test_a_wait_that_was_over_is_told_from_one_that_somebody_ended(world: World, run: int) -> None:
    waits = [Identity(world.add_instance(run, f"t{number}").instance, 1, 0) for number in range(5)]
    fired, in_turn, cleared, marked, gone = waits
    world.change_instance(fired.instance, state=TaskState.SCHEDULED, leg=1)
    world.change_instance(in_turn.instance, state=TaskState.UP_FOR_RESCHEDULE)
    world.change_instance(cleared.instance, state=TaskState.SCHEDULED, try_number=2, leg=0)
    world.change_instance(marked.instance, state=TaskState.SUCCESS)
    with world.database.read() as connection:
        assert resumed(connection, [*waits, Identity(gone.instance + 1000, 1, 0)]) == {fired, in_turn}


# --- what is said ----------------------------------------------------------------------------------


def test_a_fire_is_taken_while_the_instance_waits_and_changes_its_attempt_in_nothing(world: World, run: int) -> None:
    identity = deferred(world, run)
    fired = TriggerFired(identity, {"x": 1})
    assert world.report(fired).problem is None
    assert world.events()[-1] == fired
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.state, attempt.ended_at) == (TaskState.DEFERRED, None)


@pytest.mark.parametrize("moved", [{"leg": 1}, {"try_number": 2}, {"state": TaskState.SCHEDULED}])
def test_a_fire_of_another_wait_is_refused(world: World, run: int, moved: dict[str, object]) -> None:
    identity = deferred(world, run)
    world.change_instance(identity.instance, **moved)
    before = world.events()
    assert world.report(TriggerFired(identity)).problem == STALE
    assert world.events() == before


def test_a_trigger_that_ends_its_task_ends_the_attempt_with_its_values(world: World, run: int) -> None:
    identity = deferred(world, run)
    event = TriggerFired(identity, end_state=TaskState.SUCCESS)
    assert world.report(event, XComPush("answer", b"42")).problem is None
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.state, attempt.ended_at, attempt.legs) == (TaskState.SUCCESS, NOW, 1)
    assert world.xcoms()["t", "answer", -1] == b"42"


def test_of_two_ends_that_a_trigger_says_the_first_stands(world: World, run: int) -> None:
    identity = deferred(world, run)
    assert world.report(TriggerFired(identity, end_state=TaskState.SUCCESS)).problem is None
    told = world.events()
    assert world.report(TriggerFired(identity, end_state=TaskState.SKIPPED)).problem is None
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.state, world.events()) == (TaskState.SUCCESS, told)


def test_an_attempt_that_began_with_its_wait_is_there_once_its_trigger_has_ended_it(world: World, run: int) -> None:
    begun = NOW - timedelta(minutes=5)
    identity = world.add_instance(run, state=TaskState.DEFERRED, started_at=begun)
    event = TriggerFired(identity, error="no", end_state=TaskState.FAILED)
    assert world.report(event, error="no").problem is None
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.state, attempt.started_at, attempt.error) == (TaskState.FAILED, begun, "no")


def test_a_try_that_is_ended_while_it_waits_is_noted_unless_its_trigger_has_ended_it(world: World, run: int) -> None:
    cleared, ended = deferred(world, run), deferred(world, run, map_index=1)
    world.report(TriggerFired(ended, end_state=TaskState.SUCCESS))
    with world.database.write() as connection:
        end_waiting(connection, dict.fromkeys([cleared, ended], "cleared"), NOW)
    (first,), (second,) = world.attempts(cleared.instance), world.attempts(ended.instance)
    assert (first.state, first.error, first.ended_at) == (TaskState.FAILED, "cleared", NOW)
    assert (second.state, second.error) == (TaskState.SUCCESS, "")


def test_a_deferral_and_an_event_beyond_a_megabyte_are_refused(world: World, run: int) -> None:
    identity = world.add_instance(run)
    world.start(identity)
    large = "x" * wire.MAX_WAIT
    problem = world.report(Deferred(identity, "m.Wait", arguments={"text": large})).problem
    assert isinstance(problem, Problem)
    assert (problem.kind, "the arguments of a trigger have 1," in problem.message) == ("too_large", True)
    world.report(Deferred(identity, "m.Wait"))
    world.change_instance(identity.instance, state=TaskState.DEFERRED)
    problem = world.report(TriggerFired(identity, large)).problem
    assert isinstance(problem, Problem)
    assert problem.kind == "too_large"


# --- what is asked ---------------------------------------------------------------------------------


def test_a_task_that_waits_may_ask_and_command_by_its_trigger(world: World, run: int) -> None:
    identity = deferred(world, run)
    assert world.ask(identity, wire.CountRuns("flow", states=(RunState.RUNNING,)), int) == 1
    world.ask(identity, wire.SetVariable("k", "v"), None)
    assert world.ask(identity, wire.GetVariable("k"), str) == "v"


def test_a_task_that_waits_no_more_may_not(world: World, run: int) -> None:
    identity = deferred(world, run)
    world.change_instance(identity.instance, state=TaskState.SCHEDULED, leg=1)
    assert world.problem(identity, wire.CountRuns("flow")) == STALE
