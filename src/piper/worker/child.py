"""The child: a process that runs tasks and says how they ended.

It is a fork of a zygote, in a session of its own, with its output in a pipe. It waits for a
`TaskContext`, runs the task, flushes what was printed, sends the `Report`, and exits; one whose tasks
are `warm` puts its process in order instead and waits for the next.

It decides nothing about states: whatever ends it without a report is for the supervisor to name.
"""

from __future__ import annotations

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
from piper.model.wire import Report, TaskContext
from piper.sdk.execution import runner
from piper.worker import processes
from piper.worker.channel import SocketChannel, SupervisorGone
from piper.worker.loading import Code, error_of_loading

_decode_context = msgspec.msgpack.Decoder(TaskContext).decode

LEFT_BEHIND_SECONDS = 1.0
"""How long a warm child tries to end processes that its task has left running."""


def serve(channel: SocketChannel, code: Code, temporary: str) -> NoReturn:
    """Run what the supervisor hands over, until it closes the socket or the one task is done."""
    try:
        context = _decode_context(channel.receive())
        if context.task.isolation is Isolation.WARM:
            before = Surroundings(temporary)
            while context.task.isolation is Isolation.WARM:
                _report(channel, _run(context, code, channel))
                before.restore()
                context = _decode_context(channel.receive())
        _report(channel, _run(context, code, channel))
    except (SupervisorGone, BrokenPipeError):
        pass
    os._exit(0)


def _report(channel: SocketChannel, report: Report) -> None:
    try:
        channel.report(report)
    except FrameTooLong as error:
        what = f"what it returns or pushes is too large: {error}; write it to a file and push its path"
        channel.report(structs.replace(report, event=Failed(report.event.identity, what), xcoms=(), error=what))


def _run(context: TaskContext, code: Code, channel: SocketChannel) -> Report:
    """Run one task to its report, small enough to be sent."""
    try:
        operator = code.operator(context)
    except BaseException as error:  # SystemExit, too: a file that calls exit() is at fault
        if isinstance(error, (KeyboardInterrupt, SupervisorGone)):
            raise
        sys.excepthook(type(error), error, error.__traceback__)
        report = Report(Failed(context.identity, error_of_loading(error)), pid=os.getpid())
    else:
        report = runner.run_task(operator, context, channel)
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
        self._umask = os.umask(0o077)
        os.umask(self._umask)

    def restore(self) -> None:
        """Undo what a task has changed, and end what it has left running; exit if that is not possible."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if os.environ._data != self._environment:  # type: ignore[attr-defined]
            wanted = {os.fsdecode(name): os.fsdecode(value) for name, value in self._environment.items()}
            for name in os.environ.keys() - wanted.keys():
                del os.environ[name]
            os.environ.update(wanted)
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
        _end_processes_left_behind()


def _end_processes_left_behind() -> None:
    deadline = time.monotonic() + LEFT_BEHIND_SECONDS
    with suppress(ChildProcessError):  # there is none, or no more
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                for pid in processes.descendants_of(os.getpid(), 10_000)[1:]:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.001)
        os._exit(1)
