"""What bad input gets: an error with file and line for that file alone, while everything else goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Run, Site, marked, marks, wait_until

HEAD = "import os\nfrom piper.operators.bash import BashOperator\nfrom piper.sdk import DAG, task\n"
"""Three lines, so that what follows begins in the fourth."""


def good(name: str, answer: int = 1) -> str:
    """A file with a workflow of one task, which returns `answer`."""
    return f"{HEAD}with DAG({name!r}):\n    @task\n    def t(): return {answer}\n    t()\n"


def bad(name: str, text: str) -> str:
    """A file that defines the same workflow, and then does `text`, from line 8 on."""
    return good(name, answer=2) + text


# What the file does from its eighth line on; what its author is told, and the line.
BAD: dict[str, tuple[str, str, int]] = {
    "syntax_error": ("x = (\n", "'(' was never closed", 8),
    "exception": ("1 / 0\n", "ZeroDivisionError: division by zero", 8),
    "missing_module": ("import pandsa\n", "No module named 'pandsa'", 8),
    "cycle": (
        (
            "with DAG('c'):\n    a = BashOperator(task_id='a', bash_command='true')\n"
            "    b = BashOperator(task_id='b', bash_command='true')\n    a >> b >> a\n"
        ),
        "tasks wait for each other in a cycle: a → b → a",
        10,
    ),
    "duplicate_task": (
        (
            "with DAG('d'):\n    BashOperator(task_id='a', bash_command='true')\n"
            "    BashOperator(task_id='a', bash_command='false')\n"
        ),
        "'a'",
        10,
    ),
    "duplicate_workflow": ("with DAG('duplicate_workflow'):\n    pass\n", "'duplicate_workflow'", 8),
    "unknown_upstream": (
        (
            "with DAG('u'):\n    BashOperator(task_id='extract', bash_command='true')\n"
            "    BashOperator(task_id='load', bash_command='true').upstream_task_ids.add('extrakt')\n"
        ),
        "'load' waits for 'extrakt' (did you mean 'extract'",
        10,
    ),
    "unserializable_argument": (
        "with DAG('s'):\n    BashOperator(task_id='a', bash_command='true', env=(x for x in ()))\n",
        "argument 'env' holds",
        9,
    ),
    "misspelt_argument": (
        "with DAG('m'):\n    BashOperator(task_id='a', bash_comand='true')\n",
        "bash_command",
        9,
    ),
    "wrong_schedule": ("w = DAG('w', schedule='61 * * * *')\n", "61 * * * *", 8),
    "loop": ("while True: pass\n", "more than 1 s of processor time", 8),
    "sleep": ("import time\ntime.sleep(1e9)\n", "longer than 6 s to load", 9),
    "exit": ("import sys\nsys.exit(0)\n", "SystemExit(0)", 9),
    "hard_exit": ("os._exit(0)\n", "exit code 0", 8),
    "segfault": ("import ctypes\nctypes.string_at(0)\n", "killed by SIGSEGV", 9),
    "flood": ("for _ in range(1024):\n    print('x' * (1 << 20))\n", "printed more than 16 MiB", 9),
    "memory": ("x = []\nwhile True:\n    x.append(b'x' * (1 << 20))\n", "more than 256 MiB of memory", 10),
    "fork": ("os.fork()\n", "cannot fork", 8),
    "fork_bomb": ("while True:\n    os.fork()\n", "cannot fork", 9),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with every workflow of `BAD` in its good version."""
    limits = {"CPU_LIMIT": "1s", "TIME_LIMIT": "6s", "MEMORY_LIMIT": "256MiB"}
    site = Site(
        tmp_path_factory.mktemp("site"), **{f"PIPER_SERIALIZER__{name}": value for name, value in limits.items()}
    )
    for name in ("bystander", *BAD):
        site.publish(f"{name}.py", good(name))
    site.start()
    site.has("bystander", *BAD)
    yield site
    started = marks(site.pid)
    assert site.stop() == 0, site.log.read_text()
    assert marked(started) == [], "a process was left"
    assert [line for line in site.log.read_text().splitlines() if " ERROR " in line or "Traceback" in line] == []


@dataclass(frozen=True)
class Breakage:
    """What became of the files of `BAD`, each of which had run once when it was replaced by its bad version."""

    before: dict[str, Run]
    errors: dict[str, dict[str, Any]]
    after: dict[str, Run]


@pytest.fixture(scope="module")
def broken(site: Site) -> Breakage:
    """All the bad files saved at once, and everything run again."""
    before = run_all(site, BAD)
    for name, (text, _, _) in BAD.items():
        site.publish(f"{name}.py", bad(name, text))
    errors = {name: site.error_of(f"{name}.py") for name in BAD}
    return Breakage(before, errors, run_all(site, BAD))


def run_all(site: Site, names: Iterable[str]) -> dict[str, Run]:
    """Run these workflows at the same time."""
    begun = {name: site.api.post(f"/workflows/{name}/runs", json={}).raise_for_status().json() for name in names}

    def ended(run: dict[str, Any]) -> dict[str, Any] | None:
        now: dict[str, Any] = site.get(f"/runs/{run['id']}")
        return now if now["ended_at"] else None

    return {
        name: Run(site, wait_until(lambda run=run: ended(run), what=f"the end of {name}"))
        for name, run in begun.items()
    }


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_an_error_at_its_line_and_loses_nothing(site: Site, broken: Breakage, name: str) -> None:
    _, message, line = BAD[name]
    error = broken.errors[name]
    assert message in error["error"].partition("\n")[0]
    assert (error["error_file"], error["error_line"]) == (f"{name}.py", line)
    first, second = site.runs(name)
    assert first.items() <= broken.before[name].row.items(), "what ran before is as it was"
    assert (second["state"], broken.after[name].xcom("t")) == ("success", 1), "the last good version stays"
    workflow = site.get(f"/workflows/{name}")
    assert (workflow["version"], workflow["stale"]) == (1, False)


def test_other_files_go_on_while_bad_ones_hang(site: Site, broken: Breakage) -> None:
    failed_at = broken.errors["sleep"]["failed_at"]
    site.publish("sleep.py", bad("sleep", BAD["sleep"][0] + "# once more\n"))
    site.publish("bystander.py", good("bystander", answer=5))
    wait_until(lambda: run_all(site, ["bystander"])["bystander"].xcom("t") == 5)
    assert site.error_of("sleep.py")["failed_at"] == failed_at, "it is still being loaded"


@pytest.mark.usefixtures("broken")
def test_all_of_them_are_listed_each_in_a_line(site: Site) -> None:
    broken = {error["file"]: error["error_line"] for error in site.items("/import-errors")}
    assert broken == {f"{name}.py": line for name, (_, _, line) in BAD.items()}
    listed = site.piper("bundles", "errors")
    assert listed.code == 1
    for name, (_, _, line) in BAD.items():
        assert f"{name}.py:{line} " in listed.out


@pytest.mark.usefixtures("broken")
def test_a_bad_file_can_be_mended_and_is_told_of_by_the_check_before(site: Site, tmp_path: Path) -> None:
    text, message, line = BAD["cycle"]
    (tmp_path / "cycle.py").write_text(bad("cycle", text))
    checked = site.piper("validate", tmp_path)
    assert checked.code == 1
    assert f"cycle.py:{line}: {message}" in checked.out + checked.err
    site.publish("cycle.py", good("cycle", answer=3))
    wait_until(lambda: "cycle.py" not in {error["file"] for error in site.items("/import-errors")})
    assert site.run("cycle").xcom("t") == 3


# --- tasks --------------------------------------------------------------------------------------

ENDS = {
    "silent": ("os._exit(0)", "without result"),
    "loud": ("os._exit(3)", "exit code 3"),
    "polite": ("raise SystemExit(0)", "SystemExit"),
    "crash": ("__import__('ctypes').string_at(0)", "SIGSEGV"),
    "shot": ("os.kill(os.getpid(), 9)", "SIGKILL"),
    "stack": ("(f := lambda: f())()", "RecursionError"),
    "unserializable": ("return object()", "object"),
    "daemon": ("os.fork() or (os.setsid(), __import__('time').sleep(600))", None),
}


def test_a_task_that_ends_without_a_result_has_failed_whatever_its_exit_code(site: Site) -> None:
    tasks = "".join(f"    @task\n    def {name}():\n        {text}\n    {name}()\n" for name, (text, _) in ENDS.items())
    site.publish("ends.py", f"{HEAD}with DAG('ends'):\n{tasks}")
    run = site.run("ends")
    expected = {name: "failed" if error is not None else "success" for name, (_, error) in ENDS.items()}
    assert run.states == expected
    for name, (_, error) in ENDS.items():
        if error:
            assert error in run.error(name), name
    assert site.run("bystander").state == "success"
