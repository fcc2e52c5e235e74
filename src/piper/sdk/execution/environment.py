"""Environment variables that tell a task's programs which execution they are part of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from piper.sdk.execution.current import Execution

FENCE_TOKEN = "PIPER_FENCE_TOKEN"  # noqa: S105, a number for others to compare, no secret
"""`<try>.<leg>` of the execution: it only rises, so a system that remembers the highest can refuse a stale one."""

_NAMES = {
    "dag_email": "AIRFLOW_CTX_DAG_EMAIL",
    "dag_owner": "AIRFLOW_CTX_DAG_OWNER",
    "dag_id": "AIRFLOW_CTX_DAG_ID",
    "task_id": "AIRFLOW_CTX_TASK_ID",
    "logical_date": "AIRFLOW_CTX_LOGICAL_DATE",
    "try_number": "AIRFLOW_CTX_TRY_NUMBER",
    "dag_run_id": "AIRFLOW_CTX_DAG_RUN_ID",
    "team_name": "AIRFLOW_CTX_TEAM_NAME",
}

AIRFLOW_VAR_NAME_FORMAT_MAPPING = {
    f"AIRFLOW_CONTEXT_{name.upper()}": {"default": f"airflow.ctx.{name}", "env_var_format": variable}
    for name, variable in _NAMES.items()
}
"""Airflow's name for this table, which providers import."""


def variables_of(execution: Execution) -> dict[str, str]:
    """The variables of an execution: Airflow's `AIRFLOW_CTX_…`, and the fence token."""
    identity = execution.facts.identity
    found = {_NAMES[name]: value for name, value in _facts(execution).items() if value}
    found[FENCE_TOKEN] = f"{identity.try_number}.{identity.leg}"
    return found


def context_to_airflow_vars(context: Mapping[str, Any], in_env_var_format: bool = False) -> dict[str, str]:
    """Airflow's variables of a context, under their names in the environment or as `airflow.ctx.…`."""
    facts = _facts(context["ti"].execution)
    return {
        _NAMES[name] if in_env_var_format else f"airflow.ctx.{name}": value for name, value in facts.items() if value
    }


def _facts(execution: Execution) -> dict[str, str]:
    run, task = execution.facts.run, execution.task
    email = task.email
    return {
        "dag_email": email if isinstance(email, str) else ",".join(email or ()),
        "dag_owner": task.owner,
        "dag_id": run.workflow_id,
        "task_id": execution.facts.task.task_id,
        "logical_date": _iso(run.logical_date),
        "try_number": str(execution.facts.identity.try_number),
        "dag_run_id": run.run_id,
        "team_name": execution.facts.team,
    }


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
