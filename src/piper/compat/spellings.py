"""Arguments of Airflow 1 and 2, in today's spelling (airflow-semantics §2.4).

A translation is asked for only about a call that has an argument nobody knows, so that it costs nothing where all is
well (`piper.sdk.spelling`).
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from piper.compat.finder import DeprecatedImportWarning

_PIPER = __name__.partition(".")[0]


class FormerArgumentWarning(DeprecatedImportWarning):
    """An argument has another name now, or none; the message says which."""


DAG_ARGUMENTS: dict[str, str] = {
    "schedule_interval": "schedule",
    "timetable": "schedule",
    "concurrency": "max_active_tasks",
    "fail_stop": "fail_fast",
}
OPERATOR_ARGUMENTS: dict[str, str] = {
    "task_concurrency": "max_active_tis_per_dag",
    "max_active_tis_per_dag_run": "max_active_tis_per_dagrun",
    "xcom_push": "do_xcom_push",
}
NO_MORE: dict[str, dict[str, str]] = {
    "DAG": {
        "default_view": "people choose their view",
        "orientation": "people choose their view",
        "full_filepath": "the file is known",
        "last_loaded": "it was never yours to say",
        "access_control_dag_runs": "see access_control",
    },
    "operator": {
        "provide_context": "a function is given what it has parameters for",
        "dag_run": "it comes with the context",
        "adhoc": "it never had an effect",
        "subdag": "see TaskGroup",
        "priority": "see priority_weight",
    },
}
"""Arguments that have no effect any more, and why."""


def translate(called: str, arguments: dict[str, Any], unknown: frozenset[str]) -> dict[str, Any]:
    """The arguments of a call in today's spelling; what is not a former spelling stays, and will be refused.

    Raises:
        TypeError: an argument is given in both spellings.
    """
    kind = "DAG" if called.startswith("DAG(") else "operator"
    renamed = DAG_ARGUMENTS if kind == "DAG" else OPERATOR_ARGUMENTS
    translated = dict(arguments)
    for name in sorted(unknown):
        if renamed.get(name):
            now = renamed[name]
            if translated.get(now) is not None:
                raise TypeError(f"{called} has both {name!r} and {now!r}: {name!r} is the former name of {now!r}")
            translated[now] = translated.pop(name)
            _warn(f"{called}: {name!r} is called {now!r} now")
        elif name in NO_MORE[kind]:
            del translated[name]
            _warn(f"{called}: {name!r} has no effect any more: {NO_MORE[kind][name]}")
    return translated


def _warn(message: str) -> None:
    """Point at the author's line: the innermost that is not Piper's."""
    depth = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PIPER:
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, FormerArgumentWarning, stacklevel=depth)
