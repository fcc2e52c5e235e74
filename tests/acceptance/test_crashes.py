"""kill -9 in the middle of runs: the same runs finish, what was acknowledged is there, nothing is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
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
    ledger = site.home.parent / "ledger"
    return [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []


def has_noted(site: Site, what: str) -> bool:
    """Whether the task of `long` has begun, or ended."""
    return any(line["task"].startswith("long ") and line["what"] == what for line in ledger_of(site))


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

    scheduled = wait_until(lambda: all_ended(site, "every_ten_seconds", len(DATES)), what="the end of all runs")
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
    wait_until(lambda: has_noted(site, "begin"))
    worker = next(pid for pid in descendants_of(site.pid) if "piper.worker\0" in command_of(pid))
    below = descendants_of(worker)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, below)), 5, "the end of what a killed worker has started")
    ended = site.ended(run)
    assert (ended.state, ended.xcom("lasting")) == ("success", 2)
    lost, repeated = ended.attempts("lasting")
    assert (lost["state"], repeated["state"]) == ("failed", "success")
    assert "worker" in lost["error"]


# --- the demo, on two of its days -----------------------------------------------------------------

DEMO = Path(__file__).parents[2] / "examples" / "flight_delays"
DEMO_WORKFLOWS = ("flights_ingest", "flights_etl", "flights_ml")
KEYS = {
    "flights": "day, scheduled, carrier, flight",
    "departures": "day, scheduled, carrier, flight",
    "weather": "day, origin, hour",
    "features": "day, scheduled, carrier, flight",
    "models": "model_version",
    "deployments": "day",
    "predictions": "day, scheduled, carrier, flight, model_version",
    "accuracy": "day, model_version",
    "reviews": "day, scheduled, carrier, flight, model_version",
}
"""Of the tables that the demo writes: what tells rows apart."""


def test_the_demo_killed_and_started_again_has_each_row_once(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    shutil.copytree(DEMO, dags, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("ingest.py", "etl.py", "ml.py"):
        text = (dags / file).read_text()
        assert text.count("2013, 7, 28") == 1
        (dags / file).write_text(text.replace("2013, 7, 28", "2013, 7, 23"))
    site = Site(tmp_path, dags=dags, FLIGHT_DELAYS_HOME=str(tmp_path / "warehouse"))
    site.start()
    site.api.put("/pools/warehouse", json={"slots": 1, "description": ""}).raise_for_status()
    site.has(*DEMO_WORKFLOWS)
    known: dict[int, str] = {}
    for task, kill in (("load_flights", Site.kill_all), ("build_features", Site.kill), ("predict", Site.kill_all)):
        wait_until(lambda task=task: site.items("/executions", task_id=task, state="running"), what=f"a run of {task}")
        known |= {run["id"]: run["run_id"] for name in DEMO_WORKFLOWS for run in site.runs(name)}
        kill(site)
        site.start()
    runs = [run for name in DEMO_WORKFLOWS for run in wait_until(lambda name=name: all_ended(site, name, 2), what=name)]
    assert {run["state"] for run in runs} == {"success"}
    assert len(runs) == 6
    assert known.items() <= {run["id"]: run["run_id"] for run in runs}.items(), "the same runs"
    repeated = [one for one in site.items("/executions", state="failed") if "ended" in one["error"]]
    assert {one["task_id"] for one in repeated} >= {"load_flights", "build_features", "predict"}
    assert site.stop() == 0
    with duckdb.connect(str(tmp_path / "warehouse" / "warehouse.duckdb"), read_only=True) as warehouse:
        rows = {}
        for table, key in KEYS.items():
            query = f"select count(*), count(distinct ({key})) from {table}"
            rows[table], distinct = warehouse.execute(query).fetchone() or (0, 0)
            assert rows[table] == distinct, f"{table} has rows twice"
    made = {name: rows[name] for name in ("models", "deployments", "predictions", "accuracy")}
    assert made == {"models": 2, "deployments": 2, "predictions": 1997, "accuracy": 1}


# --- a database that cannot be written --------------------------------------------------------------


def write_until_refused(site: Site) -> tuple[set[str], httpx.Response]:
    """Set variables, long ones and then short ones, until none can be; those that could, and the last answer."""
    written = set()
    for length in (200_000, 10_000, 100):
        while True:
            name = f"v{len(written)}"
            reply = site.api.put(f"/variables/{name}", json={"value": "x" * length})
            if not reply.is_success:
                break
            written.add(name)
            assert len(written) < 1000, "nothing is refused"
    return written, reply


def names_of(site: Site) -> set[str]:
    """The variables that there are."""
    return {variable["key"] for variable in site.items("/variables")}


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Site]:
    """A server whose home is a disk of 24 MiB; what tasks write down is elsewhere."""
    disk = tmp_path / "home"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "piper-test", disk], check=False)
    if mounted.returncode:
        pytest.skip("only who may mount can make a small disk")
    site = Site(tmp_path, dags=WORKFLOWS / "crashes", LEDGER=str(tmp_path / "ledger"))
    site.start()
    yield site
    if site.process is not None:
        site.kill_all()
    subprocess.run(["umount", "--lazy", disk], check=True)


def enlarge(disk: Path) -> None:
    """Make room."""
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)


def test_a_full_disk_is_told_and_loses_nothing_that_was_acknowledged(full: Site) -> None:
    site = full
    run = site.trigger("long")
    wait_until(lambda: has_noted(site, "begin"))
    acknowledged, refused = write_until_refused(site)
    assert acknowledged
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "the disk is full: free some space" in refused.json()["detail"]
    asked = site.piper("workflows", "trigger", "by_hand")
    assert (asked.code, asked.out) == (5, "")
    assert "the disk is full: free some space" in asked.err
    assert names_of(site) == acknowledged, "reading goes on"
    wait_until(lambda: has_noted(site, "end"))
    site.kill_all()

    with sqlite3.connect(f"file:{site.home}/piper.db?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    enlarge(site.home)
    site.start()
    assert names_of(site) == acknowledged
    assert site.ended(run).state == "success"
    assert site.run("by_hand").state == "success"
    assert site.stop() == 0


def test_a_disk_with_room_again_is_written_by_itself(full: Site) -> None:
    site = full
    run = site.trigger("long")
    wait_until(lambda: has_noted(site, "begin"))
    acknowledged, _ = write_until_refused(site)
    wait_until(lambda: has_noted(site, "end"))
    enlarge(site.home)
    ended = site.ended(run)
    assert (ended.state, ended.xcom("lasting")) == ("success", 1), "its result has waited"
    assert names_of(site) == acknowledged
    assert site.run("by_hand").state == "success"
    assert site.stop() == 0


def test_a_locked_database_is_told_and_written_when_it_is_free(site: Site) -> None:
    run = site.trigger("long")
    wait_until(lambda: has_noted(site, "begin"))
    with contextlib.closing(sqlite3.connect(site.home / "piper.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = site.api.put("/variables/v", json={"value": "x"})
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "another process" in refused.json()["detail"]
        assert names_of(site) == set(), "reading goes on"
        wait_until(lambda: has_noted(site, "end"))
        assert site.get(f"/runs/{run['id']}")["state"] == "running"
        other.execute("ROLLBACK")
    ended = site.ended(run)
    assert (ended.state, ended.xcom("lasting")) == ("success", 1), "its result has waited"
    site.did("variables", "set", "v", "x")
    wait_until(lambda: all_ended(site, "every_ten_seconds", len(DATES)))
