"""`piper operators`."""

from __future__ import annotations

from typing import Any

import click

from piper.cli.arguments import limit_option
from piper.cli.client import Listing, address_of, called
from piper.cli.main import Noun
from piper.cli.output import Column, Format, column, output_option, show_list, show_object


@click.group("operators", cls=Noun)
def command() -> None:
    """Operators: what workflows can be made of."""


@command.command("list")
@click.option("--search", metavar="TEXT", help="Part of the path.")
@limit_option
@output_option
@click.pass_context
def list_operators(context: click.Context, search: str | None, limit: int | None, output: Format) -> None:
    """List the operators that are known.

    \b
    Example:
      piper operators list --search bash
    """
    found = called(context).items("/operators", limit, search=search)
    show_list(found, (column("operator", "path"), column("bundle"), column("team")), output)


@command.command("show")
@click.argument("path", metavar="OPERATOR")
@output_option
@click.pass_context
def show_operator(context: click.Context, path: str, output: Format) -> None:
    """Show an operator and its arguments.

    \b
    Example:
      piper operators show piper.operators.bash.BashOperator
    """
    found = called(context).get_object(address_of("operators", path))
    about: dict[str, Any] = found["schema"]
    fields = [("operator", found["path"]), ("name", about.get("name")), ("does", about.get("summary"))]
    show_object(found, output, fields)
    if output is Format.TABLE:
        taken: dict[str, Any] = about.get("arguments", {})
        required = taken.get("required", [])
        arguments = [{"name": name, **one} for name, one in taken.get("properties", {}).items()]
        columns = (
            column("argument", "name"),
            Column("required", lambda row: row["name"] in required),
            Column("type", type_of),
            column("default", elastic=True),
            column("description", elastic=True),
        )
        click.echo()
        show_list(Listing(arguments), columns, output, "it takes no arguments")


def type_of(schema: dict[str, Any]) -> str:
    """The type that a JSON Schema allows, in a word or two: `string`, `object or null`, `code`."""
    if schema.get("code"):
        return "code"
    kinds = schema.get("type", [])
    if "anyOf" in schema:
        return " or ".join(filter(None, (type_of(each) for each in schema["anyOf"])))
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)
