"""`piper tasks execute`: one task alone, in a throw-away instance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from piper.cli.arguments import Moment, Seconds, find_run, read_params
from piper.cli.client import Client, address_of, called
from piper.cli.failures import Code, Failure, suggestion
from piper.cli.output import STATE_STYLES, Format, note, output_option, task_name, write_data
from piper.cli.throwaway import find_workflow, follow_run, new_printer, own_home, throw_away
from piper.model.nearest import nearest

RETURN = "return_value"


@click.command("execute")
@click.argument("workflow_id", metavar="WORKFLOW")
@click.argument("task_id", metavar="TASK")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file that defines the workflow; otherwise the instance says which.",
)
@click.option("--logical-date", metavar="MOMENT", type=Moment(), help="For which it runs; now if it is left out.")
@click.option("--run", "run", metavar="RUN", help="Take the logical date, the conf and the XComs of this run.")
@click.option("--xcom", "xcoms", metavar="TASK[/KEY]=VALUE", multiple=True, help="What another task left: JSON.")
@click.option("--param", "-p", "params", metavar="NAME=VALUE", multiple=True, help="A param: JSON, or else text.")
@click.option("--map-index", metavar="N", type=click.IntRange(min=0), help="Of a mapped task: which instance.")
@click.option("--timeout", metavar="TIME", type=Seconds(), help="How long at most; it is then ended.")
@output_option
@click.pass_context
def execute_task(
    context: click.Context,
    workflow_id: str,
    task_id: str,
    file: Path | None,
    logical_date: str | None,
    run: str | None,
    xcoms: tuple[str, ...],
    params: tuple[str, ...],
    map_index: int | None,
    timeout: float | None,
    output: Format,
) -> None:
    """Run one task alone, here and now, without effect on any run.

    The file is run as it is now, in an instance of Piper of its own, with the caller's environment: what the task
    returns is shown and nothing is kept. Connections and variables are those of the environment. Exit code 0 if the
    task succeeded or was skipped.

    \b
    Examples:
      piper tasks execute sales report --logical-date 2026-11-01
      piper tasks execute sales report --run sales
      piper tasks execute sales report --file dags/sales.py --xcom 'load=[1, 2]'
    """
    conf = read_params(params)
    given = [_read_xcom(text) for text in xcoms]
    wanted: dict[str, Any] = {
        "workflow_id": workflow_id,
        "task_id": task_id,
        "map_index": -1 if map_index is None else map_index,
    }
    if file is None or run is not None:
        client = called(context)
        if file is None:
            file = _find_file(client, workflow_id)
        if run is not None:
            found = _find_run_of(client, workflow_id, run)
            logical_date = logical_date or found["logical_date"]
            conf = found["conf"] | conf
            given = [*_left_in(client, found["id"], task_id), *given]
    moment = datetime.fromisoformat(logical_date) if logical_date else datetime.now(UTC)
    with own_home() as environment, throw_away(file, environment) as (instance, client):
        find_workflow(client, file, workflow_id)
        _check_task(client, workflow_id, task_id, map_index)
        number = instance.execute(workflow_id, task_id, wanted["map_index"], moment, conf, given)
        called_so = task_name(task_id, wanted["map_index"])
        note(f"executing {workflow_id}/{called_so} for {moment.isoformat()}")
        timed_out = follow_run(client, {"id": number}, new_printer([called_so]), timeout, only=called_so)
        ended = wanted | {"logical_date": moment.isoformat()} | _outcome(client, number, wanted)
    _show(ended, output)
    if timed_out:
        raise Failure(f"the task did not end within {timeout:g} s and was ended", Code.TIMED_OUT)
    if ended["state"] not in ("success", "skipped"):
        context.exit(int(Code.FAILED))


def _find_file(client: Client, workflow_id: str) -> Path:
    """The file that defines a workflow on the instance that is called, if it can be read here."""
    found = client.get_object(address_of("workflows", workflow_id))
    folder = client.get_object(address_of("bundles", found["bundle"]))["location"]
    file = Path(folder, found["file"])
    if not file.is_file():
        raise Failure(f"{file}, which defines {workflow_id!r}, is not on this machine", Code.USAGE, ["say --file FILE"])
    return file


def _find_run_of(client: Client, workflow_id: str, run: str) -> dict[str, Any]:
    found = find_run(client, run)
    if found["workflow_id"] != workflow_id:
        raise Failure(f"run {run!r} is of workflow {found['workflow_id']!r}, not of {workflow_id!r}", Code.USAGE)
    return found


def _left_in(client: Client, run: int, task_id: str) -> Iterator[Any]:
    """What the other tasks of a run have left, as it is stored."""
    for row in client.items(address_of("runs", run, "xcoms"), None).rows:
        if row["task_id"] != task_id:
            path = address_of("runs", run, "tasks", row["task_id"], "xcoms", row["key"])
            value = client.get_text(path, map_index=row["map_index"]).encode()
            yield _given(row["task_id"], row["key"], row["map_index"], value)


def _read_xcom(text: str) -> Any:
    name, equals, value = text.partition("=")
    task_id, _, key = name.partition("/")
    if not equals or not task_id:
        raise click.UsageError(f"--xcom {text!r} must have the form TASK=VALUE or TASK/KEY=VALUE")
    try:
        msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--xcom {name}: {value!r} is not JSON: {error}") from error
    return _given(task_id, key or RETURN, -1, value.encode())


def _given(task_id: str, key: str, map_index: int, value: bytes) -> Any:
    from piper.wiring import GivenXCom  # lazy: it imports every part of the system

    return GivenXCom(task_id, key, map_index, value)


def _check_task(client: Client, workflow_id: str, task_id: str, map_index: int | None) -> None:
    """Whether there is such a task, and such an instance of it. Raises Failure."""
    spec = client.get_object(address_of("workflows", workflow_id, "spec"))
    tasks = {task["task_id"]: task for task in spec.get("tasks", [])}
    if task_id not in tasks:
        hints = suggestion(nearest(task_id, tasks))
        raise Failure(f"workflow {workflow_id!r} has no task {task_id!r}", Code.NOT_FOUND, hints)
    groups = {group["group_id"]: group for group in spec.get("groups", [])}
    mapped = "mapped" in tasks[task_id]
    around = tasks[task_id].get("group", "")
    while around:
        mapped = mapped or "mapped" in groups[around]
        around = groups[around].get("parent", "")
    if mapped and map_index is None:
        raise Failure(f"task {task_id!r} is mapped: say which instance by --map-index", Code.USAGE)
    if not mapped and map_index is not None:
        raise Failure(f"task {task_id!r} is not mapped: leave --map-index out", Code.USAGE)


def _outcome(client: Client, run: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """How the task has ended, and what it has left."""
    path = address_of("runs", run, "tasks", wanted["task_id"])
    found = client.get_object(path, map_index=wanted["map_index"])
    left = {
        row["key"]: client.get(f"{path}/xcoms/{row['key']}", map_index=wanted["map_index"])
        for row in client.items(f"{path}/xcoms", None, map_index=wanted["map_index"]).rows
    }
    error = found["attempts"][-1]["error"] if found["attempts"] else ""
    return {
        "state": found["state"],
        "start": found["started_at"],
        "end": found["ended_at"],
        "error": error,
        "result": left.pop(RETURN, None),
        "xcoms": left,
    }


def _show(ended: dict[str, Any], output: Format) -> None:
    if output is not Format.TABLE:
        write_data(ended, output)
        return
    name, state = task_name(ended["task_id"], ended["map_index"]), str(ended["state"])
    click.echo(f"{name} {click.style(state, fg=STATE_STYLES.get(state), bold=True)}")
    result = {} if ended["result"] is None else {RETURN: ended["result"]}
    for key, value in (result | ended["xcoms"]).items():
        click.echo(f"{key}: {msgspec.json.encode(value).decode()}")
