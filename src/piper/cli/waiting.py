"""Waiting for the end of a run, and showing a run."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from piper.cli.client import Client, address_of
from piper.cli.failures import Code, Failure
from piper.cli.output import Format, show_object, shown_duration

_AT_A_TIME = 20.0


def wait_for_run(client: Client, run: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    """The run when it has ended.

    Raises:
        Failure: it has not ended in time (exit code 7); it goes on.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with progress(f"waiting for {run['workflow_id']}/{run['run_id']}"):
        while True:
            left = _AT_A_TIME if deadline is None else min(_AT_A_TIME, deadline - time.monotonic())
            found = client.get_object(address_of("runs", run["id"], "wait"), timeout=max(0.0, left))
            if found["state"] in ("success", "failed"):
                return found
            if left < _AT_A_TIME:
                raise Failure(
                    f"run {run['run_id']} is still {found['state']} after {timeout:g} s; it goes on",
                    Code.TIMED_OUT,
                    [f"follow it: piper tasks logs {run['id']} -f"],
                )


def show_run(run: dict[str, Any], output: Format) -> None:
    """Write a run to standard output."""
    interval = run["data_interval_start"] and f"{run['data_interval_start']} to {run['data_interval_end']}"
    tasks = run.get("tasks") or {}
    show_object(
        run,
        output,
        [
            ("run", f"{run['workflow_id']}/{run['run_id']}"),
            ("number", run["id"]),
            ("state", run["state"]),
            ("reason", run["reason"] if run["state"] == "failed" else None),
            ("logical date", run["logical_date"]),
            ("data interval", interval),
            ("type", run["run_type"]),
            ("params", run["conf"] or None),
            ("note", run["note"]),
            ("by", run["triggered_by"]),
            ("created", run["created_at"]),
            ("started", run["started_at"]),
            ("ended", run["ended_at"]),
            ("took", shown_duration(run["started_at"], run["ended_at"])),
            ("tasks", ", ".join(f"{count} {state}" for state, count in tasks.items())),
        ],
    )


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Say on standard error that something takes its time; a terminal is shown that it goes on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # lazy: only for a terminal

    with Console(stderr=True).status(text):
        yield
