"""Records anew what Airflow 3.3.2 makes of the generated DAGs: `make airflow-oracle`, an hour on two cores.

Airflow is installed from PyPI into a virtual environment of its own under `~/.cache/piper`, and kept there. It runs
each DAG in several orders, with `dag.test()` on SQLite (`airflow_side` says how and why); the distinct outcomes go
into `recorded.json`, which is committed. More of them are tried where orders matter in Piper, which runs a DAG in a
hundred orders in the time that Airflow takes for one.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from piper import compat
from tests.airflow_oracle import piper_side
from tests.airflow_oracle.coverage import table
from tests.airflow_oracle.generate import write_to
from tests.airflow_oracle.recorded import hash_of, load, save

AIRFLOW = "3.3.2"
PACKAGES = (
    f"apache-airflow-core=={AIRFLOW}",
    "apache-airflow-task-sdk==1.3.2",
    "apache-airflow-providers-standard==1.21.0",
)
TRIED = 100
"""Orders in which Piper runs each DAG, to see whether they matter."""
FEW, MANY = 8, 30
"""Orders in which Airflow runs a DAG for which they do not matter, and one for which they do."""
PARTS = os.cpu_count() or 1


def environment() -> Path:
    """The Python of Airflow's virtual environment, which is made when it is first needed."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "piper" / f"airflow-{AIRFLOW}"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing Airflow {AIRFLOW} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (folder / "installed").touch()
    return python


def orders_for(folder: Path, dag_ids: list[str]) -> dict[str, int]:
    """DAG id → in how many orders Airflow shall run it."""
    compat.install(compat.Mode.STRICT)
    logging.disable(logging.CRITICAL)
    found = {}
    for dag_id in dag_ids:
        dag = piper_side.load(folder, dag_id)
        first = piper_side.outcome(dag, 0)
        matters = any(piper_side.outcome(dag, order) != first for order in range(1, TRIED))
        found[dag_id] = MANY if matters else FEW
    return found


class Side:
    """An Airflow that runs a part of the DAGs."""

    def __init__(self, python: Path, folder: Path, home: Path, orders: dict[str, int], part: int) -> None:
        home.mkdir()
        mine = home / "orders.json"
        mine.write_text(json.dumps(dict(list(orders.items())[part::PARTS])))
        command = [python, "-m", "tests.airflow_oracle.airflow_side", folder, home, mine]
        self._said, self._errors = home / "answers", home / "errors"
        with self._said.open("w") as out, self._errors.open("w") as errors:
            self._process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=out, stderr=errors)

    def answers(self) -> list[Any]:
        """What it found, when it has ended. Exits with its last words if it failed."""
        if self._process.wait() != 0:
            sys.exit(self._errors.read_text()[-4000:])
        return [json.loads(line) for line in self._said.read_text().splitlines()]


def main() -> None:
    """Write `recorded.json`, and print what it covers."""
    python = environment()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "dags")
        made = {one.dag_id: one for one in write_to(folder)}
        orders = orders_for(folder, sorted(made))
        sides = [Side(python, folder, Path(temporary, str(part)), orders, part) for part in range(PARTS)]
        dags = {}
        for dag_id, shape, answers in (answer for side in sides for answer in side.answers()):
            dags[dag_id] = (hash_of(made[dag_id].source), shape, answers)
    save(dags, airflow=AIRFLOW)
    print(table(load(), made))


if __name__ == "__main__":
    main()
