"""Running a program, its output going to the log line by line."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple

log = logging.getLogger("piper.task")

LONGEST_PIECE = 64 << 10
"""Bytes of a line that are logged at once: a program may write gigabytes without a newline."""

LONGEST_LAST_LINE = 16 << 20
"""Bytes of the last line that are kept, as many as an XCom may have."""


class SubprocessResult(NamedTuple):
    """How a program ended."""

    exit_code: int
    output: str
    """The last line that it wrote."""


class SubprocessHook:
    """Runs one program at a time, in a session of its own, so that it can be ended with all that it started."""

    def __init__(self) -> None:
        self.sub_process: subprocess.Popen[bytes] | None = None

    def run_command(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        output_encoding: str = "utf-8",
        cwd: str | None = None,
    ) -> SubprocessResult:
        """Run a program to its end.

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
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
            # Not `with process:` and no `finally`. A timeout (a BaseException) leaves this block and only then ends
            # the program: waiting for it here would wait for ever, and closing the pipe would kill it with SIGPIPE
            # in the middle of its own cleaning up.
            assert process.stdout is not None
            log.info("Output:")
            last = _follow(process.stdout, output_encoding)
            exit_code = process.wait()
            process.stdout.close()
            log.info("Command exited with return code %s", exit_code)
        return SubprocessResult(exit_code, last)

    def send_sigterm(self) -> None:
        """Ask the program, and all in its session's first process group, to end."""
        process = self.sub_process
        if process is None or process.poll() is not None:
            return
        log.info("Sending SIGTERM signal to process group")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


@contextmanager
def working_directory(cwd: str | None = None) -> Iterator[str]:
    """The given folder, or a temporary one that is removed afterwards."""
    if cwd is not None:
        yield cwd
        return
    with tempfile.TemporaryDirectory(prefix="pipertmp", ignore_cleanup_errors=True) as folder:
        yield folder


def _follow(stream: IO[bytes], encoding: str) -> str:
    """Log a stream line by line until it ends, and return its last line."""
    last: list[str] = []
    ended = True
    while piece := stream.readline(LONGEST_PIECE):
        text = piece.decode(encoding, errors="backslashreplace").rstrip("\r\n")
        log.info("%s", text.rstrip())
        if ended:
            last.clear()
        if len(last) * LONGEST_PIECE < LONGEST_LAST_LINE:
            last.append(text)
        ended = piece.endswith(b"\n")
    return "".join(last).rstrip()
