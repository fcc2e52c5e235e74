"""The workflow files of the flight delays example, loaded as the serializer loads them, each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from piper.model.spec import TaskSpec, WorkflowSpec, decode_spec
from piper.timetables import dates_after, next_dates

pytest.importorskip("piper.sdk.loader", reason="the authoring language is not merged yet")

FOLDER = Path(__file__).parents[3] / "examples" / "flight_delays"

LOAD = """
import sys
from pathlib import Path
from msgspec import json
from piper.model.spec import encode_spec
from piper.sdk.loader import load_file
from piper.sdk.specs import spec_of

loaded = load_file(Path(sys.argv[1]), sys.argv[2])
specs = [encode_spec(spec_of(dag, file=sys.argv[2])).decode() for dag in loaded.dags.values()]
heavy = sorted({"duckdb", "numpy", "pandas", "sklearn"} & sys.modules.keys())
print(json.encode({"specs": specs, "warnings": loaded.warnings, "heavy": heavy}).decode())
"""


class Loaded(msgspec.Struct):
    """What the process found."""

    specs: list[str]
    warnings: list[str]
    heavy: list[str]


def load(file: str) -> tuple[WorkflowSpec, Loaded]:
    command = [sys.executable, "-c", LOAD, str(FOLDER), file]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    loaded = msgspec.json.decode(finished.stdout, type=Loaded)
    (spec,) = loaded.specs
    return decode_spec(spec), loaded


def waits_for(task: TaskSpec) -> str:
    return str(task.arguments["external_dag_id"])


@pytest.mark.parametrize("file", ["ingest.py", "etl.py", "ml.py"])
def test_a_file_loads_without_complaint_and_leaves_the_process_small(file: str) -> None:
    _, loaded = load(file)
    assert loaded.warnings == []
    assert loaded.heavy == []


def test_the_three_run_on_the_same_seven_dates_and_wait_for_each_other() -> None:
    ingest, etl, ml = (load(file)[0] for file in ("ingest.py", "etl.py", "ml.py"))
    for spec in (ingest, etl, ml):
        first = next_dates(spec.schedule, None, datetime(2026, 1, 1, tzinfo=UTC))
        assert first is not None
        dates = [first, *dates_after(spec.schedule, first)]
        assert [one.logical_date.date() for one in dates] == [date(2013, 7, day) for day in range(22, 29)]
    assert waits_for(etl.task("wait_for_ingest")) == ingest.workflow_id
    assert waits_for(ml.task("wait_for_features")) == etl.workflow_id
    assert ml.max_active_runs == 1


def test_the_tasks_that_write_share_a_pool() -> None:
    writers = {
        task.task_id
        for file in ("ingest.py", "etl.py", "ml.py")
        for task in load(file)[0].tasks
        if task.pool == "warehouse"
    }
    assert writers == {
        *("load_flights", "load_departures", "load_weather", "build_features"),
        *("register", "deploy", "predict", "sample_for_review", "measure_accuracy"),
    }
