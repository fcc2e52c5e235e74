"""A task's process imports nothing that its task does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "jinja2",
    "pendulum",
    "asyncio",
    "jsonschema",
    "sqlalchemy",
    "duckdb",
    "pydantic",
    "numpy",
    "pandas",
    "dateutil",
)

CODE = """
import sys
from datetime import UTC, datetime
from piper.model import wire
from piper.model.run import Identity
from piper.model.spec import TaskSpec
from piper.model.states import RunType
from piper.sdk import DAG, task
from piper.sdk.execution.runner import run_task
from piper.operators.bash import BashOperator

with DAG("flow") as dag:
    @task
    def plain(x):
        return {{"a": [x, "text\\n"]}}
    plain(5)
    BashOperator(task_id="bash", bash_command="echo hi")

now = datetime.now(UTC)
run = wire.RunContext("flow", "r", RunType.SCHEDULED, now, None, now)
facts = wire.TaskContext(Identity(1, 1, 0), TaskSpec({task_id!r}, "x"), -1, 0, run, "", wire.CodeRef(), now)
report = run_task(dag.get_task({task_id!r}), facts, None)
assert type(report.event).__name__ == "Succeeded", report
found = [name for name in {heavy!r} if name in sys.modules]
assert not found, found
"""


@pytest.mark.parametrize("task_id", ["plain", "bash"])
def test_a_task_without_templates_dates_or_coroutines_imports_no_library_for_them(task_id: str) -> None:
    code = CODE.format(task_id=task_id, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
