"""Options and arguments that several commands have, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem

from piper.cli.client import Client, address_of, quietly
from piper.cli.failures import Code, Failure
from piper.model.quantities import parse_duration

LIMIT = 50


def limit_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--limit N`: how much of a list is shown; the command gets `limit`, None for all of it."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=LIMIT,
        show_default=True,
        help="Show at most so many; 0 shows all.",
        callback=lambda _context, _option, value: value or None,
    )(command)


class Moment(click.ParamType[str]):
    """A moment: ISO 8601; a date is its midnight, and without a zone it is in UTC."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        if value == "now":
            return datetime.now(UTC).isoformat()
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a moment: write it as 2026-11-20 or 2026-11-20T10:00:00+01:00", param, context)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


class Seconds(click.ParamType[float]):
    """A span of time: `30s`, `5m`, `1h30m`, or a number of seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        try:
            return parse_duration(value).total_seconds()
        except ValueError as error:
            self.fail(str(error), param, context)


class WorkflowName(click.ParamType[str]):
    """The id of a workflow; the shell completes it."""

    name = "workflow"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with quietly(context) as client:
            if client is None:
                return []
            found = client.items("/workflows", 50, search=incomplete or None).rows
            return [
                CompletionItem(row["workflow_id"], help=row["schedule"])
                for row in found
                if row["workflow_id"].startswith(incomplete)
            ]


class RunName(WorkflowName):
    """A run: its number, `WORKFLOW/RUN_ID`, or `WORKFLOW` for that workflow's latest run."""

    name = "run"


workflow_argument = click.argument("workflow_id", metavar="WORKFLOW", type=WorkflowName())
run_argument = click.argument("run", metavar="RUN", type=RunName())
RUN_HELP = "RUN is a number, WORKFLOW/RUN_ID, or a WORKFLOW for its latest run."


def find_run(client: Client, name: str) -> dict[str, Any]:
    """The run that a person named. Raises Failure when there is none."""
    if name.isdecimal():
        return client.get_object(address_of("runs", name))
    workflow_id, slash, run_id = name.partition("/")
    if slash:
        return client.get_object(address_of("workflows", workflow_id, "runs", run_id))
    latest = client.items(address_of("workflows", workflow_id, "runs"), 1, order="-id").rows
    if not latest:
        raise Failure(
            f"workflow {workflow_id!r} has no run yet", Code.NOT_FOUND, [f"start one: piper workflows trigger {name}"]
        )
    return client.get_object(address_of("runs", latest[0]["id"]))


def read_params(pairs: Sequence[str]) -> dict[str, Any]:
    """`--param name=value` pairs: a value that is JSON is that, any other is a text. Raises UsageError."""
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--param {pair!r} must have the form name=value")
        try:
            params[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            params[name] = text
    return params


def read_json(text: str, option: str) -> dict[str, Any]:
    """A JSON object, given as text or as `@FILE`. Raises UsageError."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text()
        except OSError as error:
            raise click.UsageError(f"{option}: {text[1:]} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise click.UsageError(f"{option} must be a JSON object") from error
    except msgspec.DecodeError as error:
        raise click.UsageError(f"{option} is not JSON: {error}") from error
