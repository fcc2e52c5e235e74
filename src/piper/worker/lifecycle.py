"""Executions on their way: placed, started, handed to a child, ended, reported (the package's docstring).

What happens is told by others: the server's pushes and replies, zygotes (as their `Listener`), children
(`conversations`), time (`watch`). Each method takes one execution one step on, and leaves the books right:
slots, the needs of its zygote, the register.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Raw, structs

from piper.logs import LogStore, LogWriter, Masker
from piper.model.events import Failed, Lost
from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import Dispatch, Problem, Report, Start
from piper.worker.calls import Calls
from piper.worker.children import Child
from piper.worker.contact import Contact
from piper.worker.executions import Execution, Stage, completed, decode_grant, masked, report_of_end
from piper.worker.pace import YOUNG_PER_PROCESSOR, Pace
from piper.worker.poller import Link
from piper.worker.processes import resident_bytes
from piper.worker.register import Register, Row
from piper.worker.remarks import remark
from piper.worker.settings import WorkerSettings, three_quarters_of_memory
from piper.worker.zygotes import NO_CODE, Nursery, Zygote

UNWANTED = "ended: no longer wanted"
LOST_CONTACT = "its worker could not reach the server"
LEFT_BEHIND = "its worker was killed and has been started again"

WARM_EXECUTIONS = 1000
WARM_GROWTH = 256 << 20
"""After so many executions, or when it has grown by so many bytes, a warm child is replaced: tasks leak."""

_WEIGHED_EVERY = 50


class Lifecycle:
    """All executions of a worker.

    Arguments:
        listen: begins to listen to a child (`Conversations.listen`).
    """

    nursery: Nursery
    """Set when it has been made, with this object as its listener."""

    def __init__(
        self,
        settings: WorkerSettings,
        calls: Calls,
        contact: Contact,
        register: Register,
        listen: Callable[[Child], Link],
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._contact = contact
        self._register = register
        self._listen = listen
        self._logs = LogStore(settings.logs, settings.log_cap, settings.name)
        self._memory_limit = settings.memory_limit or three_quarters_of_memory()
        self.executions: dict[Identity, Execution] = {}
        self._queue: deque[Execution] = deque()
        """Those whose zygote is ready, and that wait for a slot."""
        self._pace = Pace(YOUNG_PER_PROCESSOR * len(os.sched_getaffinity(0)))
        self._active = 0
        """Slots taken: executions from the asking of Start until their end."""
        self._nonce = os.urandom(8).hex()
        self._starts = 0

    # --- from dispatch to child

    def dispatched(self, dispatch: Dispatch, now: float) -> None:
        """Take it on, unless it is here already: what is not started in time is sent again."""
        if dispatch.identity not in self.executions:
            execution = self.executions[dispatch.identity] = Execution(dispatch)
            self._place(execution, now)

    def start_some(self, now: float) -> None:
        """Ask Start for those that have waited longest, as far as there are slots and somebody to ask."""
        while self._queue and self._active < self._settings.slots and self._pace.allows(now):
            if not self._contact.holds(now):
                return
            execution = self._queue.popleft()
            self._pace.begins(execution)
            assert execution.zygote is not None
            execution.stage = Stage.STARTING
            self._active += 1
            execution.row = self._register.add(Row(execution.identity, execution.dispatch.token))
            execution.zygote.expect(execution)
            self._starts += 1
            self._calls.ask(Start(f"{self._nonce}-{self._starts}", self._settings.name), now, execution)

    def due_in(self, now: float) -> float | None:
        """Seconds until more might be started though nothing else happens; None if that cannot be."""
        return self._pace.due_in(now) if self._queue and self._active < self._settings.slots else None

    def granted(self, execution: Execution, context: Raw, now: float) -> None:
        """It may enter user code: unless that is no longer wanted, or the answer is too old to be true."""
        if not self._contact.holds(now):
            execution.loss = execution.loss or LOST_CONTACT
        execution.stage = Stage.GRANTED
        execution.grant = decode_grant(context)
        execution.context = context
        zygote = execution.zygote
        assert zygote is not None
        moved = execution.grant.code != execution.dispatch.code  # its run has another version since it was sent
        if execution.unwanted or execution.loss or (execution.failure and not moved):
            self.complete(execution)
        elif moved:
            zygote.relieve(execution)
            zygote.leave(execution)
            execution.failure = ""
            execution.dispatch = structs.replace(execution.dispatch, code=execution.grant.code)
            self._place(execution, now)
        elif zygote.gone:  # since the start was asked
            self._place(execution, now)
        else:
            self._provide(execution)

    def _place(self, execution: Execution, now: float) -> None:
        """Have it wait for a zygote that can run it, if it must."""
        dispatch = execution.dispatch
        code = NO_CODE if dispatch.isolation is Isolation.SPAWN else dispatch.code
        zygote = self.nursery.zygote_for(code, now)
        zygote.join(execution)
        if execution.stage is Stage.GRANTED:
            zygote.expect(execution)
        if zygote.ready:
            self._go_on(execution)
        else:
            zygote.waiting.append(execution)

    def _go_on(self, execution: Execution) -> None:
        """Its zygote is ready, or never will be."""
        if execution.stage is Stage.WAITING:
            self._queue.append(execution)
        elif execution.failure:
            self.complete(execution)
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
        execution.zygote.relieve(execution)
        execution.stage = Stage.RUNNING
        execution.started_at = datetime.now(UTC)
        execution.child = child
        execution.log = self._log_of(execution, child.masker)
        execution.memory_limit = execution.grant.task.memory_limit or self._memory_limit
        child.execution = execution
        child.executions += 1
        self._pace.runs(execution, time.monotonic())
        link = child.link or self._listen(child)
        link.send(execution.context)
        execution.context = None

    # --- what zygotes say (`zygotes.Listener`)

    def zygote_ready(self, zygote: Zygote) -> None:
        """Executions need wait no more."""
        while zygote.waiting:
            self._go_on(zygote.waiting.popleft())

    def zygote_failed(self, zygote: Zygote, error: str) -> None:
        """Executions fail, once they are allowed to begin."""
        while zygote.waiting:
            execution = zygote.waiting.popleft()
            execution.failure = error
            execution.printed = zygote.printed
            self._go_on(execution)

    def zygote_lost(self, zygote: Zygote, why: str) -> None:
        """Those that have begun are lost; they end when their children do."""
        for execution in self.executions.values():
            if execution.zygote is zygote and execution.stage is Stage.RUNNING:
                execution.loss = execution.loss or why
        while zygote.granted:
            execution = zygote.granted.popleft()
            execution.loss = why
            self.complete(execution)

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
        child.ended = True
        if child.link is not None and child.link.open:
            child.link.read()
        execution = child.execution
        if execution is not None:
            child.drain_log()
            child.execution = None
            self.complete(execution, exit_code, number)
        child.close()

    # --- what children say

    def reported(self, child: Child, report: Report) -> None:
        """The child has told how its execution ended."""
        execution = child.execution
        assert execution is not None
        execution.report = report
        if not execution.warm:
            # Its process is about to end; that is when the report is sent. Until then it has nothing to say.
            assert child.link is not None
            child.link.close()
            execution.kill_at = time.monotonic() + self._settings.grace
            return
        child.drain_log()
        child.execution = None
        self.complete(execution)
        self._reuse(child, execution)

    def _reuse(self, child: Child, before: Execution) -> None:
        """Give a warm child its next execution, or let it go."""
        zygote = child.zygote
        if zygote.gone or child.ended or child.leaving:
            return
        if before.kill_at is not None or before.unwanted or is_worn(child):
            child.close()
            return
        for execution in zygote.granted:
            if execution.warm:
                zygote.granted.remove(execution)
                self._hand_over(execution, child)
                return
        zygote.warm.append(child)

    # --- ending

    def cancel(self, identity: Identity, now: float) -> None:
        """It is no longer wanted, but may clean up."""
        execution = self.executions.get(identity)
        if execution is not None and execution.stage is not Stage.REPORTING:
            execution.unwanted = True
            execution.failure = execution.failure or UNWANTED
            self.end(execution, now, signal.SIGTERM)

    def stale(self, identity: Identity, now: float) -> None:
        """It is no longer current: end it at once."""
        execution = self.executions.get(identity)
        if execution is not None and execution.stage is not Stage.REPORTING:
            execution.unwanted = True
            execution.failure = execution.failure or UNWANTED
            self.end(execution, now, signal.SIGKILL)

    def lose_started(self, why: str, now: float) -> None:
        """Kill what has begun: the server is about to give it to others."""
        for execution in list(self.executions.values()):
            if execution.stage not in (Stage.WAITING, Stage.REPORTING) and not execution.loss:
                execution.loss = why
                self.end(execution, now, signal.SIGKILL)

    def stop(self, why: str, now: float) -> None:
        """End everything gently. What has begun is reported as lost; what has not is for another worker."""
        for execution in list(self.executions.values()):
            if execution.stage is Stage.WAITING:
                execution.unwanted = True
            elif execution.stage is not Stage.REPORTING:
                execution.loss = execution.loss or why
            self.end(execution, now, signal.SIGTERM)

    def end(self, execution: Execution, now: float, number: int) -> None:
        """End it by this signal, for a reason that has been noted in it."""
        zygote, child = execution.zygote, execution.child
        if execution.stage is Stage.RUNNING:
            assert child is not None
            self.nursery.signal(child, number)
            if number == signal.SIGKILL:
                child.killed_at = child.killed_at or now
            else:
                execution.kill_at = execution.kill_at or now + self._settings.grace
        elif execution.stage is Stage.GRANTED:
            assert zygote is not None
            (zygote.granted if execution in zygote.granted else zygote.waiting).remove(execution)
            self.complete(execution)
        elif execution.stage is Stage.WAITING and execution.unwanted:
            assert zygote is not None
            (self._queue if execution in self._queue else zygote.waiting).remove(execution)
            self.forget(execution)
        # One that asks Start is judged when the answer comes.

    def complete(self, execution: Execution, exit_code: int | None = None, number: int | None = None) -> None:
        """Its processes are gone and its log is drained: report it.

        Also when nobody wants to know how it ended: until it is known that it has, its instance's next try waits (I7).
        """
        report = report_of_end(execution, exit_code, number)
        self._close_log(execution, "" if execution.report is not None else report.error)
        child = execution.child
        report = completed(report, execution.started_at, child.pid if child is not None else None)
        if child is not None:
            report = masked(report, child.masker)
        self._release(execution)
        execution.stage = Stage.REPORTING
        self._calls.ask(report, time.monotonic(), execution)

    def acknowledged(self, execution: Execution, report: Report, problem: Problem | None, now: float) -> None:
        """Its report has been taken, or refused."""
        if problem is None or problem.kind == "stale":
            self.forget(execution)
            return
        remark(f"{execution.identity}: its report was refused: {problem.kind}: {problem.message}")
        if execution.refused:
            self.forget(execution)
            return
        # What it wanted to leave behind is at fault, so it goes without.
        execution.refused = True
        error = f"its result was not accepted: {problem.message}"
        bare = Report(Failed(execution.identity, error, outside=True), error=error)
        self._calls.ask(completed(bare, report.started_at, report.pid), now, execution)

    def forget(self, execution: Execution) -> None:
        """Nothing is to be done about it any more."""
        self._release(execution)
        execution.stage = Stage.REPORTING
        self._register.remove(execution.row)
        self.executions.pop(execution.identity, None)

    def announce_lost(self, row: Row, now: float) -> None:
        """Say of an execution of the predecessor's that it is no more."""
        execution = Execution(Dispatch(row.identity, row.token, NO_CODE))
        execution.stage = Stage.REPORTING
        execution.row = self._register.add(row)
        self.executions[row.identity] = execution
        self._calls.ask(Report(Lost(row.identity, LEFT_BEHIND), error=LEFT_BEHIND), now, execution)

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
            self._pace.ends(execution)

    def _log_of(self, execution: Execution, masker: Masker) -> LogWriter:
        """A writer for its log; of a later leg, after what the legs before have written."""
        write = self._logs.resume if execution.identity.leg else self._logs.begin
        return write(execution.grant.log, masker)

    def _close_log(self, execution: Execution, error: str) -> None:
        """End its log, with the error that only the worker knows of."""
        log = execution.log
        if log is None:
            if not error or not execution.grant.log:
                return
            log = self._log_of(execution, Masker())
        log.write(execution.printed)
        if error:
            log.note(error)
        log.close()
        if log.lost:
            remark(f"{execution.grant.log}: {log.lost:,} bytes could not be written: {log.trouble}")
        execution.log = None


def is_worn(child: Child) -> bool:
    """Whether a warm child has done enough."""
    if child.executions % _WEIGHED_EVERY == 1:
        weight = resident_bytes([child.pid])
        child.first_weight = child.first_weight or weight
        if weight > child.first_weight + WARM_GROWTH:
            return True
    return child.executions >= WARM_EXECUTIONS
