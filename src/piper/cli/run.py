"""`piper run FILE`: a throw-away instance that loads the file, runs a workflow of it once, and says how it ended."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import click

from piper.cli.arguments import Moment, Seconds, read_params
from piper.cli.client import Client, Listing, address_of
from piper.cli.failures import Code, Failure, suggestion
from piper.cli.output import (
    STATE_STYLES,
    Column,
    Format,
    column,
    duration_column,
    note,
    output_option,
    show_list,
    task_name,
    write_data,
)
from piper.cli.run_log import LogPrinter
from piper.cli.starting import started_settings
from piper.model.nearest import nearest
from piper.settings import Settings

_OPTIONS: dict[str, str | int | None] = {"web.port": 0, "web.host": "127.0.0.1"}

_APPEARS_WITHIN = 5.0
"""Seconds between the end of loading and the workflow's being there for all to see."""

_CANCELLED_WITHIN = 15.0
"""Seconds after the timeout in which the tasks of a cancelled run are given up."""


class Instance(Protocol):
    """What `piper.wiring` gives for one file: see there."""

    @property
    def address(self) -> str:
        """Of its web server, once started."""
        ...

    @property
    def token(self) -> str:
        """That its web server wants."""
        ...

    def start(self) -> None:
        """Serve; returns when the file has been loaded, well or not."""
        ...

    def stop(self) -> None:
        """End every task and service."""
        ...


@click.command("run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workflow", "workflow_id", metavar="ID", help="Which one, if the file defines several.")
@click.option("--logical-date", metavar="MOMENT", type=Moment(), help="Of the run; now if it is left out.")
@click.option("--param", "-p", "params", metavar="NAME=VALUE", multiple=True, help="A param: JSON, or else a text.")
@click.option("--timeout", metavar="TIME", type=Seconds(), help="How long at most; the run is then cancelled.")
@output_option
@click.pass_context
def command(
    context: click.Context,
    file: Path,
    workflow_id: str | None,
    logical_date: str | None,
    params: tuple[str, ...],
    timeout: float | None,
    output: Format,
) -> None:
    """Run a workflow file once, here and now, and show how it ended.

    Starts an instance of Piper for this file alone, in a temporary PIPER_HOME unless one is set, triggers the
    workflow, shows what its tasks write, and prints the final state of every task. Exit code 0 only if the run
    succeeded.

    \b
    Examples:
      piper run examples/hello.py
      piper run dags/sales.py --workflow sales_daily --logical-date 2026-11-01 -p region=north
      piper run examples/hello.py --timeout 5m -o json
    """
    conf = read_params(params)
    with _home() as environment:
        settings = started_settings(_OPTIONS | _quiet(environment), environment)
        with (
            _interruptible(),
            _running(settings, file.absolute()) as instance,
            closing(Client(instance.address, instance.token)) as client,
        ):
            workflow = _find_workflow(client, file, workflow_id)
            ended = _run(client, workflow["workflow_id"], logical_date, conf, timeout)
    _show(ended, output)
    if ended["timed_out"]:
        raise Failure(f"the run did not end within {timeout:g} s and was cancelled", Code.TIMED_OUT)
    if ended["state"] != "success":
        context.exit(int(Code.FAILED))


@contextmanager
def _home() -> Iterator[dict[str, str]]:
    """The environment, with the PIPER_HOME that is set, or one that is removed in the end."""
    environment = dict(os.environ)
    if environment.get("PIPER_HOME"):
        yield environment
        return
    environment["PIPER_HOME"] = tempfile.mkdtemp(prefix="piper-run-")
    try:
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
    try:
        instance.start()
        yield instance
    finally:
        instance.stop()


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends this command as Ctrl-C does, so that the instance is stopped and the home removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _find_workflow(client: Client, file: Path, wanted: str | None) -> dict[str, Any]:
    """The workflow to run. Raises Failure when the file is broken, defines none, or several and none is named."""
    deadline = time.monotonic() + _APPEARS_WITHIN
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


def _run(
    client: Client, workflow_id: str, logical_date: str | None, conf: dict[str, Any], timeout: float | None
) -> dict[str, Any]:
    """Trigger the workflow and follow its run; how it ended."""
    if client.get_object(address_of("workflows", workflow_id))["paused"]:
        client.patch(address_of("workflows", workflow_id), {"paused": False})
    body = {"conf": conf} | ({"logical_date": logical_date} if logical_date else {})
    run = client.post(address_of("workflows", workflow_id, "runs"), body)
    note(f"running {workflow_id}/{run['run_id']}")
    spec = client.get_object(address_of("workflows", workflow_id, "spec"))
    printer = LogPrinter(Format.TABLE, with_task=True, stream=sys.stderr)
    printer.make_room(task["task_id"] for task in spec.get("tasks", []))
    timed_out = threading.Event()
    timer = _cancel_after(client, run, timeout, timed_out)
    try:
        _follow(client, run, printer, None if timeout is None else time.monotonic() + timeout + _CANCELLED_WITHIN)
    except KeyboardInterrupt:
        note("interrupted: cancelling the run")
        client.post(address_of("runs", run["id"], "cancel"))
        raise
    finally:
        if timer is not None:
            timer.cancel()
    found = client.get_object(address_of("runs", run["id"]))
    tasks = client.items(address_of("runs", run["id"], "tasks"), None).rows
    return {"run": found, "state": found["state"], "tasks": tasks, "timed_out": timed_out.is_set()}


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


def _follow(client: Client, run: dict[str, Any], printer: LogPrinter, deadline: float | None) -> None:
    """Print what the tasks of a run write, and what becomes of them, until it has ended or the deadline is past."""
    for name, data in client.events(address_of("runs", run["id"], "events"), logs=True):
        if name == "log":
            printer.print_lines(data["task_id"], data["map_index"], data["lines"])
        elif name == "tasks":
            for task in data["tasks"]:
                state = task["state"]
                if state in ("success", "failed", "skipped", "upstream_failed", "up_for_retry"):
                    colour = {"upstream_failed": "yellow"}.get(state, STATE_STYLES[state])
                    text = click.style(f"({state.replace('_', ' ')})", fg=colour)
                    printer.print_text(task_name(task["task_id"], task["map_index"]), text)
        if deadline is not None and time.monotonic() > deadline:  # cancelled, and yet it does not end
            return


def _show(ended: dict[str, Any], output: Format) -> None:
    """Write the final state of the run and of every task to standard output."""
    run = ended["run"]
    if output is not Format.TABLE:
        tasks = [
            {
                "task_id": task["task_id"],
                "map_index": task["map_index"],
                "state": task["state"],
                "attempts": task["try_number"],
                "start": task["started_at"],
                "end": task["ended_at"],
            }
            for task in ended["tasks"]
        ]
        summary = {"workflow_id": run["workflow_id"], "run_id": run["run_id"], "state": run["state"], "tasks": tasks}
        write_data(summary, output)
        return
    columns = (
        Column("task", lambda task: task_name(task["task_id"], task["map_index"])),
        column("state", state=True),
        column("attempts", "try_number", right=True),
        duration_column(),
    )
    show_list(Listing(ended["tasks"]), columns, output, "no task ran")
    colour = "green" if run["state"] == "success" else "red"
    click.secho(f"\nrun {run['state']}", fg=colour, bold=True)
