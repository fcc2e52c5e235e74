"""`piper variables`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from piper.cli.arguments import limit_option, read_json
from piper.cli.client import address_of, called
from piper.cli.main import Noun
from piper.cli.output import Format, column, note, output_option, show_list, show_object, write_receipt

team_option = click.option("--team", metavar="TEAM", help="Whose it is; your own team without.")


@click.group("variables", cls=Noun)
def command() -> None:
    """Variables: text that tasks read. Values are stored encrypted and never shown."""


@command.command("list")
@click.option("--search", metavar="TEXT", help="Part of the key.")
@limit_option
@output_option
@click.pass_context
def list_variables(context: click.Context, search: str | None, limit: int | None, output: Format) -> None:
    """List variables, without their values.

    \b
    Example:
      piper variables list --search s3
    """
    found = called(context).items("/variables", limit, search=search)
    columns = (column("key"), column("team"), column("changed", "updated_at"), column("description", elastic=True))
    show_list(found, columns, output, "no variables found")


@command.command("show")
@click.argument("key")
@team_option
@output_option
@click.pass_context
def show_variable(context: click.Context, key: str, team: str | None, output: Format) -> None:
    """Show a variable, without its value.

    \b
    Example:
      piper variables show s3_bucket
    """
    found = called(context).get_object(address_of("variables", key), team=team)
    fields = ("key", "team", "description")
    show_object(found, output, [*((name, found[name]) for name in fields), ("changed", found["updated_at"])])


@command.command("set")
@click.argument("key")
@click.argument("value", required=False)
@click.option("--description", metavar="TEXT", help="Stays as it is if it is left out.")
@team_option
@output_option
@click.pass_context
def set_variable(
    context: click.Context, key: str, value: str | None, description: str | None, team: str | None, output: Format
) -> None:
    """Create a variable, or change it.

    Without VALUE it is read from standard input, or asked for: do that with a secret, which would else be seen in
    the list of processes and in your shell's history.

    \b
    Examples:
      piper variables set s3_bucket sales-2026
      piper variables set api_key < key.txt
    """
    client = called(context)
    if value is None:
        hidden = sys.stdin.isatty()
        value = click.prompt("Value", hide_input=True, err=True) if hidden else sys.stdin.read().removesuffix("\n")
    body = {"value": value} | ({"description": description} if description is not None else {})
    found = client.put(address_of("variables", key), body, team=team)
    note(f"set {found['key']} of team {found['team']}")
    write_receipt(found, output)


@command.command("delete")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@team_option
@output_option
@click.pass_context
def delete_variables(context: click.Context, keys: tuple[str, ...], team: str | None, output: Format) -> None:
    """Delete variables.

    \b
    Example:
      piper variables delete s3_bucket
    """
    client = called(context)
    for key in keys:
        client.delete(address_of("variables", key), team=team)
        note(f"deleted {key}")
    write_receipt({"deleted": keys}, output)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@team_option
@output_option
@click.pass_context
def import_variables(context: click.Context, file: Path, team: str | None, output: Format) -> None:
    """Create or change the variables of a JSON file.

    The file holds an object: `{"key": "value", …}`. A value that is no text is kept as JSON.

    \b
    Example:
      piper variables import variables.json
    """
    values = read_json(f"@{file}", "FILE")
    client = called(context)
    for key, value in values.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        client.put(address_of("variables", key), {"value": text}, team=team)
    note(f"set {len(values)} variables")
    write_receipt({"set": list(values)}, output)
