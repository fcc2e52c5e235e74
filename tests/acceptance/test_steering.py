"""Clear, mark, cancel, follow: what people do with runs."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.site import Site, wait_until

FOLDER = "steering"


# --- params -------------------------------------------------------------------------------------


def test_params_are_checked_before_a_run_is_made(site: Site) -> None:
    site.has("strict")
    for wrong, why in {
        "count=9": "maximum",
        "count=one": "integer",
        "name=": "name",
        "day=tomorrow": "date",
    }.items():
        refused = site.piper("workflows", "trigger", "strict", "-p", "must=x", "-p", wrong)
        assert refused.code == 2, wrong
        assert refused.out == ""
        assert why in refused.err
    lacking = site.piper("workflows", "trigger", "strict")
    assert (lacking.code, "must" in lacking.err) == (2, True)
    assert site.runs("strict") == []
    run = site.run("strict", "-p", "must=yes", "-p", "count=5", "-p", "day=2026-01-02", "-p", "more=1")
    assert run.xcom("show") == {"count": 5, "name": "x", "day": "2026-01-02", "must": "yes", "more": 1}


# --- clear, mark --------------------------------------------------------------------------------


def test_a_cleared_task_runs_again_with_a_number_of_its_own(site: Site) -> None:
    run = site.run("steps")
    assert run.states == {
        "first": "success", "second": "failed", "third": "upstream_failed", "fourth": "upstream_failed",
    }  # fmt: skip
    shown = site.did("tasks", "clear", str(run.id), "second", "--downstream", "--dry-run", "-o", "json").json
    assert site.states(run.id) == run.states, "a dry run changes nothing"
    assert [one["task_id"] for one in shown["affected"]] == ["second", "third", "fourth"]
    site.did("tasks", "clear", str(run.id), "second", "--downstream")
    again = site.ended(run.row)
    assert set(again.states.values()) == {"success"}
    assert again.xcom("second") == [1, 2]
    assert [attempt["state"] for attempt in again.attempts("second")] == ["failed", "success"]
    site.did("runs", "clear", str(run.id))
    third = site.ended(run.row)
    assert third.xcom("second") == [2, 3], "try numbers are never used twice"
    assert "the first time" in site.did("tasks", "logs", str(run.id), "second", "--try", "1").out
    assert site.piper("tasks", "logs", str(run.id), "second", "--try", "9").code == 3


def test_only_what_failed_can_be_cleared(site: Site) -> None:
    run = site.run("steps")
    site.did("runs", "clear", str(run.id), "--only-failed")
    again = site.ended(run.row)
    assert {name: task["try_number"] for name, task in again.tasks.items() if name in ("first", "second")} == {
        "first": 1, "second": 2,
    }  # fmt: skip


def test_earlier_and_later_runs_can_be_cleared_with_one(site: Site) -> None:
    wait_until(lambda: [run["state"] for run in site.runs("cleared")].count("success") >= 3)
    runs = site.runs("cleared")
    site.did("tasks", "clear", str(runs[1]["id"]), "tries", "--future", "--downstream")
    for number, run in enumerate(runs):
        expected = 1 if number == 0 else 2
        assert site.ended(run).xcom("tries") == expected


def test_marking_a_task_lets_what_follows_go_on(site: Site) -> None:
    run = site.run("steps")
    site.did("tasks", "mark", str(run.id), "second", "--state", "success")
    site.did("tasks", "clear", str(run.id), "third", "--downstream")
    assert set(site.ended(run.row).states.values()) == {"success"}


def test_marking_a_running_task_ends_its_process(site: Site, tmp_path: Path) -> None:
    run = site.trigger("waiting", "-p", f"folder={tmp_path}")
    wait_until((tmp_path / "begun").exists)
    site.did("tasks", "mark", str(run["id"]), "held", "--state", "success")
    ended = site.ended(run)
    assert ended.states == {"held": "success", "after": "success", "last": "success"}
    wait_until((tmp_path / "cleaned").exists, 5)


def test_marking_a_run_ends_what_is_unfinished(site: Site, tmp_path: Path) -> None:
    run = site.trigger("waiting", "-p", f"folder={tmp_path}")
    wait_until((tmp_path / "begun").exists)
    site.did("runs", "mark", str(run["id"]), "failed")
    ended = site.ended(run)
    assert ended.state == "failed"
    assert ended.states["held"] == "failed"
    wait_until((tmp_path / "cleaned").exists, 5)


def test_a_task_cleared_while_it_runs_is_ended_and_begins_again(site: Site, tmp_path: Path) -> None:
    run = site.trigger("waiting", "-p", f"folder={tmp_path}")
    wait_until((tmp_path / "begun").exists)
    (tmp_path / "begun").unlink()
    site.did("tasks", "clear", str(run["id"]), "held")
    wait_until((tmp_path / "begun").exists, 10)
    (tmp_path / "go").touch()
    ended = site.ended(run)
    assert ended.states == {"held": "success", "after": "success", "last": "success"}
    assert ended.tasks["held"]["try_number"] == 2


# --- cancel -------------------------------------------------------------------------------------


def test_a_cancelled_run_ends_its_tasks_which_may_clean_up(site: Site, tmp_path: Path) -> None:
    run = site.trigger("waiting", "-p", f"folder={tmp_path}")
    wait_until((tmp_path / "begun").exists)
    site.did("runs", "cancel", str(run["id"]))
    ended = site.ended(run)
    assert ended.state == "failed"
    assert ended.states["held"] == "failed"
    assert set(ended.states.values()) <= {"failed", "skipped", "upstream_failed"}
    wait_until((tmp_path / "cleaned").exists, 5)
    assert site.piper("runs", "cancel", str(run["id"])).code in (0, 4)


def test_a_cancelled_task_that_hears_nothing_is_killed_and_can_be_run_again_at_once(site: Site, tmp_path: Path) -> None:
    run = site.trigger("deaf", "-p", f"folder={tmp_path}")
    wait_until((tmp_path / "begun").exists)
    (tmp_path / "begun").unlink()
    site.did("runs", "cancel", str(run["id"]))
    assert site.ended(run).state == "failed"
    site.did("runs", "clear", str(run["id"]))
    wait_until((tmp_path / "begun").exists, 12, "the next try")
    site.did("runs", "cancel", str(run["id"]))
    assert site.ended(run).tasks["hears_nothing"]["try_number"] == 2


def test_a_task_that_waits_for_its_retry_can_be_cancelled(site: Site) -> None:
    run = site.trigger("endless")
    wait_until(lambda: site.states(run["id"]) == {"again": "up_for_retry"})
    site.did("runs", "cancel", str(run["id"]))
    assert site.ended(run).state == "failed"


# --- follow -------------------------------------------------------------------------------------


def lines_until(process: subprocess.Popen[str], word: str, seconds: float = 10.0) -> str:
    """What a command has written when a word comes."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    found = ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + seconds
        while word not in found:
            assert selector.select(max(0.0, deadline - time.monotonic())), f"{word!r} did not come after {found!r}"
            found += process.stdout.read() or ""
    return found


@pytest.mark.parametrize("task", [("talk",), ()], ids=["one task", "all tasks"])
def test_a_log_is_followed_within_a_second_of_being_written(site: Site, tmp_path: Path, task: tuple[str, ...]) -> None:
    run = site.trigger("talking", "-p", f"folder={tmp_path}")
    process = site.begin("tasks", "logs", str(run["id"]), *task, "-f")
    for word in ("one", "two", "three"):
        lines_until(process, f"the word is {word}", 10 if word == "one" else 1.5)
        (tmp_path / word).touch()
    assert process.wait(10) == 0, "following ends with the try"
    process.communicate()


def test_following_a_log_can_be_interrupted(site: Site, tmp_path: Path) -> None:
    run = site.trigger("talking", "-p", f"folder={tmp_path}")
    process = site.begin("tasks", "logs", str(run["id"]), "talk", "--follow")
    lines_until(process, "the word is one")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    site.did("runs", "cancel", str(run["id"]))
    site.ended(run)


def test_a_log_is_written_as_one_object_per_line_for_programs(site: Site, tmp_path: Path) -> None:
    for word in ("one", "two", "three"):
        (tmp_path / word).touch()
    run = site.run("talking", "-p", f"folder={tmp_path}")
    rows = [json.loads(line) for line in site.did("tasks", "logs", str(run.id), "talk", "-o", "json").out.splitlines()]
    assert [row["text"] for row in rows][:3] == [f"the word is {word}" for word in ("one", "two", "three")]
