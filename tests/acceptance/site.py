"""What a user has: a PIPER_HOME, a folder of workflow files, `piper` on the command line and the HTTP API."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

PIPER = str(Path(sys.executable).with_name("piper"))
WORKFLOWS = Path(__file__).parent / "workflows"
PATIENCE = 90.0
"""Seconds after which a test that waits for something fails: what takes one on an idle machine takes thirty where
twenty others want to compute too."""


T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return msgspec.json.decode(self.out)


def clean_environment(**more: str) -> dict[str, str]:
    """That of a user who has set nothing of Piper's, but `more`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PIPER_")} | more


def run_piper(
    *arguments: str | Path, environment: dict[str, str], stdin: str = "", timeout: float = 60.0, cwd: Path | None = None
) -> Result:
    """Type a command and wait for its end."""
    done = subprocess.run(
        [PIPER, *map(str, arguments)], env=environment, input=stdin, capture_output=True, text=True, timeout=timeout,
        cwd=cwd,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


def wait_until(found: Callable[[], T], seconds: float = PATIENCE, what: str = "") -> T:
    """Ask again until the answer is true; it."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"{what or 'what was waited for'} did not come within {seconds:g} s"
        time.sleep(0.01)
    return answer


class Site:
    """An installation for one machine.

    Arguments:
        folder: holds its home and, unless they are elsewhere, its workflow files.
        started_by: a command that starts the server in its own way; it gets the server's as arguments.
        settings: `PIPER_…` and other variables of the server.
    """

    def __init__(
        self, folder: Path, *, dags: Path | None = None, started_by: Sequence[str] = (), **settings: str
    ) -> None:
        self.home = folder / "home"
        self.dags = dags or folder / "dags"
        self.dags.mkdir(parents=True, exist_ok=True)
        self.log = folder / "server.log"
        self.environment = clean_environment(PIPER_HOME=str(self.home))
        self._settings = settings
        self._started_by = started_by
        self.process: subprocess.Popen[bytes] | None = None
        self._api: httpx.Client | None = None

    # --- the server

    def start(self) -> None:
        """Start `piper standalone` and wait until it answers."""
        self.launch()
        self.wait_ready()

    def launch(self, *options: str) -> None:
        """Start `piper standalone`."""
        (self.home / "address").unlink(missing_ok=True)
        command = [*self._started_by, PIPER, "standalone", "--dags", str(self.dags), "--port", "0", *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment | self._settings, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def wait_ready(self) -> None:
        """Wait until the server answers."""
        wait_until(self._is_ready, what=f"an answer of the server (see {self.log})")

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError, httpx.HTTPError):
            address = (self.home / "address").read_text().strip()
            return httpx.get(f"{address}/health/ready").status_code == httpx.codes.OK
        return False

    @property
    def pid(self) -> int:
        """Of the server."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """kill -9 the server."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def kill_all(self) -> None:
        """kill -9 the server and all that it has started, as far as possible at once."""
        below = descendants_of(self.pid)
        self.kill()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> int:
        """End the server as Ctrl-C does; its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        self.process = None
        if self._api is not None:
            self._api.close()
            self._api = None
        return code

    # --- what a user does

    def piper(self, *arguments: str | Path, stdin: str = "", timeout: float = 60.0) -> Result:
        """Type a command."""
        return run_piper(*arguments, environment=self.environment, stdin=stdin, timeout=timeout)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Type a command that is followed while it runs."""
        return subprocess.Popen(
            [PIPER, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def did(self, *arguments: str | Path, stdin: str = "") -> Result:
        """Type a command that must succeed."""
        done = self.piper(*arguments, stdin=stdin)
        assert done.code == 0, f"piper {' '.join(map(str, arguments))}: {done}"
        return done

    @property
    def api(self) -> httpx.Client:
        """The HTTP API, with the token."""
        if self._api is None:
            address, token = ((self.home / name).read_text().strip() for name in ("address", "token"))
            self._api = httpx.Client(
                base_url=f"{address}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE
            )
        return self._api

    def get(self, path: str, **query: Any) -> Any:
        """What the API answers."""
        reply = self.api.get(path, params=query)
        assert reply.is_success, f"{path}: {reply.status_code} {reply.text}"
        return reply.json()

    def items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All items of a list of the API."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.get(path, **query, limit=500, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def publish(self, name: str, text: str) -> None:
        """Save a workflow file. Saved at once, as editors do: a file that is half written may be loaded as it is."""
        unfinished = self.dags / f".{name}"
        unfinished.write_text(text)
        unfinished.rename(self.dags / name)

    def has(self, *workflows: str) -> None:
        """Wait until these workflows are there."""
        for workflow in workflows:
            wait_until(
                lambda workflow=workflow: self.api.get(f"/workflows/{workflow}").is_success, what=f"workflow {workflow}"
            )

    def error_of(self, file: str) -> dict[str, Any]:
        """Wait until a file cannot be loaded; why."""

        def find() -> dict[str, Any] | None:
            return next((error for error in self.items("/import-errors") if error["file"] == file), None)

        return wait_until(find, what=f"an error of {file}")  # type: ignore[return-value]

    def trigger(self, workflow: str, *options: str) -> dict[str, Any]:
        """Start a run by hand; it."""
        self.has(workflow)
        run: dict[str, Any] = self.did("workflows", "trigger", workflow, *options, "-o", "json").json
        return run

    def run(self, workflow: str, *options: str) -> Run:
        """Start a run by hand and wait for its end."""
        return self.ended(self.trigger(workflow, *options))

    def ended(self, run: dict[str, Any], seconds: float = PATIENCE) -> Run:
        """Wait for the end of a run."""
        done = self.piper("runs", "wait", str(run["id"]), "--timeout", f"{seconds:g}s", "-o", "json")
        assert done.code in (0, 1), done
        return Run(self, done.json)

    def runs(self, workflow: str) -> list[dict[str, Any]]:
        """The runs of a workflow by logical date."""
        return sorted(self.items(f"/workflows/{workflow}/runs"), key=lambda run: run["logical_date"] or "")

    def states(self, run: int) -> dict[str, str]:
        """The states of a run's tasks now: `task` or `task[3]` → state."""
        return {name_of(task): task["state"] for task in self.items(f"/runs/{run}/tasks")}


class Run:
    """A run that has ended."""

    def __init__(self, site: Site, row: dict[str, Any]) -> None:
        self._site = site
        self.row = row
        self.id: int = row["id"]
        self.state: str = row["state"]
        self.tasks = {name_of(task): task for task in site.items(f"/runs/{self.id}/tasks")}

    @property
    def states(self) -> dict[str, str]:
        """`task` or `task[3]` → state."""
        return {name: task["state"] for name, task in self.tasks.items()}

    def order(self) -> list[str]:
        """The tasks that have run, in the order in which they began."""
        began = [(task["started_at"], name) for name, task in self.tasks.items() if task["started_at"]]
        return [name for _, name in sorted(began)]

    def xcom(self, task: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task has left."""
        query = {} if map_index < 0 else {"map_index": map_index}
        return self._site.get(f"/runs/{self.id}/tasks/{task}/xcoms/{key}", **query)

    def log(self, task: str, *options: str) -> str:
        """What a task has written, as the command line shows it."""
        return self._site.did("tasks", "logs", str(self.id), task, *options).out

    def attempts(self, task: str, map_index: int = -1) -> list[dict[str, Any]]:
        """The tries of a task, first to last."""
        query = {} if map_index < 0 else {"map_index": map_index}
        found = self._site.get(f"/runs/{self.id}/tasks/{task}/attempts", **query)
        return sorted(found, key=lambda attempt: attempt["try_number"])

    def error(self, task: str) -> str:
        """What its last try has failed of."""
        text: str = self.attempts(task)[-1]["error"]
        return text


def name_of(task: dict[str, Any]) -> str:
    """`task`, or `task[3]` of a mapped one."""
    index = task["map_index"]
    return task["task_id"] if index < 0 else f"{task['task_id']}[{index}]"


# --- processes ----------------------------------------------------------------------------------


def parent_of(pid: int) -> int:
    """Of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def processes() -> Iterable[int]:
    """Every process there is."""
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def alive(pid: int) -> bool:
    """Whether a process runs: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def environment_of(pid: int) -> dict[str, str]:
    """That a process was started with."""
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in data.decode(errors="replace").split("\0") if "=" in entry)


def command_of(pid: int) -> str:
    """The words that a process was started with, each with a NUL after it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    return [each for each in processes() if parent_of(each) == pid and alive(each)]


def descendants_of(pid: int) -> list[int]:
    """The processes that a process has started, those that they have started, and so on."""
    children = children_of(pid)
    return children + [below for child in children for below in descendants_of(child)]


MARK = "PIPER_WORKER_MARK"
"""The variable by which a worker knows what it has started, and what that has started."""


def marks(pid: int) -> set[str]:
    """Those of the workers below a process."""
    found: set[str] = set()
    for child in children_of(pid):
        found |= marks(child)
        if MARK in (environment := environment_of(child)):
            found.add(environment[MARK])
    return found


def marked(marks: set[str]) -> list[int]:
    """The processes that workers of these marks, or what they have started, have left."""
    return [pid for pid in processes() if alive(pid) and environment_of(pid).get(MARK) in marks]
