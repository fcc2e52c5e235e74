"""Starting a worker from another process of this host, connected to it; and ending one that is connected to nobody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from piper.worker.environment import task_environment
from piper.worker.processes import holders_of
from piper.worker.register import register_file
from piper.worker.settings import WorkerSettings


def launch(
    settings: WorkerSettings, environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a worker. Returns its process, and this end of the connection.

    To stop it: SIGTERM lets it end and report what runs; closing the connection makes it kill everything
    and exit. It is in a session of its own, so that a Ctrl-C in the terminal does not reach it.

    Arguments:
        environment: of the worker and its tasks, less what is not for tasks: a task, which may run as the same user,
            can read that of the worker, and the worker has no use for the database's address. None for this process's.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "piper.worker",
                "--fd",
                str(theirs.fileno()),
                "--settings",
                msgspec.json.encode(settings).decode(),
            ],
            stdin=subprocess.DEVNULL,
            env=task_environment(dict(os.environ if environment is None else environment)),
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return process, ours


def end_worker(settings: WorkerSettings) -> None:
    """Kill the worker of that name and home, if one runs: its server stands still, so that nobody else ends it.

    What it ran ends with it, and its successor announces it lost.
    """
    for pid in holders_of(register_file(settings)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
