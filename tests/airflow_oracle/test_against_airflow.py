"""Three hundred small DAGs end in Piper as in Airflow 3.3.2: the run, every task instance, every count of tries.

What Airflow makes of them was recorded (`record`); `make airflow-oracle` records it anew. Where the order in which
tasks end matters, Airflow has several answers, and Piper's must be one of them; where it has one, Piper must give
it in any order, and each DAG is run here in three.

The DAGs run in this process: files are loaded as in production, decisions are the scheduler's, tasks run in the
worker's runner (`piper.testing`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from piper import compat
from tests.airflow_oracle import piper_side
from tests.airflow_oracle.coverage import mixes_of
from tests.airflow_oracle.generate import generate, write_to
from tests.airflow_oracle.recorded import hash_of, load
from tests.airflow_oracle.themes import MIXES, RULES

RECORDED = load()
ORDERS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    compat.install(compat.Mode.STRICT)
    logging.disable(logging.CRITICAL)  # thousands of tasks that fail as they are meant to
    folder = tmp_path_factory.mktemp("oracle")
    write_to(folder)
    yield folder
    logging.disable(logging.NOTSET)
    compat.uninstall()


@pytest.mark.parametrize("dag_id", sorted(RECORDED))
def test_it_ends_as_in_airflow(dag_id: str, folder: Path) -> None:
    dag = piper_side.load(folder, dag_id)
    recorded = RECORDED[dag_id]
    assert {task.task_id: str(task.trigger_rule) for task in dag.tasks} == recorded.rules
    assert {task.task_id: frozenset(task.upstream_task_ids) for task in dag.tasks} == recorded.upstream
    for order in range(ORDERS):
        assert_is_one_of(piper_side.outcome(dag, order), recorded.answers)


def test_the_recorded_dags_are_those_that_are_generated_now() -> None:
    assert {one.dag_id: hash_of(one.source) for one in generate()} == {
        dag_id: recorded.source_hash for dag_id, recorded in RECORDED.items()
    }


def test_every_rule_is_met_with_every_mix_of_ends_above() -> None:
    counts = mixes_of(RECORDED)
    assert [(rule, mix) for rule in RULES for mix in MIXES if not counts[rule, mix]] == []


def assert_is_one_of(ours: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    """Fail with what differs from the answer that is nearest."""
    if ours in answers:
        return

    def differences(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
        here = {"(run)": ours["run"], **ours["tasks"]}
        there = {"(run)": answer["run"], **answer["tasks"]}
        return {name: (here.get(name), there.get(name)) for name in here | there if here.get(name) != there.get(name)}

    nearest = min(map(differences, answers), key=len)
    pytest.fail("\n".join(f"{name}: Piper {mine}, Airflow {its}" for name, (mine, its) in sorted(nearest.items())))
