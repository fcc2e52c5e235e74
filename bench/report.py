"""`python -m bench.report`: the figures of bench/results/latest.json beside goals, floors and other systems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.goals import GOALS
from bench.peers import COMPARABLE

LATEST = Path(__file__).parent / "results" / "latest.json"

FLOORS = {
    "fanout_500.tasks_per_s": "floor.fork.tasks_per_s",
    "fanout_500_warm.tasks_per_s": "floor.warm.tasks_per_s",
    "backfill_10000.runs_per_s": "floor.backfill.runs_per_s",
    "chain_50.hop_p50_s": "floor.fork.hop_p50_s",
    "chain_10_fib33.wall_s": "chain_10_fib33.bare_s",
}
"""Figure → the figure beside it that nothing could beat."""

HEADER = ("figure", "goal", "floor", "Piper", "met", "others")


def rows(figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each figure that has a goal or was measured; floors stand beside what they are the floor of.

    Arguments:
        figures: name → value, unit, runs, as in the file; a figure that was not measured is a dash.
    """
    beside = set(FLOORS.values())
    found = []
    for name in [*GOALS, *(name for name in figures if name not in GOALS and name not in beside)]:
        figure, goal, floor = figures.get(name), GOALS.get(name), figures.get(FLOORS.get(name, ""))
        met = "" if goal is None or figure is None else "yes" if goal.is_met(figure["value"]) else "NO"
        found.append(
            (
                name,
                "" if goal is None else str(goal),
                shown(floor),
                f"{shown(figure)} {figure['unit']}" if figure else "–",
                met,
                COMPARABLE.get(name, ""),
            )
        )
    return found


def shown(figure: Mapping[str, Any] | None) -> str:
    """A figure's value with its spread: the median, and the extremes where it was measured more than once."""
    if figure is None:
        return ""
    value, runs = _number(figure["value"]), figure["runs"]
    return value if len(runs) < 2 else f"{value} ({_number(min(runs))}–{_number(max(runs))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    """Print the table."""
    document = json.loads(LATEST.read_text())
    table = Table()
    for name in HEADER:
        table.add_column(name, no_wrap=name == "figure")
    for row in rows(document["figures"]):
        table.add_row(*row)
    machine = document["machine"]
    print(
        f"commit {document['commit'][:10]}, measured {machine['measured_at']} on {machine['cores']} cores "
        f"({machine['processor']}, {machine['memory_gib']} GiB, Python {machine['python']}); "
        f"load before {machine['load_before']:.1f}"
    )
    Console().print(table)


if __name__ == "__main__":
    main()
