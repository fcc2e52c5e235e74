"""What changes of assets cause: which events a success emits, and whether a schedule by assets is fulfilled.

A workflow that is scheduled by assets has a queue: the assets that have changed since its last such run. Its
condition is a tree of AND and OR over assets and aliases; an alias stands for whatever assets tasks have attached to
it. Once the changed assets fulfil the condition, one run takes all of the queue that the condition is about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct

from piper.model.assets import AssetKind, AssetRole, AssetUse
from piper.model.events import AssetChanged, AssetEventOut, ForgetAssets, Succeeded
from piper.model.schedule import (
    AssetAliasKey,
    AssetAll,
    AssetAny,
    AssetCondition,
    AssetKey,
    AssetOrTimeTimetable,
    AssetTimetable,
    Timetable,
    keys_of,
)
from piper.model.spec import AssetRef, Json, TaskSpec, WorkflowSpec
from piper.model.workflow import ScheduledWorkflow

Aliases = Mapping[str, Collection[int]]
"""Alias → numbers of the assets that have been attached to it."""


# --- schedules by assets ------------------------------------------------------------------------


class ChangedAsset(Struct, frozen=True):
    """An asset in a workflow's queue, and when it last changed."""

    asset: int
    name: str
    uri: str
    event: int
    """The number of its latest event."""
    at: datetime


class AssetRunDue(NamedTuple):
    """A run to be made, which takes all that waits."""

    last_event: int
    """The latest event among those that call for it: no two runs of a workflow share it."""
    run_after: datetime


def condition_of(timetable: Timetable) -> AssetCondition | None:
    """The condition on assets that a timetable has, if it has one."""
    return timetable.condition if isinstance(timetable, AssetTimetable | AssetOrTimeTimetable) else None


def condition_in_force(workflow: ScheduledWorkflow, timetable: Timetable) -> AssetCondition | None:
    """The condition by which a workflow is scheduled now: none, once it is gone."""
    return None if workflow.stale else condition_of(timetable)


def is_about(condition: AssetCondition | None, asset: int, name: str, uri: str, aliases: Aliases) -> bool:
    """Whether changes of an asset concern a condition."""
    return any(_is_meant_by(key, asset, name, uri, aliases) for key in keys_of(condition))


def is_fulfilled(condition: AssetCondition, changed: Collection[ChangedAsset], aliases: Aliases) -> bool:
    """Whether these changes fulfil a condition."""
    match condition:
        case AssetAll(parts):
            return all(is_fulfilled(part, changed, aliases) for part in parts)
        case AssetAny(parts):
            return any(is_fulfilled(part, changed, aliases) for part in parts)
        case _:
            return any(_is_meant_by(condition, one.asset, one.name, one.uri, aliases) for one in changed)


def asset_run(
    condition: AssetCondition | None, changed: Collection[ChangedAsset], aliases: Aliases
) -> AssetRunDue | None:
    """The run that a queue calls for, or None while it does not fulfil the condition."""
    if condition is None or not changed or not is_fulfilled(condition, changed, aliases):
        return None
    return AssetRunDue(last_event=max(one.event for one in changed), run_after=max(one.at for one in changed))


def _is_meant_by(key: AssetKey | AssetAliasKey, asset: int, name: str, uri: str, aliases: Aliases) -> bool:
    if isinstance(key, AssetAliasKey):
        return asset in aliases.get(key.name, ())
    return is_meant(key.name, key.uri, name, uri)


def is_meant(name: str, uri: str, asset_name: str, asset_uri: str) -> bool:
    """Whether a name and a URI, of which one may be empty, mean an asset."""
    return bool(name or uri) and name in ("", asset_name) and uri in ("", asset_uri)


def changes_to_keep(news: Iterable[object]) -> list[AssetChanged]:
    """What a workflow has heard of in order, less what it was then told to forget."""
    kept: list[AssetChanged] = []
    for one in news:
        if isinstance(one, ForgetAssets):
            kept = [change for change in kept if one.asset is not None and change.asset != one.asset]
        elif isinstance(one, AssetChanged):
            kept.append(one)
    return kept


# --- what a success emits -----------------------------------------------------------------------


class Emitted(NamedTuple):
    """One event that a success emits."""

    asset: AssetRef
    extra: dict[str, Json]
    aliases: tuple[str, ...]
    partition_key: str


def changed_by(spec: TaskSpec, event: object) -> tuple[AssetEventOut, ...]:
    """What a task changes by succeeding: what its worker says, or its outlets where no user code ended it."""
    if isinstance(event, Succeeded):
        return event.assets
    return tuple(AssetEventOut(outlet) for outlet in spec.outlets if isinstance(outlet, AssetRef))


def emitted(changed: Sequence[AssetEventOut]) -> list[Emitted]:
    """The events of changes, in order: one for an asset that is named twice, and one for what is attached to several
    aliases with the same extra."""
    events: dict[tuple[object, ...], Emitted] = {}
    for one in changed:
        key: tuple[object, ...] = (one.asset.name, one.asset.uri, one.partition_key)
        if one.alias:
            key = (*key, msgspec.json.encode(one.extra, order="deterministic"))
        before = events.get(key)
        aliases = before.aliases if before is not None else ()
        if one.alias and one.alias not in aliases:
            aliases = (*aliases, one.alias)
        first = one if before is None else before
        events[key] = Emitted(first.asset, first.extra, aliases, one.partition_key)
    return list(events.values())


# --- who uses what ------------------------------------------------------------------------------


def uses_of(spec: WorkflowSpec) -> frozenset[AssetUse]:
    """Every asset and alias that a workflow names, in its schedule and among the inlets and outlets of its tasks."""
    condition = condition_of(spec.schedule.timetable)
    uses = {_use(AssetRole.SCHEDULE, "", key) for key in keys_of(condition)}
    for task in spec.tasks:
        uses |= {_use(AssetRole.INLET, task.task_id, inlet) for inlet in task.inlets}
        uses |= {_use(AssetRole.OUTLET, task.task_id, outlet) for outlet in task.outlets}
    return frozenset(uses)


def described_in(spec: WorkflowSpec) -> dict[tuple[str, str], AssetRef | None]:
    """(name, URI) → what a workflow says of each asset that it names in full: None if only its schedule does, which
    describes nothing; what the asset's producer says goes before what its readers say."""
    found: dict[tuple[str, str], AssetRef | None] = {}
    condition = condition_of(spec.schedule.timetable)
    for key in keys_of(condition):
        if isinstance(key, AssetKey) and key.name and key.uri:
            found[key.name, key.uri] = None
    refs = [*(one for task in spec.tasks for one in task.inlets), *(one for task in spec.tasks for one in task.outlets)]
    for ref in refs:
        if isinstance(ref, AssetRef) and ref.name and ref.uri:
            found[ref.name, ref.uri] = ref
    return found


def _use(role: AssetRole, task_id: str, named: AssetKey | AssetRef | AssetAliasKey) -> AssetUse:
    if isinstance(named, AssetAliasKey):
        return AssetUse(role, task_id, AssetKind.ALIAS, named.name)
    return AssetUse(role, task_id, AssetKind.ASSET, named.name, named.uri)
