"""The 39 plain files, and those that defer, end as on Airflow on a running Piper: real processes, a real database, now.

The asset files have a module of their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.airflow_examples.instance import Instance
from tests.airflow_examples.table import (
    ASSETS,
    NAMED,
    PARENT_DEFERRABLE,
    REMAINING,
    SENSORS,
    TIME_DELTA,
    End,
    plain,
)
from tests.airflow_examples.wheels import files_of, unpack

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
DEFERRING = [SENSORS, TIME_DELTA, PARENT_DEFERRABLE]
ENDS = [*DEFERRING, *(end for ends in plain(NOW).values() for end in ends)]
AN_HOUR, SOME_SECONDS = "datetime.timedelta(hours=1)", "datetime.timedelta(seconds=15)"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, no_sleep: Path) -> Iterator[Instance]:
    """One instance for all; it runs them side by side."""
    base = tmp_path_factory.mktemp("instance")
    folder = unpack(base / "dags")
    # Not a dependency of these wheels; where it is there, one timetable looks up holidays, each in a quarter second.
    (folder / "pandas.py").write_text("raise ImportError('no pandas here')\n")
    wait_no_hour(folder / files_of(folder)["example_sensors"])
    environment = {
        "AIRFLOW_CONN_FS_DEFAULT": '{"conn_type": "fs"}',
        "AIRFLOW_HOME": str(base),
        "PATH": f"{no_sleep}{os.pathsep}{os.environ['PATH']}",
        "PIPER_CORE__AIRFLOW_MODE": "strict",
        "PIPER_CORE__PAUSED_AT_CREATION": "true",
    }
    with Instance(base / "home", folder, environment) as instance:
        instance.wait_for(workflows=published(), errors=refused())
        yield instance


def wait_no_hour(file: Path) -> None:
    """Have the deferred sensor that is not told its timeout wait for seconds, and all of them look every second.

    And let a file be made after it was removed, as the example means it, where `sleep` is real. As it is written, the
    file is played against a clock of its own (`test_playing`).
    """
    before, found, after = file.read_text().partition('"timeout_after_second_date_in_the_future_async"')
    assert found
    after = after.replace(AN_HOUR, SOME_SECONDS, 1).replace("sleep 3;", f"{shutil.which('sleep')} 3;", 1)
    often = before.replace("schedule=None,", "schedule=None, default_args={'poke_interval': 1},", 1)
    assert often != before
    file.write_text(often + found + after)


def published() -> int:
    """How many DAGs there are in the files that load."""
    ends = plain(NOW) | ASSETS | NAMED
    loaded = sum(number for number in REMAINING.values() if isinstance(number, int))
    return len({end.dag_id for file in ends.values() for end in file}) + loaded


def refused() -> int:
    """How many files do not load."""
    return sum(isinstance(expected, str) for expected in REMAINING.values())


@pytest.fixture(scope="module")
def runs(instance: Instance) -> dict[str, int]:
    """A run of each, all started before the first is looked at."""
    Path("/tmp/temporary_file_for_testing").unlink(missing_ok=True)
    instance.unpause("child_dag")  # a DAG of the examples triggers it
    # It makes a run of `child_dag` for its own date, and another test wants that of NOW.
    dates = {PARENT_DEFERRABLE.dag_id: NOW - timedelta(days=1)}
    found = {}
    for end in ENDS:
        # Two runs of one DAG cannot have one date, and a run whose date lies ahead would wait for it.
        dates[end.dag_id] = dates.get(end.dag_id, NOW + timedelta(minutes=2)) - timedelta(minutes=2)
        found[end.name] = instance.trigger(end.dag_id, dates[end.dag_id], end.conf)
    return found


@pytest.mark.timeout(180)
def test_a_file_that_does_not_load_takes_none_with_it(instance: Instance) -> None:
    files = files_of(instance.folder)
    expected = {str(files[name]): line for name, line in REMAINING.items() if isinstance(line, str)}
    errors = {file: error for file, error in instance.import_errors.items() if file in expected}
    assert {file: line in errors[file] for file, line in expected.items()} == dict.fromkeys(expected, True)
    assert len(instance.workflows) == published()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("end", ENDS, ids=[end.name for end in ENDS])
def test_it_ends_as_on_airflow(end: End, instance: Instance, runs: dict[str, int]) -> None:
    state, tasks = instance.end_of(runs[end.name])
    others = {name: state for name, state in tasks.items() if state != "success"}
    assert others == end.others, instance.errors_of(runs[end.name])
    assert (state, len(tasks)) == (end.state, end.instances)
