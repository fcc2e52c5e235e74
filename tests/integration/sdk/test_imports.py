"""What it costs to import the language: each file's process pays it, and holds it in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import contextlib, dataclasses, datetime, importlib, inspect, json, logging, sys, time, typing
import msgspec
before = set(sys.modules)
began = time.process_time()
{imports}
print(json.dumps([time.process_time() - began, sorted(set(sys.modules) - before)]))
"""
"""Processor time, so that a busy machine counts little; beyond what Python and msgspec cost whoever uses them."""


def cost(imports: str, cache: Path) -> tuple[float, set[str]]:
    """Seconds, the least of five runs with compiled code, and the modules that come in."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    runs: list[tuple[float, list[str]]] = []
    for _ in range(6):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE.format(imports=imports)],
            env={**environment, "PYTHONPYCACHEPREFIX": str(cache)},
            capture_output=True,
            text=True,
            check=True,
        )
        runs.append(json.loads(done.stdout))
    seconds, modules = min(runs[1:])
    return seconds, set(modules)


def test_to_import_the_language_loads_none_of_it(tmp_path: Path) -> None:
    seconds, modules = cost("import piper.sdk", tmp_path)
    assert modules == {"piper", "piper.sdk"}
    assert seconds < 0.002  # 0.3 ms on the machine of the benchmarks


@pytest.mark.parametrize(
    "imports",
    [
        "from piper.sdk import DAG; from piper.operators.python import PythonOperator",
        "from piper.sdk import DAG, task; task.python",
    ],
)
def test_a_file_of_python_tasks_costs_little_to_import(imports: str, tmp_path: Path) -> None:
    seconds, modules = cost(imports, tmp_path)
    unused = {
        "piper.sdk.assets",
        "piper.sdk.setup_teardown",
        "piper.sdk.sensor",
        "piper.sdk.specs",
        "piper.operators.bash",
    }
    assert not modules & unused
    assert seconds < 0.06  # 20 ms on the machine of the benchmarks, and not to exceed 30 there
