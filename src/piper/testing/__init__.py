"""Testing workflows: run a DAG or one task in a unit test, and see when a schedule fires.

    from piper.testing import evaluate_schedule, run_dag, run_task

    def test_a_late_order_is_reported():
        result = run_dag(dag, xcoms={"fetch": [{"id": 7, "late": True}]}, clock=datetime(2026, 5, 4, tzinfo=UTC))
        assert result.state == "success"
        assert result["report"].result == "1 order is late"

What runs here is what runs in production: the scheduler's decisions (`piper.core`) and the runner of tasks
(`piper.sdk.execution.runner`). What is missing is what lies between them: there is no database, no server and no
process but the test's own; tasks run one after the other, in the order in which they become ready.

Invariants. Nothing a test does is seen by another, unless it hands over a result (`earlier=`). Nothing is answered
that the test has not given: an unknown variable or connection is not found, as it would be in production. With a
`clock`, no time passes: whoever sleeps, waits for a retry or for a trigger finds that it is later.

A task's code shares the process with the test: what it does to modules, files and the environment stays done.
"""

from __future__ import annotations

from piper import compat
from piper.testing.plays import run_dag, run_task
from piper.testing.results import RunResult, TaskResult
from piper.testing.schedules import evaluate_schedule

compat.install()  # what a test imports may import airflow

__all__ = ["RunResult", "TaskResult", "evaluate_schedule", "run_dag", "run_task"]
