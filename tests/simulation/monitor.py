"""Looks at the database after every commit: what changed, and was it allowed to?

One check for each promise that rows can show (correctness §1.3). A broken promise raises `Broken`, with the play's
seed and the last moves.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Set
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from piper.core.task import TABLE
from piper.model.run import Decision
from piper.model.schedule import CronTimetable
from piper.model.spec import TaskSpec, WorkflowSpec
from piper.model.states import FINISHED, TaskState
from tests.simulation.backfilling import BackfillMonitor
from tests.simulation.reference import Ended, Rows, faults, has_failed, may_run
from tests.simulation.steering import Steering, trouble_with_clears

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OCCUPIED = ("scheduled", "queued", "running", "restarting")
HELD = ("queued", "running", "restarting")

LEGAL = frozenset((s.value, t.value) for row in TABLE for s in row.sources for t in row.targets)


def _compositions() -> frozenset[tuple[str, str]]:
    """One step may take an instance through several rows: their compositions are legal too.

    What an owner writes in one commit begins with something that happened to an instance and goes on with what it
    decided because of that; it never passes through a state that only executors and workers write.
    """
    own = [row for row in TABLE if row.writer == "owner"]
    closure = {(s.value, t.value) for row in own for s in row.sources for t in row.targets}
    while True:
        more = {(a, d) for a, b in closure for c, d in closure if b == c} - closure
        if not more:
            return frozenset(closure) | LEGAL
        closure |= more


LEGAL_IN_ONE_COMMIT = _compositions()


class Broken(AssertionError):
    """A promise has been broken."""


class Row(NamedTuple):
    """What a task instance looks like."""

    id: int
    run: int
    task_id: str
    map_index: int
    state: str
    try_number: int
    leg: int
    pool: str
    pool_slots: int
    backfill: int


def _drawn(spec: WorkflowSpec, rows: Rows) -> str:
    """A run for a person to look at."""
    lines = [f"{group.group_id} is mapped over {group.mapped}" for group in spec.groups]
    for task in spec.tasks:
        nature = [n for n in ("setup", "teardown", "branches", "depends_on_past") if getattr(task, n)]
        about = f"{task.task_id} {task.trigger_rule} below {task.upstream} {task.mapped or ''} {nature or ''}"
        ends = {
            i: tuple(v for v in at if v not in (None, "")) for (name, i), at in rows.items() if name == task.task_id
        }
        lines.append(f"{about}: {ends}")
    return "\n    ".join(["", *lines])


class Monitor:
    """Remembers the rows of the last commit and compares.

    Arguments:
        specs: by workflow id.
        pools: slots by pool name.
    """

    def __init__(self, path: str, specs: Mapping[str, WorkflowSpec], pools: Mapping[str, int]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._specs = specs
        self.versions: dict[str, WorkflowSpec] = {}
        """Every version that has been published, by hash."""
        self._steering = Steering(self._db)
        self._pools = pools
        self._rows: dict[int, Row] = {}
        self._runs: dict[int, tuple] = {}
        self._epochs: dict[int, tuple[str, int]] = {}
        self.backfills = BackfillMonitor()
        self.fresh_before_grants: frozenset[int] = frozenset()
        self._terms: list[tuple] = []
        self._rerun: set[int] = set()
        """Runs that a backfill has cleared, to run them again."""
        self._cancelled: set[int] = set()
        """Runs that were ended with their backfill, before they began (again)."""
        self._hurried: set[int] = set()
        """Runs in which something else than their own ends has ended tasks: a timeout, the first failure."""
        self.commits = 0

    def after_commit(self, actor: str, now: datetime) -> tuple[list[tuple[Row | None, Row]], Set[int]]:
        """Compare with the commit before.

        Returns (before, after) of the instances that it changed, and the runs to which it applied what a person said.

        Arguments:
            actor: the member id of the scheduler or executor that committed, or another name.
        """
        self.commits += 1
        known = self._rows
        rows = {
            r[0]: row if (row := known.get(r[0])) == r else Row(*r)
            for r in self._db.execute(
                "SELECT id, run, task_id, map_index, state, try_number, leg, pool, pool_slots, backfill"
                " FROM task_instance WHERE callback IS NULL"
            )
        }
        runs = {
            r[0]: r
            for r in self._db.execute(
                "SELECT id, workflow_id, run_id, shard, state, logical_date, run_type, run_after, reason, backfill,"
                " started_at, spec_hash FROM run"
            )
        }
        terms = self._db.execute("SELECT shard, owner, epoch FROM shard").fetchall()
        epochs = self._epochs if terms == self._terms else {shard: (owner, epoch) for shard, owner, epoch in terms}
        changed = [(known.get(i), row) for i, row in rows.items() if known.get(i) is not row]
        self._check_terms(actor, changed, runs, epochs)
        applied = self._steering.applied()
        adopted = self._adopted(runs)
        self._rerun |= adopted
        self._cancelled |= {number for number, run in runs.items() if run[8] == "backfill_cancelled"}
        self._check_edges(changed, applied, adopted)
        spec_of = {number: self.version_of(run) for number, run in runs.items()}
        for trouble in trouble_with_clears(applied, self._rows, rows, spec_of, adopted):
            raise Broken(f"{trouble} (I11)")
        self._check_rules(changed, rows, runs)
        self._check_limits(rows, runs)
        self._check_runs(runs, now)
        self._check_triggers(rows)
        self._check_precedence(actor, changed, rows)
        wrong = self.backfills.look(self._db)
        if wrong:
            raise Broken(wrong)
        self._hurried |= {number for number, run in [*runs.items(), *self._runs.items()] if self._is_overdue(run, now)}
        self._hurried |= {
            row.run for _, row in changed if row.state == "failed" and self._specs[runs[row.run][1]].fail_fast
        }
        self._rows, self._runs, self._epochs, self._terms = rows, runs, epochs, terms
        return changed, applied.keys()

    def version_of(self, run: tuple) -> WorkflowSpec:
        """The version that a run has."""
        return self.versions[run[-1]]

    def _task(self, workflow: str, task_id: str) -> TaskSpec:
        """A task of any version: its limits are the same in all."""
        versions = (spec for spec in self.versions.values() if spec.workflow_id == workflow)
        return next(task for spec in versions for task in spec.tasks if task.task_id == task_id)

    def _is_overdue(self, run: tuple, now: datetime) -> bool:
        timeout, started = self._specs[run[1]].run_timeout, run[10]
        return timeout is not None and started is not None and EPOCH + timedelta(microseconds=started) + timeout <= now

    def _check_terms(self, actor, changed, runs, epochs) -> None:
        """I17: who moves an instance as its owner owns its shard at that moment; I18: epochs only rise."""
        for shard, (owner, epoch) in epochs.items() if epochs is not self._epochs else ():
            before = self._epochs.get(shard)
            if before is not None and (epoch < before[1] or (epoch == before[1] and owner != before[0])):
                raise Broken(f"shard {shard} went from {before} to {(owner, epoch)} (I18)")
        if actor.startswith("scheduler"):
            for _, row in changed:
                owner = epochs[runs[row.run][3]][0]
                if owner != actor:
                    raise Broken(f"{actor} wrote {row} though {owner} owns its shard (I17)")
            for number, run in runs.items():
                if run != self._runs.get(number) and epochs[run[3]][0] != actor:
                    raise Broken(f"{actor} wrote run {run} though {epochs[run[3]][0]} owns its shard (I17)")

    def _adopted(self, runs) -> set[int]:
        """Runs that a backfill has just cleared, to run them again as its own."""
        return {number for number, run in runs.items() if number in self._runs and run[9] != self._runs[number][9]}

    def _check_edges(self, changed, applied, adopted: set[int]) -> None:
        """C9, I11: only edges of the table; identities never fall; no way out of an end but by a person."""
        for before, row in changed:
            if before is None:
                continue
            cleared = row.run in applied
            if (row.try_number, row.leg) < (before.try_number, before.leg) and not (cleared or row.run in adopted):
                raise Broken(f"the identity of {before} fell to {row}")
            if row.try_number < before.try_number:
                raise Broken(f"the try number of {before} fell: {row}")
            if before.state != row.state and (before.state, row.state) not in LEGAL_IN_ONE_COMMIT:
                raise Broken(f"{before} became {row.state}: no row of the table leads there (C9)")
            if before.state in FINISHED and row.state != before.state and not (cleared or row.run in adopted):
                raise Broken(f"{before} left its end without a clear: {row} (I11)")

    def _check_rules(self, changed, rows, runs) -> None:
        """I8: what has just been scheduled for a new try could be, by its rule."""
        for before, row in changed:
            if row.state != "scheduled" or row.leg != 0 or (before is not None and before.state == "scheduled"):
                continue
            states = {(r.task_id, r.map_index): r.state for r in rows.values() if r.run == row.run}
            spec = self.version_of(runs[row.run])
            if not may_run(spec, states, row.task_id, row.map_index):
                raise Broken(f"{row} was scheduled though its rule does not hold: {states} (I8)")

    def _check_limits(self, rows, runs) -> None:
        """I15: pools, tasks of a run, runs of a workflow, and limits of a task."""
        used: Counter[str] = Counter()
        per_run: Counter[int] = Counter()
        per_task: Counter[tuple[int, str]] = Counter()
        per_workflow_task: Counter[tuple[str, str]] = Counter()
        for row in rows.values():
            if row.state in HELD:
                used[row.pool] += row.pool_slots
            if row.state in OCCUPIED:
                per_run[row.run] += 1
                per_task[row.run, row.task_id] += 1
                per_workflow_task[runs[row.run][1], row.task_id] += 1
        for pool, count in used.items():
            if count > self._pools[pool]:
                raise Broken(f"pool {pool} has {self._pools[pool]} slots and {count} are held (I15)")
        for run, count in per_run.items():
            limit = self._specs[runs[run][1]].max_active_tasks
            if count > limit:
                raise Broken(f"run {runs[run]} has {count} tasks in flight, {limit} are allowed (I15)")
        for (run, task_id), count in per_task.items():
            limit = self._task(runs[run][1], task_id).max_active_per_run
            if limit is not None and count > limit:
                raise Broken(f"task {task_id} of run {runs[run]} is in flight {count} times (I15)")
        for (workflow, task_id), count in per_workflow_task.items():
            limit = self._task(workflow, task_id).max_active_per_workflow
            if limit is not None and count > limit:
                raise Broken(f"task {task_id} of workflow {workflow} is in flight {count} times (I15)")
        running = Counter(run[1] for run in runs.values() if run[4] == "running" and run[9] is None)
        for workflow, count in running.items():
            if count > self._specs[workflow].max_active_runs:
                raise Broken(f"workflow {workflow} has {count} runs (I15)")

    def _check_triggers(self, rows) -> None:
        """A trigger is there exactly as long as its instance is deferred, and for that wait."""
        waits = {(r.id, r.try_number, r.leg) for r in rows.values() if r.state == "deferred"}
        found = set(self._db.execute("SELECT instance, try_number, leg FROM trigger"))
        if waits != found:
            raise Broken(f"deferred without a trigger: {waits - found}; triggers without a wait: {found - waits}")

    def _check_runs(self, runs, now: datetime) -> None:
        """I1, I3: one run for a date, none before its time."""
        dates = Counter((run[1], run[5]) for run in runs.values() if run[5] is not None)
        for (workflow, date), count in dates.items():
            if count > 1:
                raise Broken(f"workflow {workflow} has {count} runs for the logical date {date} (I1)")
        for number, run in runs.items():
            due = EPOCH + timedelta(microseconds=run[7])
            if number not in self._runs and run[6] == "scheduled" and due > now:
                raise Broken(f"run {run} was made before its time {due} (I3)")

    def note_what_is_fresh(self) -> None:
        """An executor is about to look: what waits now, and belongs to no backfill, goes before all that does."""
        waiting = (row for row in self._rows.values() if row.state == "scheduled" and not row.backfill)
        self.fresh_before_grants = frozenset(row.id for row in waiting)

    def _check_precedence(self, actor: str, changed, rows) -> None:
        """No task of a backfill is granted a slot that a fresh task waits for."""
        if not actor.startswith("executor"):
            return
        passed_over = {rows[i].pool for i in self.fresh_before_grants if i in rows and rows[i].state == "scheduled"}
        for before, row in changed:
            granted = row.state == "queued" and before is not None and before.state == "scheduled"
            if granted and row.backfill and row.pool in passed_over:
                raise Broken(f"{row} of a backfill was granted before a fresh task of its pool")

    def check_schedules(self, now: datetime, unpaused_since: Mapping[str, datetime]) -> None:
        """I2: with catch-up every date that is due has its run, without at least the latest has been made."""
        for workflow, spec in self._specs.items():
            if spec.schedule.timetable.__class__.__name__ != "CronTimetable":
                continue
            start = spec.schedule.start
            assert start is not None
            made = {EPOCH + timedelta(microseconds=r[5]) for r in self._runs.values() if r[1] == workflow and r[5]}
            ticks = []
            tick = start
            while tick <= now:
                ticks.append(tick)
                tick += timedelta(minutes=10)
            wanted = ticks if spec.schedule.catchup else ticks[-1:]
            missing = [t for t in wanted if t not in made]
            if missing:
                raise Broken(f"workflow {workflow} has no run for {missing[:3]} at {now} (I2)")

    def check_rest(self) -> None:
        """I9: every run has ended, nothing is in flight, no event waits."""
        open_runs = [run for run in self._runs.values() if run[4] not in ("success", "failed")]
        if open_runs:
            rows = [r for r in self._rows.values() if r.run == open_runs[0][0] and TaskState(r.state) not in FINISHED]
            raise Broken(f"{len(open_runs)} runs have not ended, among them {open_runs[0]} with {rows} (I9)")
        in_flight = [r for r in self._rows.values() if r.state in OCCUPIED]
        if in_flight:
            raise Broken(f"in flight at rest: {in_flight} (I9)")
        every_ten_minutes = (w for w, spec in self._specs.items() if isinstance(spec.schedule.timetable, CronTimetable))
        dates = {w: {run[5] for run in self._runs.values() if run[1] == w} for w in every_ten_minutes}
        wrong = self.backfills.look_at_rest(dates)
        if wrong:
            raise Broken(wrong)
        events = self._db.execute("SELECT count(*) FROM event").fetchone()[0]
        if events:
            raise Broken(f"{events} events wait at rest (I9)")

    def check_ends(self, marked: Set[int], cleared: Set[int]) -> None:
        """I8 at rest: how every instance has ended follows from how those above it ended, and the run from its leaves.

        Arguments:
            marked: runs in which a person has set states, or made something run again and not what is below it.
            cleared: runs in which a person has made tasks run again, with everything below them.
        """
        for number, run in self._runs.items():
            spec, rows = self.version_of(run), self._ended(number)
            if number in (marked | self._hurried | self._cancelled) or not rows:
                continue
            found = faults(spec, rows, cleared=number in (cleared | self._rerun))
            if found:
                raise Broken(f"run {run[:5]} has ended with {_drawn(spec, rows)}\n  {'; '.join(found)} (I8)")
            stuck = run[8] == "all_tasks_deadlocked"
            if stuck != any(at.state not in FINISHED for at in rows.values()):
                raise Broken(f"run {run[:5]} has ended for the reason {run[8]}: {_drawn(spec, rows)}")
            if not stuck and not spec.fail_fast and (run[4] == "failed") != has_failed(spec, rows):
                raise Broken(f"run {run[:5]} has ended though its leaves say otherwise: {_drawn(spec, rows)}")

    def _ended(self, run: int) -> dict[tuple[str, int], Ended]:
        found = self._db.execute(
            "SELECT t.task_id, t.map_index, t.state, a.state, t.result_length, t.decision FROM task_instance t"
            " LEFT JOIN attempt a ON a.instance = t.id AND a.try_number = t.try_number WHERE t.run = ?"
            " AND t.callback IS NULL",
            (run,),
        )
        return {
            (task_id, index): Ended(
                state, attempt or "", length, None if decision is None else msgspec.json.decode(decision, type=Decision)
            )
            for task_id, index, state, attempt, length, decision in found
        }

    @property
    def rows(self) -> Mapping[int, Row]:
        """The instances as of the last commit."""
        return self._rows

    @property
    def runs(self) -> Mapping[int, tuple]:
        """The runs as of the last commit."""
        return self._runs
