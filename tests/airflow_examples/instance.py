"""A running Piper with the examples in its folder: `piper standalone`, as a user starts it, in the strict mode."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx

STARTS_WITHIN = 60.0
LOADS_WITHIN = 90.0
ENDS_WITHIN = 120.0
PAGE = 200


class Instance:
    """Started by entering, stopped by leaving.

    Arguments:
        home: its PIPER_HOME, which must not exist yet.
        folder: of the workflow files.
        environment: of the process, and so of tasks.
    """

    def __init__(self, home: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._environment = {**os.environ, **environment, "PIPER_HOME": str(home)}
        self.folder = folder
        self._log = home.with_suffix(".log")

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "piper.cli.main", "standalone", "--port", "0", "--dags", self.folder]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        address = self._home / "address"
        self._wait_until(lambda: address.exists(), STARTS_WITHIN, "it does not start")
        token = (self._home / "token").read_text().strip()
        self._http = httpx.Client(
            base_url=f"{address.read_text().strip()}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(30)

    @property
    def workflows(self) -> list[str]:
        """The ids of those that have been published."""
        return [each["workflow_id"] for each in self._get("/workflows", limit=PAGE)["items"]]

    @property
    def import_errors(self) -> dict[str, str]:
        """File → what is wrong with it."""
        return {each["file"]: each["error"] for each in self._get("/import-errors", limit=PAGE)["items"]}

    def wait_for(self, workflows: int, errors: int) -> None:
        """Return when so many are published and so many files have an error."""

        def is_so() -> bool:
            return len(self.workflows) >= workflows and len(self.import_errors) >= errors

        self._wait_until(is_so, LOADS_WITHIN, "the files are not loaded")

    def trigger(self, workflow_id: str, logical_date: datetime, conf: Mapping[str, Any]) -> int:
        """Start a run; its number."""
        body = {"logical_date": logical_date.isoformat(), "conf": dict(conf)}
        reply = self._http.post(f"/workflows/{workflow_id}/runs", json=body)
        assert reply.status_code == 201, reply.text
        self.unpause(workflow_id)
        number: int = reply.json()["id"]
        return number

    def unpause(self, workflow_id: str) -> None:
        """Let a workflow run."""
        self._http.patch(f"/workflows/{workflow_id}", json={"paused": False}).raise_for_status()

    def end_of(self, run: int) -> tuple[str, dict[str, str]]:
        """Wait for a run's end: its state, and the states of its tasks by name."""
        self._wait_until(lambda: self._state(run) in ("success", "failed"), ENDS_WITHIN, f"run {run} does not end")
        tasks = self._get(f"/runs/{run}/tasks", limit=PAGE)["items"]
        names = [each["task_id"] + ("" if each["map_index"] < 0 else f"[{each['map_index']}]") for each in tasks]
        return self._state(run), {name: each["state"] for name, each in zip(names, tasks, strict=True)}

    def errors_of(self, run: int) -> dict[str, str]:
        """Task → what its last attempt raised."""
        tasks = {each["task_id"] for each in self._get(f"/runs/{run}/tasks", limit=PAGE)["items"]}
        attempts = {task: self._get(f"/runs/{run}/tasks/{task}/attempts") for task in sorted(tasks)}
        return {task: tries[-1]["error"] for task, tries in attempts.items() if tries and tries[-1].get("error")}

    def tasks_of(self, run: int) -> list[str]:
        """The ids of a run's tasks."""
        return [each["task_id"] for each in self._get(f"/runs/{run}/tasks", limit=PAGE)["items"]]

    # --- assets ---------------------------------------------------------------------------------

    def runs_by(self, run_type: str) -> dict[str, int]:
        """Workflow → how many runs of that type it has."""
        return dict(Counter(workflow_id for workflow_id, _ in self.states(run_type)))

    def states(self, run_type: str) -> list[tuple[str, str]]:
        """(workflow, state) of all runs of that type."""
        runs = self._get("/runs", limit=PAGE, run_type=run_type)["items"]
        return [(each["workflow_id"], each["state"]) for each in runs]

    def wait_for_runs(self, run_type: str, expected: Mapping[str, int]) -> None:
        """Return when there are at least these runs of that type, and all of them have ended."""

        def is_so() -> bool:
            found = self.runs_by(run_type)
            ended = all(state in ("success", "failed") for _, state in self.states(run_type))
            return ended and all(found.get(one, 0) >= number for one, number in expected.items())

        self._wait_until(is_so, ENDS_WITHIN, f"there are no such runs: {dict(expected)}")

    def events(self) -> list[dict[str, Any]]:
        """The events of all assets, latest first."""
        found: list[dict[str, Any]] = self._get("/asset-events", limit=PAGE)["items"]
        return found

    def wait_until_active(self, asset: str) -> None:
        """Return when an asset is active."""
        self._wait_until(
            lambda: self._get("/assets", named=asset, active="true")["items"], LOADS_WITHIN, f"{asset} is not active"
        )

    def latest(self, workflow_id: str) -> int:
        """The number of a workflow's latest run."""
        number: int = self._get(f"/workflows/{workflow_id}/runs", order="-id", limit=1)["items"][0]["id"]
        return number

    def clear(self, workflow_id: str) -> None:
        """Run a workflow's latest run again."""
        self._http.post(f"/runs/{self.latest(workflow_id)}/clear", json={}).raise_for_status()

    def end_of_latest(self, workflow_id: str) -> tuple[str, dict[str, str]]:
        """As `end_of`, of a workflow's latest run."""
        return self.end_of(self.latest(workflow_id))

    def _state(self, run: int) -> str:
        state: str = self._get(f"/runs/{run}")["state"]
        return state

    def _get(self, path: str, **query: Any) -> Any:
        reply = self._http.get(path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def _wait_until(self, is_so: Any, seconds: float, trouble: str) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            assert self._process.poll() is None, f"it has ended: {self._log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"{trouble} within {seconds:g} s: {self._log.read_text()[-4000:]}"
            time.sleep(0.05)
