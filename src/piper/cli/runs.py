"""`piper runs`."""

from __future__ import annotations

from typing import Any

import click

from piper.cli.arguments import Moment, Seconds, WorkflowName, find_run, limit_option, run_argument
from piper.cli.client import address_of, called
from piper.cli.commanding import clear_options, consent_options, send_command, send_to_runs, which_runs_options
from piper.cli.failures import Code
from piper.cli.main import Noun
from piper.cli.output import Column, Format, column, duration_column, output_option, show_list, task_name
from piper.cli.run_log import LogPrinter
from piper.cli.waiting import show_run, wait_for_run


@click.group("runs", cls=Noun)
def command() -> None:
    """Runs of workflows.

    RUN is a number, WORKFLOW/RUN_ID, or a WORKFLOW for its latest run.
    """


_COLUMNS = (
    column("number", "id", right=True),
    column("workflow", "workflow_id", elastic=True),
    column("run", "run_id", elastic=True),
    column("state", state=True),
    column("started", "started_at"),
    duration_column(),
    column("logical date", "logical_date", optional=True),
)


@command.command("list")
@click.argument("workflow_id", metavar="[WORKFLOW]", required=False, type=WorkflowName())
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["queued", "running", "success", "failed"]),
    help="Only those in this state; may be given several times.",
)
@click.option("--from", "first", metavar="MOMENT", type=Moment(), help="Only logical dates from this one on.")
@click.option("--to", "last", metavar="MOMENT", type=Moment(), help="Only logical dates up to this one.")
@click.option("--backfill", metavar="BACKFILL", type=click.IntRange(min=1), help="Only those of this backfill.")
@limit_option
@output_option
@click.pass_context
def list_runs(
    context: click.Context,
    workflow_id: str | None,
    states: tuple[str, ...],
    first: str | None,
    last: str | None,
    backfill: int | None,
    limit: int | None,
    output: Format,
) -> None:
    """List runs, latest first: of one workflow, or of all.

    \b
    Examples:
      piper runs list
      piper runs list hello --state failed
      piper runs list sales --from 2026-11-01 --to 2026-11-07 -o json
    """
    path = "/runs" if workflow_id is None else address_of("workflows", workflow_id, "runs")
    found = called(context).items(
        path, limit, state=states, logical_date_from=first, logical_date_to=last, backfill=backfill
    )
    show_list(found, _COLUMNS, output, "no runs found")


@command.command("show")
@run_argument
@output_option
@click.pass_context
def show(context: click.Context, run: str, output: Format) -> None:
    """Show a run, and how far it has come.

    \b
    Examples:
      piper runs show hello
      piper runs show hello/manual__2026-11-20T10:00:00+00:00
      piper runs show 17 -o json
    """
    show_run(find_run(called(context), run), output)


@command.command("wait")
@run_argument
@click.option("--timeout", metavar="TIME", type=Seconds(), help="How long at most; exit code 7 after that.")
@output_option
@click.pass_context
def wait(context: click.Context, run: str, timeout: float | None, output: Format) -> None:
    """Wait until a run has ended. Exit code 0 only if it succeeded.

    \b
    Example:
      piper runs wait hello --timeout 10m
    """
    client = called(context)
    found = wait_for_run(client, find_run(client, run), timeout)
    show_run(found, output)
    if found["state"] != "success":
        context.exit(int(Code.FAILED))


@command.command("cancel")
@run_argument
@output_option
@click.pass_context
def cancel(context: click.Context, run: str, output: Format) -> None:
    """End a run: its tasks are stopped and fail, teardowns still clean up.

    \b
    Example:
      piper runs cancel hello
    """
    client = called(context)
    found = find_run(client, run)
    send_command(client, address_of("runs", found["id"], "cancel"), {}, output)


@command.command("clear")
@run_argument
@clear_options
@which_runs_options
@consent_options
@output_option
@click.pass_context
def clear(context: click.Context, /, run: str, output: Format, yes: bool, **options: Any) -> None:
    """Run a run again: all of it, or what failed.

    \b
    Examples:
      piper runs clear hello --only-failed
      piper runs clear hello --dry-run
      piper runs clear hello --from 2026-11-01 --to 2026-11-07 --yes
    """
    runs = {name: options.pop(name) for name in ("past", "future", "first", "last")}
    send_to_runs(called(context), run, "clear", options, output, yes=yes, **runs)


_CALLBACKS = (
    column("number", right=True),
    Column("callback", lambda row: f"on_{row['kind']}_callback"),
    Column("of", lambda row: "run" if row["of"] == "workflow" else task_name(row["task_id"], row["map_index"])),
    column("state", state=True),
    column("ended", "ended_at"),
    column("error", elastic=True, optional=True),
)


@command.command("callbacks")
@run_argument
@click.option("--logs", is_flag=True, help="What they have written, instead of the list.")
@output_option
@click.pass_context
def callbacks(context: click.Context, run: str, logs: bool, output: Format) -> None:
    """List the callbacks that were called for a run besides its tasks.

    Those of the workflow, when the run ended, and those of tasks that were lost or killed. Others are called in the
    process of their task, whose log has what they write.

    \b
    Examples:
      piper runs callbacks hello
      piper runs callbacks hello --logs
    """
    client = called(context)
    number = find_run(client, run)["id"]
    found = client.items(address_of("runs", number, "callbacks"), None)
    if not logs:
        show_list(found, _CALLBACKS, output, "nothing was called besides the tasks")
        return
    printer = LogPrinter(output, with_task=True)
    for row in found.rows:
        page = client.get_object(address_of("runs", number, "callbacks", row["number"], "logs"), limit=1 << 20)
        printer.print_lines(f"on_{row['kind']}_callback", row["number"], page["lines"])


@command.command("mark")
@run_argument
@click.argument("state", type=click.Choice(["success", "failed"]))
@which_runs_options
@consent_options
@output_option
@click.pass_context
def mark(context: click.Context, /, run: str, state: str, output: Format, yes: bool, **options: Any) -> None:
    """Set a run to success or failed; what is unfinished ends.

    \b
    Example:
      piper runs mark hello success
    """
    runs = {name: options.pop(name) for name in ("past", "future", "first", "last")}
    send_to_runs(called(context), run, "mark", {"state": state, **options}, output, yes=yes, **runs)
