"""A Piper of its own for a benchmark: `piper standalone` in a fresh PIPER_HOME, driven as a user drives it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / "bench" / "workflows"
PATIENCE = 300.0
"""Seconds after which a benchmark gives up waiting."""


class Finished(NamedTuple):
    """A run that has ended, as its rows say."""

    wall: float
    """Seconds from the row that asked for it to its end."""
    tasks: int
    intervals: list[tuple[float, float]]
    """(start, end) of user code's processes, in seconds, by start."""


class Instance:
    """A running `piper standalone`."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], ready: float) -> None:
        self.home = home
        self.process = process
        self.ready = ready
        """Seconds from start to ready."""
        token = (home / "token").read_text().strip()
        address = (home / "address").read_text().strip()
        self.http = httpx.Client(base_url=address + "/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)
        self.database = sqlite3.connect(f"file:{home / 'piper.db'}?mode=ro", uri=True, isolation_level=None)

    def wait_for_workflows(self, count: int) -> float:
        """Wait until the list of workflows has `count`. Returns the seconds that this took."""
        begun = time.perf_counter()
        while self._listed(count) < count:
            if time.perf_counter() - begun > PATIENCE:
                raise TimeoutError(f"{count} workflows were not listed within {PATIENCE} s")
            time.sleep(0.02)
        return time.perf_counter() - begun

    def _listed(self, count: int) -> int:
        if self.database.execute("SELECT count(*) FROM workflow").fetchone()[0] < count:
            return 0
        seen, cursor = 0, None
        while True:
            page = self.http.get("/workflows", params={"limit": 500} | ({"cursor": cursor} if cursor else {})).json()
            seen += len(page["items"])
            cursor = page.get("next_cursor")
            if not cursor:
                return seen

    def run(self, workflow: str) -> Finished:
        """Trigger a workflow and wait for its run to succeed."""
        answer = self.http.post(f"/workflows/{workflow}/runs", json={})
        answer.raise_for_status()
        number = answer.json()["id"]
        begun = time.perf_counter()
        while True:
            state = self.database.execute("SELECT state FROM run WHERE id = ?", (number,)).fetchone()[0]
            if state in ("success", "failed"):
                break
            if time.perf_counter() - begun > PATIENCE:
                raise TimeoutError(f"run {number} of {workflow} did not end within {PATIENCE} s")
            time.sleep(0.01)
        if state != "success":
            raise RuntimeError(f"run {number} of {workflow} failed")
        return self.finished(number)

    def finished(self, number: int) -> Finished:
        """What the rows of a run say."""
        queued, ended = self.database.execute("SELECT queued_at, ended_at FROM run WHERE id = ?", (number,)).fetchone()
        rows = self.database.execute(
            "SELECT a.started_at, a.ended_at FROM attempt a JOIN task_instance t ON t.id = a.instance"
            " WHERE t.run = ? ORDER BY a.started_at",
            (number,),
        ).fetchall()
        tasks = self.database.execute("SELECT count(*) FROM task_instance WHERE run = ?", (number,)).fetchone()[0]
        return Finished((ended - queued) / 1e6, tasks, [(start / 1e6, end / 1e6) for start, end in rows])

    def processes(self) -> list[int]:
        """Numbers of this process and everything below it."""
        children: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                children.setdefault(int(fields[1]), []).append(int(entry))
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += children.get(pid, [])
        return found


@contextmanager
def standalone(dags: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[Instance]:
    """Start an instance over a folder of workflow files; ended and removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="piper-bench-", dir=ROOT.parent))
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "piper.cli.main", "standalone", "--port", "0", "--dags", str(dags)],
        env={**os.environ, "PIPER_HOME": str(home), "PIPER_CORE__LOG_LEVEL": "WARNING", **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=(home / "standalone.log").open("w"),
    )
    try:
        while not _is_ready(home):
            if process.poll() is not None or time.perf_counter() - begun > 60:
                raise RuntimeError((home / "standalone.log").read_text())
            time.sleep(0.005)
        yield Instance(home, process, time.perf_counter() - begun)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(home, ignore_errors=True)


def _is_ready(home: Path) -> bool:
    try:
        address = (home / "address").read_text().strip()
        return httpx.get(address + "/health/ready", timeout=5).status_code == 200
    except (OSError, httpx.HTTPError):
        return False


def copy_of(*names: str) -> Path:
    """A folder with only these workflow files."""
    folder = Path(tempfile.mkdtemp(prefix="piper-bench-dags-"))
    for name in names:
        shutil.copy(WORKFLOWS / name, folder / name)
    return folder
