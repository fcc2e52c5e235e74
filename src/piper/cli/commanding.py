"""Sending commands to runs: which options say what they are about, and what is shown of them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import click

from piper.cli.arguments import Moment, find_run
from piper.cli.client import Client, Listing, address_of
from piper.cli.failures import Code, Failure
from piper.cli.output import Column, Format, column, counted, in_task_order, note, show_list, task_name, write_data

UNASKED = 100
"""Instances that a command may be about without asking the person again."""

_DONE = {"clear": "cleared", "mark": "marked", "cancel": "cancelled"}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _decorated(command: Callable[..., Any], *options: Decorator) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def which_runs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which runs, besides the one that RUN names: the command gets `past`, `future`, `first`, `last`."""
    return _decorated(
        command,
        click.option("--past", is_flag=True, help="Also in the runs of earlier logical dates."),
        click.option("--future", is_flag=True, help="Also in the runs of later logical dates."),
        click.option(
            "--from",
            "first",
            metavar="MOMENT",
            type=Moment(),
            help="In all runs from this logical date on; RUN is a WORKFLOW.",
        ),
        click.option("--to", "last", metavar="MOMENT", type=Moment(), help="In all runs up to this logical date."),
    )


def which_tasks_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which tasks, besides those that are named: the command gets `groups`, `upstream`, `downstream`."""
    return _decorated(
        command,
        click.option("--group", "-g", "groups", metavar="ID", multiple=True, help="All tasks of this task group."),
        click.option("--upstream", is_flag=True, help="Also everything above."),
        click.option("--downstream", is_flag=True, help="Also everything below."),
    )


def clear_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every clear."""
    return _decorated(
        command,
        click.option("--only-failed", is_flag=True, help="Only what failed, or failed for its sake."),
        click.option("--only-running", is_flag=True, help="Only what is scheduled, queued or running."),
        click.option("--recursive", is_flag=True, help="Also what waits in other workflows, as markers say."),
        click.option(
            "--version",
            type=click.Choice(["default", "pinned", "latest"]),
            default="default",
            show_default=True,
            help="The version to run from: the run's own or the newest; by default the newest for folders.",
        ),
    )


def consent_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--dry-run` and `--yes`."""
    return _decorated(
        command,
        click.option("--dry-run", is_flag=True, help="Show what it would be about, and change nothing."),
        click.option("--yes", "-y", is_flag=True, help=f"Do not ask, however many instances beyond {UNASKED}."),
    )


def refs(tasks: tuple[str, ...], map_index: int | None) -> list[dict[str, Any]]:
    """The tasks that are named, as the API has them."""
    return [{"task_id": task, "map_index": map_index} for task in tasks]


def send_to_runs(
    client: Client, run: str, verb: str, body: dict[str, Any], output: Format, *, yes: bool, **runs: Any
) -> None:
    """Send a command to the run that is named, to those beside it, or to those of a range of dates.

    Arguments:
        runs: what `which_runs_options` gives.
    """
    first, last, past, future = runs["first"], runs["last"], runs["past"], runs["future"]
    if first is None and last is None:
        path = address_of("runs", find_run(client, run)["id"], verb)
        body = {**body, "past": past, "future": future}
    elif past or future or "/" in run or run.isdecimal():
        raise click.UsageError("--from and --to are for all runs of a WORKFLOW: name it, without --past or --future")
    else:
        path = address_of("workflows", run, verb)
        body = {**body, "logical_date_from": first, "logical_date_to": last}
    if not (yes or body["dry_run"]):
        _ask(client, path, body)
    send_command(client, path, body, output)


def send_command(client: Client, path: str, body: dict[str, Any], output: Format) -> None:
    """Send a command and show its receipt."""
    receipt: dict[str, Any] = client.post(path, body)
    affected = receipt["affected"]
    if output is not Format.TABLE:
        write_data(receipt, output)
        return
    runs = receipt["runs"]
    besides = f" and {counted(runs - 1, 'more run')}" if runs > 1 else ""
    where = f"{receipt['workflow_id']}/{receipt['run_id']}{besides}"
    done = f"would {receipt['command']}" if body.get("dry_run") else _DONE[receipt["command"]]
    note(f"{done} {counted(len(affected), 'task')} of {where}")
    if affected and body.get("dry_run"):
        columns = (
            column("workflow", "workflow_id", elastic=True),
            column("run", "run_id", elastic=True),
            Column("task", lambda row: task_name(row["task_id"], row["map_index"])),
            column("state", state=True),
        )
        of_run = itertools.groupby(affected, lambda row: (row["workflow_id"], row["run_id"]))
        affected = [row for _, rows in of_run for row in in_task_order(list(rows))]
        several = len({row["workflow_id"] for row in affected}) > 1
        show_list(Listing(affected), columns if several else columns[1:] if runs > 1 else columns[2:], output)


def _ask(client: Client, path: str, body: dict[str, Any]) -> None:
    """Have the person agree to a command that is about very much. Raises Failure when nobody can be asked."""
    receipt: dict[str, Any] = client.post(path, body | {"dry_run": True})
    count, runs = len(receipt["affected"]), receipt["runs"]
    if count <= UNASKED:
        return
    what = f"{receipt['command']} {counted(count, 'task')} of {counted(runs, 'run')}"
    if not sys.stdin.isatty():
        raise Failure(f"this would {what}", Code.USAGE, ["if that is meant, say --yes; --dry-run lists them"])
    click.confirm(f"{what.capitalize()}?", abort=True, err=True)
