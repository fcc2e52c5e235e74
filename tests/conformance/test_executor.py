"""The executor's service on both databases: what it grants, sends, sends again, and declares lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from piper.executor import service
from piper.executor.lost_workers import TTL_SECONDS
from piper.executor.queued_sweep import RESEND_SECONDS
from piper.executor.service import MAX_GRANTS, ExecutorService
from piper.model import wire
from piper.model.events import Lost, Succeeded
from piper.model.ids import EXECUTOR_SHARD
from piper.model.run import Identity
from piper.model.spec import Isolation, TaskSpec
from piper.model.states import TaskState
from piper.service import POLL_SECONDS
from piper.store.database import Database, Fence
from piper.store.pools import Pool, create_pool
from piper.store.schema import member, shard
from tests.world import World

S = TaskState


class Recorder:
    """A backend that remembers what it was sent."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.arrivals = 0
        self.sent: list[wire.Dispatch] = []
        self.cancelled: list[tuple[Identity, str]] = []

    def send(self, dispatches: Sequence[wire.Dispatch]) -> None:
        self.sent += dispatches

    def cancel(self, identities: Sequence[Identity], reason: str) -> None:
        self.cancelled += [(identity, reason) for identity in identities]

    def take(self) -> list[Identity]:
        """The executions sent since the last time."""
        taken = [dispatch.identity for dispatch in self.sent]
        self.sent.clear()
        return taken


class Owning:
    """What a member owns, as it believes."""

    def __init__(self, fence: Fence | None) -> None:
        self.present = fence

    def fence(self) -> Fence | None:
        return self.present

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        assert self.present is not None
        self.present = Fence(fence.owner, {s: e for s, e in self.present.epochs.items() if s not in shards})


class Leading:
    """An executor of a world, with the means to take its lead away."""

    def __init__(self, world: World, fence: Fence, capacity: int = 100, **values: Any) -> None:
        self.world = world
        self.term = Owning(fence)
        self.backend = Recorder(capacity)
        self.service = self.another(**values)

    def another(self, **values: Any) -> ExecutorService:
        world = self.world
        return ExecutorService(
            world.database, world.clock, world.tokens, self.backend, self.term, world.wakeups, **values
        )

    def depose(self) -> None:
        """Another member takes the executor's shard, and this one does not know yet."""
        with self.world.database.write() as connection:
            connection.execute(shard.update().where(shard.c.shard == EXECUTOR_SHARD).values(owner="other", epoch=9))


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    return world


@pytest.fixture
def leading(world: World, fence: Fence) -> Leading:
    return Leading(world, fence)


def schedule(world: World, count: int, start: int = 0, **values: Any) -> list[Identity]:
    if not hasattr(world, "number"):
        world.number = world.add_run()  # type: ignore[attr-defined]
    return [
        world.add_instance(world.number, map_index=index, state=S.SCHEDULED, **values)  # type: ignore[attr-defined]
        for index in range(start, start + count)
    ]


def states(world: World, identities: Sequence[Identity]) -> list[TaskState]:
    return [world.state(identity.instance) for identity in identities]


def test_what_is_scheduled_is_queued_and_sent_with_its_token(world: World, leading: Leading) -> None:
    (identity,) = schedule(world, 1, isolation="spawn", start_nonce="of a try before")
    assert leading.service.tick() == POLL_SECONDS
    assert leading.backend.sent == [
        wire.Dispatch(identity, world.tokens.issue(identity), wire.CodeRef("bundle", "snap", "f.py"), Isolation.SPAWN)
    ]
    row = world.row(identity.instance)
    assert (row.state, row.queued_at) == (S.QUEUED, world.clock.now())
    assert row.start_nonce == "of a try before", "it may have been let in and not heard of it"
    assert leading.service.tick() == POLL_SECONDS
    assert len(leading.backend.sent) == 1, "once"


def test_a_task_that_is_all_data_is_sent_without_code(world: World, leading: Leading) -> None:
    schedule(world, 1, code=False)
    leading.service.tick()
    assert leading.backend.sent[0].code == wire.CodeRef()


def test_what_is_cleared_to_the_latest_version_while_it_is_granted_is_sent_as_that(
    world: World, leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    (read,) = schedule(world, 1)
    number = world.row(read.instance).run
    allocate = service.allocate

    def clear_meanwhile(candidates: Any, capacity: Any) -> Any:
        world.change_run(number, snapshot="newer", file="g.py")
        world.change_instance(read.instance, try_number=2, isolation="spawn")
        return allocate(candidates, capacity)

    monkeypatch.setattr(service, "allocate", clear_meanwhile)  # between what is read and what is granted
    leading.service.tick()
    (sent,) = leading.backend.sent
    assert (sent.identity.try_number, sent.isolation) == (2, Isolation.SPAWN)
    assert sent.code == wire.CodeRef("bundle", "newer", "g.py")


def test_grants_are_sent_in_their_order(world: World, leading: Leading) -> None:
    low, high = schedule(world, 1, priority=1)[0], schedule(world, 1, 1, priority=9)[0]
    leading.service.tick()
    assert leading.backend.take() == [high, low]


def test_what_belongs_to_a_backfill_comes_after_all_that_is_fresh(world: World, fence: Fence) -> None:
    leading = Leading(world, fence, capacity=3)
    old = schedule(world, 4, priority=9, backfill=True)
    fresh = schedule(world, 2, 10, priority=1)
    leading.service.tick()
    assert [each.identity for each in leading.backend.sent] == [*fresh, old[0]]


def test_no_more_is_granted_than_the_backend_holds(world: World, fence: Fence) -> None:
    leading = Leading(world, fence, capacity=3)
    waiting = schedule(world, 5)
    leading.service.tick()
    assert states(world, waiting) == [S.QUEUED] * 3 + [S.SCHEDULED] * 2
    world.start(waiting[0])
    leading.service.tick()
    assert states(world, waiting)[3:] == [S.SCHEDULED] * 2, "running counts as well as queued"
    world.change_instance(waiting[0].instance, state=S.SUCCESS)
    leading.service.tick()
    assert states(world, waiting) == [S.SUCCESS, S.QUEUED, S.QUEUED, S.QUEUED, S.SCHEDULED]
    assert leading.backend.take() == waiting[:4]


def test_no_more_is_granted_than_the_pool_has(world: World, leading: Leading) -> None:
    with world.database.write() as connection:
        create_pool(connection, Pool(name="small", team="red", slots=3, include_deferred=True))
    schedule(world, 1, 50, pool="elsewhere")
    number = world.number  # type: ignore[attr-defined]
    world.add_instance(number, map_index=60, state=S.DEFERRED, pool="small")
    waiting = schedule(world, 4, pool="small")
    leading.service.tick()
    assert states(world, waiting) == [S.QUEUED, S.QUEUED, S.SCHEDULED, S.SCHEDULED]


def test_no_more_is_granted_than_a_teams_quota(world: World, fence: Fence) -> None:
    leading = Leading(world, fence, quotas={"red": 2})
    red, blue = schedule(world, 4, priority=9), schedule(world, 4, 10, team="blue")
    leading.service.tick()
    leading.service.tick()
    assert states(world, red).count(S.QUEUED) == 2
    assert states(world, blue) == [S.QUEUED] * 4


def test_teams_take_turns_at_a_pool_of_one_slot(world: World, leading: Leading) -> None:
    with world.database.write() as connection:
        create_pool(connection, Pool(name="one", team="red", slots=1))
    schedule(world, 3, pool="one", priority=99)
    schedule(world, 3, 10, pool="one", team="blue")
    teams = []
    for _ in range(6):
        leading.service.tick()
        (identity,) = leading.backend.take()
        teams.append(world.row(identity.instance).team)
        world.change_instance(identity.instance, state=S.SUCCESS)
    assert teams == ["red", "blue"] * 3


def test_a_task_of_many_slots_is_not_starved_by_small_ones(world: World, leading: Leading) -> None:
    with world.database.write() as connection:
        create_pool(connection, Pool(name="p", team="red", slots=4))
    running = schedule(world, 4, pool="p", priority=9)
    leading.service.tick()
    (wide,) = schedule(world, 1, 10, pool="p", pool_slots=4, priority=5)
    schedule(world, 20, 20, pool="p", priority=1)
    for identity in running:
        leading.service.tick()
        assert world.state(wide.instance) is S.SCHEDULED
        world.change_instance(identity.instance, state=S.SUCCESS)
    leading.service.tick()
    assert world.state(wide.instance) is S.QUEUED


def test_a_backlog_is_granted_in_pieces_that_follow_at_once(world: World, fence: Fence) -> None:
    leading = Leading(world, fence, capacity=MAX_GRANTS + 10)
    with world.database.write() as connection:
        create_pool(connection, Pool(name="endless", team="red", slots=-1))
    schedule(world, MAX_GRANTS + 20, pool="endless")
    assert leading.service.tick() == 0.0
    assert leading.service.tick() == POLL_SECONDS
    assert len(leading.backend.take()) == MAX_GRANTS + 10


def test_what_was_cleared_meanwhile_is_not_granted(
    world: World, leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, cleared = schedule(world, 2)
    original: Callable[..., Any] = ExecutorService._situation

    def then_cleared(service: ExecutorService) -> Any:
        situation = original(service)
        world.change_instance(cleared.instance, state=S.NONE)
        return situation

    monkeypatch.setattr(ExecutorService, "_situation", then_cleared)
    leading.service.tick()
    assert leading.backend.take() == [kept]
    assert world.state(cleared.instance) is S.NONE


# --- leading ------------------------------------------------------------------------------------


def test_who_stands_by_grants_nothing(world: World, leading: Leading) -> None:
    waiting = schedule(world, 1)
    leading.term.present = None
    assert leading.service.tick() == POLL_SECONDS
    assert not leading.service.leads
    assert states(world, waiting) == [S.SCHEDULED]


def test_an_old_leader_that_does_not_know_it_yet_writes_nothing(world: World, leading: Leading) -> None:
    waiting = schedule(world, 1)
    leading.service.tick()
    later = schedule(world, 1, 5)
    leading.depose()
    leading.backend.take()
    leading.service.tick()
    assert states(world, waiting + later) == [S.QUEUED, S.SCHEDULED]
    assert leading.backend.take() == []
    assert not leading.service.leads
    assert EXECUTOR_SHARD not in leading.term.present.epochs, "and it forgets that it led"  # type: ignore[union-attr]


def test_a_new_leader_sends_again_what_is_queued_with_the_same_tokens(world: World, leading: Leading) -> None:
    waiting = schedule(world, 3)
    leading.service.tick()
    first = list(leading.backend.sent)
    world.start(waiting[0])
    leading.backend.sent.clear()
    leading.another().tick()
    assert leading.backend.sent == first[1:]


def test_a_new_worker_is_sent_again_what_is_queued(world: World, leading: Leading) -> None:
    waiting = schedule(world, 2)
    leading.service.tick()
    leading.backend.take()
    leading.backend.arrivals += 1
    leading.service.tick()
    assert leading.backend.take() == waiting
    leading.service.tick()
    assert leading.backend.take() == []


def test_what_was_granted_in_doubt_is_sent_by_the_next_tick(world: World, leading: Leading) -> None:
    leading.service.tick()
    (identity,) = schedule(world, 1)

    def broken(moment: str) -> None:
        if moment == "after":
            world.database._commit_hook = None
            raise ConnectionError("the answer to COMMIT was lost")

    world.database._commit_hook = broken
    with pytest.raises(ConnectionError):
        leading.service.tick()
    assert leading.backend.take() == []
    leading.service.tick()
    assert leading.backend.take() == [identity]


# --- sweeps -------------------------------------------------------------------------------------


def test_what_does_not_start_is_sent_again_after_a_while(world: World, leading: Leading) -> None:
    started, silent = schedule(world, 2)
    leading.service.tick()
    leading.backend.take()
    world.start(started)
    for _ in range(int(RESEND_SECONDS) - 1):
        world.clock.advance(1)
        leading.service.tick()
    assert leading.backend.take() == []
    world.clock.advance(10)
    leading.service.tick()
    assert leading.backend.take() == [silent]


def beat(world: World, worker: str) -> None:
    (reply,) = world.handle(wire.Call(1, None, "", wire.Heartbeat(worker, ())))
    assert reply.problem is None


def test_the_executions_of_a_worker_that_falls_silent_are_lost(world: World, leading: Leading) -> None:
    silent, reported, elsewhere, queued = schedule(world, 4)
    leading.service.tick()
    for identity, worker in ((silent, "w1"), (reported, "w1"), (elsewhere, "w2")):
        world.start(identity, worker=worker)
    beat(world, "w1")
    world.report(Succeeded(reported))
    world.scheduler.wait(0)
    for _ in range(int(TTL_SECONDS) + 1):
        assert Lost not in {type(told) for told in world.events()}
        beat(world, "w2")
        world.clock.advance(1)
        leading.service.tick()
    assert world.events() == [Succeeded(reported), Lost(silent, "worker w1 has not been heard of for 10 s")]
    assert world.scheduler.wait(0)
    (attempt,) = world.attempts(silent.instance)
    assert (attempt.state, attempt.error) == (S.FAILED, "worker w1 has not been heard of for 10 s")
    late = world.report(Succeeded(silent))
    assert late.problem is not None
    assert late.problem.kind == "stale"
    world.clock.advance(1)
    leading.service.tick()
    assert len(world.events()) == 2, "lost once"
    assert states(world, [elsewhere, queued]) == [S.RUNNING, S.QUEUED]


def test_a_worker_never_heard_of_is_given_its_time_and_no_more(world: World, leading: Leading) -> None:
    (identity,) = schedule(world, 1)
    leading.service.tick()
    world.start(identity, worker="mute")
    for _ in range(int(TTL_SECONDS) + 1):
        assert world.events() == []
        world.clock.advance(1)
        leading.service.tick()
    assert [type(told) for told in world.events()] == [Lost]


def test_a_worker_that_renews_at_the_last_moment_lives(
    world: World, leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    (identity,) = schedule(world, 1)
    leading.service.tick()
    world.start(identity, worker="w")
    beat(world, "w")
    original = Database.fenced
    for _ in range(int(TTL_SECONDS)):
        world.clock.advance(1)
        leading.service.tick()

    def just_before(database: Database, fence: Fence) -> Any:
        beat(world, "w")
        return original(database, fence)

    monkeypatch.setattr(Database, "fenced", just_before)
    world.clock.advance(1)
    leading.service.tick()
    assert world.events() == []
    assert world.state(identity.instance) is S.RUNNING


def test_a_worker_that_comes_back_from_the_dead_is_registered_anew(world: World, leading: Leading) -> None:
    beat(world, "w")
    for _ in range(int(TTL_SECONDS) + 2):
        world.clock.advance(1)
        leading.service.tick()
    beat(world, "w")
    with world.database.read() as connection:
        found = connection.execute(member.select().order_by(member.c.started_at)).all()
    assert [(one.node_key, one.state) for one in found if one.kind == "worker"] == [("w", "dead"), ("w", "live")]
    (identity,) = schedule(world, 1)
    leading.service.tick()
    world.start(identity, worker="w")
    for _ in range(3):
        world.clock.advance(1)
        leading.service.tick()
    assert world.events() == []


def test_tasks_that_can_never_be_granted_are_reported_once(
    world: World, leading: Leading, caplog: pytest.LogCaptureFixture
) -> None:
    schedule(world, 3, pool="nowhere")
    for _ in range(3):
        leading.service.tick()
        world.clock.advance(100)
    said = [record.message for record in caplog.records if "nowhere" in record.message]
    assert said == [
        "task 't' of run 1 waits for pool 'nowhere', which does not exist: create it, or change the task",
    ]


def test_a_cancel_goes_to_the_backend(leading: Leading) -> None:
    leading.service.cancel([Identity(1, 2, 3)], "cleared")
    assert leading.backend.cancelled == [(Identity(1, 2, 3), "cleared")]
