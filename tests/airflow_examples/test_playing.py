"""The examples end as on Airflow, played in this process (`piper.testing`), on a Wednesday at noon."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from piper.sdk.dags import DAG
from piper.sdk.exceptions import ParamValidationError
from piper.sdk.loader import load_file
from piper.testing import RunResult, run_dag
from tests.airflow_examples import table
from tests.airflow_examples.table import ASSETS, End, plain
from tests.airflow_examples.wheels import files_of

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
PLAIN_AND_ASSETS = [(file, end) for file, ends in (plain(NOON) | ASSETS).items() for end in ends]

pytestmark = pytest.mark.usefixtures("strict", "silence")


@pytest.fixture
def silence() -> Iterator[None]:
    """Some fail as they are meant to."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def dags_of(root: Path, file: str) -> dict[str, DAG]:
    return load_file(root, str(files_of(root)[file])).dags


def assert_ends(result: RunResult, end: End) -> None:
    assert len(result.states) == end.instances
    assert {str(name): state for name, state in result.states.items() if state != "success"} == end.others, {
        task.name: task.error for task in result.tasks if task.error
    }
    assert result.state == end.state


@pytest.mark.parametrize(("file", "end"), PLAIN_AND_ASSETS, ids=[end.name for _, end in PLAIN_AND_ASSETS])
def test_it_ends_as_on_airflow(file: str, end: End, root: Path) -> None:
    others = dags_of(root, "example_trigger_target_dag").values() if "trigger_controller" in file else ()
    result = run_dag(dags_of(root, file)[end.dag_id], params=end.conf, dags=others, clock=NOON)
    assert_ends(result, end)


def test_a_required_param_that_is_not_given_is_refused(root: Path) -> None:
    with pytest.raises(ParamValidationError, match="required_field: No value passed"):
        run_dag(dags_of(root, "example_params_ui_tutorial")["example_params_ui_tutorial"], clock=NOON)


def test_asset_events_reach_those_who_read_them(root: Path) -> None:
    producer = dags_of(root, "example_outlet_event_extra")["asset_with_extra_by_yield"]
    produced = run_dag(producer, clock=NOON)
    (event,) = produced.record.asset_events
    assert event.extra["hi"] == "bye"
    assert event.asset.uri == "s3://output/1.txt"


def test_sensors_end_as_on_airflow(root: Path) -> None:
    Path("/tmp/temporary_file_for_testing").unlink(missing_ok=True)
    dag = dags_of(root, "example_sensors")["example_sensors"]
    result = run_dag(dag, connections={"fs_default": {"conn_type": "fs"}}, clock=NOON)
    assert_ends(result, table.SENSORS)


def test_a_deferred_sensor_waits_for_its_time(root: Path) -> None:
    dag = dags_of(root, "example_time_delta_sensor_async")["example_time_delta_sensor_async"]
    assert_ends(run_dag(dag, clock=NOON), table.TIME_DELTA)


def test_the_marker_dags_end_as_on_airflow_with_one_date_and_with_two(root: Path) -> None:
    dags = dags_of(root, "example_external_task_marker_dag")
    child = dags["example_external_task_marker_child"]
    parent = run_dag(dags["example_external_task_marker_parent"], logical_date=NOON, clock=NOON)
    assert_ends(parent, table.MARKER_PARENT)
    assert_ends(run_dag(child, logical_date=NOON, earlier=[parent], clock=NOON), table.MARKER_CHILD)
    later = NOON.replace(second=1)
    assert_ends(run_dag(child, logical_date=later, earlier=[parent], clock=later), table.MARKER_CHILD_ALONE)


def test_a_dag_that_triggers_another_and_waits_for_it_ends_as_on_airflow(root: Path) -> None:
    dag = dags_of(root, "example_external_task_parent_deferrable")["example_external_task"]
    child = dags_of(root, "example_external_task_child_deferrable")["child_dag"]
    result = run_dag(dag, dags=[child], clock=NOON)
    assert_ends(result, table.PARENT_DEFERRABLE)
    assert [each.dag_id for each in result.triggered] == ["child_dag"]
