"""`piper run FILE`, wherever the file lies."""

from __future__ import annotations

from pathlib import Path

from piper.serializer.needs import SMALL
from tests.acceptance.site import clean_environment, run_piper

TEXT = """
from datetime import datetime
from piper.operators.bash import BashOperator
from piper.sdk import DAG, task
import near

with DAG("somewhere", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def read():
        from pathlib import Path
        return near.NUMBER

    read() >> BashOperator(task_id="render", bash_command="queries/say.sh")
"""


def test_of_a_folder_that_holds_too_much_only_what_the_file_needs_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    (folder / "queries").mkdir(parents=True)
    (folder / "far").mkdir()
    for number in range(SMALL.files + 1):
        (folder / "far" / str(number)).touch()
    with (folder / "large").open("wb") as file:
        file.truncate(2 << 30)
    (folder / "near.py").write_text("NUMBER = 7\n")
    (folder / "queries" / "say.sh").write_text("echo on {{ ds }}\n")
    (folder / "somewhere.py").write_text(TEXT)
    home = tmp_path / "piper"
    done = run_piper(
        "run", folder / "somewhere.py", "--logical-date", "2026-07-08",
        environment=clean_environment(PIPER_HOME=str(home)),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "holds too much to copy: taking somewhere.py" in done.err
    assert "near.py" in done.err
    assert "on 2026-07-08" in done.err
    copied = sum(path.stat().st_size for path in (home / "snapshots").rglob("*") if path.is_file())
    assert copied < 1 << 20, "and nothing else is copied"
