"""Write the list of commands into docs/cli.md: `python -m docs.command_table`."""

from __future__ import annotations

import click

from docs.sections import table, write_section
from piper.cli.main import piper

DOCUMENT, SECTION = "cli.md", "commands"


def section() -> str:
    """The table: every command, with the first line of its help."""
    return table(["command", ""], [[f"`{name}`", text] for name, text in _commands(piper, "piper")])


def _commands(command: click.Command, path: str) -> list[tuple[str, str]]:
    if not isinstance(command, click.Group):
        return [(path, (command.help or "").strip().partition("\n")[0])]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        found += _commands(below, f"{path} {name}")
    return found


if __name__ == "__main__":
    write_section(DOCUMENT, SECTION, section())
