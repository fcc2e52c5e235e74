"""`piper workflows`."""

from __future__ import annotations

import sys
from typing import Any

import click

from piper.cli.arguments import (
    Moment,
    Seconds,
    WorkflowName,
    limit_option,
    read_json,
    read_params,
    workflow_argument,
)
from piper.cli.client import Client, Listing, address_of, called
from piper.cli.failures import Code, Failure
from piper.cli.main import Noun
from piper.cli.output import (
    Column,
    Format,
    column,
    data_option,
    note,
    output_option,
    show_list,
    show_object,
    write_data,
    write_receipt,
)
from piper.cli.waiting import show_run, wait_for_run


@click.group("workflows", cls=Noun)
def command() -> None:
    """Workflows: what is defined, when it runs, and whether it is paused."""


def _condition(row: dict[str, Any]) -> str:
    return "stale" if row["stale"] else "paused" if row["paused"] else "active"


_COLUMNS = (
    column("workflow", "workflow_id"),
    Column("is", _condition),
    column("schedule", elastic=True),
    Column(
        "next run",
        lambda row: (row["next_run"] and not row["paused"] and row["next_run"]["run_after"]) or None,
        optional=True,
    ),
    Column("last run", lambda row: row["last_run"] and row["last_run"]["state"], state=True),
    Column("ended", lambda row: row["last_run"] and row["last_run"]["ended_at"], optional=True),
    column("owner", optional=True),
    column("tags", elastic=True, optional=True),
)


@command.command("list")
@click.option("--search", metavar="TEXT", help="Part of the id, display name or description.")
@click.option("--paused/--active", default=None, help="Only those that are paused, or are not.")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("--owner", metavar="OWNER", help="Only those of this owner.")
@click.option("--bundle", metavar="NAME", help="Only those of this bundle.")
@click.option("--stale", is_flag=True, help="Also those whose file is gone.")
@click.option(
    "--order",
    type=click.Choice(["workflow_id", "-workflow_id", "next_run", "-next_run"]),
    default="workflow_id",
    show_default=True,
)
@limit_option
@output_option
@click.pass_context
def list_workflows(
    context: click.Context,
    search: str | None,
    paused: bool | None,
    tag: str | None,
    owner: str | None,
    bundle: str | None,
    stale: bool,
    order: str,
    limit: int | None,
    output: Format,
) -> None:
    """List workflows.

    \b
    Examples:
      piper workflows list --search sales
      piper workflows list --paused -o json
      piper workflows list --order next_run --limit 10
    """
    found = called(context).items(
        "/workflows",
        limit,
        search=search,
        paused=paused,
        tag=tag,
        owner=owner,
        bundle=bundle,
        include_stale=stale,
        order=order,
    )
    show_list(found, _COLUMNS, output, "no workflows found")


@command.command("show")
@workflow_argument
@output_option
@click.pass_context
def show_workflow(context: click.Context, workflow_id: str, output: Format) -> None:
    """Show a workflow: its schedule, its state, its tasks.

    \b
    Examples:
      piper workflows show hello
      piper workflows show hello -o yaml
    """
    client = called(context)
    found = client.get_object(address_of("workflows", workflow_id))
    next_run, last_run = found["next_run"], found["last_run"]
    show_object(
        found,
        output,
        [
            ("workflow", found["workflow_id"]),
            ("name", found["display_name"] if found["display_name"] != found["workflow_id"] else None),
            ("description", found["description"]),
            ("is", _condition(found)),
            ("schedule", found["schedule"]),
            ("next run", next_run and f"{next_run['run_after']}"),
            ("last run", last_run and f"{last_run['run_id']}  {last_run['state']}"),
            ("owner", found["owner"]),
            ("team", found["team"]),
            ("tags", found["tags"]),
            ("file", f"{found['file']} (bundle {found['bundle']})"),
            ("version", f"{found['version']} ({found['spec_hash']})"),
        ],
    )
    if output is Format.TABLE:
        spec = client.get_object(address_of("workflows", workflow_id, "spec"))
        click.echo()
        show_list(
            Listing(spec.get("tasks", [])),
            (
                column("task", "task_id"),
                Column("operator", lambda task: task["operator"].rpartition(".")[2]),
                column("after", "upstream", elastic=True),
                Column("rule", lambda task: task.get("trigger_rule", "all_success")),
                Column("retries", lambda task: task.get("retry", {}).get("retries", 0), right=True),
                Column("pool", lambda task: task.get("pool", "default_pool")),
            ),
            output,
            "it has no tasks",
        )


@command.command("pause")
@click.argument("workflow_ids", metavar="WORKFLOW...", nargs=-1, required=True, type=WorkflowName())
@output_option
@click.pass_context
def pause_workflows(context: click.Context, workflow_ids: tuple[str, ...], output: Format) -> None:
    """Pause workflows: no new runs by schedule; tasks that run go on.

    \b
    Example:
      piper workflows pause hello sales_daily
    """
    _set_paused(called(context), workflow_ids, output, paused=True)


@command.command("unpause")
@click.argument("workflow_ids", metavar="WORKFLOW...", nargs=-1, required=True, type=WorkflowName())
@output_option
@click.pass_context
def unpause_workflows(context: click.Context, workflow_ids: tuple[str, ...], output: Format) -> None:
    """Unpause workflows.

    \b
    Example:
      piper workflows unpause hello
    """
    _set_paused(called(context), workflow_ids, output, paused=False)


@command.command("trigger")
@workflow_argument
@click.option("--logical-date", metavar="MOMENT", type=Moment(), help="Of the run; now if it is left out.")
@click.option("--no-logical-date", is_flag=True, help="A run that is about no date.")
@click.option("--run-id", metavar="ID", help="Made of the logical date if it is left out.")
@click.option("--param", "-p", "params", metavar="NAME=VALUE", multiple=True, help="A param: JSON, or else text.")
@click.option("--conf", metavar="JSON|@FILE", help="All params at once, as a JSON object.")
@click.option("--note", metavar="TEXT", default="", help="Why: shown with the run.")
@click.option("--wait", is_flag=True, help="Wait until it has ended; exit 0 only if it succeeded.")
@click.option("--timeout", metavar="TIME", type=Seconds(), help="With --wait: how long at most (exit code 7).")
@output_option
@click.pass_context
def trigger_workflow(
    context: click.Context,
    workflow_id: str,
    logical_date: str | None,
    no_logical_date: bool,
    run_id: str | None,
    params: tuple[str, ...],
    conf: str | None,
    note: str,
    wait: bool,
    timeout: float | None,
    output: Format,
) -> None:
    """Start a run of a workflow.

    \b
    Examples:
      piper workflows trigger hello
      piper workflows trigger sales -p region=north -p limit=10 --wait
      piper workflows trigger sales --logical-date 2026-11-01 --conf @params.json
    """
    if logical_date and no_logical_date:
        raise click.UsageError("--logical-date and --no-logical-date exclude each other")
    client = called(context)
    body: dict[str, Any] = {"conf": (read_json(conf, "--conf") if conf else {}) | read_params(params), "note": note}
    if logical_date or no_logical_date:
        body["logical_date"] = logical_date
    if run_id:
        body["run_id"] = run_id
    run = client.post(address_of("workflows", workflow_id, "runs"), body)
    if client.get_object(address_of("workflows", workflow_id))["paused"]:
        _note_paused(workflow_id)
    if wait:
        run = wait_for_run(client, run, timeout)
    show_run(run, output)
    if wait and run["state"] != "success":
        context.exit(int(Code.FAILED))


@command.command("versions")
@workflow_argument
@limit_option
@output_option
@click.pass_context
def list_versions(context: click.Context, workflow_id: str, limit: int | None, output: Format) -> None:
    """List the versions of a workflow, newest first.

    \b
    Example:
      piper workflows versions hello
    """
    found = called(context).items(address_of("workflows", workflow_id, "versions"), limit)
    columns = (column("version", right=True), column("created", "created_at"), column("spec", "spec_hash"))
    show_list(found, (*columns, column("snapshot", optional=True)), output)


@command.command("export")
@workflow_argument
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="Which version; the active one without.")
@data_option
@click.pass_context
def export_workflow(context: click.Context, workflow_id: str, version: int | None, output: Format) -> None:
    """Write the definition of a workflow, as data.

    \b
    Example:
      piper workflows export hello -o yaml > hello.yaml
    """
    spec = called(context).get(address_of("workflows", workflow_id, "spec"), version=version)
    write_data(spec, output)


@command.command("source")
@workflow_argument
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="Which version; the active one without.")
@click.pass_context
def show_source(context: click.Context, workflow_id: str, version: int | None) -> None:
    """Write the file that defines a workflow, as it was in that version.

    \b
    Example:
      piper workflows source hello --version 3
    """
    text = called(context).get_text(address_of("workflows", workflow_id, "source"), version=version)
    click.echo(text, nl=False)


@command.command("delete")
@workflow_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_context
def delete_workflow(context: click.Context, workflow_id: str, yes: bool, output: Format) -> None:
    """Delete a workflow with all its history. It must be paused and have no unfinished run.

    While its file defines it, it is made anew at once, without history: take it out of the file first if it is to go.

    \b
    Example:
      piper workflows delete hello --yes
    """
    client = called(context)
    found = client.get(address_of("workflows", workflow_id))
    if not yes:
        if not sys.stdin.isatty():
            raise Failure("deleting a workflow with its history asks first", Code.USAGE, ["give --yes in a script"])
        click.confirm(f"Delete {workflow_id!r} with all its runs?", abort=True, err=True)
    client.delete(address_of("workflows", workflow_id))
    note(f"deleted {workflow_id}")
    if not found["stale"]:
        note(f"{found['file']} defines it still: it is made anew, without history")
    write_receipt({"deleted": [workflow_id]}, output)


def _set_paused(client: Client, workflow_ids: tuple[str, ...], output: Format, *, paused: bool) -> None:
    receipts = []
    for workflow_id in workflow_ids:
        receipts.append(client.patch(address_of("workflows", workflow_id), {"paused": paused}))
        note(f"{receipts[-1]['command']}d {workflow_id}")
    write_receipt(receipts, output)


def _note_paused(workflow_id: str) -> None:
    note(f"{workflow_id} is paused: the run waits until `piper workflows unpause {workflow_id}`")
