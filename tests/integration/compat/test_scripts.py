"""A file that imports airflow can be run as a program, for its `dag.test()`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from airflow.sdk import dag, task
from beside import NAME

@dag
def tried():
    @task
    def greet():
        print(f"hello {NAME}", sys.argv[1:])
        return NAME

    greet()

made = tried()
if __name__ == "__main__":
    run = made.test()
    print(run.state, run["greet"].result)
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "piper.testing", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_file_that_imports_airflow_runs_as_a_program(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'Ada'")
    (tmp_path / "tried.py").write_text(SCRIPT)
    done = run(tmp_path / "tried.py", "--fast")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["hello Ada ['--fast']", "success Ada"]


def test_without_a_file_it_says_what_it_wants(tmp_path: Path) -> None:
    for arguments in ((), (tmp_path / "missing.py",)):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("usage: python -m piper.testing FILE")
