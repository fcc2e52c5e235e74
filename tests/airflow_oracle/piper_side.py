"""What becomes of a generated DAG in Piper: its file loaded as in production, its run played in this process."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from piper.sdk.dags import DAG
from piper.sdk.loader import load_file
from piper.testing.clocks import RealClock
from piper.testing.plays import Given, play

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def load(folder: Path, dag_id: str) -> DAG:
    """The DAG of a generated file. Raises AssertionError if the file gives cause for a warning."""
    loaded = load_file(folder, f"{dag_id}.py")
    assert not loaded.warnings, loaded.warnings
    return loaded.dags[dag_id]


def outcome(dag: DAG, order: int) -> dict[str, Any]:
    """How a run ends, in the form in which Airflow's answers are recorded.

    Arguments:
        order: in which tasks run that are ready: 0 as they became ready, any other number another order.
    """
    dice = random.Random(f"{dag.dag_id} {order}") if order else None
    result = play(dag, Given(dice=dice), RealClock(), NOON)
    states = {name: "None" if state == "none" else state for name, state in result.states.items()}
    tasks = {name: f"{state} {result.attempts[name]}" for name, state in sorted(states.items())}
    return {"run": result.state.value, "tasks": tasks}
