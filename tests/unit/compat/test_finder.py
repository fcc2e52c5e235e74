"""What lies on the path besides: other providers, unpacked folders, Apache Airflow itself."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from piper import compat
from piper.operators.bash import BashOperator
from piper.sdk import DAG
from tests.unit.compat.conftest import Load


def put(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.usefixtures("strict")
def test_providers_of_others_import_beside_the_standard_one(tmp_path: Path) -> None:

    put(
        tmp_path,
        airflow__providers__acme__operators__rocket=(
            "from airflow.providers.common.compat.sdk import BaseOperator\nclass Rocket(BaseOperator): ..."
        ),
        airflow__providers__standard__operators__extra="HERE = True",
        airflow__providers__standard__operators__bash="raise AssertionError('Piper has this one')",
    )
    sys.path.append(str(tmp_path))
    from airflow.providers.acme.operators.rocket import Rocket
    from airflow.providers.standard.operators.bash import BashOperator as Found
    from airflow.providers.standard.operators.extra import HERE

    assert Rocket(task_id="x", dag=DAG("d")).task_type == "Rocket"
    assert Found is BashOperator
    assert HERE


@pytest.mark.usefixtures("strict")
def test_an_unpacked_folder_of_examples_imports_under_airflow(load: Load) -> None:
    loaded = load(
        "from airflow.example_dags.libs.helper import print_stuff\nfrom airflow.sdk import DAG\n"
        "with DAG('x'):\n    pass",
        airflow__example_dags__libs__helper="def print_stuff(): ...",
    )
    assert list(loaded.dags) == ["x"]
    assert loaded.imported == ["airflow/example_dags/libs/helper.py"]


def test_where_airflow_itself_is_installed_it_wins_and_we_say_so(tmp_path: Path) -> None:
    (tmp_path / "airflow" / "models").mkdir(parents=True)
    (tmp_path / "airflow" / "__init__.py").write_text("REAL = True")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.warns(compat.AirflowIsInstalled, match="is not Piper and its DAGs are not seen: uninstall"):
            compat.install(compat.Mode.LENIENT)
        assert import_module("airflow").REAL
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "airflow"]:
            del sys.modules[name]


def test_a_folder_of_ones_own_that_is_called_airflow_does_not_hide_piper(tmp_path: Path) -> None:
    put(tmp_path, airflow__things="X = 1")
    sys.path.insert(0, str(tmp_path))
    compat.install(compat.Mode.STRICT)
    from airflow import sdk
    from airflow.things import X

    assert (sdk.DAG, X) == (DAG, 1)


def test_the_environment_says_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compat.mode_of_environment() is compat.Mode.LENIENT
    monkeypatch.setenv(compat.VARIABLE, "strict")
    assert compat.mode_of_environment() is compat.Mode.STRICT
    monkeypatch.setenv(compat.VARIABLE, "pedantic")
    with pytest.raises(ValueError, match="must be one of lenient, strict, not 'pedantic'"):
        compat.install()


def test_installing_twice_changes_nothing_and_another_mode_replaces_the_first() -> None:
    compat.install(compat.Mode.STRICT)
    before, modules = list(sys.meta_path), import_module("airflow.sdk")
    compat.install(compat.Mode.STRICT)
    assert sys.meta_path == before
    assert import_module("airflow.sdk") is modules
    compat.install(compat.Mode.LENIENT)
    assert len(sys.meta_path) == len(before)
    compat.uninstall()
    assert len(sys.meta_path) == len(before) - 1
    assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
