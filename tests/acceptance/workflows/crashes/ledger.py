"""Workflows that write down, in a file that outlives them, when user code was entered and when it came to its end.

A line is one write to a file that is open for appending: lines never mix, and what a killed process wrote is there.
"""

import json
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from piper.sdk import DAG, task

LEDGER = Path(os.environ.get("LEDGER", "/dev/null"))


def note(what: str, ti) -> None:
    """Write a line of the ledger."""
    pid = os.getpid()
    line = {"what": what, "pid": pid, "since": started(pid), "task": name_of(ti), "try": ti.try_number}
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(ledger, json.dumps(line).encode() + b"\n")
    os.close(ledger)


def name_of(ti) -> str:
    """Of a task instance, among all there are."""
    return f"{ti.dag_id} {ti.run_id} {ti.task_id} {ti.map_index}"


def started(pid: int) -> str | None:
    """When a process that runs was started, which tells it from a later one of the same number; None if it does not.

    Where the first process of a container waits for nobody, what was killed stays there as a zombie.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in ("Z", "X") else fields[18]


def work(seconds: float, ti) -> None:
    """Begin, take some time, end."""
    if ti.try_number > 1:
        before = (json.loads(line) for line in LEDGER.read_text().splitlines())
        if any(line["task"] == name_of(ti) and line["since"] == started(line["pid"]) for line in before):
            note("overlap", ti)
    note("begin", ti)
    time.sleep(seconds)
    note("end", ti)


with DAG(
    "every_ten_seconds",
    schedule=timedelta(seconds=10),
    start_date=datetime(2026, 1, 1),
    end_date=datetime(2026, 1, 1, 0, 5),
    catchup=True,
    max_active_runs=3,
):

    @task
    def first(ti=None):
        work(0.05, ti)
        return [1, 2, 3]

    @task
    def each(number, ti=None):
        work(0.1, ti)
        return number

    @task
    def last(numbers, ti=None):
        work(0.05, ti)
        return sum(numbers)

    last(each.expand(number=first()))

with DAG("by_hand", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def one(ti=None):
        work(0.02, ti)

    one()

with DAG("long", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def lasting(ti=None):
        work(2 if ti.try_number == 1 else 0.1, ti)
        return ti.try_number

    lasting()
