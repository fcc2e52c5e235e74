"""What an event costs the scheduler, by the size of its run: its whole tick, with SQLite and synchronous=FULL.

    python -m bench.steps [--profile SHAPE]

A run is played from its first tick to its end: each tick reads the reports of sixteen tasks, decides, commits, and
schedules the next ones. What tasks do costs nothing here, and making the reports is not counted. `core` is the same
run through `core.run.step` alone.

The shapes, of N tasks: `flat`, one above many above one; `mapped`, a task mapped over a result; `remapped`, half as
many, and a task mapped over their results; `paired`, two tasks mapped over written lists, one above the other;
`grouped`, two tasks in a mapped group.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy

from piper.core.graph import Graph
from piper.core.memory import RunMemory
from piper.core.run import Begin, step
from piper.model.events import RunQueued, SpecPublished, Succeeded
from piper.model.ids import shard_of
from piper.model.run import Identity, Run
from piper.model.spec import (
    GroupSpec,
    LiteralLength,
    ResultLength,
    SourceLocation,
    TaskSpec,
    WorkflowSpec,
    encode_spec,
    spec_hash,
)
from piper.model.states import RunState, RunType, TaskState
from piper.scheduler.service import SchedulerService
from piper.service import SystemClock, Wakeups
from piper.store import schema
from piper.store.database import Database, Fence
from piper.store.events import append_events, event_row
from piper.store.migrations import migrate
from piper.store.runs import create_run

REPORTS = 16
"""Reports that a tick finds."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _flat(size: int) -> Shape:
    names = tuple(sorted(f"t{number}" for number in range(size)))
    return Shape((_task("root"), *(_task(name, "root") for name in names), _task("join", *names)))


def _mapped(size: int) -> Shape:
    return Shape((_task("root"), _task("work", "root", mapped=ResultLength("root"))), size)


def _remapped(size: int) -> Shape:
    tasks = *_mapped(size).tasks, _task("again", "work", mapped=ResultLength("work"))
    return Shape(tasks, size // 2)


def _paired(size: int) -> Shape:
    length = LiteralLength(size // 2)
    return Shape((_task("above", mapped=length), _task("below", "above", mapped=length)))


def _grouped(size: int) -> Shape:
    group = GroupSpec("g", mapped=ResultLength("root"))
    return Shape(
        (_task("root"), _task("g.one", "root", group="g"), _task("g.two", "g.one", group="g")), size // 2, (group,)
    )


def _task(task_id: str, *upstream: str, **values: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, operator="bench.Nothing", upstream=upstream, **values)


class Shape(NamedTuple):
    """Tasks, and how long the results are that they return."""

    tasks: tuple[TaskSpec, ...]
    length: int = 0
    groups: tuple[GroupSpec, ...] = ()


SHAPES: dict[str, Callable[[int], Shape]] = {
    "flat": _flat,
    "mapped": _mapped,
    "remapped": _remapped,
    "paired": _paired,
    "grouped": _grouped,
}


def workflow(shape: str, size: int) -> tuple[WorkflowSpec, int]:
    """A workflow of that shape with about `size` task instances, and how long its tasks' results are."""
    made = SHAPES[shape](size)
    spec = WorkflowSpec(
        workflow_id=f"{shape}_{size}",
        source=SourceLocation("steps.py"),
        tasks=made.tasks,
        groups=made.groups,
        max_active_tasks=4 * REPORTS,
    )
    return spec, made.length


class Cost(NamedTuple):
    """Seconds of one run."""

    per_event: float
    longest_tick: float


class Term:
    """Ownership of every shard."""

    def __init__(self) -> None:
        self._fence = Fence("bench", dict.fromkeys(range(256), 1))

    def fence(self) -> Fence:
        """Always the same."""
        return self._fence

    def forget(self, fence: Fence, shards: object) -> None:
        """Nobody else is there."""


class Shell:
    """A scheduler over a database of its own, and the reports that it is to hear."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder / 'piper.db'}")
        migrate(self.database)
        with self.database.write() as connection:
            shard = schema.shard
            connection.execute(sqlalchemy.update(shard).where(shard.c.shard >= 0).values(owner="bench", epoch=1))
        self.scheduler = SchedulerService(
            self.database, Term(), SystemClock(), Wakeups(), lambda _: None, by_time=False
        )

    def publish(self, spec: WorkflowSpec) -> None:
        """Store a workflow."""
        body = encode_spec(spec)
        with self.database.write() as connection:
            connection.execute(schema.spec.insert().values(hash=spec_hash(body), body=body.decode()))
            connection.execute(
                schema.workflow.insert().values(
                    workflow_id=spec.workflow_id,
                    shard=shard_of(spec.workflow_id),
                    team="default",
                    bundle="b",
                    file="steps.py",
                    version=1,
                    spec_hash=spec_hash(body),
                    snapshot="s",
                    paused=False,
                    tags=[],
                    max_active_runs=spec.max_active_runs,
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
            published = SpecPublished(spec.workflow_id, spec_hash(body))
            append_events(connection, [event_row(shard_of(spec.workflow_id), None, published, NOW)])
        self.scheduler.tick()

    def run(self, spec: WorkflowSpec, length: int) -> Cost:
        """Play one run to its end."""
        with self.database.write() as connection:
            run = create_run(
                connection, workflow_id=spec.workflow_id, run_type=RunType.MANUAL, now=NOW, logical_date=None,
                run_after=NOW, suffix=f"{time.monotonic_ns():x}",
            )  # fmt: skip
            append_events(connection, [event_row(run.shard, run.id, RunQueued(run.id), NOW)])
        ticks: list[float] = []
        events = 0
        while True:
            begun = time.perf_counter()
            self.scheduler.tick()
            ticks.append(time.perf_counter() - begun)
            scheduled = self._scheduled(run.id)
            if not scheduled:
                memory = self.scheduler.book.runs.get(run.id)
                if memory is None:
                    return Cost(sum(ticks) / events, max(ticks))
                continue
            events += len(scheduled)
            with self.database.write() as connection:
                append_events(
                    connection,
                    [event_row(run.shard, run.id, Succeeded(one, length), NOW) for one in scheduled],
                )

    def _scheduled(self, run: int) -> list[Identity]:
        table = schema.task_instance
        chosen = (
            sqlalchemy.select(table.c.id, table.c.try_number, table.c.leg)
            .where(table.c.run == run, table.c.state == TaskState.SCHEDULED)
            .limit(REPORTS)
        )
        with self.database.read() as connection:
            return [Identity(*row) for row in connection.execute(chosen)]


def core_cost(spec: WorkflowSpec, length: int) -> Cost:
    """One run through the core alone."""
    run = _queued(spec)
    memory = RunMemory(run, Graph(spec))
    waiting: list[Identity] = []
    told: list[Begin | Succeeded] = [Begin()]
    steps: list[float] = []
    events = 0
    while not memory.run.state.finished:
        begun = time.perf_counter()
        changes = step(memory, told, NOW + timedelta(seconds=1))
        memory.take_over(changes)
        steps.append(time.perf_counter() - begun)
        waiting += [
            ti.identity for ti in changes.instances.values() if ti is not None and ti.state is TaskState.SCHEDULED
        ]
        told = [Succeeded(one, length) for one in waiting[:REPORTS]]
        del waiting[:REPORTS]
        events += len(told)
    return Cost(sum(steps) / events, max(steps))


def _queued(spec: WorkflowSpec) -> Run:
    return Run(
        id=1,
        workflow_id=spec.workflow_id,
        run_id="manual",
        shard=0,
        team="default",
        run_type=RunType.MANUAL,
        state=RunState.QUEUED,
        logical_date=None,
        interval=None,
        run_after=NOW,
        spec_hash="h",
        snapshot="s",
        created_at=NOW,
    )


class Comparison(NamedTuple):
    """What an event costs in runs of a shape, in seconds."""

    shape: str
    small: list[float]
    large: list[float]
    core_small: list[float]
    core_large: list[float]
    longest_tick: float

    @property
    def ratio(self) -> float:
        """How much more it costs in a large run."""
        return statistics.median(self.large) / statistics.median(self.small)

    @property
    def core_ratio(self) -> float:
        """The same of the core alone."""
        return statistics.median(self.core_large) / statistics.median(self.core_small)


SMALL, LARGE = 100, 10_000


def compare(shapes: tuple[str, ...] = tuple(SHAPES), repetitions: int = 3) -> Iterator[Comparison]:
    """Play runs of both sizes in turn."""
    with tempfile.TemporaryDirectory(prefix="piper-bench-") as folder:
        shell = Shell(Path(folder))
        for shape in shapes:
            played = {size: workflow(shape, size) for size in (SMALL, LARGE)}
            costs: dict[int, list[Cost]] = {SMALL: [], LARGE: []}
            core: dict[int, list[Cost]] = {SMALL: [], LARGE: []}
            for spec, _ in played.values():
                shell.publish(spec)
            for _ in range(repetitions):
                for size, (spec, length) in played.items():
                    for _ in range(10 if size == SMALL else 1):
                        costs[size].append(shell.run(spec, length))
                        core[size].append(core_cost(spec, length))
            yield Comparison(
                shape,
                [c.per_event for c in costs[SMALL]],
                [c.per_event for c in costs[LARGE]],
                [c.per_event for c in core[SMALL]],
                [c.per_event for c in core[LARGE]],
                max(c.longest_tick for c in costs[LARGE]),
            )
        shell.database.close()


def main() -> None:
    """Print the comparison; `--profile` prints where the time of a large run of one shape goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=sorted(SHAPES), help="profile one large run of this shape")
    profiled = parser.parse_args().profile
    if profiled:
        with tempfile.TemporaryDirectory(prefix="piper-bench-") as folder:
            shell = Shell(Path(folder))
            spec, length = workflow(profiled, LARGE)
            shell.publish(spec)
            profile = cProfile.Profile()
            profile.runcall(shell.run, spec, length)
            pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    for one in compare(repetitions=1):
        figures = {
            "small": one.small, "large": one.large, "core small": one.core_small, "core large": one.core_large,
        }  # fmt: skip
        medians = "  ".join(f"{name} {statistics.median(values) * 1e6:.0f} µs" for name, values in figures.items())
        print(
            f"{one.shape:8} {medians}  ratio {one.ratio:.2f}  core {one.core_ratio:.2f}"
            f"  longest tick {one.longest_tick * 1e3:.0f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
