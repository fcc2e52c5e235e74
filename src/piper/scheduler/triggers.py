"""What the steps of a batch mean for the triggers of deferred tasks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from piper.core.memory import Changes, RunMemory
from piper.core.triggers import StartTrigger, StopTrigger
from piper.model.run import Identity
from piper.store.executions import RUN_ENDED, end_waiting
from piper.store.triggers import NewTrigger, write_triggers


def apply_trigger_effects(connection: Connection, steps: Iterable[tuple[RunMemory, Changes]], now: datetime) -> None:
    """Write which triggers the batch has started and stopped; one that it started and stopped never was."""
    stopped: list[Identity] = []
    over: dict[Identity, str] = {}
    started: dict[Identity, NewTrigger] = {}
    for _, changes in steps:
        for effect in changes.effects:
            if isinstance(effect, StopTrigger):
                if started.pop(effect.identity, None) is None:
                    stopped.append(effect.identity)
                    if effect.over:
                        why = RUN_ENDED.get(changes.run.reason, "it was cleared or marked while it waited")
                        over[effect.identity] = why
            elif isinstance(effect, StartTrigger):
                run = changes.run
                started[effect.identity] = NewTrigger(
                    effect.identity,
                    run.id,
                    run.shard,
                    run.team,
                    effect.trigger,
                    effect.arguments,
                    run.bundle,
                    run.snapshot,
                    effect.deadline,
                )
    if stopped or started:
        write_triggers(connection, stopped, started.values(), now)
        end_waiting(connection, over, now)


def concern_the_triggerer(changes: Changes) -> bool:
    """Whether a step has started or stopped a trigger."""
    return any(isinstance(effect, StartTrigger | StopTrigger) for effect in changes.effects)
