"""The zygotes of a worker: which there are, what they do now, how many children wait in each."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import msgspec

from piper.model.wire import CodeRef
from piper.worker import control, processes
from piper.worker.children import Child
from piper.worker.executions import Execution, why_it_ended
from piper.worker.poller import Poller
from piper.worker.remarks import remark
from piper.worker.settings import WorkerSettings

NO_CODE = CodeRef()
"""Whose zygote has loaded nothing: for tasks that their spec says everything about, and for `spawn`."""

STOCK = 4
"""Children that wait in a busy zygote: enough that forks keep up with starts."""

REST_SECONDS = 5.0
"""For so long after its last execution a zygote keeps one child waiting."""

ANSWER_SECONDS = 10.0
"""A zygote that has forked nothing for so long, though it was asked to, has been stopped or hangs."""

_OUTPUT_BYTES = 64 << 10

_INTEGER = struct.Struct("i")
_RIGHTS_BYTES = socket.CMSG_LEN(2 * _INTEGER.size)


def stock_wanted(forks: int, idle_seconds: float) -> int:
    """How many children should wait in a zygote, besides those that an execution waits for.

    Arguments:
        forks: executions that it has now and that take a child each.
        idle_seconds: since it last had an execution.
    """
    if forks:
        return min(STOCK, forks + 1)
    return 1 if idle_seconds < REST_SECONDS else 0


class Zygote:
    """One zygote as the supervisor sees it."""

    def __init__(self, code: CodeRef, pid: int, supervisor: socket.socket, output: int, now: float) -> None:
        self.code = code
        self.pid = pid
        self.socket = supervisor
        self.output = output
        """Reading end of what it prints."""
        self.printed = b""
        """The last of what it printed while it loaded, for the logs of tasks that fail because of it."""
        self.started = now
        self.used = now
        """When it last got an execution, or one ended."""
        self.ready = False
        self.gone = False
        self.ended = False
        """A child has ended since children were last asked for."""
        self.waiting: deque[Execution] = deque()
        """Placed here before it was ready."""
        self.granted: deque[Execution] = deque()
        """Granted, and waiting for a child."""
        self.stock: list[Child] = []
        """Children that have done nothing yet."""
        self.warm: list[Child] = []
        """Children that have ended a warm execution, and wait for another."""
        self.children: dict[int, Child] = {}
        self.asked = 0
        """Children asked for and not yet there."""
        self.asked_at = now
        """When the last came, or the first of these was asked for."""
        self.struggles = False
        """It has been refused a process, and goes on trying."""
        self.busy = 0
        self.needed = 0
        self._warm_busy = 0
        self._warm_needed = 0

    def join(self, execution: Execution) -> None:
        """The execution counts on this zygote from now on."""
        execution.zygote = self
        self.busy += 1
        self._warm_busy += execution.warm

    def leave(self, execution: Execution) -> None:
        """The execution is over, or goes elsewhere."""
        self.used = time.monotonic()
        self.busy -= 1
        self._warm_busy -= execution.warm

    def expect(self, execution: Execution) -> None:
        """The execution will soon need a child."""
        self.needed += 1
        self._warm_needed += execution.warm

    def relieve(self, execution: Execution) -> None:
        """The execution has got its child, or needs none any more."""
        self.needed -= 1
        self._warm_needed -= execution.warm

    def take(self, execution: Execution) -> Child | None:
        """A child for the execution, if one waits."""
        if execution.warm and self.warm:
            return self.warm.pop()
        return self.stock.pop() if self.stock else None

    def missing(self, reserve: int) -> int:
        """How many children to ask for; negative if more wait than there should.

        Arguments:
            reserve: how many should wait besides those that an execution needs now.
        """
        served = min(self._warm_needed, len(self.warm))
        return self.needed - served + reserve - len(self.stock) - self.asked

    def reserve(self, now: float) -> int:
        """How many children should wait for executions to come."""
        return stock_wanted(self.busy - self._warm_busy, now - self.used)


class Listener(Protocol):
    """Whom the nursery tells what happens."""

    def zygote_ready(self, zygote: Zygote) -> None:
        """It is loaded: `zygote.waiting` need wait no more."""

    def zygote_failed(self, zygote: Zygote, error: str) -> None:
        """It cannot load its file: `zygote.waiting` fail with that error."""

    def zygote_lost(self, zygote: Zygote, why: str) -> None:
        """It has ended after it was ready: `zygote.granted` are lost, what runs in its children will end."""

    def child_waits(self, child: Child) -> None:
        """A new child can be given an execution."""

    def child_ended(self, child: Child, exit_code: int | None, number: int | None) -> None:
        """A child with an execution has ended, of an exit code or a signal, and its process group with it."""


class Nursery:
    """Starts, finds, feeds and drops zygotes.

    Arguments:
        environment: of the zygotes, and so of tasks.
        temporary: folder in which each child gets one of its own.
        cgroup: folder of the cgroup that zygotes join; empty for none.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        poller: Poller,
        listener: Listener,
        environment: dict[str, str],
        temporary: str,
        cgroup: str,
    ) -> None:
        self._settings = settings
        self._poller = poller
        self._listener = listener
        self._environment = environment
        self._temporary = temporary
        self._cgroup = cgroup
        self._zygotes: dict[CodeRef, Zygote] = {}
        self._orphans: dict[int, Child] = {}
        """Children whose zygote has ended: they are this process's now, and about to end."""
        self._unfit: set[CodeRef] = set()
        """Files after whose loading a process must not be forked, or that can only be loaded for a task."""

    def __iter__(self) -> Iterator[Zygote]:
        return iter(list(self._zygotes.values()))

    def zygote_for(self, code: CodeRef, now: float) -> Zygote:
        """The zygote that can fork children for this file, started now if there is none."""
        if code in self._unfit or not code.file:
            code = NO_CODE
        zygote = self._zygotes.get(code)
        if zygote is None:
            zygote = self._zygotes[code] = self._start(code, now)
        zygote.used = now
        return zygote

    def refill(self, now: float) -> None:
        """Ask for the children that are missing.

        Those that executions need are asked for at once. The reserve is filled up when something has just ended, or
        by `tend`: a zygote that forks cannot reap, and the end of a short task should not wait for that.
        """
        for zygote in self._zygotes.values():
            if zygote.ready:
                reserve = zygote.reserve(now) if zygote.ended else 0
                zygote.ended = False
                self._ask(zygote, zygote.missing(reserve), now)

    def _ask(self, zygote: Zygote, children: int, now: float) -> None:
        if children > 0:
            if not zygote.asked:
                zygote.asked_at = now
            zygote.asked += children
            self._send(zygote, control.Fork(children))

    def signal(self, child: Child, number: int) -> None:
        """Send a signal to a child's process group."""
        self._send(child.zygote, control.Signal(child.pid, number))

    def insist(self, child: Child) -> None:
        """See to a child that was killed and has not ended for a while."""
        zygote = child.zygote
        state, parent = processes.state_of(child.pid)
        if zygote.gone:
            return
        if state in ("", "Z"):  # it is dead, and its zygote does not say so: that has been stopped
            self.bury(zygote)
        elif parent == zygote.pid:
            if not child.stuck:
                remark(f"process {child.pid} was killed and does not end (state {state})")
                child.stuck = True
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def tend(self, now: float) -> None:
        """Drop zygotes that are idle for long or too many, that take too long to load, or that do not answer."""
        idle = sorted((zygote for zygote in self if not zygote.busy), key=lambda zygote: zygote.used)
        surplus = len(self._zygotes) - self._settings.zygotes
        for rank, zygote in enumerate(idle):
            if rank < surplus or now - zygote.used > self._settings.idle_zygote:
                self.bury(zygote)
                continue
            surplus_children = max(0, -zygote.missing(zygote.reserve(now)))
            for child in zygote.stock[:surplus_children]:
                child.close()
            del zygote.stock[:surplus_children]
            if now - zygote.used > REST_SECONDS:
                for child in zygote.warm:
                    child.close()
                zygote.warm.clear()
        for zygote in self:
            if not zygote.ready and now - zygote.started > self._settings.load_timeout:
                self._fail(zygote, f"{zygote.code.file} did not load within {self._settings.load_timeout:g} s")
            elif zygote.asked and now - zygote.asked_at > ANSWER_SECONDS:
                self.bury(zygote)
            elif zygote.ready:
                self._ask(zygote, zygote.missing(zygote.reserve(now)), now)

    def reap(self) -> None:
        """Take leave of this process's children that have ended, and kill what it has adopted."""
        zygotes = {zygote.pid: zygote for zygote in self}
        while True:
            try:
                # Looked at before it is reaped: as long as it is a zombie, its id cannot mean another group.
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                break
            if found.si_pid in zygotes:
                self.bury(zygotes[found.si_pid])
                continue
            child = self._orphans.pop(found.si_pid, None)
            for zygote in zygotes.values():
                child = child or zygote.children.pop(found.si_pid, None)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(found.si_pid, signal.SIGKILL)
            os.waitpid(found.si_pid, 0)
            if child is not None:
                exited = found.si_code == os.CLD_EXITED
                code, number = (found.si_status, None) if exited else (None, found.si_status)
                self._listener.child_ended(child, code, number)
        for pid in processes.children_of(os.getpid()):
            if pid not in zygotes:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def bury(self, zygote: Zygote) -> None:
        """End a zygote, or find that it has ended. Its children are then killed by the kernel, and come here."""
        if zygote.gone:
            return
        zygote.gone = True
        if self._zygotes.get(zygote.code) is zygote:
            del self._zygotes[zygote.code]
        with suppress(ProcessLookupError):
            os.kill(zygote.pid, signal.SIGKILL)
        _, status = os.waitpid(zygote.pid, 0)
        self._hear_last_words(zygote)
        self._poller.close(zygote.socket.detach())
        self._read_output(zygote)
        if zygote.output >= 0:
            self._poller.close(zygote.output)
            zygote.output = -1
        for child in zygote.children.values():
            if child.execution is None:
                child.close()
            else:
                self._orphans[child.pid] = child
        self._miss_no_orphan()
        code = os.waitstatus_to_exitcode(status)
        why = f"was {why_it_ended(None, -code)}" if code < 0 else f"exited with code {code}"
        if not zygote.ready and zygote.waiting:
            self._listener.zygote_failed(zygote, f"the process that loads {zygote.code.file} {why}")
        elif zygote.busy:
            self._listener.zygote_lost(zygote, f"the parent of its process {why}")

    def _hear_last_words(self, zygote: Zygote) -> None:
        """Handle what a zygote has said before it ended: whom it has reaped nobody else can tell."""
        with suppress(BlockingIOError, EOFError, msgspec.DecodeError):
            while True:
                message, descriptors = _next_packet(zygote.socket)
                for descriptor in descriptors:
                    os.close(descriptor)
                if isinstance(message, control.Ended):
                    self._ended(zygote, message)

    def _miss_no_orphan(self) -> None:
        """End those executions whose process a zygote had reaped without having had the time to say so."""
        for child in list(self._orphans.values()):
            if not processes.state_of(child.pid)[0]:
                del self._orphans[child.pid]
                self._listener.child_ended(child, None, None)

    def close(self) -> None:
        """End every zygote, and tell nobody."""
        for zygote in self:
            zygote.busy = 0
            zygote.waiting.clear()
            self.bury(zygote)

    def _start(self, code: CodeRef, now: float) -> Zygote:
        """Execute a fresh interpreter. It is not forked from here: it shall hold nothing of this process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, printed = os.pipe2(os.O_CLOEXEC)
        order = control.Order(
            control=theirs.fileno(),
            supervisor=os.getpid(),
            snapshots=self._settings.snapshots,
            temporary=self._temporary,
            snapshot=code.snapshot,
            file=code.file,
            nice=self._settings.nice,
            cgroup=self._cgroup,
        )
        theirs.set_inheritable(True)
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-m", "piper.worker.zygote", msgspec.json.encode(order).decode()],
                self._environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, printed, 1),
                    (os.POSIX_SPAWN_DUP2, printed, 2),
                ],
            )
        finally:
            theirs.close()
            os.close(printed)
        ours.setblocking(False)
        os.set_blocking(output, False)
        zygote = Zygote(code, pid, ours, output, now)
        self._poller.add(ours.fileno(), lambda events: self._receive(zygote))
        self._poller.add(output, lambda events: self._read_output(zygote))
        return zygote

    def _send(self, zygote: Zygote, message: control.ToZygote) -> None:
        with suppress(OSError):  # it is gone, or stopped and its queue is full: it will be found and ended
            zygote.socket.send(control.encode(message))

    def _receive(self, zygote: Zygote) -> None:
        """Handle every packet that is there."""
        while not zygote.gone:
            try:
                message, descriptors = _next_packet(zygote.socket)
            except BlockingIOError:
                return
            except (EOFError, msgspec.DecodeError):  # its file may write to any descriptor while it loads
                self.bury(zygote)
                return
            if isinstance(message, control.Forked):
                self._forked(zygote, message.pid, descriptors)
            elif isinstance(message, control.Ended):
                self._ended(zygote, message)
            elif isinstance(message, control.Loaded):
                self._loaded(zygote, message)
            elif isinstance(message, control.CannotFork):
                if not zygote.struggles:
                    remark(f"no process can be made for {zygote.code.file}: {message.error}")
                zygote.struggles = True
                zygote.asked_at = time.monotonic()
            else:
                self._fail(zygote, message.error)

    def _forked(self, zygote: Zygote, pid: int, descriptors: list[int]) -> None:
        zygote.struggles = False
        zygote.asked -= 1
        zygote.asked_at = time.monotonic()
        if len(descriptors) < 2:  # this process has as many as it may have
            remark(f"child {pid} is sent away: there are no descriptors left to speak with it")
            for descriptor in descriptors:
                os.close(descriptor)
            self._send(zygote, control.Signal(pid, signal.SIGKILL))
            return
        child = Child(pid, zygote, descriptors[0], descriptors[1], self._poller)
        zygote.children[pid] = child
        zygote.stock.append(child)
        self._listener.child_waits(child)

    def _ended(self, zygote: Zygote, message: control.Ended) -> None:
        zygote.ended = True
        child = zygote.children.pop(message.pid, None)
        if child is None:
            return
        if child.execution is not None:
            self._listener.child_ended(child, message.exit_code, message.signal)
            return
        for waiting in (zygote.stock, zygote.warm):
            if child in waiting:
                waiting.remove(child)
        child.close()

    def _loaded(self, zygote: Zygote, message: control.Loaded) -> None:
        if not message.unfit:
            zygote.ready = zygote.ended = True
            self._listener.zygote_ready(zygote)
            return
        remark(f"{zygote.code.file} is loaded anew for each of its tasks: {message.unfit}")
        self._unfit.add(zygote.code)
        self._zygotes.pop(zygote.code, None)
        other = self.zygote_for(NO_CODE, zygote.used)
        while zygote.waiting:
            execution = zygote.waiting.popleft()
            zygote.leave(execution)
            other.join(execution)
            other.waiting.append(execution)
        self.bury(zygote)
        if other.ready:
            self._listener.zygote_ready(other)

    def _fail(self, zygote: Zygote, error: str) -> None:
        self._read_output(zygote)
        self._listener.zygote_failed(zygote, error)
        self.bury(zygote)

    def _read_output(self, zygote: Zygote) -> None:
        with suppress(BlockingIOError):
            while zygote.output >= 0:
                data = os.read(zygote.output, _OUTPUT_BYTES)
                zygote.printed = b"" if zygote.ready else (zygote.printed + data)[-_OUTPUT_BYTES:]
                if not data:
                    self._poller.close(zygote.output)
                    zygote.output = -1


def _next_packet(connection: socket.socket) -> tuple[control.FromZygote, list[int]]:
    """A message and the descriptors that came with it.

    Raises:
        BlockingIOError: there is none now.
        EOFError: there will be none.
        msgspec.DecodeError: it is no message.
    """
    try:
        # Close-on-exec, or the next zygote would inherit the connections of all children (`recv_fds` drops flags).
        packet, rights, _, _ = connection.recvmsg(control.MAX_PACKET, _RIGHTS_BYTES, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        raise EOFError from None
    if not packet:
        raise EOFError
    descriptors = [number for _, _, data in rights for (number,) in _INTEGER.iter_unpack(data)]
    try:
        return control.decode_from_zygote(packet), descriptors
    except msgspec.DecodeError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
