"""Throw-away instances: started for one file, used over HTTP as any other, and gone with the command."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import click

from piper.cli.client import Client, address_of
from piper.cli.failures import Code, Failure, suggestion
from piper.cli.output import STATE_STYLES, Format, note, shown_duration, task_name
from piper.cli.run_log import LogPrinter
from piper.cli.starting import started_settings
from piper.model.nearest import nearest
from piper.settings import Settings

_OPTIONS: dict[str, str | int | None] = {"web.port": 0, "web.host": "127.0.0.1"}

_SHOWN_STATES = ("success", "failed", "skipped", "upstream_failed", "up_for_retry")

APPEARS_WITHIN = 5.0
"""Seconds between the end of loading and the workflow's being there for all to see."""

CALLED_WITHIN = 60.0
"""Seconds after its run for which a throw-away instance stays for the sake of callbacks."""

CANCELLED_WITHIN = 15.0
"""Seconds after the timeout in which the tasks of a cancelled run are given up."""


class Instance(Protocol):
    """What `piper.wiring` gives for one file: see there."""

    @property
    def address(self) -> str:
        """Of its web server, once started."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of how it was made."""
        ...

    @property
    def token(self) -> str:
        """That its web server wants."""
        ...

    def start(self) -> None:
        """Serve; returns when the file has been loaded, well or not."""
        ...

    def execute(
        self,
        workflow_id: str,
        task_id: str,
        map_index: int,
        logical_date: datetime,
        conf: Mapping[str, Any],
        xcoms: Sequence[Any],
    ) -> int:
        """Run one task alone, with these `wiring.GivenXCom`s; the number of its run."""
        ...

    def stop(self) -> None:
        """End every task and service."""
        ...


@contextmanager
def throw_away(file: Path, environment: Mapping[str, str]) -> Iterator[tuple[Instance, Client]]:
    """An instance that has loaded this file, well or not, and a client of it.

    Arguments:
        environment: with the PIPER_HOME to use, see `given_home` and `own_home`.
    """
    settings = started_settings(_OPTIONS | _quiet(environment), environment)
    with (
        _interruptible(),
        _running(settings, file.absolute()) as instance,
        closing(Client(instance.address, instance.token)) as client,
    ):
        yield instance, client


def find_workflow(client: Client, file: Path, wanted: str | None) -> dict[str, Any]:
    """The workflow to run. Raises Failure when the file is broken, defines none, or several and none is named."""
    deadline = time.monotonic() + APPEARS_WITHIN
    while True:
        for error in client.items("/import-errors", None).rows:
            if error["file"] == file.name:
                place = f"{file.parent / (error['error_file'] or file.name)}:{error['error_line'] or 1}"
                raise Failure(f"{place}: {error['error']}")
        found = [row for row in client.items("/workflows", None).rows if row["file"] == file.name]
        if found or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    ids = [row["workflow_id"] for row in found]
    if not found:
        raise Failure(f"{file} defines no workflow", hints=["a workflow is a DAG at the top level of the file"])
    if wanted is None and len(found) == 1:
        return found[0]
    if wanted is None:
        shown = ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
        raise Failure(f"{file} defines {len(ids)} workflows: say which with --workflow ID", Code.USAGE, [shown])
    for row in found:
        if row["workflow_id"] == wanted:
            return row
    hints = suggestion(nearest(wanted, ids)) or [f"it defines {', '.join(ids[:20])}"]
    raise Failure(f"{file} defines no workflow {wanted!r}", Code.NOT_FOUND, hints)


def follow_run(
    client: Client, run: dict[str, Any], printer: LogPrinter, timeout: float | None, only: str | None = None
) -> bool:
    """Print what the tasks of a run write until it has ended; cancel it after `timeout` seconds, and on Ctrl-C.

    Arguments:
        only: the name of the task that alone is of interest, if one is.

    Returns whether the timeout has passed.
    """
    timed_out = threading.Event()
    timer = _cancel_after(client, run, timeout, timed_out)
    try:
        deadline = None if timeout is None else time.monotonic() + timeout + CANCELLED_WITHIN
        _follow(client, run, printer, deadline, only)
    except KeyboardInterrupt:
        note("interrupted: cancelling the run")
        with suppress(Failure):  # it has ended in the meantime
            client.post(address_of("runs", run["id"], "cancel"))
        raise
    finally:
        if timer is not None:
            timer.cancel()
    return timed_out.is_set()


def wait_for_callbacks(client: Client, run: dict[str, Any], printer: LogPrinter) -> None:
    """Let what is called after the end of a run be called, and print what it writes; not for ever."""
    path = address_of("runs", run["id"], "callbacks")
    deadline = time.monotonic() + CALLED_WITHIN
    while True:
        rows = client.items(path, None).rows
        if all(row["state"] in ("success", "failed") for row in rows) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for row in rows:
        page = client.get_object(address_of("runs", run["id"], "callbacks", row["number"], "logs"), limit=1 << 20)
        printer.print_lines(f"on_{row['kind']}_callback", -1, page["lines"])
        if row["state"] != "success":
            note(f"on_{row['kind']}_callback: {row['error'] or 'it has not ended, and is given up'}")


def new_printer(tasks: list[str]) -> LogPrinter:
    """Prints lines of these tasks to standard error, each behind its task."""
    printer = LogPrinter(Format.TABLE, with_task=True, stream=sys.stderr)
    printer.make_room(tasks)
    return printer


@contextmanager
def given_home() -> Iterator[dict[str, str]]:
    """The environment, with the PIPER_HOME that is set, or one that is removed in the end."""
    if os.environ.get("PIPER_HOME"):
        yield dict(os.environ)
        return
    with own_home() as environment:
        yield environment


@contextmanager
def own_home() -> Iterator[dict[str, str]]:
    """The environment, with a PIPER_HOME that is removed in the end, and the settings file of the one that is set."""
    environment = dict(os.environ)
    told = Path(environment.get("PIPER_HOME", ""), "piper.toml")
    environment["PIPER_HOME"] = tempfile.mkdtemp(prefix="piper-run-")
    try:
        if "PIPER_HOME" in os.environ and told.is_file():
            shutil.copy(told, environment["PIPER_HOME"])
        yield environment
    finally:
        shutil.rmtree(environment["PIPER_HOME"], ignore_errors=True)


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """What makes the services say only what is wrong, unless more is asked for: the tasks are what one runs."""
    return {} if "PIPER_CORE__LOG_LEVEL" in environment else {"core.log_level": "WARNING"}


@contextmanager
def _running(settings: Settings, file: Path) -> Iterator[Instance]:
    from piper import wiring  # lazy: it imports every part of the system

    instance: Instance = wiring.Instance(settings, file)
    for text in instance.notes:
        note(text)
    try:
        instance.start()
        yield instance
    finally:
        instance.stop()


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, and a terminal that is closed, end this command as Ctrl-C does: instance stopped, home removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else [])]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cancel_after(
    client: Client, run: dict[str, Any], timeout: float | None, timed_out: threading.Event
) -> threading.Timer | None:
    if timeout is None:
        return None

    def cancel() -> None:
        timed_out.set()
        note(f"not ended within {timeout:g} s: cancelling the run")
        with suppress(Failure):  # it has ended in the meantime
            client.post(address_of("runs", run["id"], "cancel"))

    timer = threading.Timer(timeout, cancel)
    timer.daemon = True
    timer.start()
    return timer


def _follow(client: Client, run: dict[str, Any], printer: LogPrinter, deadline: float | None, only: str | None) -> None:
    """Print what the tasks of a run write, and what becomes of them, until it has ended or the deadline is past."""
    for name, data in client.events(address_of("runs", run["id"], "events"), logs=True):
        if name == "log":
            printer.print_lines(data["task_id"], data["map_index"], data["lines"])
        elif name == "tasks":
            for task in data["tasks"]:
                state, shown = task["state"], task_name(task["task_id"], task["map_index"])
                if state in _SHOWN_STATES and only in (None, shown):
                    colour = {"upstream_failed": "yellow"}.get(state, STATE_STYLES[state])
                    text = click.style(f"({in_words(state, task['due'])})", fg=colour)
                    printer.print_text(shown, text)
        if deadline is not None and time.monotonic() > deadline:  # cancelled, and yet it does not end
            return


def in_words(state: str, due: str | None) -> str:
    """A state in words; of a retry when it comes, since that may be minutes."""
    words = state.replace("_", " ")
    return (
        f"{words} in {shown_duration(datetime.now(UTC).isoformat(), due)}" if state == "up_for_retry" and due else words
    )
