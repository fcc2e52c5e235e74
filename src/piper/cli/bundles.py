"""`piper bundles`."""

from __future__ import annotations

from typing import Any

import click

from piper.cli.arguments import limit_option
from piper.cli.client import address_of, called
from piper.cli.failures import Code
from piper.cli.main import Noun
from piper.cli.output import Column, Format, column, note, output_option, show_list, write_receipt


@click.group("bundles", cls=Noun)
def command() -> None:
    """Bundles: where workflow files come from."""


@command.command("list")
@limit_option
@output_option
@click.pass_context
def list_bundles(context: click.Context, limit: int | None, output: Format) -> None:
    """List bundles, with how many of their files are broken.

    \b
    Example:
      piper bundles list
    """
    found = called(context).items("/bundles", limit)
    columns = (
        column("bundle", "name"),
        column("kind"),
        column("files", right=True),
        column("workflows", right=True),
        column("broken", right=True),
        column("refreshed", "refreshed_at"),
        column("location", elastic=True),
        column("error", elastic=True, optional=True),
        column("team", optional=True),
    )
    show_list(found, columns, output, "no bundles found")


@command.command("errors")
@click.argument("bundle", required=False)
@limit_option
@output_option
@click.pass_context
def list_errors(context: click.Context, bundle: str | None, limit: int | None, output: Format) -> None:
    """List the files that cannot be loaded, each with what is wrong. Exit code 1 if there are any.

    \b
    Example:
      piper bundles errors
    """
    found = called(context).items("/import-errors", limit, bundle=bundle)
    columns = (
        Column("where", lambda row: f"{row['error_file'] or row['file']}:{row['error_line'] or 1}"),
        Column("error", _first_line, elastic=True),
        column("since", "failed_at"),
        column("owners", elastic=True),
        column("bundle", optional=True),
    )
    show_list(found, columns, output, "every file loads")
    if found.rows:
        context.exit(int(Code.FAILED))


@command.command("refresh")
@click.argument("names", metavar="BUNDLE...", nargs=-1, required=True)
@output_option
@click.pass_context
def refresh_bundles(context: click.Context, names: tuple[str, ...], output: Format) -> None:
    """Look through bundles for changes now, and try broken files again.

    \b
    Example:
      piper bundles refresh dags
    """
    client = called(context)
    for name in names:
        client.post(address_of("bundles", name, "refresh"))
        note(f"asked for {name} to be looked through")
    write_receipt({"asked": names}, output)


def _first_line(row: dict[str, Any]) -> str:
    """Of an error with a traceback, what went wrong."""
    return str(row["error"]).strip().partition("\n")[0]
