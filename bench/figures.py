"""The figures of docs/benchmarks.md, each measured as a user would meet it.

Every function yields (figure name, unit, values of its repetitions); the value of a figure is their median.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from bench import backfills, steps, triggers
from bench.instance import PATIENCE, ROOT, WORKFLOWS, Finished, Instance, copy_of, standalone

ZYGOTE_IMPORTS = ("piper.sdk", "piper.sdk.execution.runner", "piper.operators.python", "piper.worker.child")
"""What a task's process has imported before it is forked, for the floor to import too."""


class Figure(NamedTuple):
    """One measured figure."""

    name: str
    unit: str
    runs: list[float]

    @property
    def value(self) -> float:
        """The median of the repetitions."""
        return statistics.median(self.runs)


def floor(mode: str) -> dict[str, float]:
    """The fastest that a durable scheduler could be on this machine, now (see `bench/floor.py`)."""
    imports = [word for module in ZYGOTE_IMPORTS for word in ("--import", module)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "floor.py"), mode, *imports], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def fanout() -> Iterator[Figure]:
    """500 tasks at once, each in a process of its own and each in a warm one; the floor beside it."""
    with standalone(copy_of("fanout.py")) as piper:
        piper.wait_for_workflows(2)
        piper.run("fanout_fork")  # the zygote is started and its file loaded
        forked = [_rate(piper.run("fanout_fork")) for _ in range(5)]
        piper.run("fanout_warm")
        warm = [_rate(piper.run("fanout_warm")) for _ in range(5)]
    below = floor("fork")["fanout_tasks_per_s"]
    yield Figure("fanout_500.tasks_per_s", "tasks/s", forked)
    yield Figure("fanout_500.fork_floor_ratio", "ratio", [rate / below for rate in forked])
    yield Figure("floor.fork.tasks_per_s", "tasks/s", [below])
    yield Figure("fanout_500_warm.tasks_per_s", "tasks/s", warm)
    yield Figure("floor.warm.tasks_per_s", "tasks/s", [floor("warm")["fanout_tasks_per_s"]])


def expand() -> Iterator[Figure]:
    """A task mapped over the 10,000 elements of a result, warm; the floor and the growth of the server beside it."""
    with standalone(copy_of("expand.py")) as piper:
        piper.wait_for_workflows(2)
        piper.run("expand_100")
        before = _peak_mb(piper.process.pid)
        expanded = [piper.run("expand_10000") for _ in range(3)]
        grown = _peak_mb(piper.process.pid) - before
    below = floor("warm")["fanout_tasks_per_s"]
    yield Figure("expand_10000.tasks_per_s", "tasks/s", [_rate(run) for run in expanded])
    yield Figure("expand_10000.warm_floor_ratio", "ratio", [_rate(run) / below for run in expanded])
    yield Figure("expand_10000.server_growth_mb", "MiB", [grown])


def step_cost() -> Iterator[Figure]:
    """What an event costs the scheduler, commit included, in runs of 100 and of 10,000 tasks."""
    compared = list(steps.compare())
    for one in compared:
        yield Figure(f"step_cost.{one.shape}_100_us", "µs", [cost * 1e6 for cost in one.small])
        yield Figure(f"step_cost.{one.shape}_10000_us", "µs", [cost * 1e6 for cost in one.large])
    yield Figure("step_cost.ratio", "ratio", [max(one.ratio for one in compared)])
    yield Figure("step_cost.core_ratio", "ratio", [max(one.core_ratio for one in compared)])
    yield Figure("step_cost.longest_tick_s", "s", [max(one.longest_tick for one in compared)])


def backfill() -> Iterator[Figure]:
    """A backfill of 10,000 runs is asked for and made; the floor beside it."""
    with standalone(copy_of("backfills.py")) as piper:
        piper.wait_for_workflows(3)
        rates = [backfills.make_runs(piper, f"backfilled_{number}") for number in range(3)]
        below = [backfills.floor(piper) for _ in range(3)]
    yield Figure("backfill_10000.runs_per_s", "runs/s", rates)
    yield Figure("floor.backfill.runs_per_s", "runs/s", below)


def chains() -> Iterator[Figure]:
    """Tasks one after the other: the hop between them, and what little and real work cost."""
    with standalone(copy_of("chains.py")) as piper:
        piper.wait_for_workflows(3)
        piper.run("chain_50")
        runs = [piper.run("chain_50") for _ in range(5)]
        little = [piper.run("chain_40_fib10").wall for _ in range(5)]
        work = [piper.run("chain_10_fib33").wall for _ in range(3)]
        bare = [_bare_fib() for _ in range(3)]
    hops = [sorted(_hops(run)) for run in runs]
    yield Figure("chain_50.hop_p50_s", "s", [statistics.median(hop) for hop in hops])
    yield Figure("chain_50.hop_p99_s", "s", [hop[int(len(hop) * 0.99)] for hop in hops])
    yield Figure("floor.fork.hop_p50_s", "s", [floor("fork")["hop_p50_ms"] / 1e3])
    yield Figure("chain_40_fib10.wall_s", "s", little)
    yield Figure("chain_10_fib33.wall_s", "s", work)
    yield Figure("chain_10_fib33.bare_s", "s", bare)
    yield Figure("chain_10_fib33.bare_ratio", "ratio", [wall / statistics.median(bare) for wall in work])


def burst() -> Iterator[Figure]:
    """1,000 workflows of five tasks, all due at one instant."""
    folder = copy_of("burst.py")
    due = datetime.now(UTC) + timedelta(seconds=12)
    (folder / "due.txt").write_text(due.isoformat())
    with standalone(folder) as piper:
        piper.wait_for_workflows(1_000)
        if datetime.now(UTC) > due:
            raise RuntimeError("the workflows were not there before they were due: give it more time")
        begun = time.perf_counter() + (due - datetime.now(UTC)).total_seconds()
        while piper.database.execute("SELECT count(*) FROM run WHERE state = 'success'").fetchone()[0] < 1_000:
            if time.perf_counter() - begun > PATIENCE:
                raise TimeoutError("the burst did not end")
            time.sleep(0.02)
        wall = time.perf_counter() - begun
        done = piper.database.execute("SELECT count(*) FROM attempt WHERE state = 'success'").fetchone()[0]
        assert done == 5_000, done
    yield Figure("burst_1000x5.wall_s", "s", [wall])


def assets() -> Iterator[Figure]:
    """One success that changes an asset which schedules 1,000 workflows; and successes of 1,000 changes each."""
    made, rates = [], []
    with standalone(copy_of("assets.py")) as piper:
        piper.wait_for_workflows(1_003)
        for repetition in range(1, 4):
            ended = piper.run("changes_one").intervals[-1][1]
            made.append(_reached(piper, _CONSUMERS, 1_000 * repetition) - ended)
        for repetition in range(1, 4):
            ended = piper.run("changes_1000").intervals[-1][1]
            rates.append(1_000 / (_reached(piper, _COUNTED, 1_000 * repetition) - ended))
    yield Figure("assets_1000.runs_made_s", "s", made)
    yield Figure("assets_1000.events_per_s", "events/s", rates)


_CONSUMERS = "SELECT count(*) FROM run WHERE workflow_id LIKE 'consumer%'"
_COUNTED = "SELECT count(*) FROM asset_delivery WHERE workflow_id = 'counts' AND run IS NOT NULL"


def _reached(piper: Instance, query: str, count: int) -> float:
    """The moment (seconds since 1970) at which a count was first seen to be reached."""
    begun = time.perf_counter()
    while piper.database.execute(query).fetchone()[0] < count:
        if time.perf_counter() - begun > PATIENCE:
            raise TimeoutError(f"{count} was not reached: {query}")
        time.sleep(0.002)
    return time.time()


def many() -> Iterator[Figure]:
    """One file with 5,000 workflows: parsed, stored and listed; then idle."""
    folder = copy_of()
    with standalone(folder) as piper:
        begun = time.perf_counter()
        shutil.copy(WORKFLOWS / "many.py", folder)
        piper.wait_for_workflows(5_000)
        parse = time.perf_counter() - begun
        time.sleep(15)  # what it starts for loading ends after ten seconds without work
        idle = [_cpu_percent(piper, 10.0) for _ in range(3)]
    yield Figure("parse_5000.wall_s", "s", [parse])
    yield Figure("idle_5000.cpu_percent", "%", idle)


def start() -> Iterator[Figure]:
    """From start to ready on a fresh home, and what it takes of memory at rest."""
    ready, memory = [], []
    for _ in range(5):
        with standalone(copy_of()) as piper:
            ready.append(piper.ready)
            time.sleep(1)
            memory.append(sum(map(_pss, piper.processes())) / 2**20)
    yield Figure("startup.ready_s", "s", ready)
    yield Figure("system.pss_mb", "MiB", memory)


def deferral() -> Iterator[Figure]:
    """Ten thousand triggers that sleep, and twenty tasks in a row that each defer once."""
    taken, memory, theirs, ours = triggers.sleeping(10_000)
    yield Figure("triggers_10000.begun_s", "s", [taken])
    yield Figure("triggers_10000.process_pss_mb", "MB", [memory])
    yield Figure("triggers_10000.cpu_percent", "%", [theirs + ours])
    with standalone(copy_of("waits.py")) as piper:
        piper.wait_for_workflows(1)
        piper.run("deferral_chain_20")  # the process for triggers is started, and the zygote
        chains = [piper.run("deferral_chain_20") for _ in range(3)]
    yield Figure("deferral_chain_20.task_p50_s", "s", [_between_starts(chain) for chain in chains])


def _between_starts(run: Finished) -> float:
    """Seconds from the start of a task to that of the next: two executions, and the wait between them."""
    return statistics.median(b[0] - a[0] for a, b in zip(run.intervals, run.intervals[1:], strict=False))


ALL = {
    "fanout": fanout,
    "expand": expand,
    "step_cost": step_cost,
    "backfill": backfill,
    "chains": chains,
    "burst": burst,
    "assets": assets,
    "many": many,
    "start": start,
    "deferral": deferral,
}


def _rate(run: Finished) -> float:
    return run.tasks / run.wall


def _hops(run: Finished) -> list[float]:
    return [b[0] - a[1] for a, b in zip(run.intervals, run.intervals[1:], strict=False)]


def _bare_fib() -> float:
    """Seconds of the computation of chain_10_fib33 in one process and nothing else."""
    code = "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nfor _ in range(10): fib(33)"
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun


def _cpu_percent(piper: Instance, seconds: float) -> float:
    """Of one core, over all processes."""
    before = sum(map(_cpu_seconds, piper.processes()))
    time.sleep(seconds)
    return (sum(map(_cpu_seconds, piper.processes())) - before) / seconds * 100


def _cpu_seconds(pid: int) -> float:
    """That its threads have had, as the scheduler counts it: ticks, of ten milliseconds, are sampled."""
    return sum(int(thread.read_text().split()[0]) for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return 0
