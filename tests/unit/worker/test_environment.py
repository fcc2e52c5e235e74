"""What tasks are given of the environment of their worker."""

from __future__ import annotations

from piper.worker.environment import lookups_in, task_environment


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


def test_files_see_the_variables_and_connections_of_the_environment_and_nothing_else() -> None:
    theirs = {"PIPER_VAR_LIMIT": "5", "AIRFLOW_VAR_REGION": "north", "PIPER_CONN_A": "http://a", "AIRFLOW_CONN_B": "b"}
    others = {"PIPER_TOKEN": "secret", "PATH": "/bin", "AIRFLOW_HOME": "/airflow"}
    assert lookups_in(theirs | others) == theirs
