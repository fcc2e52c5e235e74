"""What tasks are given of the environment of their worker."""

from __future__ import annotations

from piper.worker.environment import task_environment, variables_in


def test_tasks_see_no_variable_of_pipers_but_those_for_them() -> None:
    theirs = {
        "PATH": "/bin",
        "AIRFLOW_CONN_SHOP": "http://shop",
        "PIPER_CONN_SHOP": "http://shop",
        "PIPER_VAR_LIMIT": "5",
        "PIPER_CORE__AIRFLOW_MODE": "strict",
        "PIPER_CORE__PLUGINS_FOLDER": "/plugins",
    }
    others = {"PIPER_HOME": "/home", "PIPER_TOKEN": "secret", "PIPER_DATABASE__URL": "postgresql://me:secret@db/piper"}
    assert task_environment(theirs | others) == theirs


def test_files_see_variables_of_the_environment_and_no_connections() -> None:
    variables = {"PIPER_VAR_LIMIT": "5", "AIRFLOW_VAR_REGION": "north"}
    others = {"PIPER_CONN_SHOP": "http://me:secret@shop", "AIRFLOW_CONN_SHOP": "http://shop", "PATH": "/bin"}
    assert variables_in(variables | others) == variables
