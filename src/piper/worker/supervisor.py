"""The supervisor: one loop between the server and the processes that run tasks.

It puts the parts together and gives them their turns; what they do is theirs: `lifecycle` moves executions
along, `zygotes` has processes ready, `conversations` answers children, `calls` and `contact` keep up with the
server, `watch` with time.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from types import FrameType

import msgspec

from piper.model.run import Identity
from piper.model.wire import Cancel, Dispatch, GiveUp, Heartbeat, Report, Start
from piper.worker import processes
from piper.worker.calls import Calls, RawReply
from piper.worker.cgroup import end_cgroup, make_cgroup
from piper.worker.contact import Contact
from piper.worker.conversations import Conversations
from piper.worker.lifecycle import LOST_CONTACT, Lifecycle
from piper.worker.poller import Link, Poller
from piper.worker.register import Head, Register, register_file
from piper.worker.remarks import remark
from piper.worker.settings import WorkerSettings
from piper.worker.watch import Watch
from piper.worker.zygotes import Nursery

MARK = "PIPER_WORKER_MARK"
"""Name of the environment entry by which what a worker has started is known."""

STOPPED = "its worker was stopped"

TEND_SECONDS = 0.5
"""How often zygotes are looked after."""

STOP_SECONDS = 3.0
"""Beyond `grace`, for reports, when a worker is told to stop."""

_decode = msgspec.msgpack.Decoder(Dispatch | Cancel | list[RawReply]).decode
_decode_identities = msgspec.msgpack.Decoder(tuple[Identity, ...] | None).decode


class Supervisor:
    """One worker.

    Arguments:
        server: descriptor of the connection; its end of file ends the worker.
        environment: of the tasks, already without what they must not see.

    Raises:
        InvalidSetting: another worker of that name runs on that home.
    """

    def __init__(self, settings: WorkerSettings, server: int, environment: dict[str, str]) -> None:
        self._settings = settings
        self._poller = Poller()
        self._server = Link(server, self._poller, self._received, self._server_gone)
        self._register = Register(register_file(settings))
        end_worker(self._register.predecessor)
        self._head = new_head(settings.name)
        left = self._register.left
        self._register.begin(self._head)
        processes.adopt_orphans()
        now = time.monotonic()
        self._calls = Calls(self._server.send)
        self._contact = Contact(settings.contact, now)
        self._conversations = Conversations(self._calls)
        self._lifecycle = Lifecycle(settings, self._calls, self._contact, self._register, self._conversations.listen)
        name, _, value = self._head.mark.partition("=")
        marked = {**environment, name: value}
        self._nursery = Nursery(
            settings, self._poller, self._lifecycle, marked, self._head.temporary, self._head.cgroup
        )
        self._conversations.lifecycle = self._lifecycle
        self._lifecycle.nursery = self._nursery
        self._watch = Watch(self._lifecycle)
        self._tend_due = now
        self._told_to_stop = False
        self._stop_by: float | None = None
        """Monotonic second at which a worker that was told to stop exits in any case."""
        self._over = False
        self._wake_on_signals()
        for row in left:
            self._lifecycle.announce_lost(row, now)

    def run(self) -> None:
        """Work until the server closes the connection, or until SIGTERM and all is reported."""
        try:
            while not self._over:
                ready = self._poller.wait(self._patience())
                # First of all: this process may have been stopped for an hour, with answers of an hour ago to read.
                now = time.monotonic()
                if not self._contact.holds(now):
                    self._lifecycle.lose_started(LOST_CONTACT, now)
                self._poller.handle(ready)
                self._keep_time(time.monotonic())
        finally:
            self._end()

    def _received(self, frames: list[bytes]) -> None:
        now = time.monotonic()
        for frame in frames:
            message = _decode(frame)
            if isinstance(message, list):
                for reply in message:
                    self._replied(reply, now)
            elif isinstance(message, Cancel):
                self._lifecycle.cancel(message.identity, now)
            elif self._stop_by is None:  # else it will be sent to another worker
                self._lifecycle.dispatched(message, now)

    def _server_gone(self, why: str) -> None:
        remark(f"the server has closed the connection{why and f': {why}'}")
        self._over = True

    def _replied(self, reply: RawReply, now: float) -> None:
        pending = self._calls.answered(reply, now)
        if pending is None:
            return
        execution, request, problem = pending.execution, pending.call.request, reply.problem
        if execution is None:
            self._beat_answered(reply, pending.sent, now)
        elif isinstance(request, Start):
            if problem is None:
                self._lifecycle.granted(execution, reply.result, now)
            else:
                # Its answer may have been lost the first time, and the next try waits for the end of what was granted.
                self._calls.ask(GiveUp(request.nonce), now, execution)
                self._lifecycle.forget(execution)
        elif isinstance(request, Report):
            self._lifecycle.acknowledged(execution, request, problem, now)
        elif not isinstance(request, GiveUp):  # whatever that is answered, nothing is to be done about it
            self._conversations.answered(pending, reply, now)

    def _beat_answered(self, reply: RawReply, sent: float, now: float) -> None:
        if reply.problem is not None:
            remark(f"a heartbeat was refused: {reply.problem.kind}: {reply.problem.message}")
            self._contact.failed()
            return
        self._contact.answered(sent)
        for identity in _decode_identities(reply.result) or ():
            self._lifecycle.stale(identity, now)

    # --- time

    def _patience(self) -> float:
        """Seconds until something is due."""
        now = time.monotonic()
        dues = (
            self._watch.due_in(now),
            self._contact.due_in(now),
            self._lifecycle.due_in(now),
            max(0.0, self._tend_due - now),
        )
        return min(due for due in dues if due is not None)

    def _keep_time(self, now: float) -> None:
        """What is done once in each round of the loop."""
        if self._told_to_stop and self._stop_by is None:
            self._stop_by = now + self._settings.grace + STOP_SECONDS
            self._lifecycle.stop(STOPPED, now)
        if self._contact.is_due(now):
            self._contact.sent(now)
            self._calls.beat(Heartbeat(self._settings.name, tuple(self._lifecycle.executions)), now)
        self._watch.look(now)
        if now >= self._tend_due:
            self._tend_due = now + TEND_SECONDS
            self._nursery.tend(now)
        self._calls.repeat(now)
        self._lifecycle.start_some(now)
        for reply in self._calls.send():
            self._replied(reply, now)
        self._nursery.refill(now)
        if self._stop_by is not None and (not self._lifecycle.executions or now > self._stop_by):
            self._over = True

    # --- signals and the end

    def _wake_on_signals(self) -> None:
        waking, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, who then ends its worker
        self._poller.add(waking, lambda events: self._signalled(waking))

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _signalled(self, waking: int) -> None:
        with suppress(BlockingIOError):
            os.read(waking, 4096)
        self._nursery.reap()

    def _end(self) -> None:
        """Leave nothing behind. What was not reported stays in the register, for the next to announce."""
        self._nursery.close()
        end_worker(self._head)
        self._register.close()


def new_head(name: str) -> Head:
    """Make what a worker has of its own on this machine."""
    unique = os.urandom(8).hex()
    # Not below PIPER_HOME: its path may be too long for the sockets that libraries put into temporary folders.
    # A TMPDIR that is not there is passed over, as everywhere (`tempfile`, `mktemp -t`).
    told = os.environ.get("TMPDIR", "")
    folder = told if os.path.isabs(told) and os.access(told, os.W_OK | os.X_OK) else "/tmp"  # noqa: S108
    temporary = f"{folder}/piper-{unique}"  # the name cannot be guessed
    os.mkdir(temporary, 0o700)
    return Head(mark=f"{MARK}={name}.{unique}", temporary=temporary, cgroup=make_cgroup(f"piper-{unique}"))


def end_worker(head: Head | None) -> None:
    """Kill what a worker has started, and remove what it had of its own."""
    # Imported here: it brings compression libraries along, and the supervisor is to stay small.
    import shutil

    if head is None:
        return
    # What is being forked while we look is found the next time; what does not end is not waited for.
    for _ in range(100):
        if not processes.kill_marked(head.mark):
            break
        time.sleep(0.01)
    shutil.rmtree(head.temporary, ignore_errors=True)
    end_cgroup(head.cgroup)
