"""The zygote's work: load, freeze, and then fork, signal and reap until the supervisor is gone.

It has no threads and never runs user code again after loading. The less it and its children do around a fork, the
better: each page of memory that either of them writes to is copied first, which costs more (1 to 2 µs measured) than
what is done with it.

Whatever becomes its child without having been forked by it is a process that a task left behind (each child adopts
the orphans below it, and when it ends they come here): it is killed on sight.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import msgspec

from piper.logs.handler import PipeHandler
from piper.worker import control, forking, processes
from piper.worker.cgroup import join_cgroup
from piper.worker.channel import SocketChannel
from piper.worker.child import serve, terminate
from piper.worker.loading import Code, error_of_loading, load, rehearse

RETRY_MILLISECONDS = 100
"""After which a fork is tried again that the system has refused."""

_FAMILY_BYTES = 64 << 10

READS = "it reads variables or connections while it is loaded, for which it takes a task to ask"

_exit = os._exit  # as it is before a file may replace it

_TWO_INTEGERS = struct.Struct("2i")


class Parent:
    """The loop: requests from the supervisor, deaths of children."""

    def __init__(self, order: control.Order, supervisor: socket.socket, code: Code) -> None:
        self._supervisor = supervisor
        self._code = code
        self._channel = SocketChannel()
        """Of the children."""
        self._owed = 0
        """Children that were asked for and not forked yet."""
        self._children: dict[int, str] = {}
        """Those forked and not reaped, and their temporary folders."""
        self._folders = TemporaryFolders(order.temporary)
        self._removers: set[int] = set()
        self._pid = os.getpid()
        self._family = os.open(f"/proc/{self._pid}/task/{self._pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        """A list of all our children, anew whenever it is read from its beginning."""
        self._wakeup, self._wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGTERM, terminate)  # for the children, who inherit it

    def run(self) -> None:
        """Serve until the supervisor closes the connection."""
        poll = select.poll()
        poll.register(self._supervisor, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        requests = self._supervisor.fileno()
        while True:
            for descriptor, _ in poll.poll(RETRY_MILLISECONDS if self._owed else None):
                if descriptor == requests:
                    packet = self._supervisor.recv(control.MAX_PACKET)
                    if not packet:
                        return
                    self._obey(control.decode_to_zygote(packet))
                else:
                    with suppress(BlockingIOError):
                        os.read(self._wakeup, 4096)
                    self._reap()
            if self._owed:
                self._fork_those_owed()

    def _obey(self, request: control.ToZygote) -> None:
        if isinstance(request, control.Fork):
            self._owed += request.count
        elif request.pid in self._children:
            with suppress(ProcessLookupError):
                os.killpg(request.pid, request.number)

    def _fork_those_owed(self) -> None:
        try:
            while self._owed:
                self._fork()
                self._owed -= 1
        except OSError as error:  # too many processes or descriptors, no memory, a full disk: all of that may pass
            self._supervisor.send(control.encode(control.CannotFork(str(error))))

    def _fork(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            log, output = os.pipe2(os.O_CLOEXEC)
            try:
                os.set_blocking(log, False)
                temporary = self._folders.take()
                try:
                    pid = forking.fork()
                except OSError:
                    self._folders.give_back(temporary)
                    raise
                if pid == 0:
                    ours.close()
                    os.close(log)
                    self._begin_child(theirs, output, temporary)
                self._children[pid] = temporary
                descriptors = _TWO_INTEGERS.pack(ours.fileno(), log)
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
                self._supervisor.sendmsg([control.encode(control.Forked(pid))], rights)
            finally:
                os.close(log)
                os.close(output)

    def _begin_child(self, supervisor: socket.socket, output: int, temporary: str) -> NoReturn:
        """In the child: become a session of its own, leave everything of the zygote behind, serve."""
        try:
            os.setsid()
            processes.die_with_parent(self._pid)
            processes.adopt_orphans()
            signal.set_wakeup_fd(-1)
            self._supervisor.close()
            os.close(self._wakeup)
            os.close(self._wakeup_writer)
            os.close(self._family)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            os.environ["TMPDIR"] = temporary
            self._channel.connect(supervisor)
            serve(self._channel, self._code, temporary)
        finally:
            # Whatever escapes (a SystemExit, an error of ours) must not go on as a second zygote.
            if sys.exc_info()[0] is not None:
                with suppress(Exception):
                    sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _reap(self) -> None:
        """Take leave of every child that has ended, and kill what they left running."""
        while True:
            try:
                # Looked at before it is reaped: as long as it is a zombie, its id cannot mean another group.
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                break
            pid = found.si_pid
            temporary = self._children.pop(pid, None)
            if temporary is not None:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._removers.discard(pid)
            if temporary is not None:
                if remover := self._folders.give_back(temporary):
                    self._removers.add(remover)
                exited = found.si_code == os.CLD_EXITED
                code, number = (found.si_status, None) if exited else (None, found.si_status)
                self._supervisor.send(control.encode(control.Ended(pid, code, number)))
        for stray in self._family_members():
            if stray not in self._children and stray not in self._removers:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(os.getpgid(stray), signal.SIGKILL)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(stray, signal.SIGKILL)

    def _family_members(self) -> list[int]:
        """Our children, whoever made them: those that a first page of the list has room for."""
        names = os.pread(self._family, _FAMILY_BYTES, 0)
        if len(names) == _FAMILY_BYTES:  # the last number may be cut, and mean somebody else
            names = names.rpartition(b" ")[0]
        return [int(name) for name in names.split()]


class TemporaryFolders:
    """A temporary folder for each child. Making one costs as much as a fork, so that an empty one is used again.

    Arguments:
        parent: an existing folder that is nobody else's.
    """

    def __init__(self, parent: str) -> None:
        self._prefix = f"{parent}/{os.getpid()}-"
        self._free: list[str] = []
        self._made = 0

    def take(self) -> str:
        """An empty folder."""
        if self._free:
            folder = self._free.pop()
        else:
            self._made += 1
            folder = f"{self._prefix}{self._made}"
        # Also one that was there: systems tidy up their temporary files.
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(folder, mode=0o700)
        return folder

    def give_back(self, folder: str) -> int:
        """Its child is gone. Returns the id of the process that deletes what is in it, 0 if nothing is."""
        try:
            if not os.listdir(folder):
                self._free.append(folder)
                return 0
        except OSError:  # the task has deleted it, or changed what it is
            pass
        # A process of its own: there may be a million files.
        return os.posix_spawn("/bin/rm", ["rm", "-rf", "--", folder], {})


def _wake(number: int, frame: FrameType | None) -> None:
    """Nothing: that there is a handler makes Python write to the wakeup descriptor."""


def unfit_for_forking(own: set[int]) -> str:
    """Why this process, with its file loaded, must not be forked; empty if it may be.

    Python threads and sockets would be missing or shared in the child; the libraries named here hold
    locks or devices that do not survive. Native threads, such as NumPy's, are no reason.

    Arguments:
        own: descriptors that are Piper's.
    """
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if threads:
        return f"it has started a thread ({threads[0]})"
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if int(name) not in own and os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                return f"it has opened a socket (descriptor {name})"
    if "grpc" in sys.modules:
        return "it has loaded grpc"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "it has initialised CUDA"
    return ""


def prepare_output() -> None:
    """Lines printed and records logged come out at once and in order, also those of the children to come."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    root = logging.getLogger()
    root.addHandler(PipeHandler())
    root.setLevel(logging.INFO)


def main(argument: str) -> None:
    """Load as ordered, say how it went, serve."""
    order = msgspec.json.decode(argument, type=control.Order)
    processes.die_with_parent(order.supervisor)
    processes.adopt_orphans()
    os.setsid()
    os.set_inheritable(order.control, False)
    supervisor = socket.socket(fileno=order.control)
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if order.nice:
        os.nice(order.nice)
    join_cgroup(order.cgroup)
    prepare_output()
    try:
        code = load(order.snapshots, order.snapshot, order.file, lambda _: _give_up(supervisor, READS))
    except BaseException as error:  # SystemExit, too: a file that calls exit() is at fault
        sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.flush()
        supervisor.send(control.encode(control.LoadFailed(error_of_loading(error)[:4_000])))
        os._exit(1)
    if unfit := unfit_for_forking({order.control}) if order.file else "":
        _give_up(supervisor, unfit)
    supervisor.send(control.encode(control.Loaded()))
    # What is frozen is never visited by the collector, whose marks would copy its pages in each child.
    rehearse()
    gc.collect()
    gc.freeze()
    Parent(order, supervisor, code).run()
    _exit(0)  # no atexit handlers or threads of the file's


def _give_up(supervisor: socket.socket, unfit: str) -> NoReturn:
    """Tell why there will be no forks. Never returns: what the file would make of an exception does not matter."""
    try:
        supervisor.send(control.encode(control.Loaded(unfit)))
        # The supervisor ends this process when it has read that; one that it finds dead before has only failed.
        while supervisor.recv(control.MAX_PACKET):
            pass
    finally:
        _exit(0)
