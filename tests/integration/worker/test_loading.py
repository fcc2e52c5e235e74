"""Files that a zygote loads: once, or not at all, or in each task's own process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from piper.model.events import Failed, Succeeded
from piper.model.spec import Isolation
from piper.model.wire import CodeRef
from tests.integration.worker.harness import Worker, worker

FINE = """
import os
from pathlib import Path
with (Path(__file__).parents[2] / "loads").open("a") as file:
    file.write(f"{os.getpid()}\\n")
from piper.sdk import DAG, task
with DAG("flow"):
    @task
    def tells():
        import os
        return os.getppid()
    @task
    def draws():
        import random
        return random.random()
    tells()
    draws()
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for tests that leave nothing behind but a broken file."""
    with worker(tmp_path_factory.mktemp("shared"), FINE) as one:
        yield one


def loads(folder: Path) -> list[str]:
    file = folder / "loads"
    return file.read_text().split() if file.exists() else []


def test_a_file_is_loaded_once_for_many_tasks(tmp_path: Path) -> None:
    with worker(tmp_path, FINE) as one:
        for _ in range(5):
            assert isinstance(one.run("tells").event, Succeeded)
        assert loads(tmp_path) == [str(one.zygotes[0])]


def test_children_of_one_zygote_draw_different_random_numbers(tmp_path: Path) -> None:
    with worker(tmp_path, FINE) as one:
        drawn = {one.run("draws", isolation).xcoms[0].value for isolation in [Isolation.FORK] * 4 + [Isolation.WARM]}
    assert len(drawn) == 5


def test_spawned_tasks_load_the_file_each_in_its_own_process(tmp_path: Path) -> None:
    with worker(tmp_path, FINE) as one:
        pids = [one.run("tells", Isolation.SPAWN).pid for _ in range(3)]
    assert loads(tmp_path) == [str(pid) for pid in pids]


@pytest.mark.parametrize(
    "statement",
    [
        "import threading, time; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        "import socket; kept = socket.socket()",
        "import sys, types; sys.modules['grpc'] = types.ModuleType('grpc')",
    ],
)
def test_a_file_after_which_forks_are_not_safe_is_loaded_by_each_task(tmp_path: Path, statement: str) -> None:
    with worker(tmp_path, FINE + statement) as one:
        pids = [one.run("tells").pid for _ in range(2)]
        # Once to find out, and once by each task.
        assert loads(tmp_path)[1:] == [str(pid) for pid in pids]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = 1\ndef broken(:\n", "line 2"),
        ("x = 1\nraise ValueError('wrong here')\n", "wrong here (broken.py, line 2)"),
        ("import nowhere\n", "nowhere"),
        ("import sys\nsys.exit(0)\n", "SystemExit"),
        ("import os\nos._exit(0)\n", "exited with code 0"),
        ("import ctypes\nctypes.string_at(0)\n", "killed by signal 11 (SIGSEGV)"),
        ("import os\nos.kill(os.getpid(), 9)\n", "killed by signal 9 (SIGKILL)"),
        ("from piper.sdk import DAG\nDAG('other')\n", "'flow'"),
    ],
)
@pytest.mark.parametrize("isolation", [Isolation.FORK, Isolation.SPAWN])
def test_a_file_that_does_not_load_fails_its_task_with_the_reason(
    shared: Worker, text: str, error: str, isolation: Isolation
) -> None:
    shared.write("broken.py", text)
    event = shared.run("tells", isolation, file="broken.py").event
    assert isinstance(event, Failed)
    if isolation is Isolation.SPAWN and "exited with code 0" in error:
        error = "ended without result (exit code 0)"
    assert error in event.error


def test_a_file_that_writes_into_its_zygotes_connection_fails_alone(tmp_path: Path) -> None:
    text = """
import os
for name in os.listdir("/proc/self/fd"):
    try:
        if os.readlink("/proc/self/fd/" + name).startswith("socket:"):
            os.write(int(name), b"\\xc1 nonsense")
    except OSError:
        pass
"""
    with worker(tmp_path, text) as one:
        event = one.run("tells").event
        assert isinstance(event, Failed)
        assert "dags.py" in event.error
        (tmp_path / "snapshots" / "s" / "dags.py").write_text(FINE)
        assert isinstance(one.run("tells").event, Succeeded)


def test_what_a_broken_file_printed_is_in_the_log_of_its_task(tmp_path: Path) -> None:
    with worker(tmp_path, "print('before it broke')\nraise ValueError('wrong here')\n") as one:
        identity = one.dispatch("tells")
        one.report_of(identity)
        log = one.log_of(identity)
    assert log[0] == "before it broke"
    assert any("line 2" in line for line in log)
    assert "wrong here" in log[-1]


def test_a_file_that_loads_for_ever_fails_its_tasks_in_time(tmp_path: Path) -> None:
    with worker(tmp_path, "print('loading')\nwhile True: pass\n", load_timeout=1.0) as one:
        begin = time.monotonic()
        identity = one.dispatch("tells")
        event = one.report_of(identity, 5).event
        assert time.monotonic() - begin < 3
        assert isinstance(event, Failed)
        assert event.error == "dags.py did not load within 1 s"
        assert "loading" in one.log_of(identity)
        assert not one.zygotes


def test_a_mended_file_loads_at_the_next_try(tmp_path: Path) -> None:
    with worker(tmp_path, "raise ValueError\n") as one:
        assert isinstance(one.run("tells").event, Failed)
        (tmp_path / "snapshots" / "s" / "dags.py").write_text(FINE)
        assert isinstance(one.run("tells").event, Succeeded)


def test_a_task_whose_spec_says_everything_needs_no_file(tmp_path: Path) -> None:
    with worker(tmp_path) as one:
        context = one._context

        def of_data(identity):  # type: ignore[no-untyped-def]
            task = structs.replace(
                context(identity).task,
                operator="piper.operators.bash.BashOperator",
                arguments={"bash_command": "echo from bash"},
                code=False,
            )
            return structs.replace(context(identity), task=task, code=CodeRef())

        one._context = of_data  # type: ignore[method-assign]
        identity = one.dispatch("tells", file="")
        assert isinstance(one.report_of(identity).event, Succeeded)
        assert any("from bash" in line for line in one.log_of(identity))
