"""`dag.test()`, with Airflow's arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from piper.sdk.placeholders import NOTSET
from piper.testing.clocks import RealClock
from piper.testing.plays import Given, play
from piper.testing.results import RunResult

if TYPE_CHECKING:
    from piper.model.spec import Json
    from piper.sdk.dags import DAG


def play_dag(
    dag: DAG,
    run_after: datetime | None = None,
    logical_date: Any = NOTSET,
    run_conf: Mapping[str, Json] | None = None,
    conn_file_path: str | None = None,
    variable_file_path: str | None = None,
    use_executor: bool = False,
    mark_success_pattern: re.Pattern[str] | str | None = None,
) -> RunResult:
    """Run a DAG once in this process, without a server.

    Arguments:
        run_after: when the run is due.
        logical_date: its date; by default now. None: a run without one.
        run_conf: values of its params.
        conn_file_path: a JSON file of connections, `{"my_db": "postgres://…"}`.
        variable_file_path: a JSON file of variables.
        use_executor: no effect; its tasks run here.
        mark_success_pattern: tasks whose ids match it succeed without being run.

    Returns:
        How the run ended: `state`, `tasks`, …
    """
    given = Given(
        connections=_read(conn_file_path),
        variables=_read(variable_file_path),
        dags=_dags_beside(dag),
        passing=re.compile(mark_success_pattern) if mark_success_pattern is not None else None,
    )
    return play(dag, given, RealClock(), logical_date, run_after, conf=run_conf)


def _dags_beside(dag: DAG) -> tuple[DAG, ...]:
    """The other DAGs of its file, which it may trigger."""
    import sys

    from piper.sdk.dags import DAG

    place = dag._place
    for module in list(sys.modules.values()):
        if place is not None and getattr(module, "__file__", None) == place[0].co_filename:
            return tuple(one for one in vars(module).values() if isinstance(one, DAG) and one is not dag)
    return ()


def _read(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    found = json.loads(Path(path).read_text())
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object, name → value")
    return found
