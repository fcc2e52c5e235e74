"""The seven asset files on a running Piper: who produces, who is made to run by that, and how it all ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.airflow_examples.instance import Instance
from tests.airflow_examples.table import ASSETS
from tests.airflow_examples.wheels import files_of, unpack

INLET, OUTLET = "example_inlet_event_extra", "example_outlet_event_extra"
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
DAILY = {"asset_produces_1", "team_analytics_producer"}
"""Their schedule runs these, once, when they are unpaused; all others that produce are triggered."""
ENVIRONMENT = {"PIPER_CORE__AIRFLOW_MODE": "strict", "PIPER_CORE__PAUSED_AT_CREATION": "true"}


class Files:
    """A folder for workflow files, into which examples are laid."""

    def __init__(self, base: Path) -> None:
        self._wheels = unpack(base / "wheels")
        self.folder = base / "dags"
        self.folder.mkdir()

    def lay(self, *names: str) -> None:
        for name in names:
            shutil.copy(self._wheels / files_of(self._wheels)[name], self.folder)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def instance(tmp_path: Path, files: Files, no_sleep: Path) -> Iterator[Instance]:
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": f"{no_sleep}{os.pathsep}{os.environ['PATH']}"}
    with Instance(tmp_path / "home", files.folder, ENVIRONMENT | environment) as instance:
        yield instance


def caused(*pairs: tuple[str, int]) -> dict[str, int]:
    """Workflow → how many runs by assets it has."""
    return dict(pairs)


@pytest.mark.timeout(300)
def test_consumers_run_when_their_conditions_are_fulfilled_and_not_before(instance: Instance, files: Files) -> None:
    names = [name for name in ASSETS if name not in (INLET, OUTLET)]
    files.lay(*names)
    ends = {end.dag_id: end for name in names for end in ASSETS[name]}
    instance.wait_for(workflows=len(ends), errors=0)
    for workflow_id in ends.keys() - DAILY:
        instance.unpause(workflow_id)

    def produce(workflow_id: str, expected: dict[str, int]) -> None:
        if workflow_id in DAILY:
            instance.unpause(workflow_id)
            instance.wait_for_runs("scheduled", {workflow_id: 1})
            run = instance.latest(workflow_id)
        else:
            run = instance.trigger(workflow_id, NOW, {})
        assert instance.end_of(run) == (ends[workflow_id].state, dict.fromkeys(instance.tasks_of(run), "success"))
        instance.wait_for_runs("asset_triggered", expected)

    produce(
        "asset_produces_1",
        so_far := caused(
            ("asset_consumes_1", 1),
            ("consume_1_or_2_with_asset_expressions", 1),
            ("consume_1_or_both_2_and_3_with_asset_expressions", 1),
        ),
    )
    produce(
        "asset_produces_2",
        so_far := so_far
        | caused(
            ("asset_consumes_1_and_2", 1),
            ("consume_1_and_2_with_asset_expressions", 1),
            ("consume_1_or_2_with_asset_expressions", 2),
            ("conditional_asset_and_time_based_timetable", 1),
        ),
    )
    produce("asset_s3_bucket_producer", so_far := so_far | caused(("asset_s3_bucket_consumer", 1)))
    by_alias = caused(("asset_s3_bucket_consumer", 2), ("asset_alias_example_alias_consumer", 1))
    produce("asset_alias_example_alias_producer", so_far := so_far | by_alias)
    plain = "_with_no_taskflow"
    produce(f"asset_s3_bucket_producer{plain}", so_far := so_far | caused((f"asset_s3_bucket_consumer{plain}", 1)))
    # Its alias leads to the asset of the other file, as it happens.
    by_alias = caused(("asset_s3_bucket_consumer", 3), (f"asset_alias_example_alias_consumer{plain}", 1))
    produce(f"asset_alias_example_alias_producer{plain}", so_far := so_far | by_alias)
    produce("team_analytics_producer", so_far := so_far | caused(("team_ml_consumer", 1)))
    produce("asset1_producer", so_far := so_far | caused(("consumes_asset_decorator", 1)))
    produce("asset2_producer", so_far := so_far | caused(("consumes_asset_decorator", 2)))
    assert instance.runs_by("asset_triggered") == so_far
    assert {state for _, state in instance.states("asset_triggered")} == {"success"}


@pytest.mark.timeout(300)
def test_events_carry_what_tasks_say_and_of_two_assets_with_one_uri_the_second_is_refused(
    instance: Instance, files: Files
) -> None:
    files.lay(INLET)
    instance.wait_for(workflows=2, errors=0)
    for end in ASSETS[INLET]:
        run = instance.trigger(end.dag_id, NOW, {})
        state, tasks = instance.end_of(run)
        assert (state, {task: state for task, state in tasks.items() if state != "success"}) == (end.state, end.others)
    # The same URI with another name: as on Airflow, the first is active, and whoever names the other fails.
    files.lay(OUTLET)
    instance.wait_for(workflows=5, errors=0)
    for end in ASSETS[OUTLET]:
        run = instance.trigger(end.dag_id, NOW, {})
        assert instance.end_of(run)[0] == "failed"
        assert "inactive assets in its inlets or outlets" in instance.errors_of(run)[end.dag_id]
    (files.folder / f"{INLET}.py").unlink()
    instance.wait_until_active("test-asset")
    for end in ASSETS[OUTLET]:
        instance.clear(end.dag_id)
        assert instance.end_of_latest(end.dag_id)[0] == "success"
    events = instance.events()
    assert sorted(event["workflow_id"] for event in events) == sorted(end.dag_id for end in ASSETS[OUTLET])
    assert [event["extra"] for event in events] == [{"hi": "bye"}] * 3
