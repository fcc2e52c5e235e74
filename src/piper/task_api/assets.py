"""Assets of running tasks: what theirs stand for, what they may say of them, and which events they may look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection

from piper.model import wire
from piper.model.assets import MAX_EVENTS, MAX_EXTRAS, problem_of_extra, problem_of_name
from piper.model.errors import Invalid
from piper.model.events import AssetEventOut, Succeeded, TaskEvent
from piper.model.spec import AssetRef, TaskSpec
from piper.store.asset_events import KnownAssets
from piper.store.asset_history import EventFilter, find_events
from piper.store.assets import assets_like


def check_changes(event: TaskEvent) -> None:
    """Return if what an execution says of assets can be kept.

    Raises:
        Invalid: it cannot; the execution has to be reported failed instead.
    """
    changes = event.assets if isinstance(event, Succeeded) else ()
    if len(changes) > MAX_EVENTS:
        raise Invalid(f"the task caused {len(changes):,} asset events: {MAX_EVENTS:,} are the most")
    size = sum(_check_change(one) for one in changes)
    if size > MAX_EXTRAS:
        raise Invalid(f"the extras of the task's asset events have {size:,} bytes of JSON: {MAX_EXTRAS:,} are the most")


def _check_change(one: AssetEventOut) -> int:
    """The bytes of JSON of its extra. Raises Invalid."""
    for name in (one.asset.name, one.asset.uri, one.alias):
        if problem := problem_of_name(name):
            raise Invalid(f"an event of an asset cannot be kept: its name {problem}")
    for extra in (one.extra, one.asset.extra):
        if problem := problem_of_extra(extra):
            raise Invalid(f"the extra of an event of asset {one.asset.name!r} {problem}")
    return len(msgspec.json.encode(one.extra))


class TaskAssets(msgspec.Struct, frozen=True):
    """What the inlets and outlets of a task are at this moment."""

    resolved: tuple[AssetRef, ...] = ()
    """What references by name or URI alone stand for."""
    inactive: tuple[AssetRef, ...] = ()
    """Those named in full that are not active."""


NO_ASSETS = TaskAssets()


def assets_of_tasks(connection: Connection, tasks: Sequence[tuple[str, TaskSpec]]) -> list[TaskAssets]:
    """The inlets and outlets of tasks, each with its team, in order."""
    named = [[one for one in (*task.inlets, *task.outlets) if isinstance(one, AssetRef)] for _, task in tasks]
    wanted: dict[str, list[AssetRef]] = {}
    for (team, _), refs in zip(tasks, named, strict=True):
        if refs:
            wanted.setdefault(team, []).extend(refs)
    known = {team: KnownAssets(assets_like(connection, team, refs)) for team, refs in wanted.items()}
    return [_resolve(refs, known[team]) if refs else NO_ASSETS for (team, _), refs in zip(tasks, named, strict=True)]


def _resolve(refs: Iterable[AssetRef], known: KnownAssets) -> TaskAssets:
    resolved: dict[int, AssetRef] = {}
    inactive: dict[tuple[str, str], AssetRef] = {}
    for ref in refs:
        found = known.find(ref)
        if not (ref.name and ref.uri):
            if found is not None:
                resolved[found.id] = found.ref
        elif found is None or not found.active:
            inactive[ref.name, ref.uri] = ref
    return TaskAssets(tuple(resolved.values()), tuple(inactive.values()))


def events_for(
    connection: Connection, team: str, run: int, question: wire.GetAssetEvents
) -> list[wire.AssetEventFound]:
    """The events that a task asks for: of its team.

    Arguments:
        run: number of the asker's run.

    Raises:
        Invalid: nothing is named.
    """
    if not (question.triggering or question.name or question.uri or question.alias):
        raise Invalid("events are asked for by the name or URI of an asset, or by an alias; none was given")
    wanted = EventFilter(
        name=question.name,
        uri=question.uri,
        alias=question.alias,
        run=run if question.triggering else None,
        after=question.after,
        before=question.before,
        partition_key=question.partition_key,
        extra=question.extra,
    )
    limit = wire.EVENTS_PER_ANSWER if question.limit is None else min(max(0, question.limit), wire.EVENTS_PER_ANSWER)
    found = find_events(connection, team, wanted, ascending=question.ascending, limit=limit, beyond=question.beyond)
    return _one_answer(found)


def _one_answer(events: Sequence[wire.AssetEventFound]) -> list[wire.AssetEventFound]:
    """As many of these as one answer may hold, and at least one."""
    room = wire.EVENT_BYTES_PER_ANSWER
    for count, event in enumerate(events, 1):
        room -= len(msgspec.json.encode(event.extra))
        if room <= 0:
            return list(events[:count])
    return list(events)
