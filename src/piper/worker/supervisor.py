"""The supervisor: one loop between the server and the processes that run tasks.

Everything that it knows of an execution is in one `Execution`, moved along by what the server, the
zygotes and the children say. What is to be sent to the server is gathered for the length of one round
of the loop, and goes out as one frame.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from types import FrameType

import msgspec
from msgspec import Raw, Struct, structs

from piper.logs import LogStore, LogWriter, Masker
from piper.model.events import Failed, Lost
from piper.model.frames import FrameTooLong
from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import (
    TELL,
    Ask,
    Call,
    Cancel,
    Dispatch,
    GetConnection,
    GetVariable,
    Heartbeat,
    Mask,
    Problem,
    Report,
    Request,
    Start,
)
from piper.worker import processes
from piper.worker.cgroup import end_cgroup, make_cgroup
from piper.worker.children import Child
from piper.worker.executions import (
    Execution,
    Stage,
    completed,
    decode_grant,
    masked,
    report_of_end,
    secrets_of,
)
from piper.worker.limits import (
    LATE_SECONDS,
    MEMORY_FIRST_SECONDS,
    excess_of,
    next_look,
)
from piper.worker.poller import Link, Poller
from piper.worker.register import Head, Register, Row
from piper.worker.settings import WorkerSettings, three_quarters_of_memory
from piper.worker.zygotes import NO_CODE, Nursery, Zygote

MARK = "PIPER_WORKER_MARK"
"""Name of the environment entry by which what a worker has started is known."""

LOST_CONTACT = "its worker could not reach the server"

HEARTBEAT_SECONDS = 2.0
CONTACT_SECONDS = 8.0
"""Without an answer for so long, the server is about to declare our executions lost: end them first (I7)."""

ROUND_SECONDS = 0.25
"""How often deadlines and memory are looked at while something runs."""

TEND_SECONDS = 0.5
"""How often zygotes are looked after."""

STUCK_SECONDS = 1.0
"""After which a process that was killed and has not ended is looked into."""

STOP_SECONDS = 3.0
"""Beyond `grace`, for reports, when a worker is told to stop."""

RETRY_SECONDS = 0.25
"""After which a call is repeated that the server could not do."""

WARM_EXECUTIONS = 1000
"""After so many a warm child is replaced: what tasks leak does not grow for ever."""


class RawReply(Struct, frozen=True, array_like=True):
    """`wire.Reply` whose result is handed on as it came."""

    id: int
    result: Raw = Raw(b"\xc0")  # null
    problem: Problem | None = None


class RawAnswer(Struct, frozen=True, array_like=True):
    """`wire.Answer`, likewise."""

    id: int
    result: Raw
    problem: Problem | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_from_server = msgspec.msgpack.Decoder(Dispatch | Cancel | list[RawReply]).decode
_decode_from_child = msgspec.msgpack.Decoder(Ask).decode
_decode_identities = msgspec.msgpack.Decoder(tuple[Identity, ...] | None).decode
_NULL = Raw(b"\xc0")


class Pending(Struct):
    """A call that the server has not answered."""

    call: Call
    execution: Execution | None = None
    child: Child | None = None
    question: int = TELL
    """The child's own number for it."""
    sent: float = 0.0


class Supervisor:
    """One worker.

    Arguments:
        server: descriptor of the connection; its end of file ends the worker.
        environment: of the tasks, already without what they must not see.
    """

    def __init__(self, settings: WorkerSettings, server: int, environment: dict[str, str]) -> None:
        self._settings = settings
        self._memory_limit = settings.memory_limit or three_quarters_of_memory()
        self._logs = LogStore(settings.logs, settings.log_cap, settings.name)
        self._poller = Poller()
        unique = os.urandom(8).hex()
        self._nonce = unique
        self._register = Register(os.path.join(settings.home, "run", f"{settings.name}.register"))
        end_predecessor(self._register.predecessor)
        self._head = Head(
            mark=f"{MARK}={settings.name}.{unique}",
            temporary=f"{os.environ.get('TMPDIR') or '/tmp'}/piper-{unique}",  # noqa: S108, the name cannot be guessed
            cgroup=make_cgroup(f"piper-{unique}"),
        )
        os.mkdir(self._head.temporary, 0o700)
        left = self._register.left
        self._register.begin(self._head)
        processes.adopt_orphans()
        self._wake_on_signals()
        marked = {**environment, MARK: self._head.mark.partition("=")[2]}
        self._nursery = Nursery(settings, self._poller, self, marked, self._head.temporary, self._head.cgroup)
        self._executions: dict[Identity, Execution] = {}
        self._queue: deque[Execution] = deque()
        """Those whose zygote is ready, and that wait for a slot."""
        self._active = 0
        """Slots taken: executions from the asking of Start until their end."""
        self._calls: list[Call] = []
        """Of this round."""
        self._pending: dict[int, Pending] = {}
        self._retries: list[tuple[float, Pending]] = []
        self._last_call = 0
        now = time.monotonic()
        self._contact = now
        """When the last heartbeat was sent that has been answered."""
        self._beating = False
        """Whether a heartbeat is on its way."""
        self._beat_due = now
        self._round_due = now
        self._tend_due = now
        self._stopping = False
        """SIGTERM has come."""
        self._stop_by: float | None = None
        """Monotonic second at which a worker that was told to stop exits in any case."""
        self._over = False
        self._server = Link(server, self._poller, self._from_server, self._server_gone)
        for row in left:
            self._announce_lost(row)

    def run(self) -> None:
        """Work until the server closes the connection, or until SIGTERM and all is reported."""
        try:
            while not self._over:
                ready = self._poller.wait(self._patience())
                # First of all: this process may have been stopped for an hour, with answers of an hour ago to read.
                self._check_contact(time.monotonic())
                self._poller.handle(ready)
                self._keep_time(time.monotonic())
                self._send_round()
        finally:
            self._end()

    # --- from the server

    def _from_server(self, frames: list[bytes]) -> None:
        now = time.monotonic()
        for frame in frames:
            message = _decode_from_server(frame)
            if isinstance(message, list):
                for reply in message:
                    self._replied(reply, now)
            elif isinstance(message, Dispatch):
                self._dispatched(message, now)
            else:
                self._cancelled(message, now)

    def _server_gone(self, why: str) -> None:
        print(f"the server has closed the connection{why and f': {why}'}", file=sys.stderr)
        self._over = True

    def _dispatched(self, dispatch: Dispatch, now: float) -> None:
        if dispatch.identity in self._executions or self._stop_by is not None:
            return  # it was sent again: we have it; or it will be sent to another worker
        execution = self._executions[dispatch.identity] = Execution(dispatch)
        self._place(execution, now)

    def _place(self, execution: Execution, now: float) -> None:
        """Have it wait for a zygote that can run it, if it must."""
        dispatch = execution.dispatch
        code = NO_CODE if dispatch.isolation is Isolation.SPAWN else dispatch.code
        zygote = self._nursery.zygote_for(code, now)
        zygote.join(execution)
        if execution.stage is Stage.GRANTED:
            zygote.expect(execution)
        if zygote.ready:
            self._go_on(execution)
        else:
            zygote.waiting.append(execution)

    def _go_on(self, execution: Execution) -> None:
        """Its zygote is ready, or will never be."""
        if execution.stage is Stage.WAITING:
            self._queue.append(execution)
        elif execution.failure:
            self._complete(execution)
        else:
            self._provide(execution)

    def _cancelled(self, cancel: Cancel, now: float) -> None:
        execution = self._executions.get(cancel.identity)
        if execution is not None:
            execution.unwanted = True
            self._end_execution(execution, now, signal.SIGTERM)

    def _replied(self, reply: RawReply, now: float) -> None:
        pending = self._pending.pop(reply.id, None)
        if pending is None:
            return
        problem, execution, request = reply.problem, pending.execution, pending.call.request
        if problem is not None and problem.kind == "unavailable":
            self._retries.append((now + RETRY_SECONDS, pending))
        elif isinstance(request, Heartbeat):
            self._beating = False
            if problem is None:
                self._contact = pending.sent
                for identity in _decode_identities(reply.result) or ():
                    self._stale(self._executions.get(identity), now)
        elif execution is None:
            pass
        elif isinstance(request, Start):
            if problem is not None:
                self._forget(execution)
            else:
                self._granted(execution, reply.result, now)
        elif isinstance(request, Report):
            self._acknowledged(execution, request, problem)
        elif pending.child is not None:
            self._answered(pending, reply, now)

    # --- start

    def _start(self, execution: Execution, now: float) -> None:
        assert execution.zygote is not None
        execution.stage = Stage.STARTING
        self._active += 1
        execution.row = self._register.add(Row(execution.identity, execution.dispatch.token))
        execution.zygote.expect(execution)
        self._call(Start(f"{self._nonce}-{self._last_call}", self._settings.name), execution)

    def _granted(self, execution: Execution, context: Raw, now: float) -> None:
        if now - self._contact > CONTACT_SECONDS:
            execution.loss = execution.loss or LOST_CONTACT
        execution.stage = Stage.GRANTED
        execution.grant = decode_grant(context)
        execution.context = context
        if execution.unwanted or execution.failure or execution.loss:
            self._complete(execution)
            return
        zygote = execution.zygote
        assert zygote is not None
        if zygote.gone:  # since the start was asked
            self._place(execution, now)
        else:
            self._provide(execution)

    def _provide(self, execution: Execution) -> None:
        """Give a granted execution a child, now or when one comes."""
        zygote = execution.zygote
        assert zygote is not None
        child = zygote.take(execution)
        if child is None:
            zygote.granted.append(execution)
        else:
            self._hand_over(execution, child)

    def _hand_over(self, execution: Execution, child: Child) -> None:
        assert execution.zygote is not None
        assert execution.context is not None
        now = time.monotonic()
        execution.zygote.relieve(execution)
        execution.stage = Stage.RUNNING
        execution.started_at = datetime.now(UTC)
        execution.child = child
        execution.log = self._log_of(execution, child.masker)
        limits = execution.grant.task
        execution.memory_limit = limits.memory_limit or self._memory_limit
        execution.memory_due = now + MEMORY_FIRST_SECONDS
        self._round_due = min(self._round_due, execution.memory_due)
        if limits.execution_timeout is not None:
            execution.deadline = now + limits.execution_timeout.total_seconds() + LATE_SECONDS
        child.execution = execution
        child.executions += 1
        link = child.link
        if link is None:
            link = child.watch(partial(self._from_child, child), partial(self._child_closed, child))
        link.send(execution.context)
        execution.context = None

    # --- from zygotes (Listener)

    def zygote_ready(self, zygote: Zygote) -> None:
        """Executions need wait no more."""
        while zygote.waiting:
            self._go_on(zygote.waiting.popleft())

    def zygote_failed(self, zygote: Zygote, error: str) -> None:
        """Executions fail, once they are allowed to."""
        while zygote.waiting:
            execution = zygote.waiting.popleft()
            execution.failure = error
            execution.printed = zygote.printed
            self._go_on(execution)

    def zygote_lost(self, zygote: Zygote, why: str) -> None:
        """Executions are lost; those in children end when their children do."""
        for execution in list(self._executions.values()):
            if execution.zygote is zygote and execution.stage is Stage.RUNNING:
                execution.loss = execution.loss or why
        while zygote.granted:
            execution = zygote.granted.popleft()
            execution.loss = why
            self._complete(execution)

    def child_waits(self, child: Child) -> None:
        """Hand it the execution that has waited longest."""
        zygote = child.zygote
        if zygote.granted:
            execution = zygote.granted.popleft()
            waiting = zygote.take(execution)
            assert waiting is not None
            self._hand_over(execution, waiting)

    def child_ended(self, child: Child, exit_code: int | None, number: int | None) -> None:
        """Its execution is over: its last words are in the socket and in the pipe."""
        if child.link is not None and child.link.open:
            child.link.read()
        execution = child.execution
        if execution is not None:
            child.drain_log()
            child.execution = None
            self._complete(execution, exit_code, number)
        child.close()

    # --- from children

    def _from_child(self, child: Child, frames: list[bytes]) -> None:
        for frame in frames:
            try:
                ask = _decode_from_child(frame)
            except msgspec.DecodeError as error:
                self._child_closed(child, f"{error}")
                return
            execution, request = child.execution, ask.request
            if execution is None or execution.report is not None:
                self._answer(child, ask.id, problem=Problem("stale", "no task runs in this process"))
            elif isinstance(request, Report):
                self._reported(child, execution, request)
            elif isinstance(request, Mask):
                child.masker.add(request.values)
                self._answer(child, ask.id)
            elif isinstance(request, (Start, Heartbeat)):
                self._answer(child, ask.id, problem=Problem("refused", "a task cannot ask this"))
            else:
                self._call(request, execution, child, ask.id)

    def _child_closed(self, child: Child, why: str) -> None:
        """The child ends, and its zygote will say how; or it has spoiled its connection."""
        if why and child.execution is not None:
            child.execution.failure = f"the task's process sent what no task sends ({why})"
            self._end_execution(child.execution, time.monotonic(), signal.SIGKILL)

    def _reported(self, child: Child, execution: Execution, report: Report) -> None:
        if report.event.identity != execution.identity:
            self._child_closed(child, f"a report for {report.event.identity}")
            return
        execution.report = report
        if not execution.warm:
            execution.kill_at = time.monotonic() + self._settings.grace
            # The process is about to end; that is when the report is sent. Until then it has nothing to say.
            assert child.link is not None
            child.link.close()
            return
        child.drain_log()
        child.execution = None
        self._complete(execution)
        self._reuse(child, execution)

    def _reuse(self, child: Child, before: Execution) -> None:
        """Give a warm child its next execution, or let it go."""
        zygote = child.zygote
        if zygote.gone:
            return
        if before.kill_at is not None or before.unwanted or child.executions >= WARM_EXECUTIONS:
            child.close()
            return
        for execution in zygote.granted:
            if execution.warm:
                zygote.granted.remove(execution)
                self._hand_over(execution, child)
                return
        zygote.warm.append(child)

    def _answered(self, pending: Pending, reply: RawReply, now: float) -> None:
        child, request = pending.child, pending.call.request
        assert child is not None
        if reply.problem is not None and reply.problem.kind == "stale":
            self._stale(pending.execution, now)
        elif reply.problem is None and isinstance(request, (GetConnection, GetVariable)):
            # Before the child has them, so before it can write them anywhere.
            child.masker.add(secrets_of(reply.result, request.key if isinstance(request, GetVariable) else None))
        if child.execution is pending.execution:
            self._answer(child, pending.question, reply.result, reply.problem)

    def _answer(self, child: Child, question: int, result: Raw = _NULL, problem: Problem | None = None) -> None:
        if question != TELL and child.link is not None:
            try:
                child.link.send(_encode(RawAnswer(question, result, problem)))
            except FrameTooLong as error:
                child.link.send(_encode(RawAnswer(question, _NULL, Problem("too_large", f"the answer has {error}"))))

    # --- the end of an execution

    def _stale(self, execution: Execution | None, now: float) -> None:
        """It is no longer current: end it at once, and say nothing."""
        if execution is not None and execution.stage is not Stage.REPORTING:
            execution.unwanted = True
            self._end_execution(execution, now, signal.SIGKILL)

    def _end_execution(self, execution: Execution, now: float, number: int) -> None:
        """End it for a reason that has been noted in it."""
        if execution.stage is Stage.RUNNING:
            child = execution.child
            assert child is not None
            self._nursery.signal(child, number)
            if number == signal.SIGKILL:
                child.killed_at = child.killed_at or now
            else:
                execution.kill_at = execution.kill_at or now + self._settings.grace
        elif execution.stage is Stage.GRANTED:
            zygote = execution.zygote
            assert zygote is not None
            waiting = zygote.granted if execution in zygote.granted else zygote.waiting
            waiting.remove(execution)
            self._complete(execution)
        elif execution.stage is Stage.WAITING and execution.unwanted:
            zygote = execution.zygote
            assert zygote is not None
            (self._queue if execution in self._queue else zygote.waiting).remove(execution)
            self._forget(execution)
        # One that asks Start is judged when the answer comes.

    def _complete(self, execution: Execution, exit_code: int | None = None, number: int | None = None) -> None:
        """Its processes are gone and its log is drained: report it."""
        if execution.unwanted:
            self._close_log(execution, "")
            self._forget(execution)
            return
        report = report_of_end(execution, exit_code, number)
        self._close_log(execution, "" if execution.report is report else report.error)
        child = execution.child
        report = completed(report, execution.started_at, child.pid if child is not None else None)
        if child is not None:
            report = masked(report, child.masker)
        self._release(execution)
        execution.stage = Stage.REPORTING
        self._call(report, execution)

    def _close_log(self, execution: Execution, error: str) -> None:
        log = execution.log
        if log is None:
            if not error or not execution.grant.log:
                return
            log = self._log_of(execution, Masker())
        if execution.printed:
            log.write(execution.printed)
        if error:
            log.note(error)
        log.close()
        execution.log = None

    def _log_of(self, execution: Execution, masker: Masker) -> LogWriter:
        """A writer for its log; of a later leg, after what the legs before have written."""
        write = self._logs.resume if execution.identity.leg else self._logs.begin
        return write(execution.grant.log, masker)

    def _release(self, execution: Execution) -> None:
        """Give back what it holds of the worker."""
        zygote = execution.zygote
        if execution.stage is Stage.REPORTING or zygote is None:
            return
        zygote.leave(execution)
        if execution.stage in (Stage.STARTING, Stage.GRANTED):
            zygote.relieve(execution)
        if execution.stage is not Stage.WAITING:
            self._active -= 1

    def _acknowledged(self, execution: Execution, report: Report, problem: Problem | None) -> None:
        if problem is None or problem.kind == "stale":
            self._forget(execution)
            return
        print(f"{execution.identity}: its report was refused: {problem.kind}: {problem.message}", file=sys.stderr)
        if execution.refused:
            self._forget(execution)
            return
        # What it wanted to leave behind is at fault, so it goes without.
        execution.refused = True
        error = f"its result was not accepted: {problem.message}"
        event = Failed(execution.identity, error)
        self._call(structs.replace(report, event=event, error=error, xcoms=(), rendered=None), execution)

    def _forget(self, execution: Execution) -> None:
        self._release(execution)
        execution.stage = Stage.REPORTING
        self._register.remove(execution.row)
        self._executions.pop(execution.identity, None)

    def _announce_lost(self, row: Row) -> None:
        """Say of an execution of the predecessor's that it is no more."""
        if row.identity in self._executions:
            return
        execution = Execution(Dispatch(row.identity, row.token, NO_CODE))
        execution.stage = Stage.REPORTING
        execution.row = self._register.add(row)
        self._executions[row.identity] = execution
        error = "its worker was killed and has been started again"
        self._call(Report(Lost(row.identity, error), error=error), execution)

    # --- to the server

    def _call(
        self, request: Request, execution: Execution | None, child: Child | None = None, question: int = TELL
    ) -> None:
        self._last_call = number = self._last_call + 1
        if execution is None:
            call = Call(number, None, "", request)
        else:
            call = Call(number, execution.dispatch.identity, execution.dispatch.token, request)
        self._pending[number] = Pending(call, execution, child, question, time.monotonic())
        self._calls.append(call)

    def _send_round(self) -> None:
        """Start what has a slot, send what has gathered, and have zygotes fork what was taken."""
        now = time.monotonic()
        while self._queue and self._active < self._settings.slots:
            self._start(self._queue.popleft(), now)
        if self._calls:
            calls, self._calls = self._calls, []
            self._send(calls, now)
        self._nursery.refill(now)

    def _send(self, calls: list[Call], now: float) -> None:
        """Send these in as few frames as they fit in."""
        try:
            self._server.send(_encode(calls))
        except FrameTooLong as error:
            if len(calls) == 1:
                self._replied(RawReply(calls[0].id, problem=Problem("too_large", str(error))), now)
                return
            half = len(calls) // 2
            self._send(calls[:half], now)
            self._send(calls[half:], now)

    # --- time

    def _patience(self) -> float:
        """Seconds until something is due. What runs is looked at in rounds."""
        due = self._round_due if self._executions else self._tend_due
        due = min(due, self._tend_due)
        if not self._beating:
            due = min(due, self._beat_due)
        return max(0.0, due - time.monotonic())

    def _keep_time(self, now: float) -> None:
        if now >= self._beat_due and not self._beating:
            self._beat_due = now + HEARTBEAT_SECONDS
            self._beating = True
            self._call(Heartbeat(self._settings.name, tuple(self._executions)), None)
        if now >= self._round_due:
            self._look_round(now)
        if now >= self._tend_due:
            self._tend_due = now + TEND_SECONDS
            self._nursery.tend(now)
        if self._stopping and self._stop_by is None:
            self._stop(now)
        if self._stop_by is not None and (not self._executions or now > self._stop_by):
            self._over = True

    def _look_round(self, now: float) -> None:
        """See to deadlines, memory, signals that had no effect, and calls to repeat."""
        self._round_due = now + ROUND_SECONDS
        for due, pending in self._retries[:]:
            if due <= now:
                self._retries.remove((due, pending))
                self._pending[pending.call.id] = pending
                self._calls.append(pending.call)
        for execution in list(self._executions.values()):
            if execution.stage is Stage.RUNNING:
                self._look_at(execution, now)

    def _look_at(self, execution: Execution, now: float) -> None:
        child = execution.child
        assert child is not None
        if child.killed_at is not None:
            if now - child.killed_at > STUCK_SECONDS:
                child.killed_at = now
                self._nursery.insist(child)
            return
        if execution.kill_at is not None and now >= execution.kill_at:
            self._end_execution(execution, now, signal.SIGKILL)
        elif execution.deadline is not None and now >= execution.deadline:
            limit = execution.grant.task.execution_timeout
            execution.failure = f"it ran longer than its execution_timeout of {limit}, and was killed"
            self._end_execution(execution, now, signal.SIGKILL)
        elif now >= execution.memory_due:
            excess, resident = excess_of(child.pid, execution.memory_limit)
            if excess:
                execution.failure = excess
                self._end_execution(execution, now, signal.SIGKILL)
            execution.memory_due = now + next_look(resident, execution.memory_limit)
            self._round_due = min(self._round_due, execution.memory_due)

    def _check_contact(self, now: float) -> None:
        """End everything that the server is about to give to others."""
        if now - self._contact <= CONTACT_SECONDS:
            return
        for execution in list(self._executions.values()):
            if execution.stage not in (Stage.WAITING, Stage.REPORTING) and not execution.loss:
                execution.loss = LOST_CONTACT
                self._end_execution(execution, now, signal.SIGKILL)

    # --- signals and the end

    def _wake_on_signals(self) -> None:
        waking, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._told_to_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, who then closes the connection
        self._poller.add(waking, lambda events: self._signalled(waking))

    def _signalled(self, waking: int) -> None:
        with suppress(BlockingIOError):
            os.read(waking, 4096)
        self._nursery.reap()

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _stop(self, now: float) -> None:
        """End what runs, as gently as `grace` allows, report it as lost, exit."""
        self._stop_by = now + self._settings.grace + STOP_SECONDS
        for execution in list(self._executions.values()):
            if execution.stage is Stage.WAITING:
                execution.unwanted = True
            elif execution.stage is not Stage.REPORTING:
                execution.loss = "its worker was stopped"
            self._end_execution(execution, now, signal.SIGTERM)

    def _end(self) -> None:
        """Leave nothing behind. What was not reported stays in the register, for the next to announce."""
        for zygote in self._nursery:
            zygote.waiting.clear()
            zygote.granted.clear()
            self._nursery.bury(zygote)
        end_predecessor(self._head)
        self._register.close()


def end_predecessor(head: Head | None) -> None:
    """Kill what a worker has started and remove its temporary files."""
    # Imported here: it brings compression libraries along, and the supervisor is to stay small.
    import shutil

    if head is None:
        return
    end_cgroup(head.cgroup)
    # What is being forked while we look is found the next time; what does not end is not waited for.
    for _ in range(100):
        if not processes.kill_marked(head.mark):
            break
        time.sleep(0.01)
    shutil.rmtree(head.temporary, ignore_errors=True)
    end_cgroup(head.cgroup)
