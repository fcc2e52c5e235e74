"""`piper connections`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from piper.cli.arguments import limit_option, read_json
from piper.cli.client import address_of, called
from piper.cli.main import Noun
from piper.cli.output import Format, column, note, output_option, show_list, show_object, write_receipt
from piper.cli.variables import team_option

_FIELDS = ("conn_type", "description", "host", "login", "schema", "port", "password", "extra")


@click.group("connections", cls=Noun)
def command() -> None:
    """Connections: where tasks reach other systems, and as whom. Secrets are stored encrypted and never shown."""


@command.command("list")
@click.option("--type", "conn_type", metavar="TYPE", help="Only those of this type.")
@limit_option
@output_option
@click.pass_context
def list_connections(context: click.Context, conn_type: str | None, limit: int | None, output: Format) -> None:
    """List connections, without their secrets.

    \b
    Example:
      piper connections list --type postgres
    """
    found = called(context).items("/connections", limit, conn_type=conn_type)
    columns = (
        column("connection", "conn_id"),
        column("type", "conn_type"),
        column("host", elastic=True),
        column("port", right=True),
        column("login", elastic=True),
        column("schema", elastic=True),
        column("secret", "has_secret"),
        column("team"),
    )
    show_list(found, columns, output, "no connections found")


@command.command("show")
@click.argument("conn_id", metavar="CONNECTION")
@team_option
@output_option
@click.pass_context
def show_connection(context: click.Context, conn_id: str, team: str | None, output: Format) -> None:
    """Show a connection, without its secrets.

    \b
    Example:
      piper connections show warehouse
    """
    found = called(context).get_object(address_of("connections", conn_id), team=team)
    names = {"connection": "conn_id", "type": "conn_type", "secret": "has_secret", "changed": "updated_at"}
    shown = ("connection", "type", "description", "host", "port", "login", "schema", "secret", "team", "changed")
    show_object(found, output, [(name, found[names.get(name, name)]) for name in shown])


@command.command("set")
@click.argument("conn_id", metavar="CONNECTION")
@click.option("--type", "conn_type", metavar="TYPE", required=True, help="postgres, http, aws …")
@click.option("--host", metavar="HOST")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535))
@click.option("--login", metavar="NAME")
@click.option("--schema", metavar="NAME", help="The database, bucket or the like.")
@click.option("--description", metavar="TEXT", default="")
@click.option("--password", is_flag=True, help="Ask for the password, or read it from standard input.")
@click.option("--extra", metavar="JSON|@FILE", help="What else the type asks for; put secrets into a FILE.")
@team_option
@output_option
@click.pass_context
def set_connection(
    context: click.Context,
    /,
    conn_id: str,
    password: bool,
    extra: str | None,
    team: str | None,
    output: Format,
    **fields: Any,
) -> None:
    """Create a connection, or change it. Password and extra are kept if neither is given.

    \b
    Examples:
      piper connections set warehouse --type postgres --host db --login etl --schema sales --password
      piper connections set lake --type aws --extra @lake.json < /dev/null
    """
    client = called(context)
    body: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if password:
        body["password"] = _read_password()
    if extra is not None:
        body["extra"] = read_json(extra, "--extra")
    found = client.put(address_of("connections", conn_id), body, team=team)
    note(f"set {found['conn_id']} of team {found['team']}")
    write_receipt(found, output)


@command.command("delete")
@click.argument("conn_ids", metavar="CONNECTION...", nargs=-1, required=True)
@team_option
@output_option
@click.pass_context
def delete_connections(context: click.Context, conn_ids: tuple[str, ...], team: str | None, output: Format) -> None:
    """Delete connections.

    \b
    Example:
      piper connections delete warehouse
    """
    client = called(context)
    for conn_id in conn_ids:
        client.delete(address_of("connections", conn_id), team=team)
        note(f"deleted {conn_id}")
    write_receipt({"deleted": conn_ids}, output)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@team_option
@output_option
@click.pass_context
def import_connections(context: click.Context, file: Path, team: str | None, output: Format) -> None:
    """Create or change the connections of a JSON file.

    The file holds an object: `{"warehouse": {"conn_type": "postgres", "host": "db", …}, …}`. What `airflow
    connections export` has written is read, too.

    \b
    Example:
      piper connections import connections.json
    """
    entries = read_json(f"@{file}", "FILE")
    client = called(context)
    for conn_id, fields in entries.items():
        if not isinstance(fields, dict):
            raise click.UsageError(f"FILE: {conn_id!r} must be an object with the fields {', '.join(_FIELDS)}")
        client.put(address_of("connections", conn_id), _given(conn_id, fields), team=team)
    note(f"set {len(entries)} connections")
    write_receipt({"set": list(entries)}, output)


def _given(conn_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a file. Airflow writes null for those that are not set, and `extra` as a text of JSON."""
    given = {name: value for name, value in fields.items() if value is not None}
    extra = given.pop("extra", "")
    if isinstance(extra, str):
        try:
            extra = json.loads(extra) if extra.strip() else None
        except ValueError:
            raise click.UsageError(f"FILE: the extra of {conn_id!r} is a text, and no JSON") from None
    return {**given, "extra": extra} if extra is not None else given


def _read_password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, err=True)
        return password
    return sys.stdin.read().removesuffix("\n")
