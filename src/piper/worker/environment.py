"""What user code sees of the environment of the process that it is started by."""

from __future__ import annotations

FOR_TASKS = ("PIPER_CORE__AIRFLOW_MODE", "PIPER_CORE__PLUGINS_FOLDER", "PIPER_CONN_", "PIPER_VAR_")
"""What names of Piper's begin with that are for tasks: how files are loaded (`piper.compat`), and what a person has
put there for them to find (`piper.sdk.execution.lookups`)."""


def task_environment(own: dict[str, str]) -> dict[str, str]:
    """What tasks may see of this process's environment: all but Piper's own variables, some of which are secret."""
    return {name: value for name, value in own.items() if name.startswith(FOR_TASKS) or not name.startswith("PIPER_")}
