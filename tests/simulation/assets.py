"""Assets in a play: who produces and who consumes, and the promises about what comes of it.

Judged from rows alone, and from what user code has really said: conditions are evaluated anew here, in another way
than the scheduler does.
"""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from piper.core.assets import described_in, uses_of
from piper.model.events import AssetEventOut
from piper.model.run import Identity
from piper.model.schedule import (
    AssetAliasKey,
    AssetAll,
    AssetAny,
    AssetCondition,
    AssetKey,
    AssetOrTimeTimetable,
    AssetTimetable,
    CronTimetable,
    Schedule,
)
from piper.model.spec import AssetRef, SourceLocation, TaskSpec, WorkflowSpec
from piper.store.assets import Naming, save_namings
from tests.simulation.ledger import Ledger
from tests.simulation.monitor import Broken
from tests.simulation.workflows import MONDAY

NAMES = ("a", "b", "c")
ALIASES = ("x", "y")


def uri_of(name: str) -> str:
    return f"s3://{name}"


# --- the cast -------------------------------------------------------------------------------------


def with_outlets(dice: random.Random, spec: WorkflowSpec) -> WorkflowSpec:
    """The same workflow, some of whose tasks change assets."""

    def outlets(task: TaskSpec) -> tuple[AssetRef | AssetAliasKey, ...]:
        if dice.random() > 0.4:
            return ()
        refs = [AssetRef(name, uri_of(name)) for name in dice.sample(NAMES, dice.randint(1, 2))]
        return (*refs, *(AssetAliasKey(alias) for alias in ALIASES if dice.random() < 0.3))

    return replace(spec, tasks=tuple(replace(task, outlets=outlets(task)) for task in spec.tasks))


def random_consumer(dice: random.Random, number: int) -> WorkflowSpec:
    """A workflow that is scheduled by assets."""
    condition = _random_condition(dice, 2)
    timetable: AssetTimetable | AssetOrTimeTimetable = AssetTimetable(condition)
    if dice.random() < 0.2:
        timetable = AssetOrTimeTimetable(CronTimetable(expressions=("*/30 * * * *",)), condition)
    return WorkflowSpec(
        workflow_id=f"c{number}",
        source=SourceLocation("c.py", 1),
        schedule=Schedule(timetable=timetable, start=MONDAY),
        max_active_runs=dice.choice([1, 2, 16]),
        tasks=(TaskSpec(task_id="use", operator="test.Work", inert=dice.random() < 0.3),),
    )


def _random_condition(dice: random.Random, depth: int) -> AssetCondition:
    if depth and dice.random() < 0.5:
        parts = tuple(_random_condition(dice, depth - 1) for _ in range(dice.randint(1, 3)))
        return AssetAll(parts) if dice.random() < 0.5 else AssetAny(parts)
    name = dice.choice(NAMES)
    keys = [AssetKey(name, uri_of(name)), AssetKey(name=name), AssetKey(uri=uri_of(name))]
    return dice.choice([*keys, AssetAliasKey(dice.choice(ALIASES))])


def lay_assets(connection: Connection, specs: Iterable[WorkflowSpec]) -> None:
    """What the serializer writes of the assets that workflows name."""
    namings = {spec.workflow_id: Naming("default", uses_of(spec), described_in(spec)) for spec in specs}
    save_namings(connection, namings, MONDAY)


def changes_of(dice: random.Random, task: TaskSpec) -> tuple[AssetEventOut, ...]:
    """What a task says that it has changed, when it succeeds; no two are the same."""
    outlets = [AssetEventOut(outlet) for outlet in task.outlets if isinstance(outlet, AssetRef)]
    attached = [
        AssetEventOut(AssetRef(name, uri_of(name)), {"by": outlet.name}, alias=outlet.name)
        for outlet in task.outlets
        if isinstance(outlet, AssetAliasKey)
        for name in (*NAMES, "d")  # nobody names d in full: an alias alone leads to it
        if dice.random() < 0.3
    ]
    return (*outlets, *attached)


# --- the promises ---------------------------------------------------------------------------------


class AssetEvent(NamedTuple):
    id: int
    asset: tuple[str, str]
    source: tuple[str, str, str, int]
    aliases: frozenset[str]


class AssetMonitor:
    """Looks at the tables of assets after every commit.

    Arguments:
        specs: by workflow id.
        ledger: what user code has said.
    """

    def __init__(self, path: str, specs: Mapping[str, WorkflowSpec], ledger: Ledger) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._specs = specs
        self._ledger = ledger
        self._conditions = {
            one.workflow_id: one.schedule.timetable.condition
            for one in specs.values()
            if isinstance(one.schedule.timetable, AssetTimetable | AssetOrTimeTimetable)
        }
        self._events: dict[int, AssetEvent] = {}
        self._told: set[tuple[str, int]] = set()
        self._taken: dict[tuple[str, int], int | None] = {}
        self._known_runs: set[int] = set()

    def after_commit(
        self, changed: Iterable[tuple[Any, Any]], runs: Mapping[int, tuple[Any, ...]], by_order: bool
    ) -> None:
        """Compare with the commit before.

        Arguments:
            changed: (before, after) of the task instances that this commit has changed.
            runs: by number.
            by_order: whether the commit applied a clear or a mark of a person.
        """
        events = self._read_events()
        new = [event for number, event in events.items() if number not in self._events]
        self._check_causes(new, changed, runs, by_order)
        self._check_deliveries(new)
        self._events = events
        self._check_runs(runs)

    def check_rest(self) -> None:
        """Nothing waits that calls for a run."""
        queues: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for workflow_id, name, uri in self._db.execute(
            "SELECT workflow_id, name, uri FROM asset_queue JOIN asset ON asset.id = asset_queue.asset"
        ):
            queues[workflow_id].add((name, uri))
        for workflow_id, queue in queues.items():
            if self._holds(self._conditions[workflow_id], queue):
                raise Broken(f"the condition of {workflow_id} is fulfilled by {sorted(queue)}, and there is no run")

    def _check_causes(
        self,
        new: Iterable[AssetEvent],
        changed: Iterable[tuple[Any, Any]],
        runs: Mapping[int, tuple[Any, ...]],
        by_order: bool,
    ) -> None:
        """An accepted success has its events in the commit that accepts it; nothing else has any."""
        found: defaultdict[tuple[str, str, str, int], int] = defaultdict(int)
        for event in new:
            found[event.source] += 1
        for before, row in changed:
            run = runs[row.run]
            source = (run[1], run[2], row.task_id, row.map_index)
            count = found.pop(source, 0)
            succeeded = row.state == "success" and (before is None or before.state != "success")
            expected = self._expected(row, run[1]) if succeeded else 0
            if count != expected and not by_order:
                raise Broken(f"{row} has caused {count} events of assets, {expected} are right")
        if found and not by_order:
            raise Broken(f"events of assets without a success: {dict(found)}")

    def _expected(self, row: Any, workflow_id: str) -> int:
        """As many as its execution said; its outlets, where a trigger or the scheduler itself has ended it."""
        tasks = self._specs[workflow_id].tasks  # what the newest version does not have has no outlets
        outlets = [outlet for task in tasks if task.task_id == row.task_id for outlet in task.outlets]
        unsaid = sum(isinstance(outlet, AssetRef) for outlet in outlets)
        return self._ledger.changes.get(Identity(row.id, row.try_number, row.leg), unsaid)

    def _check_deliveries(self, new: Iterable[AssetEvent]) -> None:
        """Each event is told once to each workflow that it concerns, and is neither lost nor told again."""
        told = self._told | {
            (workflow_id, event.id)
            for event in new
            for workflow_id, condition in self._conditions.items()
            if any(self._concerns(key, event) for key in _keys(condition))
        }
        waiting = [
            (body["workflow_id"], body["event"])
            for (text,) in self._db.execute("SELECT body FROM event WHERE run IS NULL")
            if (body := msgspec.json.decode(text))["type"] == "asset_changed"
        ]
        taken = {
            (workflow_id, number): run
            for workflow_id, number, run in self._db.execute("SELECT workflow_id, event, run FROM asset_delivery")
        }
        if len(set(waiting)) != len(waiting) or set(waiting) & taken.keys():
            raise Broken(f"an event of an asset is told twice: {sorted(waiting)}, delivered {sorted(taken)}")
        if set(waiting) | taken.keys() != told:
            raise Broken(f"events told are {sorted(set(waiting) | taken.keys())}, {sorted(told)} are right")
        for key, run in self._taken.items():
            if run is not None and taken[key] != run:
                raise Broken(f"run {run} had taken {key}, and now {taken[key]} has")
        self._told, self._taken = told, taken

    def _check_runs(self, runs: Mapping[int, tuple[Any, ...]]) -> None:
        """A run by assets has taken events that fulfil its workflow's condition."""
        by_run: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
        for (workflow_id, number), run in self._taken.items():
            if run is not None:
                by_run[run].add(self._events[number].asset)
                if runs[run][1] != workflow_id or runs[run][6] != "asset_triggered":
                    raise Broken(f"run {runs[run]} has taken an event that {workflow_id} was told of")
        for number in runs.keys() - self._known_runs:
            run_row = runs[number]
            if run_row[6] == "asset_triggered" and not self._holds(self._conditions[run_row[1]], by_run[number]):
                raise Broken(f"run {run_row} has taken {sorted(by_run[number])}: its condition does not hold")
        self._known_runs = set(runs)

    def _read_events(self) -> dict[int, AssetEvent]:
        aliases: defaultdict[int, set[str]] = defaultdict(set)
        for number, alias in self._db.execute("SELECT event, alias FROM asset_event_alias"):
            aliases[number].add(alias)
        return {
            row[0]: AssetEvent(row[0], (row[1], row[2]), tuple(row[3:]), frozenset(aliases[row[0]]))
            for row in self._db.execute(
                "SELECT asset_event.id, name, uri, workflow_id, run_id, task_id, map_index "
                "FROM asset_event JOIN asset ON asset.id = asset_event.asset"
            )
        }

    def _concerns(self, key: AssetKey | AssetAliasKey, event: AssetEvent) -> bool:
        if isinstance(key, AssetAliasKey):
            return key.name in event.aliases
        return key.name in ("", event.asset[0]) and key.uri in ("", event.asset[1])

    def _holds(self, condition: AssetCondition, assets: set[tuple[str, str]]) -> bool:
        match condition:
            case AssetAll(parts):
                return all(self._holds(part, assets) for part in parts)
            case AssetAny(parts):
                return any(self._holds(part, assets) for part in parts)
            case AssetAliasKey(name):
                attached = {event.asset for event in self._events.values() if name in event.aliases}
                return bool(attached & assets)
            case AssetKey(name, uri):
                return any(name in ("", one[0]) and uri in ("", one[1]) for one in assets)
        raise AssertionError(condition)


def _keys(condition: AssetCondition) -> Iterable[AssetKey | AssetAliasKey]:
    if isinstance(condition, AssetAll | AssetAny):
        for part in condition.parts:
            yield from _keys(part)
    else:
        yield condition
