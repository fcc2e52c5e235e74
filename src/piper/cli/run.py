"""`piper run FILE`: a throw-away instance that loads the file, runs a workflow of it once, and says how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from piper.cli.arguments import Moment, Seconds, read_params
from piper.cli.client import Client, Listing, address_of
from piper.cli.failures import Code, Failure
from piper.cli.output import (
    Column,
    Format,
    column,
    duration_column,
    in_task_order,
    note,
    output_option,
    show_list,
    task_name,
    write_data,
)
from piper.cli.throwaway import find_workflow, follow_run, given_home, new_printer, throw_away, wait_for_callbacks


@click.command("run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workflow", "workflow_id", metavar="ID", help="Which one, if the file defines several.")
@click.option("--logical-date", metavar="MOMENT", type=Moment(), help="Of the run; now if it is left out.")
@click.option("--param", "-p", "params", metavar="NAME=VALUE", multiple=True, help="A param: JSON, or else text.")
@click.option("--timeout", metavar="TIME", type=Seconds(), help="How long at most; the run is then cancelled.")
@output_option
@click.pass_context
def command(
    context: click.Context,
    file: Path,
    workflow_id: str | None,
    logical_date: str | None,
    params: tuple[str, ...],
    timeout: float | None,
    output: Format,
) -> None:
    """Run a workflow file once, here and now, and show how it ended.

    Starts an instance of Piper for this file alone, in a temporary PIPER_HOME unless one is set, triggers the
    workflow, shows what its tasks write, and prints the final state of every task. Exit code 0 only if the run
    succeeded.

    \b
    Examples:
      piper run examples/hello.py
      piper run dags/sales.py --workflow sales_daily --logical-date 2026-11-01 -p region=north
      piper run examples/hello.py --timeout 5m -o json
    """
    conf = read_params(params)
    with given_home() as environment, throw_away(file, environment) as (_, client):
        workflow = find_workflow(client, file, workflow_id)
        ended = _run(client, workflow["workflow_id"], logical_date, conf, timeout)
    _show(ended, output)
    if ended["timed_out"]:
        raise Failure(f"the run did not end within {timeout:g} s and was cancelled", Code.TIMED_OUT)
    if ended["state"] != "success":
        context.exit(int(Code.FAILED))


def _run(
    client: Client, workflow_id: str, logical_date: str | None, conf: dict[str, Any], timeout: float | None
) -> dict[str, Any]:
    """Trigger the workflow and follow its run; how it ended."""
    if client.get_object(address_of("workflows", workflow_id))["paused"]:
        client.patch(address_of("workflows", workflow_id), {"paused": False})
    body = {"conf": conf} | ({"logical_date": logical_date} if logical_date else {})
    run = client.post(address_of("workflows", workflow_id, "runs"), body)
    note(f"running {workflow_id}/{run['run_id']}")
    spec = client.get_object(address_of("workflows", workflow_id, "spec"))
    printer = new_printer([task["task_id"] for task in spec.get("tasks", [])])
    timed_out = follow_run(client, run, printer, timeout)
    wait_for_callbacks(client, run, printer)
    found = client.get_object(address_of("runs", run["id"]))
    tasks = in_task_order(client.items(address_of("runs", run["id"], "tasks"), None).rows)
    return {"run": found, "state": found["state"], "tasks": tasks, "timed_out": timed_out}


def _show(ended: dict[str, Any], output: Format) -> None:
    """Write the final state of the run and of every task to standard output."""
    run = ended["run"]
    if output is not Format.TABLE:
        tasks = [
            {
                "task_id": task["task_id"],
                "map_index": task["map_index"],
                "state": task["state"],
                "attempts": task["try_number"],
                "start": task["started_at"],
                "end": task["ended_at"],
            }
            for task in ended["tasks"]
        ]
        summary = {"workflow_id": run["workflow_id"], "run_id": run["run_id"], "state": run["state"], "tasks": tasks}
        write_data(summary, output)
        return
    columns = (
        Column("task", lambda task: task_name(task["task_id"], task["map_index"])),
        column("state", state=True),
        column("attempts", "try_number", right=True),
        duration_column(),
    )
    show_list(Listing(ended["tasks"]), columns, output, "no task ran")
    colour = "green" if run["state"] == "success" else "red"
    click.secho(f"\nrun {run['state']}", fg=colour, bold=True)
