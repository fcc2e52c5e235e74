"""`piper cluster`."""

from __future__ import annotations

import click

from piper.cli.client import Listing, called
from piper.cli.main import Noun
from piper.cli.output import Format, column, note, output_option, show_list, write_data


@click.group("cluster", cls=Noun)
def command() -> None:
    """The installation: its members, what they own and lead."""


@command.command("show")
@output_option
@click.pass_context
def show_cluster(context: click.Context, output: Format) -> None:
    """Show the members of the installation.

    \b
    Example:
      piper cluster show
    """
    found = called(context).get_object("/cluster")
    if output is not Format.TABLE:
        write_data(found, output)
        return
    columns = (
        column("kind"),
        column("node", elastic=True),
        column("state"),
        column("shards", right=True),
        column("leads", elastic=True),
        column("since", "started_at"),
        column("version", optional=True),
        column("member", "member_id", optional=True),
    )
    show_list(Listing(found["members"]), columns, output, "no members")
    if found["unowned_shards"]:
        note(f"{found['unowned_shards']} shards have no owner: their workflows wait for a scheduler")
