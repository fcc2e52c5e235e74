"""kill -9 in the middle of runs: the same runs finish, what was acknowledged is there, nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.site import WORKFLOWS, Site, alive, command_of, descendants_of, marked, marks, wait_until

KILLS = 3
DATES = [f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}Z" for seconds in range(0, 301, 10)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server on the workflows that keep a ledger."""
    site = Site(tmp_path, dags=WORKFLOWS / "crashes", LEDGER=str(tmp_path / "ledger"))
    site.start()
    started = marks(site.pid)
    yield site
    started |= marks(site.pid)
    assert site.stop() == 0, site.log.read_text()
    assert marked(started) == [], "a process was left (C13)"
    assert "Traceback" not in site.log.read_text()
    with sqlite3.connect(site.home / "piper.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def ledger_of(site: Site) -> list[dict[str, Any]]:
    """What the tasks have written down."""
    return [json.loads(line) for line in ledger_file(site).read_text().splitlines()]


def ledger_file(site: Site) -> Path:
    """Where they write."""
    return site.home.parent / "ledger"


class Caller:
    """A program that starts runs as fast as it can, and remembers what it was answered."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = {}
        """Idempotency-Key → number of the run."""
        self.unknown: set[str] = set()
        """The keys of calls that were not answered."""

    def call(self, site: Site, key: str) -> None:
        """Start a run."""
        try:
            reply = site.api.post(
                "/workflows/by_hand/runs", json={"logical_date": None}, headers={"Idempotency-Key": key}
            )
        except httpx.HTTPError:
            self.unknown.add(key)
            return
        assert reply.status_code == httpx.codes.CREATED, reply.text
        self.unknown.discard(key)
        self.acknowledged[key] = reply.json()["id"]

    def call_until(self, ended: threading.Event, site: Site) -> None:
        """Start runs until something has happened."""
        while not ended.is_set():
            self.call(site, f"key-{len(self.acknowledged) + len(self.unknown)}")
            ended.wait(0.02)


@pytest.mark.parametrize("kill", [Site.kill, Site.kill_all], ids=["the server", "all its processes"])
def test_runs_survive_any_kill_and_nothing_is_done_twice(
    site: Site, kill: Callable[[Site], None], record_property: Callable[[str, object], None]
) -> None:
    seed = time.time_ns()
    record_property("seed", seed)
    print(f"seed {seed}")
    moments = random.Random(seed)
    caller = Caller()
    site.has("every_ten_seconds", "by_hand")
    known: dict[int, str] = {}
    for _ in range(KILLS):
        killed = threading.Event()
        before = {run["id"]: run["run_id"] for run in site.runs("every_ten_seconds")}

        def strike(killed: threading.Event = killed) -> None:
            server = site.process
            assert server is not None
            time.sleep(moments.uniform(0.3, 2.0))
            kill(site)
            killed.set()

        known |= before
        thread = threading.Thread(target=strike)
        thread.start()
        caller.call_until(killed, site)
        thread.join()
        site.start()
    for key in sorted(caller.unknown):
        caller.call(site, key)
    assert not caller.unknown

    scheduled = wait_until(lambda: all_ended(site, "every_ten_seconds", len(DATES)), 90, "the end of all runs")
    by_hand = wait_until(
        lambda: all_ended(site, "by_hand", len(caller.acknowledged)), 60, "the end of all runs by hand"
    )
    assert [run["logical_date"] for run in scheduled] == DATES, "each date has its run, once (I1, I2)"
    assert known.items() <= {run["id"]: run["run_id"] for run in scheduled}.items(), "the same runs go on"
    assert {run["id"] for run in by_hand} == set(caller.acknowledged.values()), "what was acknowledged, once (I23, I24)"
    assert {run["state"] for run in (*scheduled, *by_hand)} == {"success"}, "a kill costs no retry (I12)"
    look_through(site, [*scheduled, *by_hand])


def all_ended(site: Site, workflow: str, number: int) -> list[dict[str, Any]] | None:
    """The runs of a workflow, if they are as many and all have ended."""
    runs = site.runs(workflow)
    return runs if len(runs) >= number and all(run["ended_at"] for run in runs) else None


def look_through(site: Site, runs: list[dict[str, Any]]) -> None:
    """Compare what the tasks have written down with what Piper says of them."""
    begun: defaultdict[str, list[int]] = defaultdict(list)
    ended: defaultdict[str, list[int]] = defaultdict(list)
    for line in ledger_of(site):
        assert line["what"] != "overlap", f"a try began while the one before it was alive (I7): {line}"
        (begun if line["what"] == "begin" else ended)[line["task"]].append(line["try"])
    instances = {
        f"{run['workflow_id']} {run['run_id']} {task['task_id']} {task['map_index']}": task
        for run in runs
        for task in site.items(f"/runs/{run['id']}/tasks")
    }
    assert begun.keys() == instances.keys()
    assert any(len(tries) > 1 for tries in begun.values()), "no kill met a task"
    for name, task in instances.items():
        assert task["state"] == "success", name
        assert begun[name] == sorted(set(begun[name])), f"{name}: user code of a try was entered twice (I6)"
        assert begun[name][-1] == ended[name][-1] == task["try_number"], f"{name}: its success is that of its last try"


def test_the_tasks_of_a_killed_worker_are_repeated_by_the_next(site: Site) -> None:
    run = site.trigger("long")
    wait_until(lambda: ledger_file(site).exists() and any("long" in line["task"] for line in ledger_of(site)))
    worker = next(pid for pid in descendants_of(site.pid) if "piper.worker\0" in command_of(pid))
    below = descendants_of(worker)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, below)), 5, "the end of what a killed worker has started")
    ended = site.ended(run)
    assert (ended.state, ended.xcom("lasting")) == ("success", 2)
    lost, repeated = ended.attempts("lasting")
    assert (lost["state"], repeated["state"]) == ("failed", "success")
    assert "worker" in lost["error"]
