"""Tasks that harm their own process, their connection, or the machine: they fail, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from piper.model.events import Failed, Succeeded
from piper.model.spec import Isolation
from tests.integration.worker.harness import Worker, children_of, worker

SOURCE = """
import os, socket, struct, sys, time
from piper.sdk import DAG, task
def connections():
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + name).startswith("socket:"):
                yield int(name)
        except OSError:
            pass
with DAG("flow"):
    @task
    def fine():
        return 1
    @task
    def closes_everything():
        os.closerange(0, 1000)
    @task
    def sends_garbage():
        for fd in connections():
            os.write(fd, b"\\\\x00\\\\x00\\\\x00\\\\x04oops")
        time.sleep(600)
    @task
    def announces_4_gib():
        for fd in connections():
            os.write(fd, b"\\\\xff\\\\xff\\\\xff\\\\xff")
        time.sleep(600)
    @task
    def reports_for_another():
        import msgspec
        from piper.model.events import Succeeded
        from piper.model.run import Identity
        from piper.model.wire import Ask, Report
        body = msgspec.msgpack.encode(Ask(0, Report(Succeeded(Identity(999, 1, 0)))))
        for fd in connections():
            os.write(fd, struct.pack("!I", len(body)) + body)
        time.sleep(600)
    @task
    def asks_as_a_worker():
        import msgspec
        from piper.model.wire import Start
        from piper.sdk.execution.current import current_execution
        try:
            current_execution().channel.ask(Start("n", "w"))
        except Exception as error:
            return type(error).__name__
    @task
    def kills_its_parent():
        os.kill(os.getppid(), 9)
        time.sleep(600)
    @task
    def too_large():
        return "x" * (40 << 20)
    @task
    def makes_processes():
        for _ in range(40):
            if os.fork() == 0:
                time.sleep(600)
    @task
    def fills_its_folder():
        for number in range(20):
            with open(os.path.join(os.environ["TMPDIR"], str(number)), "w") as file:
                file.write("x")
    @task
    def removes_its_folder():
        os.rmdir(os.environ["TMPDIR"])
    @task
    def exhausts_descriptors():
        kept = []
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    for each in (fine, closes_everything, sends_garbage, announces_4_gib, reports_for_another, asks_as_a_worker,
                 kills_its_parent, too_large, makes_processes, fills_its_folder, removes_its_folder,
                 exhausts_descriptors):
        each()
""".replace("\\\\", "\\")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for all of these: each must leave it as good as new."""
    folder = tmp_path_factory.mktemp("hostile")
    with worker(folder, SOURCE, environment={**os.environ, "TMPDIR": str(folder)}) as running:
        yield running


def goes_on(one: Worker) -> bool:
    return isinstance(one.run("fine").event, Succeeded)


def failure_of(one: Worker, task: str, isolation: Isolation = Isolation.FORK) -> str:
    event = one.run(task, isolation).event
    assert isinstance(event, Failed)
    return event.error


@pytest.mark.parametrize("isolation", [Isolation.FORK, Isolation.WARM])
@pytest.mark.parametrize("task", ["sends_garbage", "announces_4_gib", "reports_for_another"])
def test_a_task_that_does_not_keep_to_the_protocol_is_killed(one: Worker, task: str, isolation: Isolation) -> None:
    assert "its process sent what no task sends" in failure_of(one, task, isolation)
    assert goes_on(one)


def test_a_task_cannot_ask_what_only_workers_ask(one: Worker) -> None:
    assert one.run("asks_as_a_worker").xcoms[0].value == b'"Refused"'
    assert one.asked == []


@pytest.mark.parametrize("isolation", [Isolation.FORK, Isolation.WARM])
def test_a_task_that_closes_its_connection_cannot_succeed(one: Worker, isolation: Isolation) -> None:
    assert "ended without result" in failure_of(one, "closes_everything", isolation)
    assert goes_on(one)


def test_a_task_that_kills_its_parent_takes_only_that_files_tasks_with_it(one: Worker) -> None:
    assert type(one.run("kills_its_parent").event).__name__ == "Lost"
    assert goes_on(one)


@pytest.mark.parametrize("isolation", [Isolation.FORK, Isolation.WARM])
def test_a_result_that_is_too_large_to_be_sent_is_an_error(one: Worker, isolation: Isolation) -> None:
    assert "40 MiB" in failure_of(one, "too_large", isolation)
    assert goes_on(one)


@pytest.mark.parametrize("isolation", [Isolation.FORK, Isolation.WARM])
def test_no_process_that_a_task_has_made_outlives_it(one: Worker, isolation: Isolation) -> None:
    assert isinstance(one.run("makes_processes", isolation).event, Succeeded)
    zygote = one.zygotes[0]
    one.until(lambda: sum(len(children_of(child)) for child in children_of(zygote)) == 0, 5)
    one.until(lambda: len(children_of(zygote)) <= 6, 5)


@pytest.mark.parametrize("isolation", [Isolation.FORK, Isolation.WARM])
@pytest.mark.parametrize("task", ["fills_its_folder", "removes_its_folder"])
def test_whatever_becomes_of_a_temporary_folder_the_next_task_has_an_empty_one(
    one: Worker, task: str, isolation: Isolation
) -> None:
    for _ in range(3):
        one.run(task, isolation)
        assert isinstance(one.run("fills_its_folder", isolation).event, Succeeded)
    folders = next(one.folder.glob("piper-*"))
    one.until(lambda: sum(len(files) for _, _, files in os.walk(folders)) == 0, 5)


def test_a_task_that_uses_up_its_descriptors_fails_alone(one: Worker) -> None:
    assert "Too many open files" in failure_of(one, "exhausts_descriptors")
    assert goes_on(one)
