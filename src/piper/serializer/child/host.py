"""The host: forks a loading process per file and sees that none takes more than it may."""

from __future__ import annotations

import ctypes
import gc
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Never

import piper.sdk
from piper import compat
from piper.compat.tables import table_for
from piper.model.spec import encode_spec
from piper.sdk import DAG, BaseOperator, task
from piper.sdk.specs import operator_schemas, spec_of
from piper.serializer.child.loading import Wiring, load_and_exit
from piper.serializer.child.processes import children, family, group_of, kill, members, resident, send_group
from piper.serializer.protocol import (
    MAX_PACKET,
    READY,
    Ended,
    Excess,
    Limits,
    Load,
    Setup,
    Stop,
    decode_to_host,
    encode,
)

POLL_SECONDS = 0.01
"""How often the limits are looked at: memory that grows by 2 GB/s exceeds its limit by 20 MB."""
GRACE_SECONDS = 0.3
"""For a process to say where it is, before it is killed."""
KEPT_TRACE = 16 << 10
FREQUENT = (
    "piper.operators.bash",
    "piper.operators.empty",
    "piper.operators.python",
    "piper.sdk.execution.lookups",
    "piper.compat.tables.former",
    "piper.compat.tables.language",
    "piper.compat.tables.library",
    "piper.compat.tables.moved",
    "piper.compat.tables.provided",
)
"""What most files import besides the language; for those that import `airflow`, the tables of its names."""
_PR_SET_CHILD_SUBREAPER = 36


class _Pipe:
    """The reading end of a pipe from a load: the first `most` bytes are kept, the rest is counted."""

    def __init__(self, descriptor: int, most: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.kept = bytearray()
        self.length = 0
        self._most = most

    def drain(self) -> bool:
        """Take what it holds now, up to 1 MiB. False when nobody can write to it any more."""
        for _ in range(16):
            try:
                data = os.read(self.descriptor, 64 << 10)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.kept += data[: self._most - len(self.kept)]
            self.length += len(data)
        return True


@dataclass(slots=True)
class _Running:
    """One load, as the host sees it."""

    load: Load
    pid: int
    pidfd: int
    home: str
    output: _Pipe
    trace: _Pipe
    started: float
    excess: Excess = Excess.NONE
    kill_at: float = float("inf")


class Host:
    """Serves one supervisor, until its socket closes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._limits = Limits()
        self._hidden: tuple[str, ...] = ()
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._listen)
        self._homes = ""

    def run(self) -> None:
        """Serve. Returns when the supervisor has gone and nothing is left of any load."""
        _rehearse()
        # Orphans of a load come to the host, which ends them.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        gc.collect()
        gc.freeze()
        self._control.send(READY)
        while True:
            for key, _ in self._selector.select(POLL_SECONDS if self._running else None):
                if self._selector.get_map().get(key.fileobj) == key:  # and not ended by an event before it
                    key.data()
            if self._running:
                self._enforce_limits()

    # --- the supervisor -----------------------------------------------------------------------------

    def _listen(self) -> None:
        # Close-on-exec, or what one file starts would hold the channel of another (`socket.recv_fds` drops flags).
        packet, rights, _, _ = self._control.recvmsg(MAX_PACKET, socket.CMSG_LEN(4), socket.MSG_CMSG_CLOEXEC)
        if not packet:
            self._leave()
        descriptors = [int.from_bytes(data, sys.byteorder) for _, _, data in rights]
        message = decode_to_host(packet)
        if isinstance(message, Setup):
            self._limits, self._hidden, self._homes = message.limits, message.hidden, message.homes
            sys.path[:0] = message.python_path
        elif isinstance(message, Load):
            self._start(message, descriptors[0])
        elif isinstance(message, Stop) and message.id in self._running:
            self._exceed(self._running[message.id], Excess.UNWANTED)

    def _leave(self) -> Never:
        for running in self._running.values():
            send_group(running.pid, signal.SIGKILL)
        self._running.clear()
        self._end_orphans()
        shutil.rmtree(self._homes, ignore_errors=True)  # the supervisor does that too, unless it was killed
        sys.exit(0)

    # --- loads --------------------------------------------------------------------------------------

    def _start(self, load: Load, result: int) -> None:
        home = tempfile.mkdtemp(dir=self._homes)
        output, output_end = os.pipe()
        trace, trace_end = os.pipe()
        os.set_blocking(trace_end, False)  # faulthandler writes to it, and shall never wait
        pid = os.fork()
        if pid == 0:
            load_and_exit(load, self._limits, self._hidden, Wiring(result, output_end, trace_end, home))
        for descriptor in (result, output_end, trace_end):
            os.close(descriptor)
        running = _Running(
            load=load,
            pid=pid,
            pidfd=os.pidfd_open(pid),
            home=home,
            output=_Pipe(output, self._limits.kept_output),
            trace=_Pipe(trace, KEPT_TRACE),
            started=time.monotonic(),
        )
        self._running[load.id] = running
        self._selector.register(running.pidfd, selectors.EVENT_READ, lambda: self._finish(running))
        for pipe in (running.output, running.trace):
            self._selector.register(pipe.descriptor, selectors.EVENT_READ, partial(self._drain, pipe))

    def _drain(self, pipe: _Pipe) -> None:
        if not pipe.drain() and pipe.descriptor in self._selector.get_map():
            self._selector.unregister(pipe.descriptor)

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        orphans = self._orphans()
        for running in list(self._running.values()):
            if now >= running.kill_at:
                send_group(running.pid, signal.SIGKILL)
            elif running.excess is Excess.NONE:
                left = [pid for pid in orphans if group_of(pid) == running.pid]
                excess = self._excess(running, left, now)
                if excess is not Excess.NONE:
                    self._exceed(running, excess)
        self._end_orphans()

    def _excess(self, running: _Running, orphans: list[int], now: float) -> Excess:
        if now - running.started > self._limits.seconds:
            return Excess.SECONDS
        if running.output.length > self._limits.output:
            return Excess.OUTPUT
        processes = family(running.pid, self._limits.processes) + orphans
        if len(processes) > self._limits.processes:
            return Excess.PROCESSES
        if sum(map(resident, processes)) > self._limits.memory:
            return Excess.MEMORY
        return Excess.NONE

    def _exceed(self, running: _Running, excess: Excess) -> None:
        """Let the loading process say where it is (faulthandler does, on SIGABRT) and die; then kill it.

        Its whole group is stopped first, so that what multiplies does so no longer while it is counted.
        """
        running.excess = excess
        running.kill_at = time.monotonic() + GRACE_SECONDS
        send_group(running.pid, signal.SIGSTOP)
        for pid in members(running.pid):
            if pid != running.pid:
                kill(pid)
        for number in (signal.SIGABRT, signal.SIGCONT):
            signal.pidfd_send_signal(running.pidfd, number)

    def _finish(self, running: _Running) -> None:
        """The loading process has ended: end what it started, and report."""
        send_group(running.pid, signal.SIGKILL)
        _, status, usage = os.wait4(running.pid, 0)
        del self._running[running.load.id]
        self._end_orphans()
        for pipe in (running.output, running.trace):
            self._drain(pipe)
        for descriptor in (running.pidfd, running.output.descriptor, running.trace.descriptor):
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
            os.close(descriptor)
        shutil.rmtree(running.home, ignore_errors=True)
        ended = Ended(
            id=running.load.id,
            exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            excess=running.excess,
            seconds=time.monotonic() - running.started,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            output=bytes(running.output.kept),
            trace=bytes(running.trace.kept),
        )
        self._control.send(encode(ended))

    def _orphans(self) -> list[int]:
        loading = {running.pid for running in self._running.values()}
        return [pid for pid in children(os.getpid()) if pid not in loading]

    def _end_orphans(self) -> None:
        """End the processes whose parents have left them: a load may leave nothing behind.

        Those of an orphan become orphans, so look again; what spawns faster is met at the next poll.
        """
        for _ in range(100):
            orphans = self._orphans()
            if not orphans:
                return
            for pid in orphans:
                kill(pid)
            for pid in orphans:
                os.waitpid(pid, 0)


def _rehearse() -> None:
    """Make a workflow and its spec once: whatever that imports, compiles and caches is then there in every fork.

    No module of the language is imported before one of its names is asked for, so all are; where the library
    behind one is missing, the file that wants it will say so.
    """
    for name in piper.sdk.__all__:
        with suppress(ImportError):
            getattr(piper.sdk, name)
    for module in FREQUENT:
        import_module(module)
    table_for(former=True)
    compat.install()
    with DAG("rehearsal", schedule="0 0 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        BaseOperator(task_id="first") >> task(_rehearse)()
    operator_schemas([dag])
    encode_spec(spec_of(dag, file="rehearsal.py"))
