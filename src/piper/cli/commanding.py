"""Sending commands to runs, and showing what they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from piper.cli.client import Client, Listing
from piper.cli.output import Column, Format, column, note, show_list, task_name, write_data


def clear_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every clear."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show what would be cleared, and change nothing."),
        click.option(
            "--version",
            type=click.Choice(["default", "pinned", "latest"]),
            default="default",
            show_default=True,
            help="The version to run from: the run's own or the newest; by default the newest for folders.",
        ),
        click.option("--future", is_flag=True, help="Also in the runs of later logical dates."),
        click.option("--past", is_flag=True, help="Also in the runs of earlier logical dates."),
        click.option("--only-failed", is_flag=True, help="Only what failed, or failed for its sake."),
    ):
        command = option(command)
    return command


def send_command(client: Client, path: str, body: dict[str, Any], output: Format) -> None:
    """Send a command and show its receipt."""
    receipt: dict[str, Any] = client.post(path, body)
    affected = receipt["affected"]
    if output is not Format.TABLE:
        write_data(receipt, output)
        return
    runs = len({row["run_id"] for row in affected})
    where = f"{receipt['workflow_id']}/{receipt['run_id']}" + (f" and {runs - 1} more runs" if runs > 1 else "")
    would = "would " if body.get("dry_run") else ""
    note(f"{would}{receipt['command']} {len(affected)} tasks of {where}")
    if affected and body.get("dry_run"):
        columns = (
            column("run", "run_id", elastic=True),
            Column("task", lambda row: task_name(row["task_id"], row["map_index"])),
            column("state", state=True),
        )
        show_list(Listing(affected), columns if runs > 1 else columns[1:], output)
