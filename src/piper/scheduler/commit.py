"""One batch of decisions, written in one fenced transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from piper.core import callbacks
from piper.core.memory import Changes, RunMemory
from piper.model.workflow import ScheduledWorkflow
from piper.scheduler.assets import emissions_of
from piper.scheduler.triggers import apply_trigger_effects
from piper.store.asset_events import emit
from piper.store.database import Database, Fence
from piper.store.events import delete_events
from piper.store.instances import insert_instances, move_instances
from piper.store.repinning import repin
from piper.store.runs import move_runs
from piper.store.schedules import set_flags


@dataclass(slots=True)
class Batch:
    """What the core decided about some runs, and the events that it is the answer to."""

    now: datetime
    steps: list[tuple[RunMemory, Changes]] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    workflows: dict[str, ScheduledWorkflow] = field(default_factory=dict)
    """Workflows whose flags change."""
    shards: set[int] = field(default_factory=set)
    """Shards of everything in the batch."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.steps or self.events or self.workflows)

    def commit(self, database: Database, fence: Fence) -> None:
        """Write it all, or nothing.

        Raises:
            FenceLost: a shard of the batch has another owner.
            GuardFailed: a row is not as the core was told; the memory that it read is wrong.
            StoreUnavailable, AmbiguousCommit: see `piper.store`.
        """
        with database.fenced(fence.only(self.shards)) as connection:
            self.write(connection)

    def write(self, connection: Connection) -> None:
        """Write it all in a transaction that also writes something else. Raises GuardFailed."""
        move_runs(
            connection,
            [(memory.run, changes.run) for memory, changes in self.steps if changes.run is not memory.run],
        )
        for memory, changes in self.steps:
            if changes.run.spec_hash != memory.run.spec_hash:
                repin(connection, changes.run, memory.graph.spec)
        insert_instances(
            connection,
            (
                (changes.run, memory.graph.nodes[key[0]].spec, ti)
                for memory, changes in self.steps
                for key, ti in changes.instances.items()
                if ti is not None and ti.id in changes.created
            ),
            self.now,
        )
        insert_instances(
            connection,
            (
                (changes.run, callbacks.SPEC, ti)
                for _, changes in self.steps
                for ti in changes.callbacks.values()
                if ti.id in changes.created
            ),
            self.now,
        )
        move_instances(
            connection,
            [(changes.before[ti.id], ti) for _, changes in self.steps for ti in changes.updated()],
            self.now,
        )
        apply_trigger_effects(connection, self.steps, self.now)
        emit(connection, emissions_of(self.steps), self.now)
        set_flags(connection, list(self.workflows.values()))
        delete_events(connection, self.events)
