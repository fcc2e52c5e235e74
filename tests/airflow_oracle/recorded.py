"""What Airflow 3.3.2 made of the generated DAGs, as `record` left it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Recorded:
    """One DAG."""

    source_hash: str
    """Of the file that was run."""
    rules: dict[str, str]
    upstream: dict[str, frozenset[str]]
    answers: list[dict[str, Any]]
    """Every outcome that some order of execution led to: `{"run": state, "tasks": {name: "state attempts"}}`."""


def hash_of(source: str) -> str:
    """What tells one version of a generated file from another."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def load() -> dict[str, Recorded]:
    """All of them, by DAG id."""
    found = {}
    for dag_id, (source_hash, shape, answers) in json.loads(FILE.read_text())["dags"].items():
        found[dag_id] = Recorded(
            source_hash,
            {task_id: rule for task_id, (rule, *_) in shape.items()},
            {task_id: frozenset(above) for task_id, (_, *above) in shape.items()},
            answers,
        )
    return found


def save(dags: dict[str, tuple[str, dict[str, list[str]], list[dict[str, Any]]]], *, airflow: str) -> None:
    """Write them, a DAG a line."""
    lines = ",\n".join(f"{json.dumps(dag_id)}: {json.dumps(dags[dag_id])}" for dag_id in sorted(dags))
    FILE.write_text(f'{{"airflow": {json.dumps(airflow)}, "dags": {{\n{lines}\n}}}}\n')
