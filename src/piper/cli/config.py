"""`piper config`."""

from __future__ import annotations

import os

import click

from piper.cli.client import Listing
from piper.cli.main import Noun
from piper.cli.output import Format, column, note, output_option, show_list
from piper.settings import describe_settings, load_settings, shown_value, value_of


@click.group("config", cls=Noun)
def command() -> None:
    """Settings: from PIPER_HOME/piper.toml and the environment (PIPER_SECTION__KEY)."""


@command.command("show")
@click.argument("section", required=False)
@output_option
def show_config(section: str | None, output: Format) -> None:
    """Show every setting, its value and where that comes from. Secrets are hidden.

    \b
    Examples:
      piper config show
      piper config show web -o json
    """
    loaded = load_settings(os.environ)
    known = describe_settings()
    sections = list(dict.fromkeys(setting.name.partition(".")[0] for setting in known))
    if section is not None and section not in sections:
        raise click.BadParameter(f"there is no section {section!r}: use one of {', '.join(sections)}")
    rows = [
        {
            "name": setting.name,
            "value": shown_value(setting.name, value_of(loaded.settings, setting.name)),
            "origin": loaded.origin(setting.name),
            "default": setting.default,
            "type": setting.type,
            "description": setting.description,
        }
        for setting in known
        if section in (None, setting.name.partition(".")[0])
    ]
    columns = (
        column("setting", "name"),
        column("value", elastic=True),
        column("from", "origin", elastic=True),
        column("description", elastic=True),
    )
    show_list(Listing(rows), columns, output)
    if output is Format.TABLE:
        note(f"PIPER_HOME is {loaded.settings.home}")
