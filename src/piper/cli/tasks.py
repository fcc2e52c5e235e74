"""`piper tasks`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import yaml

from piper.cli.arguments import find_run, limit_option, run_argument
from piper.cli.client import Client, Listing, address_of, called
from piper.cli.commanding import (
    clear_options,
    consent_options,
    refs,
    send_to_runs,
    which_runs_options,
    which_tasks_options,
)
from piper.cli.execute import execute_task
from piper.cli.failures import Code, Failure
from piper.cli.main import Noun
from piper.cli.output import (
    Column,
    Format,
    column,
    counted,
    duration_column,
    in_task_order,
    output_option,
    show_list,
    show_object,
    task_name,
    write_data,
)
from piper.cli.run_log import LogPrinter

_STATES = (
    *("scheduled", "queued", "running", "deferred", "up_for_retry", "up_for_reschedule"),
    *("success", "failed", "skipped", "upstream_failed", "removed", "none"),
)


@click.group("tasks", cls=Noun)
def command() -> None:
    """Tasks of a run.

    RUN is a number, WORKFLOW/RUN_ID, or a WORKFLOW for its latest run.
    """


command.add_command(execute_task)


def _name(row: dict[str, Any]) -> str:
    return task_name(row["task_id"], row["map_index"])


_COLUMNS = (
    Column("task", _name),
    column("label", elastic=True),
    column("state", state=True),
    column("try", "try_number", right=True),
    column("started", "started_at"),
    duration_column(),
    Column("operator", lambda row: row["operator"].rpartition(".")[2], elastic=True, optional=True),
    column("pool", optional=True),
    column("worker", elastic=True, optional=True),
)

_map_index_option = click.option(
    "--map-index", metavar="N", type=click.IntRange(min=0), help="Of a mapped task: which instance."
)


@command.command("list")
@run_argument
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only those in this state.")
@limit_option
@output_option
@click.pass_context
def list_tasks(context: click.Context, run: str, states: tuple[str, ...], limit: int | None, output: Format) -> None:
    """List the tasks of a run.

    \b
    Examples:
      piper tasks list hello
      piper tasks list hello --state failed -o json
    """
    client = called(context)
    found = client.items(address_of("runs", find_run(client, run)["id"], "tasks"), limit, state=states)
    found.rows[:] = in_task_order(found.rows)
    shown = [each for each in _COLUMNS if each.title != "label" or any(row["label"] for row in found.rows)]
    show_list(found, shown, output, "it has no tasks yet: they are made when it starts")


@command.command("show")
@run_argument
@click.argument("task")
@_map_index_option
@output_option
@click.pass_context
def show_task(context: click.Context, run: str, task: str, map_index: int | None, output: Format) -> None:
    """Show a task of a run, with its tries.

    \b
    Example:
      piper tasks show hello say
    """
    client = called(context)
    found = client.get_object(_address(client, run, task), map_index=map_index)
    show_object(
        found,
        output,
        [
            ("task", _name(found)),
            ("label", found["label"]),
            ("state", found["state"] or "not decided yet"),
            ("error", found["attempts"][-1]["error"] if found["attempts"] else None),
            ("operator", found["operator"]),
            ("tries", f"{found['try_number']} of {found['max_tries'] + 1}"),
            ("waits until", found["due"]),
            ("pool", f"{found['pool']} ({counted(found['pool_slots'], 'slot')})"),
            ("waits for", _waited_for(client, found) if output is Format.TABLE else None),
            ("queue", found["queue"]),
            ("priority", found["priority"]),
        ],
    )
    if output is Format.TABLE and found["attempts"]:
        click.echo()
        columns = (
            column("try", "try_number", right=True),
            column("state", state=True),
            column("started", "started_at"),
            duration_column(),
            column("exit", "exit_code", right=True),
            column("error", elastic=True, optional=True),
            column("signal", right=True, optional=True),
            column("worker", elastic=True, optional=True),
            column("pid", right=True, optional=True),
        )
        show_list(Listing(found["attempts"]), columns, output)


def _waited_for(client: Client, task: dict[str, Any]) -> str | None:
    """What keeps a scheduled task from its pool's slots, if something does."""
    if task["state"] != "scheduled":
        return None
    name, wanted = task["pool"], task["pool_slots"]
    try:
        pool = client.get_object(address_of("pools", name))
    except Failure as failure:
        if failure.code is not Code.NOT_FOUND:
            raise
        return f"there is no pool {name!r}: `piper pools set {name} SLOTS` makes it"
    if 0 <= pool["slots"] < wanted:
        return f"pool {name!r} has {counted(pool['slots'], 'slot')}, it wants {wanted}: enlarge the pool"
    return f"pool {name!r} is full" if pool["free"] is not None and pool["free"] < wanted else None


@command.command("logs")
@run_argument
@click.argument("task", required=False)
@_map_index_option
@click.option("--try", "try_number", metavar="N", type=click.IntRange(min=1), help="Which try; the latest without.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task, or the run, has ended.")
@click.option("-t", "--times", "with_time", is_flag=True, help="Each line behind the moment of it, in UTC.")
@output_option
@click.pass_context
def show_logs(
    context: click.Context,
    run: str,
    task: str | None,
    map_index: int | None,
    try_number: int | None,
    follow: bool,
    with_time: bool,
    output: Format,
) -> None:
    """Write the log of a task, or those of all tasks of a run.

    Of a mapped task without --map-index those of all its instances are written.

    With -o json each line is an object on a line of its own.

    \b
    Examples:
      piper tasks logs hello say
      piper tasks logs hello -f
      piper tasks logs hello say --try 1 -o json
    """
    client = called(context)
    if task is None and (map_index is not None or try_number is not None):
        raise click.UsageError("--map-index and --try need a TASK")
    number = find_run(client, run)["id"]  # once: another run may be the latest a moment later
    if task is None or (map_index is None and try_number is None and _is_mapped(client, number, task)):
        _print_run(client, number, LogPrinter(output, with_task=True, with_time=with_time), follow=follow, only=task)
        return
    path = address_of("runs", number, "tasks", task, "logs")
    printer = LogPrinter(output, with_task=False, with_time=with_time)
    pages = _followed(client, path, map_index, try_number) if follow else _pages(client, path, map_index, try_number)
    for lines in pages:
        printer.print_lines(task, -1 if map_index is None else map_index, lines)


@command.command("clear")
@run_argument
@click.argument("tasks", metavar="[TASK]...", nargs=-1)
@_map_index_option
@which_tasks_options
@clear_options
@which_runs_options
@consent_options
@output_option
@click.pass_context
def clear_tasks(
    context: click.Context,
    /,
    run: str,
    tasks: tuple[str, ...],
    map_index: int | None,
    output: Format,
    **options: Any,
) -> None:
    """Run tasks again, as if they had not run.

    Setups that they need and the teardowns of those run again with them.

    \b
    Examples:
      piper tasks clear hello load --downstream
      piper tasks clear hello load --only-failed --past --dry-run
      piper tasks clear hello --group transform --from 2026-11-01 --to 2026-11-07
    """
    _send(context, "clear", run, tasks, map_index, output, options)


@command.command("mark")
@run_argument
@click.argument("tasks", metavar="[TASK]...", nargs=-1)
@click.option("--state", required=True, type=click.Choice(["success", "failed", "skipped"]))
@_map_index_option
@which_tasks_options
@which_runs_options
@consent_options
@output_option
@click.pass_context
def mark_tasks(
    context: click.Context,
    /,
    run: str,
    tasks: tuple[str, ...],
    map_index: int | None,
    output: Format,
    **options: Any,
) -> None:
    """Give tasks a final state, without running them.

    \b
    Examples:
      piper tasks mark hello load --state success
      piper tasks mark hello --group checks --state skipped --future
    """
    _send(context, "mark", run, tasks, map_index, output, options)


def _send(
    context: click.Context,
    verb: str,
    run: str,
    tasks: tuple[str, ...],
    map_index: int | None,
    output: Format,
    options: dict[str, Any],
) -> None:
    if not (tasks or options["groups"]):
        raise click.UsageError(f"name the tasks, or a --group; `piper runs {verb}` is for whole runs")
    runs = {name: options.pop(name) for name in ("past", "future", "first", "last", "yes")}
    body = {**options, "tasks": refs(tasks, map_index)}
    send_to_runs(called(context), run, verb, body, output, **runs)


@command.command("render")
@run_argument
@click.argument("task")
@_map_index_option
@output_option
@click.pass_context
def render_task(context: click.Context, run: str, task: str, map_index: int | None, output: Format) -> None:
    """Show the template fields of a task: as written, and as its latest try saw them.

    \b
    Example:
      piper tasks render hello say
    """
    client = called(context)
    found = client.get_object(_address(client, run, task), map_index=map_index)
    if output is not Format.TABLE:
        write_data({name: found[name] for name in ("task_id", "map_index", "definition", "rendered")}, output)
        return
    rendered = found["rendered"]
    shown = rendered if rendered is not None else found["definition"]
    if rendered is None:
        click.echo("not tried yet: these are the fields as they were written", err=True)
    for name, value in shown.items():
        click.secho(name, bold=True)
        text = value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
        for line in text.rstrip("\n").splitlines() or [""]:
            click.echo(f"  {line}")


def _address(client: Client, run: str, task: str) -> str:
    return address_of("runs", find_run(client, run)["id"], "tasks", task)


def _pages(client: Client, path: str, map_index: int | None, try_number: int | None) -> Iterator[list[Any]]:
    """The log as it is now, part after part."""
    offset = 0
    while True:
        page = client.get(path, map_index=map_index, try_number=try_number, offset=offset, limit=1 << 20)
        if page["next"] == offset:
            return
        yield page["lines"]
        offset = page["next"]


def _followed(client: Client, path: str, map_index: int | None, try_number: int | None) -> Iterator[list[Any]]:
    """The log until the try is over."""
    for name, data in client.events(path, map_index=map_index, try_number=try_number):
        if name == "lines":
            yield data["lines"]


def _is_mapped(client: Client, run: int, task: str) -> bool:
    rows = client.items(address_of("runs", run, "tasks"), 1, task_id=task).rows
    return any(row["map_index"] >= 0 for row in rows)


def _print_run(client: Client, run: int, printer: LogPrinter, *, follow: bool, only: str | None) -> None:
    """Print the logs of all tasks of a run, or of all instances of one."""
    rows = client.items(address_of("runs", run, "tasks"), None, task_id=only).rows
    printer.make_room(map(_name, rows))
    if follow:
        for name, data in client.events(address_of("runs", run, "events"), logs=True):
            if name == "log" and only in (None, data["task_id"]):
                printer.print_lines(data["task_id"], data["map_index"], data["lines"])
        return
    for row in rows:
        for of_try in range(1, row["try_number"] + 1):
            path = address_of("runs", run, "tasks", row["task_id"], "logs")
            for lines in _pages(client, path, None if row["map_index"] < 0 else row["map_index"], of_try):
                printer.print_lines(row["task_id"], row["map_index"], lines)
