"""`piper executions`."""

from __future__ import annotations

from typing import Any

import click

from piper.cli.arguments import WorkflowName, limit_option
from piper.cli.client import Listing, address_of, called
from piper.cli.main import Noun
from piper.cli.output import (
    Column,
    Format,
    column,
    duration_column,
    output_option,
    show_list,
    show_object,
    shown_duration,
    task_name,
    write_data,
)

_RECORDED = ("parameters", "inputs", "outputs", "metrics", "environment", "rendered")


@click.group("executions", cls=Noun)
def command() -> None:
    """Executions: every try of a task, as the record of what ran with what."""


@command.command("list")
@click.option("--workflow", "workflow_id", metavar="ID", type=WorkflowName(), help="Only those of this workflow.")
@click.option("--task", "task_id", metavar="ID", help="Only those of this task.")
@click.option("--run", metavar="NUMBER", type=click.IntRange(min=1), help="Only those of this run.")
@click.option("--state", type=click.Choice(["running", "success", "failed", "skipped", "up_for_retry", "deferred"]))
@limit_option
@output_option
@click.pass_context
def list_executions(
    context: click.Context,
    workflow_id: str | None,
    task_id: str | None,
    run: int | None,
    state: str | None,
    limit: int | None,
    output: Format,
) -> None:
    """List executions, newest first.

    \b
    Example:
      piper executions list --workflow flights --task train --state success
    """
    found = called(context).items("/executions", limit, workflow_id=workflow_id, task_id=task_id, run=run, state=state)
    columns = (
        column("execution", "id"),
        column("workflow", "workflow_id", elastic=True),
        Column("task", lambda row: task_name(row["task_id"], row["map_index"]), elastic=True),
        column("try", "try_number", right=True),
        column("state", state=True),
        column("started", "started_at"),
        duration_column(),
        column("error", elastic=True, optional=True),
        column("logical date", "logical_date", optional=True),
    )
    show_list(found, columns, output, "no executions found")


@command.command("show")
@click.argument("execution")
@output_option
@click.pass_context
def show_execution(context: click.Context, execution: str, output: Format) -> None:
    """Show an execution: parameters, inputs, outputs, metrics, environment.

    \b
    Example:
      piper executions show 17-2-1
    """
    found = called(context).get_object(address_of("executions", execution))
    show_object(found, output, _fields(found))


@command.command("compare")
@click.argument("executions", metavar="EXECUTION...", nargs=-1, required=True)
@output_option
@click.pass_context
def compare_executions(context: click.Context, executions: tuple[str, ...], output: Format) -> None:
    """Show executions side by side: what they had in common is left out of the table.

    \b
    Example:
      piper executions compare 17-2-1 18-2-1
    """
    if len(executions) < 2:
        raise click.UsageError("name at least two executions")
    client = called(context)
    found = [client.get_object(address_of("executions", name)) for name in executions]
    if output is not Format.TABLE:
        write_data(found, output)
        return
    flat = [_flat(one) for one in found]
    names = list(dict.fromkeys(name for one in flat for name in one))
    rows = [
        {"name": name, **{one["id"]: values.get(name) for one, values in zip(found, flat, strict=True)}}
        for name in names
        if len({repr(values.get(name)) for values in flat}) > 1
    ]
    columns = [column("what", "name"), *(column(one["id"], elastic=True) for one in found)]
    show_list(Listing(rows), columns, output, "they do not differ")


def _fields(found: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("execution", found["id"]),
        ("task", f"{found['workflow_id']}/{found['run_id']}  {task_name(found['task_id'], found['map_index'])}"),
        ("operator", found["operator"]),
        ("state", found["state"]),
        ("error", found["error"]),
        ("started", found["started_at"]),
        ("took", shown_duration(found["started_at"], found["ended_at"])),
        ("exit code", found["exit_code"]),
        ("signal", found["signal"]),
        ("worker", found["worker"]),
        ("definition", found["spec_hash"]),
        ("snapshot", found["snapshot"]),
        *((name, found[name]) for name in _RECORDED),
    ]


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    """What can be compared of an execution, one name per value: `metrics.accuracy`."""
    flat = {name: value for name, value in _fields(found) if name not in (*_RECORDED, "execution", "task")}
    for name in _RECORDED:
        value = found[name]
        if isinstance(value, dict):
            flat.update({f"{name}.{key}": part for key, part in value.items()})
        elif value is not None:
            flat[name] = value
    return flat
