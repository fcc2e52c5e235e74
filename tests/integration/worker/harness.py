"""A real worker on a server that a test plays: it grants, answers, stays silent, or hangs up."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from piper.logs import LogStore, parse_lines
from piper.model.frames import FrameBuffer, framed
from piper.model.run import Identity
from piper.model.spec import Isolation, TaskSpec
from piper.model.states import RunType
from piper.model.wire import (
    Call,
    Cancel,
    CodeRef,
    Dispatch,
    Heartbeat,
    Problem,
    Reply,
    Report,
    Request,
    RunContext,
    Start,
    TaskContext,
)
from piper.worker.launch import launch
from piper.worker.settings import WorkerSettings

WAIT = 20.0
"""Seconds after which a test that waits for something fails. Nothing waits so long when all is well."""

_decode = msgspec.msgpack.Decoder(list[Call]).decode
_encode = msgspec.msgpack.Encoder().encode


class Worker:
    """A worker process, and the server's end of its connection.

    Arguments:
        folder: holds its home and the snapshot of one file, `dags.py`.
        source: of that file.
        settings: of the worker, beyond what is needed.
    """

    def __init__(
        self, folder: Path, source: str = "", environment: dict[str, str] | None = None, **settings: Any
    ) -> None:
        snapshot = folder / "snapshots" / "s"
        snapshot.mkdir(parents=True, exist_ok=True)
        if source:
            (snapshot / "dags.py").write_text(source)
        self.folder = folder
        self.settings = WorkerSettings(
            **{
                "name": "worker",
                "home": str(folder),
                "logs": str(folder / "logs"),
                "snapshots": str(folder / "snapshots"),
                "grace": 0.5,
                **settings,
            }
        )
        self.process, self._socket = launch(self.settings, environment)
        self._buffer = FrameBuffer()
        self.granted: list[Identity] = []
        self.reports: dict[Identity, list[Report]] = {}
        self.asked: list[Request] = []
        self.grant: Callable[[Identity], Problem | None] = lambda identity: None
        self.answer: Callable[[Request], Any] = lambda request: None
        self.acknowledge: Callable[[Report], Problem | None] = lambda report: None
        self.unwanted: tuple[Identity, ...] = ()
        """What heartbeats are answered with."""
        self.silent = False
        """Heartbeats are not answered."""
        self.beats: list[Heartbeat] = []
        self.timeouts: dict[str, timedelta] = {}
        self.memory_limits: dict[str, int] = {}
        self._tasks: dict[Identity, tuple[str, Isolation, CodeRef]] = {}
        self._next = 0

    # --- what a server says

    def dispatch(
        self, task: str, isolation: Isolation = Isolation.FORK, identity: Identity | None = None, file: str = "dags.py"
    ) -> Identity:
        """Send a task of the workflow `flow`, and return whom it is for."""
        self._next += 1
        identity = identity or Identity(self._next, 1, 0)
        code = CodeRef("b", "s", file)
        self._tasks[identity] = (task, isolation, code)
        self.send(Dispatch(identity, f"token-{identity.instance}", code, isolation))
        return identity

    def cancel(self, identity: Identity) -> None:
        self.send(Cancel(identity))

    def send(self, message: object) -> None:
        self._socket.sendall(framed(_encode(message)))

    def hang_up(self) -> None:
        self._socket.close()

    # --- what a server hears

    def pump(self, seconds: float = 0.0) -> bool:
        """Answer what comes within so many seconds, up to and including the first frame. False if nothing came."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        data = self._socket.recv(1 << 20)
        if not data:
            raise EOFError("the worker has closed the connection")
        for body in self._buffer.feed(data):
            replies = [reply for call in _decode(body) if (reply := self._reply(call)) is not None]
            if replies:
                self.send(replies)
        return True

    def until(self, condition: Callable[[], Any], seconds: float = WAIT) -> Any:
        """Serve until the condition holds, and return what it says."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain; reports: {self.reports}"
            self.pump(0.01)
        return value

    def serve_for(self, seconds: float) -> None:
        """Serve for some time in which nothing particular is to happen."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.pump(left)

    def report_of(self, identity: Identity, seconds: float = WAIT) -> Report:
        """Serve until this execution has been reported."""
        self.until(lambda: identity in self.reports, seconds)
        (report,) = self.reports[identity]
        return report

    def run(self, task: str, isolation: Isolation = Isolation.FORK, file: str = "dags.py") -> Report:
        """Dispatch and wait for the report."""
        return self.report_of(self.dispatch(task, isolation, file=file))

    def write(self, file: str, text: str) -> None:
        """Put a file into the snapshot."""
        (self.folder / "snapshots" / "s" / file).write_text(text)

    def log_of(self, identity: Identity) -> list[str]:
        """The texts of its log's lines."""
        data = b""
        for chunk in LogStore(self.settings.logs).follow(_log(identity)):
            if not chunk.data:
                return [line.text for line in parse_lines(data)]
            data += chunk.data
        raise AssertionError

    def _reply(self, call: Call) -> Reply | None:
        request, identity = call.request, call.identity
        if isinstance(request, Heartbeat):
            self.beats.append(request)
            return None if self.silent else Reply(call.id, self.unwanted)
        assert identity is not None
        assert call.token == f"token-{identity.instance}"
        if isinstance(request, Start):
            problem = self.grant(identity)
            if problem is not None:
                return Reply(call.id, problem=problem)
            self.granted.append(identity)
            return Reply(call.id, self._context(identity))
        if isinstance(request, Report):
            problem = self.acknowledge(request)
            if problem is None:
                self.reports.setdefault(identity, []).append(request)
            return Reply(call.id, problem=problem)
        self.asked.append(request)
        answer = self.answer(request)
        return Reply(call.id, problem=answer) if isinstance(answer, Problem) else Reply(call.id, answer)

    def _context(self, identity: Identity) -> TaskContext:
        task, isolation, code = self._tasks[identity]
        spec = TaskSpec(
            task,
            "piper.operators.python.PythonOperator",
            isolation=isolation,
            execution_timeout=self.timeouts.get(task),
            memory_limit=self.memory_limits.get(task),
        )
        run = RunContext("flow", "manual", RunType.MANUAL, None, None, datetime.now(UTC))
        return TaskContext(identity, spec, -1, 0, run, "team", code, datetime.now(UTC), log=_log(identity))

    # --- processes

    @property
    def zygotes(self) -> list[int]:
        return children_of(self.process.pid)

    def close(self) -> None:
        """End the worker, however it is."""
        with contextlib.suppress(OSError):
            self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()


def _log(identity: Identity) -> str:
    return f"flow/{identity.instance}-{identity.try_number}.log"


def children_of(pid: int) -> list[int]:
    """Process ids."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def lives(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = WAIT) -> None:
    """Wait for something that happens outside of any worker that is served."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.01)


@contextlib.contextmanager
def worker(folder: Path, source: str = "", **settings: Any) -> Iterator[Worker]:
    """A worker that is ended in any case."""
    one = Worker(folder, source, **settings)
    try:
        yield one
    finally:
        one.close()


def pid_in(file: Path) -> int:
    """A process id that a task has written."""
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


__all__ = ["Isolation", "Worker", "children_of", "kill", "lives", "pid_in", "socket", "wait_until", "worker"]
