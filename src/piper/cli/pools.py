"""`piper pools`."""

from __future__ import annotations

import click

from piper.cli.arguments import limit_option
from piper.cli.client import address_of, called
from piper.cli.main import Noun
from piper.cli.output import Column, Format, column, note, output_option, show_list, write_receipt
from piper.cli.variables import team_option


@click.group("pools", cls=Noun)
def command() -> None:
    """Pools: how many slots there are for tasks that share something."""


@command.command("list")
@limit_option
@output_option
@click.pass_context
def list_pools(context: click.Context, limit: int | None, output: Format) -> None:
    """List pools, and how much of each is in use.

    \b
    Example:
      piper pools list
    """
    found = called(context).items("/pools", limit)
    columns = (
        column("pool", "name"),
        Column("slots", lambda row: "no limit" if row["slots"] < 0 else row["slots"], right=True),
        column("used", right=True),
        column("free", right=True),
        column("team"),
        column("description", elastic=True),
        column("counts deferred", "include_deferred", optional=True),
    )
    show_list(found, columns, output, "no pools found")


@command.command("set")
@click.argument("name")
@click.argument("slots", type=click.IntRange(min=-1))
@click.option("--include-deferred", is_flag=True, help="A deferred task goes on holding its slots.")
@click.option("--description", metavar="TEXT", default="")
@team_option
@output_option
@click.pass_context
def set_pool(
    context: click.Context,
    name: str,
    slots: int,
    include_deferred: bool,
    description: str,
    team: str | None,
    output: Format,
) -> None:
    """Create a pool, or change it. -1 slots, after `--`, are no limit.

    \b
    Examples:
      piper pools set warehouse 1 --description "DuckDB takes one writer"
      piper pools set default_pool 64
      piper pools set default_pool -- -1
    """
    body = {"slots": slots, "include_deferred": include_deferred, "description": description}
    found = called(context).put(address_of("pools", name), body, team=team)
    limit = "no limit" if found["slots"] < 0 else f"{found['slots']} slots"
    note(f"set {found['name']}: {limit}")
    write_receipt(found, output)


@command.command("delete")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@output_option
@click.pass_context
def delete_pools(context: click.Context, names: tuple[str, ...], output: Format) -> None:
    """Delete pools. Tasks that want one wait until it is there again.

    \b
    Example:
      piper pools delete warehouse
    """
    client = called(context)
    for name in names:
        client.delete(address_of("pools", name))
        note(f"deleted {name}")
    write_receipt({"deleted": names}, output)
