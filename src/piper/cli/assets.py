"""`piper assets`."""

from __future__ import annotations

from typing import Any

import click

from piper.cli.arguments import find_run, limit_option, read_json, workflow_argument
from piper.cli.client import Client, address_of, called
from piper.cli.failures import Code, Failure
from piper.cli.main import Noun
from piper.cli.output import Column, Format, column, note, output_option, show_list, show_object, write_receipt

asset_argument = click.argument("asset", metavar="ASSET")


@click.group("assets", cls=Noun)
def command() -> None:
    """Assets: data that tasks change, and that workflows are scheduled by. ASSET is a name, a URI or a number."""


@command.command("list")
@click.option("--search", metavar="TEXT", help="Part of the name or URI.")
@click.option("--active/--inactive", default=None, help="Only those that are active, or are not.")
@limit_option
@output_option
@click.pass_context
def list_assets(
    context: click.Context, search: str | None, active: bool | None, limit: int | None, output: Format
) -> None:
    """List assets, and when each has changed last.

    \b
    Examples:
      piper assets list
      piper assets list --search s3:// --active -o json
    """
    found = called(context).items("/assets", limit, search=search, active=active)
    columns = (
        column("asset", "name"),
        Column("active", lambda row: "yes" if row["active"] else "no"),
        column("last event", "last_event_at"),
        column("team"),
        column("uri", elastic=True),
        column("number", "id", optional=True),
        column("group", optional=True),
    )
    show_list(found, columns, output, "no assets found")


@command.command("show")
@asset_argument
@output_option
@click.pass_context
def show_asset(context: click.Context, asset: str, output: Format) -> None:
    """Show an asset: what is said of it, and which workflows name it.

    \b
    Examples:
      piper assets show orders
      piper assets show s3://warehouse/orders -o json
    """
    client = called(context)
    found = client.get_object(address_of("assets", _find(client, asset)["id"]))
    fields = ("name", "uri", "group", "team", "active", "extra")
    uses = found["uses"]
    show_object(
        found,
        output,
        [
            ("number", found["id"]),
            *((name, found[name]) for name in fields),
            ("created", found["created_at"]),
            ("last event", found["last_event_at"]),
            ("changed by", "\n".join(_use(use) for use in uses if use["role"] == "outlet")),
            ("read by", "\n".join(_use(use) for use in uses if use["role"] == "inlet")),
            ("schedules", "\n".join(_use(use) for use in uses if use["role"] == "schedule")),
        ],
    )


@command.command("events")
@click.argument("asset", metavar="[ASSET]", required=False)
@click.option("--run", metavar="RUN", help="Those that caused this run: a number or WORKFLOW/RUN_ID.")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Those that tasks of this workflow caused.")
@limit_option
@output_option
@click.pass_context
def list_events(
    context: click.Context,
    asset: str | None,
    run: str | None,
    workflow_id: str | None,
    limit: int | None,
    output: Format,
) -> None:
    """List events of assets, the latest first: of one asset, of one run or workflow, or all.

    \b
    Examples:
      piper assets events orders --limit 5
      piper assets events --run report/asset_triggered__2026-11-20T10:00:00+00:00_17
      piper assets events --workflow load_orders -o json
    """
    if sum(each is not None for each in (asset, run, workflow_id)) > 1:
        raise click.UsageError("give an ASSET, --run or --workflow, not several of them")
    client = called(context)
    if asset is not None:
        path = address_of("assets", _find(client, asset)["id"], "events")
    elif run is not None:
        path = address_of("runs", find_run(client, run)["id"], "asset-events")
    else:
        path = "/asset-events"
    found = client.items(path, limit, workflow_id=workflow_id)
    columns = (
        column("event", "id", right=True),
        column("at"),
        column("asset", "name"),
        Column("caused by", _cause),
        Column("runs", lambda row: len(row["runs"]), right=True),
        column("extra", elastic=True),
        Column("aliases", lambda row: ", ".join(row["aliases"]), optional=True),
    )
    show_list(found, columns, output, "no events found")


@command.command("emit")
@asset_argument
@click.option("--extra", metavar="JSON", default="{}", help="Facts for the runs that it causes: JSON, or @FILE.")
@output_option
@click.pass_context
def emit_event(context: click.Context, asset: str, extra: str, output: Format) -> None:
    """Make an event of an asset, as if a task had changed it.

    Workflows that are scheduled by it hear of it.

    \b
    Examples:
      piper assets emit orders
      piper assets emit orders --extra '{"rows": 1700}'
    """
    client = called(context)
    found = _find(client, asset)
    made = client.post(address_of("assets", found["id"], "events"), {"extra": read_json(extra, "--extra")})
    note(f"made event {made['id']} of {found['name']}")
    write_receipt(made, output)


@command.command("waiting")
@workflow_argument
@limit_option
@output_option
@click.pass_context
def list_waiting(context: click.Context, workflow_id: str, limit: int | None, output: Format) -> None:
    """List the events that a workflow has heard of and no run has taken yet, the oldest first.

    One that is not queued came while the workflow was paused: it calls for no run, but goes into the next one.

    \b
    Example:
      piper assets waiting report
    """
    found = called(context).items(address_of("workflows", workflow_id, "waiting-events"), limit)
    columns = (
        column("event", right=True),
        column("at"),
        column("asset", "name"),
        Column("queued", lambda row: "yes" if row["queued"] else "no"),
        column("uri", elastic=True),
    )
    show_list(found, columns, output, "nothing waits")


@command.command("forget")
@workflow_argument
@click.argument("asset", metavar="[ASSET]", required=False)
@output_option
@click.pass_context
def forget_waiting(context: click.Context, workflow_id: str, asset: str | None, output: Format) -> None:
    """Let no run come of what a workflow has heard of until now: of all assets, or of one.

    \b
    Examples:
      piper assets forget report
      piper assets forget report orders
    """
    client = called(context)
    number = None if asset is None else _find(client, asset)["id"]
    client.delete(address_of("workflows", workflow_id, "waiting-events"), asset=number)
    note(f"{workflow_id} has forgotten what waited")
    write_receipt({"workflow_id": workflow_id, "asset": asset}, output)


def _find(client: Client, asset: str) -> dict[str, Any]:
    """The asset that a person named. Raises Failure when there is none, or several."""
    found = client.items("/assets", None, named=asset).rows
    exact = [row for row in found if row["active"]] or found
    if not exact:
        raise Failure(f"there is no asset {asset!r}", Code.NOT_FOUND, ["piper assets list shows what there is"])
    if len(exact) > 1:
        names = ", ".join(f"{row['id']} ({row['name']}, {row['uri']}, team {row['team']})" for row in exact)
        raise Failure(f"{asset!r} may be several assets: {names}", Code.USAGE, ["name it by its number"])
    return exact[0]


def _use(use: dict[str, Any]) -> str:
    by = f"{use['workflow_id']}.{use['task_id']}" if use["task_id"] else str(use["workflow_id"])
    return f"{by} (by alias {use['alias']})" if use["alias"] else by


def _cause(row: dict[str, Any]) -> str:
    if row["workflow_id"] is None:
        return "by hand"
    instance = f"[{row['map_index']}]" if row["map_index"] >= 0 else ""
    return f"{row['workflow_id']}.{row['task_id']}{instance}"
