"""Every path in the table of batteries leads to what it says."""

from __future__ import annotations

import pytest

from piper.sdk import batteries
from piper.sdk.batteries import ASSET_OPERATOR, DECORATORS, HOOKS, INSTALLED, PLAY_DAG
from piper.sdk.connection import Connection
from piper.sdk.dags import DAG
from piper.sdk.decorators import task
from piper.sdk.hook import BaseHook
from piper.sdk.importing import import_path
from piper.sdk.operator import BaseOperator


@pytest.mark.parametrize("name", DECORATORS)
def test_a_decorator_makes_the_operator_of_its_name(name: str) -> None:
    def function() -> str:
        return "x"

    with DAG("d") as dag:
        getattr(task, name)(function)()
    operator = dag.get_task("function")
    assert type(operator).__module__.startswith(INSTALLED)
    assert operator.operator_name == ("@task" if name == "python" else f"@task.{name}")


@pytest.mark.parametrize("conn_type", HOOKS)
def test_a_hook_is_that_of_its_type_of_connections(conn_type: str) -> None:
    hook = import_path(HOOKS[conn_type])
    assert issubclass(hook, BaseHook)
    assert hook.conn_type == conn_type


def test_a_connection_to_a_folder_makes_its_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHARE", '{"conn_type": "fs", "extra": {"path": "/nowhere"}}')
    assert Connection.get("share").get_hook().get_path() == "/nowhere"


def test_the_operator_of_assets_is_one() -> None:
    assert issubclass(import_path(ASSET_OPERATOR), BaseOperator)


def test_a_dag_can_be_run_in_a_test() -> None:
    assert callable(import_path(PLAY_DAG))


def test_the_table_cannot_be_changed_from_elsewhere() -> None:
    for table in (batteries.DECORATORS, batteries.HOOKS):
        with pytest.raises(TypeError):
            table["x"] = "y"  # type: ignore[index]
