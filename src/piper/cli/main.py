"""The tree of commands. A command's module is imported when the command is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from piper import __version__
from piper.cli.failures import Code, Failure, failure_of, suggestion
from piper.cli.inherited import settle
from piper.model.errors import PiperError
from piper.model.nearest import nearest

SERVICES = "Single services (standalone serves them all)"

SECTIONS: dict[str, dict[str, str]] = {
    "Run": {
        "run": "Run a workflow file once, here and now, and show how it ended.",
        "validate": "Check workflow files: errors with file and line.",
        "standalone": "Serve everything on this machine.",
    },
    "Look and steer": {
        "workflows": "Workflows: list, show, pause, trigger, export, source, delete.",
        "runs": "Runs: list, show, wait, cancel, clear, mark.",
        "backfill": "Ranges of dates: fill with runs, list, show, wait, pause, resume, cancel.",
        "tasks": "Tasks of a run: list, show, logs, clear, mark, execute, render.",
        "executions": "Tries of tasks as records: list, show, compare.",
        "assets": "Data that schedules workflows: list, show, events, emit, waiting, forget.",
    },
    "Administer": {
        "variables": "Variables that tasks read.",
        "connections": "Connections to other systems.",
        "pools": "Pools that limit how much runs at a time.",
        "bundles": "Where workflow files come from, and which are broken.",
        "operators": "What workflows can be made of.",
        "audit": "Who changed what: search, verify.",
        "cluster": "Members of the installation.",
        "config": "Settings, and where each comes from.",
        "db": "The metadata database: migrate, check, rewrap.",
    },
    SERVICES: {
        "web": "Serve the API and the pages.",
        "scheduler": "Schedule workflows.",
        "executor": "Grant tasks and hand them to workers.",
        "serializer": "Load workflow files.",
        "worker": "Run tasks.",
        "triggerer": "Wait for what deferred tasks wait for (on PostgreSQL, beside standalone).",
    },
    "Other": {
        "schema": "Print the JSON Schema of a workflow's definition.",
        "completion": "Print the script that completes piper's commands in your shell.",
    },
}
"""Name → what it does, as `piper --help` shows it: written here so that no command need be imported for that."""

COMMANDS = {name: text for section in SECTIONS.values() for name, text in section.items()}
_SERVICES = tuple(SECTIONS[SERVICES])


class Tree(click.Group):
    """The commands by name, loaded when they are used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module("piper.cli.services" if name in _SERVICES else f"piper.cli.{name}")
        command: click.Command = module.COMMANDS[name] if name in _SERVICES else module.command
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        check_known(self, context, arguments)
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))  # one column for all sections
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])


class Noun(click.Group):
    """The verbs of a noun; a misspelt one is answered with the nearest."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        check_known(self, context, arguments)
        return super().resolve_command(context, arguments)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the file: the most used first


def check_known(group: click.Group, context: click.Context, arguments: Sequence[str]) -> None:
    """Raise Failure, with the nearest names, if the first argument is none of the group's commands."""
    name = arguments[0] if arguments else ""
    if name and not name.startswith("-") and name not in group.list_commands(context):
        known = group.list_commands(context)
        hints = suggestion(nearest(name, known)) or [f"there are {', '.join(known)}"]
        raise Failure(f"{context.command_path} has no command {name!r}", Code.USAGE, hints)


@click.group(
    cls=Tree,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 no instance, 6 refused, 7 timed out.",
)
@click.option(
    "--server",
    metavar="URL",
    envvar="PIPER_SERVER",
    help="The instance to call, else PIPER_SERVER, else PIPER_HOME's.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def piper(context: click.Context, server: str | None) -> None:
    """Piper: workflows for data and machine learning.

    \b
    Examples:
      piper run hello.py                      run a file once and show how it ended
      piper standalone --dags ./dags          serve everything on this machine
      piper workflows trigger hello --wait    start a run and wait for its end
      piper tasks logs hello -f               follow the logs of its latest run
    """
    context.obj = server
    context.color = False if os.environ.get("NO_COLOR") else None  # https://no-color.org; every command inherits it


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run the command line and end the process with its exit code."""
    settle()
    try:
        code = piper.main(arguments, prog_name="piper", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(Code.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PiperError as error:
        failure = failure_of(error)
        failure.show()
        sys.exit(failure.exit_code)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: that is no failure, and nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Code.OK)
    sys.exit(code if isinstance(code, int) else Code.OK)


if __name__ == "__main__":
    main()
