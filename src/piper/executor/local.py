"""Local workers: one supervisor process on this machine, connected by a socket pair, started again when it ends.

The connection is the worker's life: when it ends, for whatever reason, the process is ended too and waited for, and
what ran there is declared lost at once (correctness I13). Its own children end with it (`piper.worker`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence

from piper.executor.lost_workers import lose_all_on
from piper.executor.service import Term
from piper.lane import Lane
from piper.model.errors import FenceLost, PiperError
from piper.model.ids import EXECUTOR_SHARD
from piper.model.run import Identity
from piper.model.wire import Cancel, Dispatch
from piper.service import POLL_SECONDS, Clock, Wakeups
from piper.store.database import Database
from piper.task_api.pipe import Handle, PipeConnection

log = logging.getLogger(__name__)

FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 10.0
HEALTHY_SECONDS = 10.0
"""A supervisor that lived so long has started well: the next is not made to wait."""

EXIT_SECONDS = 5.0
"""For a supervisor whose connection has ended to end what it runs and exit; then it is killed."""

Launch = Callable[[], tuple[subprocess.Popen[bytes], socket.socket]]

COMMITS_LATER = 0.5
"""Seconds between attempts to declare lost what ran here, while the database cannot be used."""


class LocalBackend:
    """Runs a supervisor and speaks with it. A thread keeps it running between `start` and `stop`.

    Arguments:
        handle: `TaskApi.handle`.
        launch: starts a supervisor in a session of its own; returns its process and our end of its connection. On
            SIGTERM it ends and reports what it runs; at the end of the connection it kills that. It exits after both.
        worker: the name under which that supervisor speaks, the same after a restart and nobody else's.
        slots: executions that it may hold at once.
        term: this process's ownership. While that lets it begin nothing, no worker is started here; and only who leads
            the executor declares lost what runs under that name: after a take-over it runs on another's worker.
        wakeups: "executor" is notified when a supervisor has come, "scheduler" when executions were lost.
        lane: serves the connection.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        handle: Handle,
        launch: Launch,
        worker: str,
        slots: int,
        term: Term,
        wakeups: Wakeups,
        lane: Lane,
    ) -> None:
        self._database = database
        self._clock = clock
        self._handle = handle
        self._launch = launch
        self._worker = worker
        self._slots = slots
        self._term = term
        self._wakeups = wakeups
        self._lane = lane
        self._arrivals = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: PipeConnection | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def capacity(self) -> int:
        return self._slots

    @property
    def arrivals(self) -> int:
        return self._arrivals

    def send(self, dispatches: Sequence[Dispatch]) -> None:
        self._push(dispatches)

    def cancel(self, identities: Sequence[Identity], reason: str) -> None:
        self._push([Cancel(identity, reason) for identity in identities])

    def start(self) -> None:
        """Start a supervisor and keep one running. Does nothing if that is so."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._keep_running, name="local-worker", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Have the supervisor end and report what it runs, and wait for that; what it cannot report is lost."""
        self._stopping.set()
        thread, process = self._thread, self._process
        if thread is None:
            return
        if process is not None:
            process.terminate()
        thread.join(EXIT_SECONDS)
        if (connection := self._connection) is not None:
            connection.close()
        thread.join(2 * EXIT_SECONDS)
        self._thread = None

    def _push(self, messages: Sequence[Dispatch] | Sequence[Cancel]) -> None:
        connection = self._connection
        if connection is not None and not connection.push(messages):
            log.warning("%d messages to the local worker were dropped: it does not read", len(messages))

    def _keep_running(self) -> None:
        backoff = FIRST_BACKOFF
        # A supervisor ends with the process that hosts it, and what remained is ended by the next one as it starts.
        self._lose("the process that hosted its worker ended")
        while not self._stopping.is_set():
            if self._term.fence() is None:
                self._stopping.wait(POLL_SECONDS)
                continue
            begun = self._clock.monotonic()
            try:
                self._run_one()
            except Exception:  # without this thread no task would ever run again, and nothing would say so
                log.exception("keeping a local worker running failed; it goes on")
            if self._clock.monotonic() - begun >= HEALTHY_SECONDS:
                backoff = FIRST_BACKOFF
            if not self._stopping.is_set():
                log.warning("the local worker ended; another is started in %.1f s", backoff)
                self._stopping.wait(backoff)
                backoff = min(2 * backoff, LONGEST_BACKOFF)

    def _run_one(self) -> None:
        """The life of one supervisor, from its start until what it held is lost."""
        try:
            process, stream = self._launch()
        except OSError as error:
            log.error("the local worker could not be started: %s", error)
            return
        connection = PipeConnection(stream, self._handle, self._lane.wake)
        self._process, self._connection = process, connection
        self._arrivals += 1
        self._wakeups.notify("executor")
        if self._stopping.is_set():  # `stop` may have come before there was anything to stop
            connection.close()
        try:
            self._lane.serve(connection)
        except Exception:
            log.exception("serving the local worker failed")
        finally:
            self._process = self._connection = None
            connection.end()
            status = _end(process)
            self._lose(f"its worker ended (status {status})")

    def _lose(self, error: str) -> None:
        """Declare lost what ran here; when the database cannot be used, as soon as it can."""
        while True:
            owned = self._term.fence()
            if owned is None or EXECUTOR_SHARD not in owned.epochs:
                return
            fence = owned.only([EXECUTOR_SHARD])
            try:
                with self._database.fenced(fence) as connection:
                    lost = lose_all_on(connection, self._worker, error, self._clock)
            except FenceLost as taken:
                self._term.forget(fence, taken.shards)
                return
            except Exception as failure:
                report = log.warning if isinstance(failure, PiperError) else log.exception
                report("what ran on the local worker cannot be declared lost yet: %s", failure)
                if self._stopping.wait(COMMITS_LATER):
                    return  # the next start will do it
                continue
            if lost:
                self._wakeups.notify("scheduler")
            return


def _end(process: subprocess.Popen[bytes]) -> int:
    """Wait for a supervisor that has lost its connection; end it if it does not. Returns its exit status."""
    try:
        return process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        log.warning("the local worker %d did not exit and is killed", process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
