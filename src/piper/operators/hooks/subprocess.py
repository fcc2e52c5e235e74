"""Running a program, its output going to the log line by line."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

log = logging.getLogger("piper.task")

LONGEST_PIECE = 64 << 10
"""Bytes of a line that are logged at once: a program may write gigabytes without a newline."""

LONGEST_LAST_LINE = 16 << 20
"""Bytes of the last line that are kept, as many as an XCom may have."""

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL. The supervisor kills the whole task a little later."""


class SubprocessResult(NamedTuple):
    """How a program ended."""

    exit_code: int
    output: str
    """The last line that it wrote."""


class SubprocessHook:
    """Runs one program at a time, in a session of its own, so that it can be ended with all that it started."""

    def __init__(self) -> None:
        self.sub_process: subprocess.Popen[bytes] | None = None
        self._output = _Output("utf-8")

    def run_command(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        output_encoding: str = "utf-8",
        cwd: str | None = None,
    ) -> SubprocessResult:
        """Run a program to its end. An exception in the meantime leaves it running: `end` follows then.

        Arguments:
            command: the program and its arguments.
            env: its whole environment; None gives it this process's.
            output_encoding: of what it writes; bytes that do not fit are shown as escapes.
            cwd: the folder to run it in; None makes a temporary one, which is removed afterwards.

        Raises:
            OSError: it cannot be started.
        """
        with working_directory(cwd) as folder:
            log.info("Running command: %s", list(command))
            process = self.sub_process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
            assert process.stdout is not None
            log.info("Output:")
            output = self._output = _Output(output_encoding)
            while data := os.read(process.stdout.fileno(), LONGEST_PIECE):
                output.take(data)
            last = output.end()
            exit_code = process.wait()
            process.stdout.close()
            self.sub_process = None
            log.info("Command exited with return code %s", exit_code)
        return SubprocessResult(exit_code, last)

    def send_sigterm(self) -> None:
        """Ask the program, and all in its process group, to end."""
        process = self.sub_process
        if process is not None and process.poll() is None:
            log.info("Sending SIGTERM signal to process group")
            _signal_group(process, signal.SIGTERM)

    def end(self) -> None:
        """Ask the program to end, log its last words, and kill what of its group has not ended within GRACE."""
        process = self.sub_process
        if process is None:
            return
        self.sub_process = None
        assert process.stdout is not None
        log.info("Sending SIGTERM signal to process group")
        _signal_group(process, signal.SIGTERM)
        self._hear_out(process)
        _signal_group(process, signal.SIGKILL)
        process.wait()
        process.stdout.close()

    def _hear_out(self, process: subprocess.Popen[bytes]) -> None:
        """Log what the program writes until it has ended, but no longer than GRACE."""
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            if poller.poll(20):
                data = os.read(pipe, LONGEST_PIECE)
                if not data:
                    break
                self._output.take(data)
            # Not `poll()`: it would reap the process, and its id could then be another group's.
            elif os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
        self._output.end()


class _Output:
    """What a program writes, as lines for the log; the last one is kept."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._line = bytearray()
        """The line that has not ended yet, as far as it is kept."""
        self._logged = 0
        """Bytes of it that have been logged."""
        self._last = ""

    def take(self, data: bytes) -> None:
        """Log the lines that have ended, and long ones in pieces."""
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._line += part
            self._finish_line()
        self._line += rest
        if len(self._line) - self._logged >= LONGEST_PIECE:
            self._log_rest()

    def end(self) -> str:
        """Log what is left, and return the last line."""
        if self._line:
            self._finish_line()
        return self._last

    def _finish_line(self) -> None:
        if self._logged < len(self._line) or not self._line:
            self._log_rest()
        self._last = self._text(self._line)
        self._line.clear()
        self._logged = 0

    def _log_rest(self) -> None:
        rest = self._line[self._logged :]
        # Noted before it is logged: a signal may end the program, and hear it out, in the middle of logging.
        del self._line[LONGEST_LAST_LINE:]
        self._logged = len(self._line)
        for start in range(0, max(len(rest), 1), LONGEST_PIECE):
            log.info("%s", self._text(rest[start : start + LONGEST_PIECE]))

    def _text(self, data: bytearray) -> str:
        return data.decode(self._encoding, errors="backslashreplace").rstrip()


@contextmanager
def working_directory(cwd: str | None = None) -> Iterator[str]:
    """The given folder, or a temporary one that is removed afterwards."""
    if cwd is not None:
        yield cwd
        return
    with tempfile.TemporaryDirectory(prefix="pipertmp", ignore_cleanup_errors=True) as folder:
        yield folder


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
