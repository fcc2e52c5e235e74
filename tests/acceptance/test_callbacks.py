"""Callbacks: in a task's process, and by themselves on a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site, clean_environment, run_piper, wait_until

TEXT = """
import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from piper.sdk import DAG, task

START = datetime(2026, 1, 1)


def note(context, who):
    line = "|".join(str(part) for part in (
        who, context["dag"].dag_id, context["run_id"], context["ti"].task_id, context["ti"].try_number,
        context.get("reason"), context.get("exception"), context["dag_run"].state.value, os.getpid() != os.getppid(),
    ))
    print("noting", line)
    with open(Path(context["params"]["folder"], "notes"), "a") as notes:
        notes.write(line + "\\n")


def told(who):
    def tell(context):
        note(context, who)
    return tell


def breaks(context):
    raise ValueError("a callback breaks")


KINDS = {f"on_{kind}_callback": told(kind) for kind in ("success", "failure", "retry", "skipped")}
RUN = {"on_success_callback": told("run success"), "on_failure_callback": [breaks, told("run failure")]}
PARAMS = {"folder": "/tmp", "kill": 0}

with DAG("good", schedule=None, start_date=START, params=PARAMS, **RUN):
    @task(**KINDS)
    def first():
        return 1

    @task
    def last(value):
        return value

    last(first())

with DAG("bad", schedule=None, start_date=START, params=PARAMS, **RUN):
    @task(**KINDS)
    def fails():
        raise ValueError("no luck")

    fails()

with DAG("killed", schedule=None, start_date=START, params=PARAMS):
    @task(retries=1, retry_delay=timedelta(0), **KINDS)
    def suicide(ti=None):
        print("try", ti.try_number, flush=True)
        os.kill(os.getpid(), 9)

    suicide()

with DAG("held", schedule=None, start_date=START, params=PARAMS):
    @task(**KINDS)
    def hold(params=None):
        Path(params["folder"], "begun").touch()
        time.sleep(60)

    hold()

with DAG("slow_to_tell", schedule=None, start_date=START, params=PARAMS, on_success_callback=lambda context: (
    Path(context["params"]["folder"], f"told-{os.getpid()}").touch(),
    time.sleep(0 if Path(context["params"]["folder"], "go").exists() else 60),
    Path(context["params"]["folder"], "done").touch(),
)):
    @task
    def quick():
        return 1

    quick()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("callbacks"))
    site.publish("told.py", TEXT)
    site.start()
    site.has("good", "slow_to_tell")
    yield site
    assert site.stop() == 0


def run(site: Site, workflow: str, folder: Path) -> Any:
    return site.run(workflow, "-p", f"folder={folder}")


def notes(folder: Path) -> list[list[str]]:
    file = folder / "notes"
    return [line.split("|") for line in file.read_text().splitlines()] if file.exists() else []


def callbacks(site: Site, run: int) -> list[dict[str, Any]]:
    """What was called besides the tasks, once all of it has ended."""

    def all_ended() -> bool:
        return all(row["state"] in ("success", "failed") for row in site.items(f"/runs/{run}/callbacks"))

    wait_until(all_ended, what="the end of the callbacks")
    return site.items(f"/runs/{run}/callbacks")


def test_a_run_that_succeeds_is_called_back_on_a_worker(site: Site, tmp_path: Path) -> None:
    ended = run(site, "good", tmp_path)
    [row] = callbacks(site, ended.id)
    assert (row["kind"], row["of"], row["task_id"], row["reason"]) == ("success", "workflow", "last", "success")
    assert row["state"] == "success"
    in_task, of_run = notes(tmp_path)
    assert in_task[:4] == ["success", "good", ended.row["run_id"], "first"], "in the process of its task"
    assert of_run[:8] == ["run success", "good", ended.row["run_id"], "last", "1", "success", "None", "success"]
    assert "noting run success" in site.did("runs", "callbacks", str(ended.id), "--logs").out
    assert set(ended.states) == {"first", "last"}, "it is no task"
    assert sum(site.get(f"/runs/{ended.id}")["tasks"].values()) == 2


def test_of_several_callbacks_each_is_called_and_what_one_raises_is_seen_and_changes_nothing(
    site: Site, tmp_path: Path
) -> None:
    ended = run(site, "bad", tmp_path)
    [row] = callbacks(site, ended.id)
    assert (row["state"], row["task_id"], row["reason"]) == ("failed", "fails", "task_failure")
    assert "1 of 2 callbacks failed; breaks: ValueError: a callback breaks" in row["error"]
    assert [line[0] for line in notes(tmp_path)] == ["failure", "run failure"]
    assert notes(tmp_path)[0][6] == "no luck", "the task's own process has the exception itself"
    assert site.get(f"/runs/{ended.id}")["state"] == "failed"
    listed = site.did("runs", "callbacks", str(ended.id)).out
    assert "on_failure_callback" in listed
    metrics = site.api.get(str(site.api.base_url).removesuffix("/api/v1/") + "/metrics").text
    assert "piper_callback_failures_total 0.0" not in metrics


def test_a_task_whose_process_is_killed_is_called_back_for_retry_and_failure(site: Site, tmp_path: Path) -> None:
    ended = run(site, "killed", tmp_path)
    assert ended.state == "failed"
    rows = callbacks(site, ended.id)
    assert [(row["kind"], row["of"], row["task_id"]) for row in rows] == [
        ("retry", "task", "suicide"),
        ("failure", "task", "suicide"),
    ]
    wait_until(lambda: len(notes(tmp_path)) == 2)
    assert sorted((line[0], line[4]) for line in notes(tmp_path)) == [("failure", "2"), ("retry", "1")]
    assert all("killed by signal 9" in line[6] for line in notes(tmp_path))


def test_what_a_person_ends_is_not_called_back(site: Site, tmp_path: Path) -> None:
    begun = site.trigger("held", "-p", f"folder={tmp_path}")
    wait_until((tmp_path / "begun").exists)
    site.did("tasks", "mark", str(begun["id"]), "hold", "--state", "failed")
    ended = site.ended(begun)
    assert ended.state == "failed"
    assert callbacks(site, ended.id) == []
    wait_until(lambda: ended.attempts("hold")[-1]["ended_at"])
    assert notes(tmp_path) == []


def test_a_callback_whose_process_is_killed_with_its_worker_is_called_again(site: Site, tmp_path: Path) -> None:
    ended = run(site, "slow_to_tell", tmp_path)
    assert ended.state == "success", "the run does not wait for it"
    [first] = wait_until(lambda: list(tmp_path.glob("told-*")))
    (tmp_path / "go").touch()
    attempt = site.items("/runs/" + str(ended.id) + "/callbacks")[0]
    assert attempt["state"] == "running"
    worker = next(int(p) for p in os.listdir("/proc") if p.isdecimal() and is_supervisor_of(site, int(p)))
    os.kill(worker, signal.SIGKILL)
    [row] = callbacks(site, ended.id)
    assert (row["state"], row["try_number"]) == ("success", 2)
    assert (tmp_path / "done").exists()
    assert first.exists()


def is_supervisor_of(site: Site, pid: int) -> bool:
    """Whether a process is the worker that a server keeps running."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return parent == site.pid and b"piper.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def test_piper_run_stays_for_the_callbacks_of_its_run(site: Site, tmp_path: Path) -> None:
    file = site.dags / "told.py"
    done = run_piper("run", file, "--workflow", "bad", "-p", f"folder={tmp_path}", environment=clean_environment())
    assert done.code == 1
    assert "noting run failure|bad" in done.err
    assert "1 of 2 callbacks failed" in done.err


def test_a_task_that_is_executed_alone_has_its_own_callbacks_called_and_not_those_of_the_dag(
    site: Site, tmp_path: Path
) -> None:
    site.did("tasks", "execute", "good", "first", "-p", f"folder={tmp_path}")
    assert [line[0] for line in notes(tmp_path)] == ["success"]
