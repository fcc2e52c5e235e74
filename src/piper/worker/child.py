"""The child: a process that runs tasks and says how they ended.

It is a fork of a zygote, in a session of its own, with its output in a pipe. It waits for a
`TaskContext`, runs the task, flushes what was printed, sends the `Report`, and exits; one whose tasks
are `warm` puts its process in order instead and waits for the next.

It decides nothing about states: whatever ends it without a report is for the supervisor to name.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import msgspec
from msgspec import structs

from piper.model.events import Failed
from piper.model.frames import FrameTooLong
from piper.model.spec import Isolation
from piper.model.wire import TELL, Entered, Report, TaskContext
from piper.sdk.dags import DAG
from piper.sdk.execution import runner
from piper.sdk.execution.current import looking_up
from piper.worker import processes
from piper.worker.channel import SocketChannel, SupervisorGone
from piper.worker.control import FAREWELL
from piper.worker.loading import Code, error_of_loading

_decode_context = msgspec.msgpack.Decoder(TaskContext).decode

_RESTORED_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)

LEFT_BEHIND_SECONDS = 1.0
"""How long a warm child tries to end processes that its task has left running."""


def serve(channel: SocketChannel, code: Code, temporary: str) -> NoReturn:
    """Run what the supervisor hands over, until it closes the socket or the one task is done."""
    try:
        context = _decode_context(channel.receive())
        before = Surroundings(temporary) if context.task.isolation is Isolation.WARM else None
        while True:
            report = _run(context, code, channel)
            # Before the report: the execution is over when nothing is left of it.
            goes_on = before is not None and before.restore()
            _report(channel, report, TELL if goes_on else FAREWELL)
            if not goes_on:
                break
            context = _decode_context(channel.receive())
    except (SupervisorGone, BrokenPipeError):
        pass
    os._exit(0)


def _report(channel: SocketChannel, report: Report, number: int) -> None:
    try:
        channel.report(report, number)
    except FrameTooLong as error:
        what = f"what it returns or pushes is too large: {error}; write it to a file and push its path"
        channel.report(structs.replace(report, event=Failed(report.event.identity, what), xcoms=(), error=what), number)


def _run(context: TaskContext, code: Code, channel: SocketChannel) -> Report:
    """Run one task to its report, small enough to be sent."""
    try:
        with looking_up(channel.ask):  # what a file that is loaded here reads at its top level
            runnable = code.operator(context) if context.callback is None else code.dag(context)
    except BaseException as error:  # SystemExit, too: a file that calls exit() is at fault
        if isinstance(error, (KeyboardInterrupt, SupervisorGone)):
            raise
        sys.excepthook(type(error), error, error.__traceback__)
        report = Report(Failed(context.identity, error_of_loading(error)), pid=os.getpid())
    else:
        if context.task.execution_timeout is not None:
            channel.tell(Entered())
        if isinstance(runnable, DAG):
            from piper.sdk.execution.calling_back import call_back  # few executions are callbacks

            report = call_back(runnable, context, channel)
        else:
            report = runner.run_task(runnable, context, channel)
    _flush()
    return report


def terminate(number: int, frame: FrameType | None) -> None:
    """The handler of SIGTERM: leave the task that runs, or the process if none does."""
    runner.terminate()
    os._exit(128 + number)


def _flush() -> None:
    """Push what was printed into the pipe; user code may have closed or replaced the streams."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


class Surroundings:
    """What a warm child looked like before its first task, to be put back after each."""

    def __init__(self, temporary: str) -> None:
        self._temporary = temporary
        # The mapping's own bytes: to decode all of them would cost more than the rest of this class.
        self._environment: dict[bytes, bytes] = os.environ._data.copy()  # type: ignore[attr-defined]
        self._folder = os.getcwd()
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._path = sys.path.copy()
        self._handlers = {number: signal.getsignal(number) for number in _RESTORED_SIGNALS}
        root = logging.getLogger()
        self._logging = root.level, root.handlers.copy()
        self._umask = os.umask(0o077)
        os.umask(self._umask)

    def restore(self) -> bool:
        """Undo what a task has changed, and end what it has left running. False if that is not possible."""
        try:
            self._restore()
        except OSError as error:
            print(f"this process cannot be used again: {error}", file=sys.__stderr__)
            return False
        return _end_processes_left_behind()

    def _restore(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if os.environ._data != self._environment:  # type: ignore[attr-defined]
            wanted = {os.fsdecode(name): os.fsdecode(value) for name, value in self._environment.items()}
            for name in os.environ.keys() - wanted.keys():
                del os.environ[name]
            os.environ.update(wanted)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        root = logging.getLogger()
        if (root.level, root.handlers) != self._logging:
            root.setLevel(self._logging[0])
            root.handlers[:] = self._logging[1]
        sys.stdin, sys.stdout, sys.stderr = self._streams
        if sys.path != self._path:
            sys.path[:] = self._path
        os.umask(self._umask)
        try:
            if os.getcwd() != self._folder:
                os.chdir(self._folder)
        except FileNotFoundError:
            os.chdir(self._folder)
        for name in os.listdir(self._temporary):
            path = os.path.join(self._temporary, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


def _end_processes_left_behind() -> bool:
    """Kill every descendant, and reap those that are this process's own. False if some do not end."""
    deadline = time.monotonic() + LEFT_BEHIND_SECONDS
    try:
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                for pid in processes.descendants_of(os.getpid(), 10_000)[1:]:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.001)
    except ChildProcessError:  # there is none, or no more
        return True
    return False
