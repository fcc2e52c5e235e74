"""`piper backfill`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from piper.cli.arguments import Moment, Seconds, WorkflowName, limit_option, read_json, read_params, workflow_argument
from piper.cli.client import Client, Listing, address_of, called
from piper.cli.failures import Code, Failure
from piper.cli.main import Noun
from piper.cli.output import Column, Format, column, note, output_option, show_list, show_object, write_receipt

_PAGE = 500
_FIRST_LOOK, _LONGEST_LOOK = 0.1, 2.0
_ENDED = ("completed", "cancelled")


@click.group("backfill", cls=Noun)
def command() -> None:
    """Backfills: the runs of a range of dates, made and started behind all others.

    BACKFILL is its number.
    """


backfill_argument = click.argument("number", metavar="BACKFILL", type=click.IntRange(min=1))


@command.command("create")
@workflow_argument
@click.option("--from", "first", metavar="MOMENT", type=Moment(), required=True, help="The first date of the range.")
@click.option("--to", "last", metavar="MOMENT", type=Moment(), required=True, help="The last one, inclusive.")
@click.option(
    "--reprocess",
    type=click.Choice(["none", "failed", "completed"]),
    default="none",
    show_default=True,
    help="Which runs that have ended are cleared and run again.",
)
@click.option("--backwards", is_flag=True, help="The latest date first.")
@click.option(
    "--max-active-runs",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many of its runs may run at a time.",
)
@click.option("--param", "-p", "params", metavar="NAME=VALUE", multiple=True, help="A param: JSON, or else text.")
@click.option("--conf", metavar="JSON|@FILE", help="All params at once, as a JSON object.")
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="Which version; the active one without.")
@click.option("--note", "text", metavar="TEXT", default="", help="Why: shown with the backfill.")
@click.option("--dry-run", is_flag=True, help="Show what would happen with each date, and change nothing.")
@click.option("--wait", is_flag=True, help="Wait until it is done; exit 0 only if all its runs succeeded.")
@click.option("--timeout", metavar="TIME", type=Seconds(), help="With --wait: how long at most (exit code 7).")
@limit_option
@output_option
@click.pass_context
def create(
    context: click.Context,
    workflow_id: str,
    first: str,
    last: str,
    reprocess: str,
    backwards: bool,
    max_active_runs: int,
    params: tuple[str, ...],
    conf: str | None,
    version: int | None,
    text: str,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    limit: int | None,
    output: Format,
) -> None:
    """Fill a range of dates with runs. --limit is for --dry-run.

    \b
    Examples:
      piper backfill create sales --from 2026-01-01 --to 2026-01-31 --dry-run
      piper backfill create sales --from 2026-01-01 --to 2026-01-31 --wait
      piper backfill create model --from 2026-10-01 --to 2026-10-31 --reprocess completed -p model=v2
      piper backfill create sales --from 2020-01-01 --to 2025-12-31 --backwards --max-active-runs 2
    """
    if dry_run and wait:
        raise click.UsageError("--dry-run makes nothing to --wait for")
    client = called(context)
    body: dict[str, Any] = {
        "from_date": first,
        "to_date": last,
        "reprocess": reprocess,
        "backwards": backwards,
        "max_active_runs": max_active_runs,
        "conf": (read_json(conf, "--conf") if conf else {}) | read_params(params),
        "version": version,
        "note": text,
    }
    if dry_run:
        _preview(client, workflow_id, body, limit, output)
        return
    found: dict[str, Any] = client.post(address_of("workflows", workflow_id, "backfills"), body)
    if client.get_object(address_of("workflows", workflow_id))["paused"]:
        note(f"{workflow_id} is paused: the runs wait until `piper workflows unpause {workflow_id}`")
    if wait:
        found = _wait(client, found, timeout, output)
    _show(found, output)
    if wait and not _succeeded(found):
        context.exit(int(Code.FAILED))


_COLUMNS = (
    column("number", "id", right=True),
    column("workflow", "workflow_id", elastic=True),
    Column("is", lambda row: _condition(row)),
    Column("from", lambda row: row["from_date"]),
    Column("to", lambda row: row["to_date"]),
    Column("dates", lambda row: row["progress"]["total"], right=True),
    Column("done", lambda row: row["progress"]["success"], right=True),
    Column("failed", lambda row: row["progress"]["failed"], right=True),
    Column("waiting", lambda row: _waiting(row["progress"]), right=True),
    column("by", "created_by", optional=True),
)


@command.command("list")
@click.argument("workflow_id", metavar="[WORKFLOW]", required=False, type=WorkflowName())
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["creating", "running", "completed", "cancelling", "cancelled"]),
    help="Only those in this state; may be given several times.",
)
@limit_option
@output_option
@click.pass_context
def list_backfills(
    context: click.Context, workflow_id: str | None, states: tuple[str, ...], limit: int | None, output: Format
) -> None:
    """List backfills, the latest first: of one workflow, or of all.

    \b
    Examples:
      piper backfill list
      piper backfill list sales --state running -o json
    """
    client = called(context)
    if workflow_id is not None:
        client.get(address_of("workflows", workflow_id))
    found = client.items("/backfills", limit, workflow_id=workflow_id, state=states)
    show_list(found, _COLUMNS, output, "no backfills found")


@command.command("show")
@backfill_argument
@output_option
@click.pass_context
def show(context: click.Context, number: int, output: Format) -> None:
    """Show a backfill, and how far it has come.

    \b
    Examples:
      piper backfill show 3
      piper backfill show 3 -o json
    """
    _show(called(context).get_object(address_of("backfills", number)), output)


@command.command("wait")
@backfill_argument
@click.option("--timeout", metavar="TIME", type=Seconds(), help="How long at most; exit code 7 after that.")
@output_option
@click.pass_context
def wait_for_backfill(context: click.Context, number: int, timeout: float | None, output: Format) -> None:
    """Wait until a backfill is done. Exit code 0 only if all its runs succeeded.

    \b
    Example:
      piper backfill wait 3 --timeout 2h
    """
    client = called(context)
    found = _wait(client, client.get_object(address_of("backfills", number)), timeout, output)
    _show(found, output)
    if not _succeeded(found):
        context.exit(int(Code.FAILED))


@command.command("pause")
@backfill_argument
@output_option
@click.pass_context
def pause(context: click.Context, number: int, output: Format) -> None:
    """Make and start no more runs of a backfill; those that run go on.

    \b
    Example:
      piper backfill pause 3
    """
    _steer(called(context), number, "pause", "paused", output)


@command.command("resume")
@backfill_argument
@output_option
@click.pass_context
def resume(context: click.Context, number: int, output: Format) -> None:
    """Let a paused backfill go on.

    \b
    Example:
      piper backfill resume 3
    """
    _steer(called(context), number, "resume", "resumed", output)


@command.command("cancel")
@backfill_argument
@output_option
@click.pass_context
def cancel(context: click.Context, number: int, output: Format) -> None:
    """End a backfill: runs that wait end as failed, those that run go on to their end.

    \b
    Example:
      piper backfill cancel 3
    """
    _steer(called(context), number, "cancel", "cancelled", output)


# --- in detail ----------------------------------------------------------------------------------


def _preview(client: Client, workflow_id: str, body: dict[str, Any], limit: int | None, output: Format) -> None:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        size = _PAGE if limit is None else min(_PAGE, limit - len(rows))
        path = address_of("workflows", workflow_id, "backfills", "dry-run")
        page: dict[str, Any] = client.post(path, body, limit=size, cursor=cursor)
        rows += page["items"]
        cursor = page["next_cursor"]
        if cursor is None or len(rows) == limit:
            break
    columns = (
        column("logical date", "logical_date"),
        column("action"),
        column("run", "run_id", elastic=True, optional=True),
    )
    show_list(Listing(rows, more=cursor is not None), columns, output)
    note(f"{page['total']} dates; runs would run from version {page['version']}")


def _steer(client: Client, number: int, verb: str, done: str, output: Format) -> None:
    receipt = client.post(address_of("backfills", number, verb))
    note(f"{done} backfill {number} of {receipt['workflow_id']}")
    write_receipt(receipt, output)


def _wait(client: Client, backfill: dict[str, Any], timeout: float | None, output: Format) -> dict[str, Any]:
    """The backfill when it is done. Raises Failure when it is not in time (exit code 7); it goes on."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = _FIRST_LOOK
    with _live(f"backfill {backfill['id']} of {backfill['workflow_id']}", output) as tell:
        while backfill["state"] not in _ENDED:
            tell(_summary(backfill))
            left = pause if deadline is None else min(pause, deadline - time.monotonic())
            if left <= 0:
                raise Failure(
                    f"backfill {backfill['id']} is not done after {timeout:g} s; it goes on",
                    Code.TIMED_OUT,
                    [f"look at it: piper backfill show {backfill['id']}"],
                )
            time.sleep(left)
            pause = min(1.5 * pause, _LONGEST_LOOK)
            backfill = client.get_object(address_of("backfills", backfill["id"]))
    return backfill


@contextmanager
def _live(title: str, output: Format) -> Iterator[Callable[[str], None]]:
    """A line on standard error that is written over, on a terminal and for a person."""
    if output is not Format.TABLE or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # lazy: only for a terminal

    with Console(stderr=True).status(title) as status:
        yield lambda text: status.update(f"{title}: {text}")


def _summary(backfill: dict[str, Any]) -> str:
    progress = backfill["progress"]
    parts = [f"{_dealt_with(progress)} of {progress['total']} dates"]
    parts += [f"{progress[name]} {name}" for name in ("queued", "running", "success", "failed") if progress[name]]
    return ", ".join([*parts, *(["paused"] if backfill["paused"] else [])])


def _show(backfill: dict[str, Any], output: Format) -> None:
    progress = backfill["progress"]
    dates = {
        "made": progress["created"],
        "run again": progress["rerun"],
        "left alone, have a run": progress["existed"],
        "left alone, in flight": progress["in_flight"],
        "to come": progress["total"] - _dealt_with(progress),
    }
    runs = {name: progress[name] for name in ("queued", "running", "success", "failed")}
    show_object(
        backfill,
        output,
        [
            ("backfill", backfill["id"]),
            ("workflow", f"{backfill['workflow_id']}, version {backfill['version']}"),
            ("state", _condition(backfill)),
            ("range", f"{backfill['from_date']} to {backfill['to_date']}"),
            ("order", "backwards" if backfill["backwards"] else "forwards"),
            ("reprocess", backfill["reprocess"]),
            ("at a time", backfill["max_active_runs"]),
            ("params", backfill["conf"] or None),
            ("note", backfill["note"]),
            ("by", backfill["created_by"]),
            ("created", backfill["created_at"]),
            ("ended", backfill["ended_at"]),
            ("dates", f"{progress['total']}: " + ", ".join(f"{n} {what}" for what, n in dates.items() if n)),
            ("runs", ", ".join(f"{n} {what}" for what, n in runs.items() if n)),
        ],
    )


def _dealt_with(progress: dict[str, int]) -> int:
    return progress["created"] + progress["rerun"] + progress["existed"] + progress["in_flight"]


def _waiting(progress: dict[str, int]) -> int:
    return progress["total"] - _dealt_with(progress) + progress["queued"] + progress["running"]


def _condition(backfill: dict[str, Any]) -> str:
    return "paused" if backfill["paused"] else str(backfill["state"])


def _succeeded(backfill: dict[str, Any]) -> bool:
    return bool(backfill["state"] == "completed" and backfill["progress"]["failed"] == 0)
