"""Airflow's example files, out of its wheels: downloaded with pip when a test first wants them, and kept in a cache."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = ("apache-airflow-core==3.3.2", "apache-airflow-providers-standard==1.21.0")
FOLDERS = ("airflow/example_dags/", "airflow/providers/standard/example_dags/")
FILES = 67


def unpack(folder: Path) -> Path:
    """Put the example folders of both wheels below a folder, as they lie in Airflow; gives that folder.

    Raises:
        subprocess.CalledProcessError: pip cannot download them.
    """
    for wheel in _wheels():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(FOLDERS)])
    return folder


def files_of(root: Path) -> dict[str, Path]:
    """Name → DAG file, relative to the root: what lies right in the example folders, the packages' own files aside."""
    found = [path for folder in FOLDERS for path in sorted(root.joinpath(folder).glob("*.py"))]
    return {path.stem: path.relative_to(root) for path in found if path.name != "__init__.py"}


def _wheels() -> list[Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "piper" / "wheels"
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for package in PACKAGES:
        name, _, version = package.partition("==")
        wheel = cache / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        if not wheel.exists():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", cache, package]
            subprocess.run(command, check=True)
        found.append(wheel)
    return found
