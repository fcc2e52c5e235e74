"""`make demo`: the flight delays example, from nothing to its results, with progress on the screen.

    python examples/demo.py [--exit] [--port 8080]

Starts `piper standalone` on `examples/flight_delays` with its home in `.piper` (or PIPER_HOME), follows the runs of
the three workflows for a week of logical dates, prints the tables that they have made and the web address, and
then serves until Ctrl-C. With `--exit` it stops instead, and ends with 0 only if every run succeeded. Killed in the
middle, it goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "flight_delays"
WORKFLOWS = ("flights_ingest", "flights_etl", "flights_ml")
DAYS = 7
PATIENCE = 15 * 60
"""Seconds after which something must be wrong."""

SIGNS = {"success": "[green]done", "failed": "[red]failed", "running": "[yellow]running", "queued": "queued", "": "·"}


def main() -> int:
    """Run the demo. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--exit", action="store_true", help="stop the server when the runs have ended")
    parser.add_argument("--port", type=int, default=8080, help="of the web server (default 8080)")
    options = parser.parse_args()
    console = Console(stderr=True)
    home = Path(os.environ.get("PIPER_HOME") or ROOT / ".piper").absolute()
    with served(home, options.port, console) as api:
        api.put("/pools/warehouse", json={"slots": 1, "description": "DuckDB takes one writing process"})
        well = follow(api, console)
        shown = subprocess.run([sys.executable, str(EXAMPLE / "results.py")], env=environment(home), check=False)
        address = str(api.base_url).removesuffix("/api/v1/")
        if options.exit:
            return 0 if well and shown.returncode == 0 else 1
        console.print(f"\nPiper serves {address} (home {home}); Ctrl-C ends it.")
        try:
            signal.pause()
        except KeyboardInterrupt:
            console.print("ended")
    return 0 if well else 1


def environment(home: Path) -> dict[str, str]:
    """Of the server and of its tasks: tasks see no PIPER_ variables, so the warehouse is named apart."""
    return {**os.environ, "PIPER_HOME": str(home), "FLIGHT_DELAYS_HOME": str(home / "flight_delays")}


@contextmanager
def served(home: Path, port: int, console: Console) -> Iterator[httpx.Client]:
    """A running server and a client of its API."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "address").unlink(missing_ok=True)
    log = home / "demo.log"
    command = [sys.executable, "-m", "piper.cli.main", "standalone", "--dags", str(EXAMPLE), "--port", str(port)]
    console.print(f"starting Piper (home {home}, log {log})")
    with log.open("a") as output:
        server = subprocess.Popen(command, env=environment(home), stdout=output, stderr=output)
    try:
        yield client_of(server, home, log)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def client_of(server: subprocess.Popen[bytes], home: Path, log: Path) -> httpx.Client:
    """Wait for the server to be ready."""
    begun = time.monotonic()
    while True:
        if server.poll() is not None:
            sys.exit(f"Piper did not start:\n{log.read_text()[-2000:]}")
        try:
            address = (home / "address").read_text().strip()
            if httpx.get(f"{address}/health/ready").status_code == httpx.codes.OK:
                token = (home / "token").read_text().strip()
                return httpx.Client(
                    base_url=f"{address}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
                )
        except (OSError, httpx.HTTPError):
            if time.monotonic() - begun > 60:
                sys.exit(f"Piper did not become ready: see {log}")
        time.sleep(0.05)


def follow(api: httpx.Client, console: Console) -> bool:
    """Show the runs until all have ended. Whether all succeeded."""
    begun = time.monotonic()
    shown: dict[tuple[str, str], str] = {}
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            states = {name: states_of(api, name) for name in WORKFLOWS}
            if console.is_terminal:
                live.update(picture(states))
            else:
                tell_changes(states, shown, console)
            ended = [state for runs in states.values() for state in runs.values() if state in ("success", "failed")]
            if len(ended) == DAYS * len(WORKFLOWS):
                return tell_failures(api, states, console)
            if time.monotonic() - begun > PATIENCE:
                console.print(f"[red]the runs did not end within {PATIENCE} s")
                return False
            time.sleep(0.25)


def states_of(api: httpx.Client, workflow: str) -> dict[str, str]:
    """Logical date → state of the workflow's runs."""
    answer = api.get(f"/workflows/{workflow}/runs", params={"limit": 100})
    if answer.status_code == httpx.codes.NOT_FOUND:  # its file has not been loaded yet
        return {}
    return {run["logical_date"][:10]: run["state"] for run in answer.raise_for_status().json()["items"]}


def picture(states: dict[str, dict[str, str]]) -> Table:
    """A row for each workflow, a column for each day."""
    days = sorted({day for runs in states.values() for day in runs})
    table = Table("workflow", *(day[5:] for day in days), title="flight delays, a week by catchup")
    for workflow, runs in states.items():
        table.add_row(workflow, *(SIGNS[runs.get(day, "")] for day in days))
    return table


def tell_changes(states: dict[str, dict[str, str]], shown: dict[tuple[str, str], str], console: Console) -> None:
    """A line for each run that has changed, where there is no terminal to draw on."""
    for workflow, runs in states.items():
        for day, state in sorted(runs.items()):
            if shown.get((workflow, day)) != state:
                shown[workflow, day] = state
                console.print(f"{workflow} {day}: {state}", highlight=False)


def tell_failures(api: httpx.Client, states: dict[str, dict[str, str]], console: Console) -> bool:
    """Name what failed and where its log is. True if nothing did."""
    failed = [name for name, runs in states.items() if "failed" in runs.values()]
    for name in failed:
        for run in api.get(f"/workflows/{name}/runs", params={"state": "failed"}).json()["items"]:
            for task in api.get(f"/runs/{run['id']}/tasks").json()["items"]:
                if task["state"] == "failed":
                    console.print(f"[red]{name} {run['logical_date'][:10]} {task['task_id']} failed:[/red]", end=" ")
                    console.print(f"piper tasks logs {run['id']} {task['task_id']}", highlight=False)
    return not failed


if __name__ == "__main__":
    sys.exit(main())
