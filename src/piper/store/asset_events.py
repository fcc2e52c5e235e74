"""Events of assets: written with whatever causes them, and told to every workflow that is scheduled by them.

`emit` is called in the transaction of the cause: that of a scheduler which applies a task's success, or that of a
person's call. In there it writes the events, attaches assets to aliases, and puts an `AssetChanged` into the shard of
each workflow that a change concerns; whether that makes a run is for the workflow's owner to decide.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or

from piper.model.assets import AssetKind, Emission
from piper.model.events import AssetChanged
from piper.model.ids import shard_of
from piper.model.spec import AssetRef
from piper.store.assets import (
    Consumer,
    KnownAsset,
    activate_assets,
    assets_like,
    consumers_of,
    create_assets,
)
from piper.store.events import append_events, event_row
from piper.store.schema import asset_alias, asset_event, asset_event_alias

log = logging.getLogger(__name__)


def emit(connection: Connection, emissions: Sequence[Emission], now: datetime) -> list[int | None]:
    """Write events of assets and tell whom they concern. Returns the number of each event, in order.

    An asset that is attached to an alias is made if there is none like it. Any other event of an asset that does not
    exist is not written (None): the workflow that described it is gone.
    """
    if not emissions:
        return []
    by_team: defaultdict[str, list[int]] = defaultdict(list)
    for position, emission in enumerate(emissions):
        by_team[emission.team].append(position)
    numbers: list[int | None] = [None] * len(emissions)
    for team in sorted(by_team):
        positions = by_team[team]
        written = _emit_for(connection, team, [emissions[position] for position in positions], now)
        for position, number in zip(positions, written, strict=True):
            numbers[position] = number
    return numbers


def _emit_for(connection: Connection, team: str, emissions: Sequence[Emission], now: datetime) -> list[int | None]:
    assets = _assets_of(connection, team, emissions, now)
    changed = [(emission, one) for emission, one in zip(emissions, assets, strict=True) if one is not None]
    numbers = _write(connection, changed, now)
    _attach(connection, team, changed, numbers, now)
    _tell(connection, team, changed, numbers, now)
    written = iter(numbers)
    return [None if one is None else next(written) for one in assets]


def _assets_of(
    connection: Connection, team: str, emissions: Sequence[Emission], now: datetime
) -> list[KnownAsset | None]:
    """The asset of each emission, made where an alias leads to one that is not known."""
    known = KnownAssets(assets_like(connection, team, (emission.asset for emission in emissions)))
    missing = {
        (emission.asset.name, emission.asset.uri): emission.asset
        for emission in emissions
        if emission.aliases and emission.asset.name and emission.asset.uri and known.find(emission.asset) is None
    }
    if missing:
        create_assets(connection, team, (missing[key] for key in sorted(missing)), now)
        known = KnownAssets(assets_like(connection, team, (emission.asset for emission in emissions)))
    found = [known.find(emission.asset) for emission in emissions]
    for emission, one in zip(emissions, found, strict=True):
        if one is None:
            log.warning(
                "no event of asset %r %r, which task %s of %s has changed: team %s has no such active asset",
                emission.asset.name,
                emission.asset.uri,
                emission.task_id,
                emission.workflow_id,
                team,
            )
    return found


class KnownAssets:
    """Assets of a team, to be found by name and URI, or by one of them."""

    def __init__(self, assets: Iterable[KnownAsset]) -> None:
        self._whole: dict[tuple[str, str], KnownAsset] = {}
        self._by_name: dict[str, KnownAsset] = {}
        self._by_uri: dict[str, KnownAsset] = {}
        for one in assets:
            self._whole[one.name, one.uri] = one
            if one.active:
                self._by_name[one.name] = self._by_uri[one.uri] = one

    def find(self, ref: AssetRef) -> KnownAsset | None:
        """The asset that is meant: with name and URI that one, with one of them the active one that has it."""
        if ref.name and ref.uri:
            return self._whole.get((ref.name, ref.uri))
        return self._by_name.get(ref.name) if ref.name else self._by_uri.get(ref.uri)


_INSERT = insert(asset_event).returning(asset_event.c.id, sort_by_parameter_order=True)


def _write(connection: Connection, changed: Sequence[tuple[Emission, KnownAsset]], now: datetime) -> list[int]:
    if not changed:
        return []
    rows = [
        {
            "team": emission.team,
            "asset": one.id,
            "at": now,
            "extra": emission.extra,
            "workflow_id": emission.workflow_id,
            "run_id": emission.run_id,
            "task_id": emission.task_id,
            "map_index": emission.map_index,
            "partition_key": emission.partition_key,
        }
        for emission, one in changed
    ]
    return [row.id for row in connection.execute(_INSERT, rows)]


_ATTACHED = select(asset_alias.c.alias, asset_alias.c.asset).where(
    asset_alias.c.team == bindparam("of_team"), asset_alias.c.alias.in_(bindparam("aliases", expanding=True))
)


def _attach(
    connection: Connection,
    team: str,
    changed: Sequence[tuple[Emission, KnownAsset]],
    numbers: Sequence[int],
    now: datetime,
) -> None:
    """Note by way of which aliases events were made, and which assets those now stand for."""
    through = [
        (alias, one, number)
        for (emission, one), number in zip(changed, numbers, strict=True)
        for alias in emission.aliases
    ]
    if not through:
        return
    connection.execute(
        insert(asset_event_alias), [{"team": team, "alias": alias, "event": number} for alias, _, number in through]
    )
    aliases = sorted({alias for alias, _, _ in through})
    attached = {tuple(row) for row in connection.execute(_ATTACHED, {"of_team": team, "aliases": aliases})}
    new = sorted({(alias, one.id) for alias, one, _ in through} - attached)
    if new:  # in order, so that two writers wait for each other in one direction only
        rows = [{"team": team, "alias": alias, "asset": number} for alias, number in new]
        connection.execute(insert_or(asset_alias).on_conflict_do_nothing(), rows)
    activate_assets(connection, {one.id for _, one, _ in through if not one.active}, now)


def _tell(
    connection: Connection,
    team: str,
    changed: Sequence[tuple[Emission, KnownAsset]],
    numbers: Sequence[int],
    now: datetime,
) -> None:
    """Put each event into the shard of every workflow that it concerns, once."""
    names = {one.name for _, one in changed} | {alias for emission, _ in changed for alias in emission.aliases}
    concerned = _Concerned(consumers_of(connection, team, names, {one.uri for _, one in changed}))
    append_events(
        connection,
        [
            event_row(shard_of(workflow_id), None, AssetChanged(workflow_id, number, one.id, now), now)
            for (emission, one), number in zip(changed, numbers, strict=True)
            for workflow_id in sorted(concerned.by(one, emission.aliases))
        ],
    )


class _Concerned:
    """Who is scheduled by which asset or alias."""

    def __init__(self, consumers: Iterable[Consumer]) -> None:
        self._by_asset: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._by_alias: defaultdict[str, set[str]] = defaultdict(set)
        for one in consumers:
            if one.kind is AssetKind.ALIAS:
                self._by_alias[one.name].add(one.workflow_id)
            else:
                self._by_asset[one.name, one.uri].add(one.workflow_id)

    def by(self, one: KnownAsset, aliases: Sequence[str]) -> set[str]:
        """The workflows that an event of an asset concerns, which was made by way of these aliases."""
        found = set().union(*(self._by_alias[alias] for alias in aliases))
        for key in ((one.name, one.uri), (one.name, ""), ("", one.uri)):
            found |= self._by_asset[key]
        return found
