"""The supervisor is small, and knows nothing of user code and databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.worker.harness import worker

LIST = "import sys, piper.worker.__main__; print(*(name for name in sys.modules if not name.startswith('_')))"


def modules() -> set[str]:
    listed = subprocess.run([sys.executable, "-P", "-c", LIST], check=True, capture_output=True, text=True)
    return set(listed.stdout.split())


def test_the_supervisor_imports_the_standard_library_msgspec_and_data_alone() -> None:
    names = modules()
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"msgspec", "piper"}
    assert foreign <= {"typing_extensions"}  # msgspec looks whether it is there
    packages = {".".join(name.split(".")[:2]) for name in names if name.startswith("piper.")}
    assert packages == {"piper.model", "piper.logs", "piper.worker"}
    assert names.isdisjoint({"asyncio", "logging", "sqlite3", "shutil", "subprocess", "threading"})


def test_the_supervisor_never_loads_what_meets_user_code() -> None:
    meets_user_code = {f"piper.worker.{name}" for name in ("child", "channel", "loading", "parent", "zygote")}
    assert modules().isdisjoint(meets_user_code)


def test_the_supervisor_takes_less_than_20_mb_at_rest(tmp_path: Path) -> None:
    with worker(tmp_path) as one:
        one.until(lambda: one.beats)
        rollup = Path(f"/proc/{one.process.pid}/smaps_rollup").read_text().splitlines()
        kibibytes = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    assert kibibytes < 20_000


def test_a_task_finds_no_secret_in_the_environment_of_its_worker(tmp_path: Path) -> None:
    environment = {"PIPER_DATABASE__URL": "postgresql://u:hunter2@h/d", "PIPER_VAR_LIMIT": "5", "PATH": "/usr/bin"}
    with worker(tmp_path, environment=environment) as one:
        one.until(lambda: one.beats)
        seen = Path(f"/proc/{one.process.pid}/environ").read_text()
    assert "hunter2" not in seen
    assert "PIPER_VAR_LIMIT=5" in seen
