"""Tasks that wait without a worker, as a user sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import WORKFLOWS, Site, children_of, command_of, wait_until

CHILD = "piper.triggerer.child"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the triggers look for files."""
    return tmp_path_factory.mktemp("waiting")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Site]:
    site = Site(
        tmp_path_factory.mktemp("site"),
        dags=WORKFLOWS / "deferral",
        AIRFLOW_CONN_FS_DEFAULT='{"conn_type": "fs"}',
        WAITING_FOLDER=str(folder),
        PIPER_TRIGGERER__BLOCK_LIMIT="2s",
    )
    site.start()
    assert triggers_of(site) == [], "nobody waits yet"
    yield site
    assert site.stop() == 0, site.log.read_text()
    trouble = [line for line in site.log.read_text().splitlines() if " ERROR " in line or "Traceback" in line]
    assert trouble == []


def triggers_of(site: Site) -> list[int]:
    """The processes that triggers run in."""
    return [pid for pid in children_of(site.pid) if CHILD in command_of(pid)]


def until_it_waits(site: Site, run: int, task: str) -> None:
    wait_until(lambda: site.states(run).get(task) == "deferred", what=f"{task} waiting")


def test_a_task_waits_twice_in_one_try_and_tells_it_in_one_log(site: Site, folder: Path) -> None:
    run = site.trigger("twice")
    until_it_waits(site, run["id"], "wait")
    (folder / "one").touch()
    until_it_waits(site, run["id"], "wait")
    (folder / "two").touch()
    done = site.ended(run)
    assert done.xcom("wait") == ["one", "two", 1]
    (attempt,) = done.attempts("wait")
    assert (attempt["try_number"], attempt["state"]) == (1, "success")
    assert done.xcom("wait", "before") > 0, "what was pushed before the wait is there after it"
    log = done.log("wait")
    assert log.index("looking for one") < log.index("looking for two")


def test_a_wait_that_a_person_ends_is_stopped_where_it_runs(site: Site, folder: Path) -> None:
    run = site.trigger("held")
    until_it_waits(site, run["id"], "wait")
    wait_until(lambda: "looking for never" in site.piper("tasks", "logs", str(run["id"]), "wait").out)
    site.did("tasks", "mark", str(run["id"]), "wait", "--state", "success")
    done = site.ended(run)
    assert done.states == {"wait": "success"}
    assert [attempt["error"] for attempt in done.attempts("wait")] == ["it was cleared or marked while it waited"]
    wait_until((folder / "never.killed").exists, what="on_kill")


def test_a_wait_that_ends_with_its_run_says_so(site: Site) -> None:
    run = site.trigger("held")
    until_it_waits(site, run["id"], "wait")
    site.did("runs", "cancel", str(run["id"]))
    assert [attempt["error"] for attempt in site.ended(run).attempts("wait")] == ["its run was cancelled"]


def test_waits_that_fail_are_retried_skipped_or_fail(site: Site) -> None:
    done = site.run("unlucky")
    assert done.states == {"fails": "skipped", "late": "failed", "soft": "skipped"}
    assert [attempt["state"] for attempt in done.attempts("fails")] == ["failed", "skipped"]
    assert "TaskDeferralError" in done.attempts("fails")[0]["error"]
    assert "nobody answers" in done.attempts("fails")[0]["error"]
    assert "TaskDeferralTimeout" in done.error("late")


def test_a_trigger_that_blocks_fails_its_task_and_no_other(site: Site, folder: Path) -> None:
    run = site.trigger("blocked")
    until_it_waits(site, run["id"], "other")
    wait_until(lambda: site.states(run["id"])["blocks"] == "failed", what="the end of the blocked task")
    (folder / "other").touch()
    done = site.ended(run)
    assert done.states == {"blocks": "failed", "other": "success"}
    assert "must not block" in done.error("blocks")
    assert "waiting.py" in done.log("blocks"), "the log says where it stood"


def test_a_task_may_begin_and_end_without_a_worker(site: Site) -> None:
    done = site.run("from_the_start")
    assert set(done.states.values()) == {"success"}
    assert [len(done.attempts(task)) for task in ("no_worker", "one_worker", "template")] == [1, 1, 1]


def test_a_workflow_that_starts_another_waits_for_it_without_a_worker(site: Site, folder: Path) -> None:
    run = site.trigger("parent", "--logical-date", "2026-05-01T00:00:00Z")
    until_it_waits(site, run["id"], "start")
    until_it_waits(site, run["id"], "watch")
    (folder / "child").touch()
    assert site.ended(run).states == {"start": "success", "watch": "success"}


def test_triggers_begin_anew_after_the_whole_server_was_killed(site: Site, folder: Path) -> None:
    (folder / "one").unlink(missing_ok=True)
    run = site.trigger("twice")
    until_it_waits(site, run["id"], "wait")
    wait_until(lambda: triggers_of(site))
    site.kill()
    site.start()
    until_it_waits(site, run["id"], "wait")
    (folder / "one").touch()
    (folder / "two").touch()
    done = site.ended(run)
    assert (done.state, done.xcom("wait")) == ("success", ["one", "two", 1])
