"""What user code sees of the environment of the process that it is started by."""

from __future__ import annotations

FOR_TASKS = frozenset({"PIPER_CORE__AIRFLOW_MODE", "PIPER_CORE__PLUGINS_FOLDER"})
"""Settings of Piper that say how files are loaded (`piper.compat`)."""


def task_environment(own: dict[str, str]) -> dict[str, str]:
    """What tasks may see of this process's environment: all but Piper's own variables, some of which are secret."""
    return {name: value for name, value in own.items() if name in FOR_TASKS or not name.startswith("PIPER_")}
