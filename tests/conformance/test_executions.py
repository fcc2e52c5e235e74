"""Starts and reports through the Task API, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from piper.model import wire
from piper.model.errors import StoreUnavailable
from piper.model.events import Deferred, Failed, Lost, Rescheduled, Skipped, Succeeded, TaskEvent, TriggerFired
from piper.model.ids import shard_of
from piper.model.run import Identity
from piper.model.schedule import DataInterval
from piper.model.spec import RetrySpec, SensorSpec, TaskSpec
from piper.model.states import RunState, TaskState
from piper.store.database import Database
from piper.store.executions import lose_worker
from piper.store.schema import event, run, spec
from piper.task_api.problems import NOT_YET, STALE
from tests.world import NOW, World

TASK = TaskSpec(task_id="t", operator="PythonOperator", retry=RetrySpec(retries=2))


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path)
    world.add_workflow(TASK)
    return world


def test_a_start_is_granted_with_all_that_the_task_needs(world: World) -> None:
    interval = DataInterval(NOW - timedelta(days=1), NOW)
    number = world.add_run(
        logical_date=NOW,
        interval_start=interval.start,
        interval_end=interval.end,
        conf={"a": [1, None]},
        note="hello",
        triggered_by="ada",
    )
    identity = world.add_instance(number, max_tries=2)
    context = world.start(identity)
    assert context == wire.TaskContext(
        identity=identity,
        task=TASK,
        map_index=-1,
        max_tries=2,
        run=wire.RunContext(
            workflow_id="flow",
            run_id="r1",
            run_type=context.run.run_type,
            logical_date=NOW,
            interval=interval,
            run_after=NOW,
            conf={"a": [1, None]},
            state=RunState.RUNNING,
            note="hello",
            triggered_by="ada",
        ),
        team="red",
        code=wire.CodeRef("bundle", "snap", "f.py"),
        started_at=NOW,
        log=f"{number}/0-1.log",
    )
    assert world.state(identity.instance) is TaskState.RUNNING
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.state, attempt.worker, attempt.legs, attempt.started_at) == (TaskState.RUNNING, "w", 1, NOW)


def test_a_task_that_is_all_data_needs_no_code(world: World) -> None:
    assert world.start(world.add_instance(world.add_run(), code=False)).code == wire.CodeRef()


def test_only_one_of_two_holders_is_let_in(world: World) -> None:
    identity = world.add_instance(world.add_run())
    first, second = world.handle(
        world.call(identity, wire.Start("one", "w1")), world.call(identity, wire.Start("two", "w2"))
    )
    assert first.problem is None
    assert second.problem is not None
    assert second.problem.kind == "stale"
    assert world.row(identity.instance).worker == "w1"
    assert world.problem(identity, wire.Start("three", "w3")).kind == "stale"


def test_a_start_said_again_with_its_nonce_gets_the_same_answer(world: World) -> None:
    identity = world.add_instance(world.add_run())
    first = world.start(identity)
    world.clock.advance(60)
    assert world.start(identity) == first


def test_a_start_of_an_earlier_leg_or_try_is_stale(world: World) -> None:
    identity = world.add_instance(world.add_run(), try_number=2, leg=1)
    for stale in (identity.__class__(identity.instance, 1, 1), identity.__class__(identity.instance, 2, 0)):
        assert world.problem(stale, wire.Start("n", "w")).kind == "stale"
    assert world.state(identity.instance) is TaskState.QUEUED


def test_a_call_without_the_right_token_is_refused(world: World) -> None:
    identity = world.add_instance(world.add_run())
    other = Identity(identity.instance + 1, 1, 0)
    for token in ("", "nothing", world.tokens.issue(other)):
        (reply,) = world.handle(wire.Call(1, identity, token, wire.Start("n", "w")))
        assert reply.problem is not None
        assert reply.problem.kind == "refused"
    (reply,) = world.handle(wire.Call(1, None, "", wire.Start("n", "w")))
    assert reply.problem is not None
    assert world.state(identity.instance) is TaskState.QUEUED


REPORTS: list[tuple[type, dict[str, Any], TaskState]] = [
    (Succeeded, {"result_length": 3}, TaskState.SUCCESS),
    (Failed, {"error": "no", "retry": False}, TaskState.FAILED),
    (Skipped, {}, TaskState.SKIPPED),
    (Rescheduled, {"due": NOW}, TaskState.UP_FOR_RESCHEDULE),
    (Deferred, {"trigger": "a.T", "timeout": timedelta(seconds=3)}, TaskState.DEFERRED),
    (Lost, {"error": "gone"}, TaskState.FAILED),
]


@pytest.mark.parametrize(("kind", "values", "outcome"), REPORTS)
def test_a_report_becomes_an_event_of_the_runs_shard(
    world: World, kind: type, values: dict[str, Any], outcome: TaskState
) -> None:
    number = world.add_run()
    identity = world.add_instance(number)
    world.start(identity)
    said: TaskEvent = kind(identity, **values)
    reply = world.report(said, exit_code=0, pid=77, error="last line", metrics={"loss": 0.5}, rendered={"cmd": "ls"})
    assert reply.problem is None
    assert world.events() == [said]
    with world.database.read() as connection:
        row = connection.execute(event.select()).one()
    assert (row.shard, row.run) == (shard_of("flow"), number)
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.state, attempt.exit_code, attempt.pid, attempt.error) == (outcome, 0, 77, "last line")
    assert (attempt.metrics, attempt.rendered) == ({"loss": 0.5}, {"cmd": "ls"})
    pauses = outcome in (TaskState.UP_FOR_RESCHEDULE, TaskState.DEFERRED)
    assert attempt.ended_at == (None if pauses else NOW)
    assert world.state(identity.instance) is TaskState.RUNNING, "the owner decides, not the report"


def test_a_report_said_twice_is_said_once(world: World) -> None:
    identity = world.add_instance(world.add_run())
    world.start(identity)
    report = wire.Report(Succeeded(identity), xcoms=(wire.XComPush("return_value", b"1"),))
    replies = world.handle(world.call(identity, report), world.call(identity, report))
    assert world.say(identity, report).problem is None
    assert all(reply.problem is None for reply in replies)
    assert len(world.events()) == 1


def test_a_second_report_that_says_something_else_is_stale(world: World) -> None:
    identity = world.add_instance(world.add_run())
    world.start(identity)
    world.report(Succeeded(identity), wire.XComPush("return_value", b"1"))
    late = world.report(Failed(identity), wire.XComPush("return_value", b"2"))
    assert late.problem is not None
    assert late.problem.kind == "stale"
    assert world.events() == [Succeeded(identity)]
    assert world.xcoms() == {("t", "return_value", -1): b"1"}


def test_a_report_of_what_is_no_longer_current_changes_nothing_but_that_its_own_attempt_has_ended(world: World) -> None:
    identity = world.add_instance(world.add_run())
    world.start(identity)
    world.change_instance(identity.instance, state=TaskState.QUEUED, try_number=2)
    reply = world.report(Succeeded(identity), wire.XComPush("return_value", b"1"))
    assert reply.problem is not None
    assert reply.problem.kind == "stale"
    assert world.events() == []
    assert world.xcoms() == {}
    assert world.state(identity.instance) is TaskState.QUEUED
    assert world.attempts(identity.instance)[0].state is TaskState.FAILED


def test_nothing_can_be_reported_before_the_start_but_a_loss(world: World) -> None:
    identity = world.add_instance(world.add_run())
    assert world.report(Succeeded(identity)).problem is not None
    assert world.report(Lost(identity, "could not fork")).problem is None
    assert world.events() == [Lost(identity, "could not fork")]


def test_a_task_cannot_report_for_another(world: World) -> None:
    number = world.add_run()
    mine, other = world.add_instance(number), world.add_instance(number, map_index=1)
    world.start(other)
    assert world.problem(mine, wire.Report(Succeeded(other))).kind == "invalid"
    assert world.events() == []


def test_a_trigger_fires_for_a_deferred_instance(world: World) -> None:
    identity = world.add_instance(world.add_run(), state=TaskState.DEFERRED)
    assert world.report(TriggerFired(identity, payload={"x": 1})).problem is None
    assert world.events() == [TriggerFired(identity, payload={"x": 1})]


def test_a_new_leg_goes_on_with_the_same_attempt(world: World) -> None:
    sensor = TaskSpec(task_id="s", operator="S", sensor=SensorSpec(mode="reschedule"))
    world.add_workflow(sensor, workflow_id="sensing")
    identity = world.add_instance(world.add_run("sensing"), "s")
    assert world.start(identity).reschedules == 0
    world.report(Rescheduled(identity, NOW), wire.XComPush("seen", b"1"))
    world.clock.advance(60)
    world.change_instance(identity.instance, state=TaskState.QUEUED, leg=1)
    again = Identity(identity.instance, 1, 1)
    context = world.start(again, nonce="n2", worker="w2")
    assert (context.reschedules, context.started_at) == (1, NOW), "the try began with its first leg"
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.legs, attempt.worker, attempt.state) == (2, "w2", TaskState.RUNNING)
    assert world.xcoms() == {("s", "seen", -1): b"1"}, "what a leg pushed stays for the next"
    assert world.report(Succeeded(again)).problem is None
    assert world.events() == [Rescheduled(identity, NOW), Succeeded(again)]


def test_a_resumed_task_gets_what_its_trigger_said(world: World) -> None:
    resume = {"method": "go_on", "event": {"ok": True}}
    identity = world.add_instance(world.add_run(), leg=1, resume=resume, started_at=NOW - timedelta(hours=1))
    context = world.start(identity)
    assert context.resume == resume
    assert context.started_at == NOW - timedelta(hours=1)


def test_a_new_try_begins_without_the_xcoms_of_the_last(world: World) -> None:
    number = world.add_run()
    mapped = [world.add_instance(number, map_index=index) for index in range(3)]
    for identity in mapped:
        world.start(identity)
        world.report(Failed(identity), wire.XComPush("a", b"1"), wire.XComPush("b", b"2"))
    world.change_instance(mapped[1].instance, state=TaskState.QUEUED, try_number=2)
    world.start(Identity(mapped[1].instance, 2, 0))
    assert set(world.xcoms()) == {("t", key, index) for key in "ab" for index in (0, 2)}
    assert [row.try_number for row in world.attempts(mapped[1].instance)] == [1, 2]


def test_many_calls_are_one_transaction(world: World) -> None:
    number = world.add_run()
    running = [world.add_instance(number, map_index=index) for index in range(20)]
    queued = [world.add_instance(number, map_index=index) for index in range(20, 40)]
    world.handle(*(world.call(one, wire.Start("n", "w")) for one in running))
    commits = []
    world.database._commit_hook = commits.append
    replies = world.handle(
        *(world.call(one, wire.Report(Succeeded(one))) for one in running),
        *(world.call(one, wire.Start("n", "w")) for one in queued),
        *(world.call(one, wire.PushXCom(wire.XComPush("k", b"1"))) for one in queued),
    )
    assert commits == ["before", "after"]
    problems = [reply.problem and reply.problem.kind for reply in replies]
    assert problems == [None] * 40 + ["stale"] * 20, "pushes are judged before the starts of the same batch"
    assert world.events() == [Succeeded(one) for one in running]
    assert {world.state(one.instance) for one in queued} == {TaskState.RUNNING}


def test_one_call_that_the_database_refuses_spoils_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    number = world.add_run()
    good, bad = world.add_instance(number), world.add_instance(number, map_index=1)
    world.start(good)
    world.start(bad)
    # A number that no column can hold stands for whatever nobody foresaw.
    poison = wire.Report(Succeeded(bad), exit_code=1 << 80)
    reply, refused = world.handle(world.call(good, wire.Report(Succeeded(good))), world.call(bad, poison))
    assert reply.problem is None
    assert refused.problem is not None
    assert refused.problem.kind == "invalid"
    assert str(1 << 80) not in refused.problem.message
    assert world.events() == [Succeeded(good)]


def test_what_postgresql_cannot_store_does_not_lose_a_report(world: World) -> None:
    identity = world.add_instance(world.add_run())
    world.start(identity)
    reply = world.report(
        Failed(identity, "a\0b"), wire.XComPush("k", b'"\\u0000"'), error="a\0b", outputs={"x\0": ["\0", "ü"]}
    )
    assert reply.problem is None
    (attempt,) = world.attempts(identity.instance)
    assert (attempt.error, attempt.outputs) == ("ab", {"x": ["", "ü"]})


def test_a_database_that_cannot_be_used_asks_for_patience(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = world.add_instance(world.add_run())

    def unavailable(moment: str) -> None:
        if moment == "before":
            raise StoreUnavailable("the disk is full")

    world.database._commit_hook = unavailable
    assert world.problem(identity, wire.Start("n", "w")).kind == "unavailable"
    world.database._commit_hook = None
    assert world.state(identity.instance) is TaskState.QUEUED
    assert world.start(identity).identity == identity


def test_a_task_that_its_spec_does_not_have_fails_and_says_why(world: World) -> None:
    identity = world.add_instance(world.add_run(), "renamed")
    problem = world.problem(identity, wire.Start("n", "w"))
    assert problem.kind == "stale"
    (told,) = world.events()
    assert isinstance(told, Failed)
    assert (told.identity, told.retry) == (identity, False)
    assert "'renamed' is not in the spec" in told.error


def test_a_spec_that_is_gone_fails_the_task_too(world: World) -> None:
    identity = world.add_instance(world.add_run())
    with world.database.write() as connection:
        connection.execute(spec.delete())
    assert world.problem(identity, wire.Start("n", "w")).kind == "stale"
    assert isinstance(world.events()[0], Failed)


def test_a_mapped_instance_gets_the_name_that_it_reports(world: World) -> None:
    identity = world.add_instance(world.add_run(), map_index=0)
    world.start(identity)
    world.report(Succeeded(identity), label="May\0" + "x" * 300)
    assert world.row(identity.instance).label == "May" + "x" * 246


def test_the_scheduler_is_woken_by_reports_only(world: World) -> None:
    identity = world.add_instance(world.add_run())
    world.scheduler.wait(0)
    world.start(identity)
    assert not world.scheduler.wait(0)
    world.report(Succeeded(identity))
    assert world.scheduler.wait(0)


# --- heartbeats ---------------------------------------------------------------------------------


def beat(world: World, worker: str, *held: Identity) -> tuple[Identity, ...]:
    (reply,) = world.handle(wire.Call(1, None, "", wire.Heartbeat(worker, held)))
    assert reply.problem is None
    return tuple(Identity(*one) for one in reply.result)


def test_a_heartbeat_names_what_the_worker_must_end(world: World) -> None:
    number = world.add_run()
    mine, waiting, elsewhere, over, lost = (world.add_instance(number, map_index=index) for index in range(5))
    for identity in (mine, over, lost):
        world.start(identity, worker="w1")
    world.start(elsewhere, worker="w2")
    world.change_instance(over.instance, state=TaskState.SUCCESS)
    world.report(Lost(lost))
    cleared = Identity(mine.instance, 0, 0)
    gone = Identity(1 << 40, 1, 0)
    held = (mine, waiting, elsewhere, over, lost, cleared, gone)
    assert beat(world, "w1", *held) == (elsewhere, over, lost, cleared, gone)
    assert beat(world, "w1") == ()


def test_a_run_that_a_clear_pinned_anew_starts_with_its_new_version(world: World) -> None:
    number = world.add_run()
    identity = world.add_instance(number)
    world.start(identity)
    world.report(Failed(identity))
    newer = world.add_workflow(TaskSpec(task_id="t", operator="Newer"), workflow_id="newer")
    with world.database.write() as connection:
        connection.execute(run.update().values(spec_hash=newer, snapshot="snap2", clears=1))
    world.change_instance(identity.instance, state=TaskState.QUEUED, try_number=2)
    context = world.start(Identity(identity.instance, 2, 0))
    assert (context.task.operator, context.code.snapshot) == ("Newer", "snap2")


def test_a_new_try_waits_until_the_one_before_it_has_ended(world: World) -> None:
    number = world.add_run()
    old = world.add_instance(number)
    world.start(old)
    world.change_instance(old.instance, state=TaskState.QUEUED, try_number=2)  # cleared, and granted again
    new = Identity(old.instance, 2, 0)
    assert world.problem(new, wire.Start("n", "w")) == NOT_YET
    assert world.report(Failed(old, "killed")).problem == STALE
    assert world.attempts(old.instance)[0].state is TaskState.FAILED
    assert world.start(new).identity == new


@pytest.mark.parametrize(
    ("instance", "run", "why"),
    [
        ({"state": TaskState.QUEUED, "try_number": 2}, {}, "it was cleared"),
        ({"state": TaskState.NONE}, {}, "it was cleared"),
        ({"state": TaskState.SUCCESS}, {}, "it was marked, or another task had failed (fail_fast)"),
        ({"state": TaskState.FAILED}, {"reason": "cancelled"}, "its run was cancelled"),
        ({"state": TaskState.SKIPPED}, {"reason": "timed_out"}, "its run took longer than its dagrun_timeout"),
    ],
)
def test_an_execution_that_was_ended_from_outside_says_why(
    world: World, instance: dict[str, Any], run: dict[str, Any], why: str
) -> None:
    number = world.add_run()
    old = world.add_instance(number)
    world.start(old)
    world.change_instance(old.instance, **instance)
    if run:
        world.change_run(number, **run)
    assert world.report(Failed(old, "killed")).problem == STALE
    assert world.attempts(old.instance)[0].error == why


def test_a_worker_that_is_gone_holds_up_no_new_try_of_what_it_had_left_behind(world: World) -> None:
    old = world.add_instance(world.add_run())
    world.start(old)
    world.change_instance(old.instance, state=TaskState.QUEUED, try_number=2)
    with world.database.write() as connection:
        assert lose_worker(connection, world.attempts(old.instance)[0].worker, "gone", NOW) == []
    assert world.start(Identity(old.instance, 2, 0))


def test_a_start_whose_answer_was_lost_holds_up_no_new_try_once_it_is_no_longer_wanted(world: World) -> None:
    old = world.add_instance(world.add_run())
    world.start(old, nonce="mine")
    world.change_instance(old.instance, state=TaskState.QUEUED, try_number=2)
    for nonce, state in (("of a duplicate", TaskState.RUNNING), ("mine", TaskState.FAILED)):
        assert world.problem(old, wire.Start(nonce, "w")) == STALE
        assert world.attempts(old.instance)[0].state is TaskState.RUNNING, "whoever was let in may be at work"
        assert world.say(old, wire.GiveUp(nonce)).problem is None
        assert world.attempts(old.instance)[0].state is state
    assert world.start(Identity(old.instance, 2, 0))
