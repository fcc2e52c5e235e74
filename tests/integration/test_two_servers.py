"""Two Task APIs on one PostgreSQL: what one has accepted and not yet committed, the other waits for and then knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from piper.model import wire
from piper.model.events import Failed, Succeeded, TaskEvent
from piper.model.run import Identity
from piper.model.spec import TaskSpec
from piper.store.database import Database
from tests.world import World

PATIENCE = 20.0


class Pair:
    """Two servers; the first can be held before its COMMIT."""

    def __init__(self, url: str, folder: Path) -> None:
        self.at_commit, self.go_on = threading.Event(), threading.Event()
        self.holding = False
        self.first = World(Database(url, commit_hook=self._hold), folder / "a")
        self.second = World(Database(url), folder / "b")

    def _hold(self, moment: str) -> None:
        if moment == "before" and self.holding:
            self.at_commit.set()
            assert self.go_on.wait(PATIENCE)

    def one_waits_for_the_other(self, first: Any, second: Any) -> tuple[Any, Any]:
        """Answers of both servers, where the second has begun before the first committed."""
        answers: dict[str, Any] = {}
        self.holding = True
        threads = [threading.Thread(target=lambda: answers.__setitem__("first", first(self.first)))]
        threads[0].start()
        assert self.at_commit.wait(PATIENCE)
        threads.append(threading.Thread(target=lambda: answers.__setitem__("second", second(self.second))))
        threads[1].start()
        with self.second.database.read() as connection:
            question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not connection.exec_driver_sql(question).scalar():
                threads[1].join(0.005)
                assert threads[1].is_alive(), "it did not wait"
        self.go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
        self.holding = False
        return answers["first"], answers["second"]


@pytest.fixture
def pair(postgres_url: str, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(postgres_url, tmp_path)
    pair.first.add_workflow(TaskSpec(task_id="t", operator="P"))
    yield pair
    pair.first.database.close()
    pair.second.database.close()


@pytest.fixture
def running(pair: Pair) -> Identity:
    identity = pair.first.add_instance(pair.first.add_run())
    pair.first.start(identity)
    return identity


def test_one_of_two_starts_is_granted(pair: Pair) -> None:
    identity = pair.first.add_instance(pair.first.add_run())
    first, second = pair.one_waits_for_the_other(
        lambda world: world.say(identity, wire.Start("a", "w1")),
        lambda world: world.say(identity, wire.Start("b", "w2")),
    )
    assert first.problem is None
    assert second.problem.kind == "stale"


@pytest.mark.parametrize(("other", "problem"), [(Succeeded, None), (Failed, "stale")])
def test_a_second_report_knows_the_first(pair: Pair, running: Identity, other: type, problem: str | None) -> None:
    said: TaskEvent = other(running)
    first, second = pair.one_waits_for_the_other(
        lambda world: world.report(Succeeded(running)), lambda world: world.report(said)
    )
    assert first.problem is None
    assert (second.problem and second.problem.kind) == problem
    assert pair.first.events() == [Succeeded(running)]


def test_nothing_is_pushed_after_a_report(pair: Pair, running: Identity) -> None:
    first, second = pair.one_waits_for_the_other(
        lambda world: world.report(Succeeded(running)),
        lambda world: world.say(running, wire.PushXCom(wire.XComPush("k", b"1"))),
    )
    assert first.problem is None
    assert second.problem.kind == "stale"
    assert pair.first.xcoms() == {}
