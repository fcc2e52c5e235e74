"""Local workers as real processes: from scheduled to reported, and what becomes of things when a process dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from piper.executor.local import LocalBackend
from piper.executor.service import ExecutorService
from piper.lane import Lane
from piper.model.events import Lost, Succeeded
from piper.model.ids import EXECUTOR_SHARD
from piper.model.run import Identity
from piper.model.spec import TaskSpec
from piper.model.states import TaskState
from piper.service import SystemClock
from piper.store.database import Database, Fence
from tests.conformance.test_executor import Owning
from tests.world import World

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
PATIENCE = 20.0


class Term(Owning):
    """As of the sole owner of a file: whoever was taken over owns nothing any more."""

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        self.present = None


class Machine:
    """An executor with a local backend, running."""

    def __init__(self, world: World, fence: Fence) -> None:
        self.world = world
        self.processes: list[subprocess.Popen[bytes]] = []
        self.surprises: list[Exception] = []
        """What the next launches raise."""
        self._names = count(1)
        clock = SystemClock()
        self.lane = Lane("engine")
        self.term = Term(fence)
        self.backend = LocalBackend(
            world.database, clock, world.api.handle, self.launch, "w", 8, self.term, world.wakeups, self.lane
        )
        self.service = ExecutorService(world.database, clock, world.tokens, self.backend, self.term, world.wakeups)
        self.lane.host(self.service)
        self.lane.start()
        self.backend.start()

    def launch(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        if self.surprises:
            raise self.surprises.pop()
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, str(FAKE_WORKER), str(theirs.fileno()), "w"],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.processes.append(process)
        return process, ours

    def stop(self) -> None:
        self.backend.stop()
        self.lane.stop()

    def schedule(self, file: str) -> Identity:
        number = self.world.add_run(run_id=f"r{next(self._names)}", file=file)
        identity = self.world.add_instance(number, state=TaskState.SCHEDULED)
        self.world.wakeups.notify("executor")
        return identity

    def eventually(self, question: Callable[[], Any]) -> Any:
        """The first answer that is true; other threads and processes are at work."""
        deadline = time.monotonic() + PATIENCE
        while not (answer := question()):
            assert time.monotonic() < deadline, "it did not happen"
            self.world.scheduler.wait(0.01)
        return answer

    def hold(self) -> Identity:
        """A task that runs until its worker ends, and does so now as far as its worker knows, too."""
        identity = self.schedule("hold")
        self.eventually(self.world.xcoms)
        return identity


@pytest.fixture
def machine(sqlite_url: str, tmp_path: Path) -> Iterator[Machine]:
    database = Database(sqlite_url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE shard SET owner = 'me', epoch = 1")
    world = World(database, tmp_path)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    machine = Machine(world, Fence("me", {EXECUTOR_SHARD: 1}))
    yield machine
    machine.stop()
    database.close()
    assert all(process.poll() is not None for process in machine.processes), "no process is left behind"


def test_a_scheduled_task_is_run_by_a_worker_process_and_reported(machine: Machine) -> None:
    identity = machine.schedule("succeed")
    assert machine.eventually(machine.world.events) == [Succeeded(identity)]


def test_many_tasks_pass_through(machine: Machine) -> None:
    identities = [machine.schedule("succeed") for _ in range(8)]
    machine.eventually(lambda: len(machine.world.events()) == 8)
    assert {told.identity for told in machine.world.events()} == set(identities)  # type: ignore[union-attr]


def test_what_a_killed_worker_ran_is_lost_at_once_and_another_takes_over(machine: Machine) -> None:
    held = machine.hold()
    began = time.monotonic()
    os.kill(machine.processes[0].pid, signal.SIGKILL)
    (told,) = machine.eventually(machine.world.events)
    assert time.monotonic() - began < 5.0, "correctness I13"
    assert told == Lost(held, "its worker ended (status -9)")
    (attempt,) = machine.world.attempts(held.instance)
    assert (attempt.state, attempt.error) == (TaskState.FAILED, "its worker ended (status -9)")
    next_one = machine.schedule("succeed")
    machine.eventually(lambda: Succeeded(next_one) in machine.world.events())
    assert len(machine.processes) == 2


def test_an_error_that_nobody_foresaw_does_not_leave_the_machine_without_a_worker(machine: Machine) -> None:
    machine.eventually(lambda: machine.processes)
    machine.surprises.append(ValueError("nobody foresaw this"))
    os.kill(machine.processes[0].pid, signal.SIGKILL)
    identity = machine.schedule("succeed")
    machine.eventually(lambda: Succeeded(identity) in machine.world.events())
    assert machine.surprises == []


def test_a_worker_that_dies_by_its_task_loses_that_task_only(machine: Machine) -> None:
    deadly = machine.schedule("die")
    machine.eventually(lambda: Lost(deadly, "its worker ended (status 3)") in machine.world.events())
    fine = machine.schedule("succeed")
    machine.eventually(lambda: Succeeded(fine) in machine.world.events())


def test_what_was_sent_to_a_worker_that_died_before_it_started_is_sent_to_the_next(machine: Machine) -> None:
    machine.eventually(lambda: machine.processes)
    os.kill(machine.processes[0].pid, signal.SIGSTOP)
    identity = machine.schedule("succeed")
    machine.eventually(lambda: machine.world.state(identity.instance) is TaskState.QUEUED)
    os.kill(machine.processes[0].pid, signal.SIGKILL)
    machine.eventually(lambda: Succeeded(identity) in machine.world.events())


def test_what_ran_when_the_whole_machine_went_down_is_lost_at_the_next_start(machine: Machine) -> None:
    machine.stop()
    number = machine.world.add_run()
    orphan = machine.world.add_instance(number)
    machine.world.start(orphan, worker="w")
    machine.backend.start()
    machine.eventually(lambda: machine.world.events() == [Lost(orphan, "the process that hosted its worker ended")])


def test_who_was_taken_over_declares_nothing_lost_and_starts_no_worker(machine: Machine) -> None:
    machine.eventually(lambda: machine.processes)
    with machine.world.database.write() as connection:
        connection.exec_driver_sql("UPDATE shard SET owner = 'other', epoch = 2")
    of_another = machine.world.add_instance(machine.world.add_run())
    machine.world.start(of_another, worker="w")
    os.kill(machine.processes[0].pid, signal.SIGKILL)
    machine.eventually(lambda: machine.term.fence() is None)
    machine.stop()
    assert machine.world.events() == [], "what runs under that name runs on another's worker"
    assert len(machine.processes) == 1


def test_a_stop_lets_the_worker_report_what_it_ends(machine: Machine) -> None:
    held = machine.hold()
    machine.stop()
    assert machine.world.events() == [Lost(held, "stopped")]
    assert machine.processes[0].poll() is not None


def test_a_worker_that_does_not_react_is_killed_at_the_stop(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("piper.executor.local.EXIT_SECONDS", 0.2)
    held = machine.hold()
    os.kill(machine.processes[0].pid, signal.SIGSTOP)
    machine.stop()
    assert machine.processes[0].poll() == -signal.SIGKILL
    assert machine.world.events() == [Lost(held, "its worker ended (status -9)")]
