"""Runs by assets: what the owner of a workflow does with the changes that it hears of.

Every change comes as an `AssetChanged` in the workflow's shard. In one fenced transaction the owner consumes these
events, notes that the workflow has heard of them, asks the condition, and where that is fulfilled makes the run, which
takes all that has waited. So a change is taken by one run, or still waits, whenever this process ends.

A workflow whose condition is fulfilled while it has as many runs as it may is looked at again when one has ended; what
changes meanwhile goes into the same run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from piper.core.assets import (
    Aliases,
    AssetRunDue,
    asset_run,
    changes_to_keep,
    condition_in_force,
    emitted,
    is_about,
)
from piper.core.memory import AssetsChanged, Changes, RunMemory
from piper.model.assets import Emission
from piper.model.events import AssetChanged, ForgetAssets
from piper.model.ids import run_id_for, shard_of
from piper.model.run import Run
from piper.model.schedule import AssetAliasKey, AssetCondition, keys_of
from piper.model.states import RunState, RunType
from piper.model.workflow import ScheduledWorkflow
from piper.scheduler.book import RunBook
from piper.scheduler.quarantine import Quarantine
from piper.store.asset_queues import (
    Delivery,
    assets_by_number,
    deliver,
    forget,
    queue,
    queued_assets,
    take,
    those_with_waiting,
    waiting_assets,
    workflows_with_waiting,
)
from piper.store.assets import attached_to
from piper.store.database import Database, Fence
from piper.store.events import StoredEvent, delete_events
from piper.store.runs import create_runs, numbers_of_runs, row_from_run
from piper.store.schedules import workflows_by_id

AssetNews = AssetChanged | ForgetAssets
"""What a workflow hears of assets."""

WORKFLOWS_AT_ONCE = 500
"""In one transaction."""


def emissions_of(steps: Iterable[tuple[RunMemory, Changes]]) -> list[Emission]:
    """The events of assets that these steps cause."""
    return [
        Emission(
            team=changes.run.team,
            asset=one.asset,
            extra=one.extra,
            aliases=one.aliases,
            workflow_id=changes.run.workflow_id,
            run_id=changes.run.run_id,
            task_id=effect.instance.task_id,
            map_index=effect.instance.map_index,
            partition_key=one.partition_key,
        )
        for _, changes in steps
        for effect in changes.effects
        if isinstance(effect, AssetsChanged)
        for one in emitted(effect.assets)
    ]


@dataclass(slots=True)
class _Consumer:
    """A workflow in a batch: its condition and its news."""

    workflow: ScheduledWorkflow
    condition: AssetCondition | None
    aliases: Aliases
    aside: bool = False
    """Nobody knows its condition: it hears of everything that it is told, and decides nothing."""

    def wants(self, asset: int, name: str, uri: str) -> bool:
        """Whether changes of this asset are of interest to it."""
        return self.aside or is_about(self.condition, asset, name, uri, self.aliases)


class AssetQueues:
    """Makes runs by assets for the workflows of the owned shards.

    Arguments:
        aside: workflows that cannot be decided. What changes meanwhile waits for them.
    """

    def __init__(self, database: Database, book: RunBook, aside: Quarantine[str]) -> None:
        self._database = database
        self._book = book
        self._aside = aside
        self._unsettled: set[str] = set()
        """Workflows to be looked at although nothing has changed for them."""
        self._full: set[str] = set()
        """Workflows whose condition is fulfilled and that may have no further run now."""

    def take_over(self, shards: Collection[int]) -> None:
        """Look at all that waits in shards that have just been won."""
        with self._database.read() as connection:
            waiting = workflows_with_waiting(connection)
        self._unsettled |= {one for one in waiting if shard_of(one) in shards}

    def forget_everything(self) -> None:
        """What was known may be wrong; `take_over` is called before anything else."""
        self._unsettled.clear()
        self._full.clear()

    def reconsider(self, workflow_ids: Iterable[str]) -> None:
        """Look at these again: they were published, paused or unpaused."""
        self._unsettled |= set(workflow_ids)

    def run_ended(self, workflow_id: str) -> None:
        """There may be room for a run that a workflow has waited for."""
        if workflow_id in self._full:
            self._full.discard(workflow_id)
            self._unsettled.add(workflow_id)

    @property
    def has_work(self) -> bool:
        """Whether there is something to look at without any news."""
        return bool(self._unsettled)

    def follow(self, events: Sequence[StoredEvent], fence: Fence, now: datetime) -> Iterator[list[Run]]:
        """Apply these news of assets, and make the runs that are due. Yields the runs made, commit by commit: whoever
        goes on must have taken them in, since a later commit may fail."""
        heard: defaultdict[str, list[StoredEvent]] = defaultdict(list)
        for stored in events:
            assert isinstance(stored.event, AssetNews)
            heard[stored.event.workflow_id].append(stored)
        ids = sorted(heard.keys() | self._with_something_waiting(fence))
        for start in range(0, len(ids), WORKFLOWS_AT_ONCE):
            some = ids[start : start + WORKFLOWS_AT_ONCE]
            yield self._follow_some(some, {one: heard[one] for one in some if one in heard}, fence, now)
            self._unsettled.difference_update(some)
        self._unsettled.clear()

    def _with_something_waiting(self, fence: Fence) -> set[str]:
        """The unsettled workflows for which there is something to decide: few of all that are published."""
        unsettled = sorted(one for one in self._unsettled if shard_of(one) in fence.epochs)
        found: set[str] = set()
        for start in range(0, len(unsettled), WORKFLOWS_AT_ONCE):
            with self._database.read() as connection:
                found |= those_with_waiting(connection, unsettled[start : start + WORKFLOWS_AT_ONCE])
        return found

    def _follow_some(
        self, ids: Sequence[str], heard: Mapping[str, Sequence[StoredEvent]], fence: Fence, now: datetime
    ) -> list[Run]:
        workflows = self._read(ids)
        with self._database.fenced(fence.only({shard_of(one) for one in ids})) as connection:
            consumers = self._consumers(connection, workflows)
            self._hear(connection, consumers, heard)
            self._forget_the_unwanted(connection, consumers, self._unsettled.intersection(ids))
            made, full = self._make_runs(connection, consumers, now)
            delete_events(connection, [stored.id for events in heard.values() for stored in events])
        self._full |= full
        return made

    def _read(self, ids: Sequence[str]) -> dict[str, ScheduledWorkflow]:
        with self._database.read() as connection:
            workflows = workflows_by_id(connection, ids)
        self._book.graphs.load({one.spec_hash for one in workflows.values()})
        return workflows

    def _consumers(self, connection: Connection, workflows: Mapping[str, ScheduledWorkflow]) -> dict[str, _Consumer]:
        conditions: dict[str, AssetCondition | None] = {}
        wanted: set[tuple[str, str]] = set()
        for one in workflows.values():
            with self._aside.guard(one.workflow_id):
                condition = condition_in_force(one, self._book.graphs.get(one.spec_hash).spec.schedule.timetable)
                wanted |= {(one.team, key.name) for key in keys_of(condition) if isinstance(key, AssetAliasKey)}
                conditions[one.workflow_id] = condition
        aliases: defaultdict[str, dict[str, set[int]]] = defaultdict(dict)
        for (team, alias), assets in (attached_to(connection, wanted) if wanted else {}).items():
            aliases[team][alias] = assets
        return {
            one.workflow_id: _Consumer(
                one, conditions.get(one.workflow_id), aliases[one.team], one.workflow_id in self._aside
            )
            for one in workflows.values()
        }

    def _hear(
        self,
        connection: Connection,
        consumers: Mapping[str, _Consumer],
        heard: Mapping[str, Sequence[StoredEvent]],
    ) -> None:
        orders = [stored.event for news in heard.values() for stored in news if isinstance(stored.event, ForgetAssets)]
        forget(connection, [(one.workflow_id, one.asset) for one in orders])
        changes = [one for news in heard.values() for one in changes_to_keep([stored.event for stored in news])]
        if not changes:
            return
        assets = assets_by_number(connection, {one.asset for one in changes})
        wanted = [
            Delivery(one.workflow_id, one.event, one.asset, one.at)
            for one in changes
            if one.asset in assets
            and one.workflow_id in consumers
            and consumers[one.workflow_id].wants(one.asset, *assets[one.asset])
        ]
        deliver(connection, wanted)
        queue(connection, [one for one in wanted if not consumers[one.workflow_id].workflow.paused])

    def _forget_the_unwanted(
        self, connection: Connection, consumers: Mapping[str, _Consumer], unsettled: Collection[str]
    ) -> None:
        """What waits for a workflow that is not, or no longer, scheduled by it."""
        if not unsettled:
            return
        forget(
            connection,
            [
                (workflow_id, number)
                for workflow_id, assets in waiting_assets(connection, unsettled).items()
                for number, (name, uri) in assets.items()
                if workflow_id not in consumers or not consumers[workflow_id].wants(number, name, uri)
            ],
        )

    def _make_runs(
        self, connection: Connection, consumers: Mapping[str, _Consumer], now: datetime
    ) -> tuple[list[Run], set[str]]:
        """Make the runs that are due. Returns them, and the workflows that may have no further run now."""
        candidates = [
            one for one in consumers.values() if not (one.condition is None or one.workflow.paused or one.aside)
        ]
        queues = queued_assets(connection, [one.workflow.workflow_id for one in candidates]) if candidates else {}
        wanted: dict[tuple[str, str], dict[str, Any]] = {}
        full: set[str] = set()
        for one in candidates:
            workflow = one.workflow
            with self._aside.guard(workflow.workflow_id):
                due = asset_run(one.condition, queues.get(workflow.workflow_id, ()), one.aliases)
                if due is None:
                    continue
                if self._book.unfinished(workflow.workflow_id) >= workflow.max_active_runs:
                    full.add(workflow.workflow_id)
                    continue
                run = _run(workflow, due, now)
                wanted[run.workflow_id, run.run_id] = row_from_run(run, workflow.file)
        made = create_runs(connection, list(wanted.values()))
        numbers = {(run.workflow_id, run.run_id): run.id for run in made}
        if missing := wanted.keys() - numbers.keys():  # somebody has given a run of his own this id: it stands for it
            numbers |= numbers_of_runs(connection, missing)
        take(connection, [(workflow_id, number) for (workflow_id, _), number in numbers.items()])
        return made, full


def _run(workflow: ScheduledWorkflow, due: AssetRunDue, now: datetime) -> Run:
    return Run(
        id=0,
        workflow_id=workflow.workflow_id,
        run_id=run_id_for(RunType.ASSET_TRIGGERED, due.run_after, str(due.last_event)),
        shard=workflow.shard,
        team=workflow.team,
        run_type=RunType.ASSET_TRIGGERED,
        state=RunState.QUEUED,
        logical_date=None,
        interval=None,
        run_after=due.run_after,
        spec_hash=workflow.spec_hash,
        snapshot=workflow.snapshot,
        bundle=workflow.bundle,
        created_at=now,
        queued_at=now,
        triggered_by="assets",
    )
