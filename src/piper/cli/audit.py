"""`piper audit`."""

from __future__ import annotations

import click

from piper.cli.arguments import Moment, limit_option
from piper.cli.client import Listing, called
from piper.cli.failures import Code
from piper.cli.main import Noun
from piper.cli.output import Column, Format, column, output_option, show_list


@click.group("audit", cls=Noun)
def command() -> None:
    """The audit: who changed what."""


@command.command("search")
@click.option("--by", "principal", metavar="NAME", help="Only what this person or program did.")
@click.option("--action", metavar="ACTION", help="Only this action, or those that begin so: `run.`.")
@click.option("--type", "object_type", metavar="TYPE", help="Only to objects of this type: workflow, run, pool …")
@click.option("--object", "object_id", metavar="ID", help="Only to this object.")
@click.option("--since", metavar="MOMENT", type=Moment())
@click.option("--until", metavar="MOMENT", type=Moment(), help="Exclusive.")
@limit_option
@output_option
@click.pass_context
def search(
    context: click.Context,
    principal: str | None,
    action: str | None,
    object_type: str | None,
    object_id: str | None,
    since: str | None,
    until: str | None,
    limit: int | None,
    output: Format,
) -> None:
    """Search the audit, newest first.

    \b
    Examples:
      piper audit search --action connection. --since 2026-11-01
      piper audit search --type workflow --object sales_daily -o json
    """
    found = called(context).items(
        "/audit",
        limit,
        principal=principal,
        action=action,
        object_type=object_type,
        object_id=object_id,
        since=since,
        until=until,
    )
    columns = (
        column("at"),
        column("by", "principal"),
        column("action"),
        column("object", "object_id", elastic=True),
        column("team", optional=True),
        column("detail", elastic=True, optional=True),
    )
    show_list(found, columns, output, "nothing found")


@command.command("verify")
@output_option
@click.pass_context
def verify(context: click.Context, output: Format) -> None:
    """Verify that no row of the audit was changed or removed. Exit code 1 if one was.

    That the newest rows are missing shows only in the heads: keep them elsewhere, and compare.

    \b
    Example:
      piper audit verify -o json > heads.json
    """
    chains = called(context).get("/audit/chains")
    columns = (
        column("team"),
        Column("is", lambda row: "intact" if row["intact"] else f"broken at row {row['broken_at']}"),
        column("rows", right=True),
        column("head"),
    )
    show_list(Listing(chains), columns, output, "nothing has been recorded yet")
    if not all(chain["intact"] for chain in chains):
        context.exit(int(Code.FAILED))
