"""The settings of the import layer reach the processes that load files, wherever they are set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FORMER = """
from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("former", schedule_interval="@daily"):
    BashOperator(task_id="x", bash_command="true")
"""
TEMPLATE = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("template"):
    BashOperator(task_id="x", bash_command="echo {{ execution_date }} {{ macros.shop.shelf() }}")
"""
PLUGIN = """
from airflow.plugins_manager import AirflowPlugin

def shelf():
    return "shelf 7"

class Shop(AirflowPlugin):
    name = "shop"
    macros = [shelf]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def piper(home: Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIPER_")}
    command = [sys.executable, "-m", "piper.cli.main", *arguments]
    environment = {**clean, **variables, "PIPER_HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_former_spelling_is_warned_of_by_line_and_refused_if_the_file_of_settings_says_strict(
    home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "former.py"
    file.write_text(FORMER)
    lenient = piper(home, "validate", file)
    assert lenient.returncode == 0
    where, what = lenient.stdout.splitlines()
    assert where.startswith(
        f"{file}:3: DeprecatedImportWarning: airflow.operators.bash.BashOperator is airflow.providers"
    )
    assert what.startswith(f"{file}:5: FormerArgumentWarning: ")
    assert what.endswith("'schedule_interval' is called 'schedule' now")
    (home / "piper.toml").write_text('[core]\nairflow_mode = "strict"\n')
    strict = piper(home, "validate", file, "-o", "json")
    assert strict.returncode == 1
    (found,) = json.loads(strict.stdout)
    assert "'schedule_interval'" in found["error"]
    assert found["error_line"] == 5


def test_tasks_are_run_in_the_mode_and_with_the_plugins_that_the_file_of_settings_says(
    home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "flow" / "template.py"
    file.parent.mkdir()
    file.write_text(TEMPLATE)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "shop.py").write_text(PLUGIN)
    settings = home / "piper.toml"
    settings.write_text(f'[core]\nplugins_folder = "{tmp_path / "plugins"}"\n')
    lenient = piper(home, "run", file, "--logical-date", "2026-05-04")
    assert lenient.returncode == 0, lenient.stderr
    assert "2026-05-04 00:00:00+00:00 shelf 7" in lenient.stderr
    settings.write_text(settings.read_text() + 'airflow_mode = "strict"\n')
    strict = piper(home, "run", file, "--logical-date", "2026-05-05")
    assert strict.returncode == 1
    assert "'execution_date' is undefined" in strict.stderr


def test_a_variable_at_the_top_of_a_file_is_read_from_the_environment_by_loader_and_worker(
    home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "top.py"
    file.write_text("""
from airflow.models import Variable
from airflow.sdk import DAG, task

LIMIT = Variable.get("limit", default_var=5)
REGION = Variable.get("region")

with DAG("top", description=f"at most {LIMIT}"):
    @task
    def show():
        print(f"limit {LIMIT}")

    show()
""")
    without = piper(home, "validate", file)
    assert without.returncode == 1
    assert f"{file}:6:" in without.stdout
    assert "Variable region not found" in without.stdout
    assert "AIRFLOW_VAR_REGION" in without.stdout
    done = piper(home, "run", file, AIRFLOW_VAR_LIMIT="7", PIPER_VAR_REGION="north")
    assert done.returncode == 0, done.stderr
    assert "limit 7" in done.stderr
    assert piper(home, "validate", file, PIPER_VAR_REGION="north").returncode == 0
