"""`python -m bench [NAME …]`: measure, print a table, write `bench/results/latest.json`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import ALL, Figure
from bench.goals import GOALS
from bench.instance import ROOT

LATEST = ROOT / "bench" / "results" / "latest.json"


def main() -> None:
    """Measure the named groups of figures, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}; all if none is given")
    chosen = parser.parse_args().names or list(ALL)
    unknown = sorted(set(chosen) - ALL.keys())
    if unknown:
        parser.error(f"there is no {unknown[0]!r}: choose from {', '.join(ALL)}")
    figures: list[Figure] = []
    for name in chosen:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures += ALL[name]()
    show(figures)
    write(figures, LATEST)


def show(figures: list[Figure]) -> None:
    """A table for people: the figure, its spread over the repetitions, the goal."""
    table = Table("figure", "value", "unit", "runs", "goal")
    for figure in figures:
        goal = GOALS.get(figure.name)
        met = "" if goal is None else f"{goal} {'met' if goal.is_met(figure.value) else 'MISSED'}"
        spread = " ".join(f"{run:.4g}" for run in figure.runs)
        table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, spread, met)
    Console(width=140).print(table)


def write(figures: list[Figure], path: Path) -> None:
    """Add these figures to the file, beside those that were not measured now."""
    before = json.loads(path.read_text())["figures"] if path.exists() else {}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    measured = {f.name: {"value": f.value, "unit": f.unit, "runs": f.runs} for f in figures}
    path.parent.mkdir(exist_ok=True)
    document = {"machine": _machine(), "commit": commit.stdout.strip(), "figures": before | measured}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _machine() -> dict[str, object]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "processor": models[0] if models else platform.processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[1],
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    main()
