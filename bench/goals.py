"""What each figure should be, and which way is better."""

from __future__ import annotations

from typing import NamedTuple


class Goal(NamedTuple):
    """A bound."""

    bound: float
    at_least: bool

    def is_met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


GOALS = {
    "fanout_500.tasks_per_s": Goal(300, True),
    "fanout_500.fork_floor_ratio": Goal(0.4, True),
    "fanout_500_warm.tasks_per_s": Goal(1500, True),
    "expand_10000.tasks_per_s": Goal(1000, True),
    "expand_10000.server_growth_mb": Goal(100, False),
    "step_cost.ratio": Goal(2, False),
    "step_cost.longest_tick_s": Goal(1, False),
    "backfill_10000.runs_per_s": Goal(1000, True),
    "chain_50.hop_p50_s": Goal(0.006, False),
    "chain_50.hop_p99_s": Goal(0.025, False),
    "chain_40_fib10.wall_s": Goal(0.5, False),
    "chain_10_fib33.bare_ratio": Goal(1.08, False),
    "burst_1000x5.wall_s": Goal(20, False),
    "assets_1000.runs_made_s": Goal(2, False),
    "assets_1000.events_per_s": Goal(1000, True),
    "parse_5000.wall_s": Goal(8, False),
    "idle_5000.cpu_percent": Goal(1, False),
    "startup.ready_s": Goal(2, False),
    "system.pss_mb": Goal(200, False),
}
