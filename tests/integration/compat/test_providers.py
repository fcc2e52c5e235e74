"""A provider of somebody else, installed as a distribution beside Piper, is imported by files and by their tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEEL = "apache_airflow_providers_acme-1.0-py3-none-any.whl"
INFO = "apache_airflow_providers_acme-1.0.dist-info"
CONTENTS = {
    "airflow/providers/acme/__init__.py": "",
    "airflow/providers/acme/hooks/__init__.py": "",
    "airflow/providers/acme/hooks/rocket.py": """
from airflow.providers.common.compat.sdk import BaseHook

class RocketHook(BaseHook):
    def launch(self):
        return self.get_connection("pad").host
""",
    "airflow/providers/acme/operators/__init__.py": "",
    "airflow/providers/acme/operators/rocket.py": """
from airflow.providers.acme.hooks.rocket import RocketHook
from airflow.sdk import BaseOperator

class RocketOperator(BaseOperator):
    template_fields = ("name",)

    def __init__(self, *, name, **kwargs):
        super().__init__(**kwargs)
        self.name = name

    def execute(self, context):
        print(f"{self.name} from {RocketHook().launch()}")
""",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: apache-airflow-providers-acme\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": "",
}
FLOW = """
from airflow import DAG
from airflow.operators.bash_operator import BashOperator
from airflow.providers.acme.operators.rocket import RocketOperator

with DAG("launch", schedule_interval=None):
    BashOperator(task_id="fuel", bash_command="true") >> RocketOperator(task_id="rocket", name="{{ dag.dag_id }}")
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages with the provider in it, put there by pip."""
    wheel = tmp_path / WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in CONTENTS.items():
            archive.writestr(name, text)
    folder = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", folder, wheel]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_a_provider_that_is_installed_imports_under_airflow_and_runs(site: Path, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    environment = {
        **os.environ,
        "PIPER_HOME": str(home),
        "PYTHONPATH": str(site),
        "PIPER_CONN_PAD": "http://cape",
    }
    done = subprocess.run(
        [sys.executable, "-m", "piper.cli.main", "run", tmp_path / "flow.py", "-o", "json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {task["state"] for task in json.loads(done.stdout)["tasks"]} == {"success"}
    assert "launch from cape" in done.stderr
    said = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert any("flow.py:3: DeprecatedImportWarning: airflow.operators.bash_operator.BashOperator is" in s for s in said)
    assert any("flow.py:6: FormerArgumentWarning: " in line and "'schedule' now" in line for line in said)
