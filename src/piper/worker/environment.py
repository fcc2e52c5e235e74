"""What user code sees of the environment of the process that it is started by."""

from __future__ import annotations

from collections.abc import Mapping

FOR_TASKS = ("PIPER_CORE__AIRFLOW_MODE", "PIPER_CORE__PLUGINS_FOLDER", "PIPER_CONN_", "PIPER_VAR_")
"""What names of Piper's begin with that are for tasks: how files are loaded (`piper.compat`), and what a person has
put there for them to find (`piper.sdk.execution.lookups`)."""


LOOKUPS = ("PIPER_VAR_", "AIRFLOW_VAR_", "PIPER_CONN_", "AIRFLOW_CONN_")
"""What the names of variables and connections begin with that a person has put into the environment."""


def lookups_in(own: Mapping[str, str]) -> dict[str, str]:
    """What a file may read of this process's environment at its top level, as its tasks may."""
    return {name: value for name, value in own.items() if name.startswith(LOOKUPS)}


def task_environment(own: dict[str, str]) -> dict[str, str]:
    """What tasks may see of this process's environment: all but Piper's own variables, some of which are secret."""
    return {name: value for name, value in own.items() if name.startswith(FOR_TASKS) or not name.startswith("PIPER_")}
