"""Assets, and who names them: kept as the serializer publishes workflows, and as tasks attach assets to aliases.

An asset has a name and a URI; at most one *active* asset of a team has a given name, and at most one a given URI (two
partial unique indexes see to that, whoever writes). An asset is active while a published workflow names it in full, or
an alias leads to it, unless another active one has its name or URI: then it stays inactive until that one goes. The
first wins.

Teams do not share assets: the same name in two teams is two assets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_or

from piper.core.assets import is_meant
from piper.model.assets import AssetKind, AssetRole, AssetUse
from piper.model.spec import AssetRef, Json
from piper.store.schema import asset, asset_alias, asset_reference, spec, workflow

MOST = 500
"""Values in one list of a statement."""


class KnownAsset(NamedTuple):
    """An asset as it is stored."""

    id: int
    name: str
    uri: str
    group: str
    extra: dict[str, Json]
    active: bool

    @property
    def ref(self) -> AssetRef:
        """As tasks know it."""
        return AssetRef(self.name, self.uri, self.group, self.extra)


_KNOWN = select(*(asset.c[name] for name in KnownAsset._fields)).where(asset.c.team == bindparam("of_team"))


def assets_like(connection: Connection, team: str, refs: Iterable[AssetRef]) -> list[KnownAsset]:
    """The assets of a team that have the name or the URI of any of these, active or not, the oldest first."""
    named = list(refs)
    names = sorted({ref.name for ref in named if ref.name})
    uris = sorted({ref.uri for ref in named if ref.uri})
    return list(_with_names(connection, team, names, uris))


def _with_names(connection: Connection, team: str, names: Sequence[str], uris: Sequence[str]) -> Iterator[KnownAsset]:
    found: dict[int, KnownAsset] = {}
    for column, values in ((asset.c.name, names), (asset.c.uri, uris)):
        for start in range(0, len(values), MOST):
            statement = _KNOWN.where(column.in_(values[start : start + MOST]))
            found |= {row.id: KnownAsset._make(row) for row in connection.execute(statement, {"of_team": team})}
    return iter(sorted(found.values()))


def meant_by(ref: AssetRef, known: Iterable[KnownAsset]) -> KnownAsset | None:
    """The asset that a name, a URI or both mean: with both, that one; with one of them, the active one that has it."""
    for one in known:
        if is_meant(ref.name, ref.uri, one.name, one.uri) and (one.active or bool(ref.name and ref.uri)):
            return one
    return None


# --- who names what -----------------------------------------------------------------------------


class Naming(NamedTuple):
    """What one workflow says of assets."""

    team: str
    uses: frozenset[AssetUse]
    described: Mapping[tuple[str, str], AssetRef | None]
    """(name, URI) → description of each asset that it names in full; None where it only names it."""


class Clash(NamedTuple):
    """An asset that cannot be active because another one has its name or URI."""

    workflow_id: str
    asset: AssetRef
    other: AssetRef


_REFERENCES = select(
    asset_reference.c.id,
    asset_reference.c.workflow_id,
    asset_reference.c.team,
    *(asset_reference.c[name] for name in AssetUse.__struct_fields__),
).where(asset_reference.c.workflow_id.in_(bindparam("ids", expanding=True)))


def save_namings(connection: Connection, namings: Mapping[str, Naming], now: datetime) -> list[Clash]:
    """Let workflows name these assets and no others; returns those that cannot be active. What is so already is not
    written.

    Arguments:
        namings: by workflow id. An empty one is that of a workflow that is gone.
    """
    stored: defaultdict[str, dict[tuple[str, AssetUse], int]] = defaultdict(dict)
    for row in _in_parts(connection, _REFERENCES, sorted(namings)):
        use = AssetUse(row.role, row.task_id, row.kind, row.name, row.uri)
        stored[row.workflow_id][row.team, use] = row.id
    gone: list[int] = []
    new: list[dict[str, Any]] = []
    touched: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for workflow_id, naming in namings.items():
        wanted = {(naming.team, use) for use in naming.uses}
        for team, use in stored[workflow_id].keys() - wanted:
            gone.append(stored[workflow_id][team, use])
            touched[team].add((use.name, use.uri))
        for team, use in sorted(wanted - stored[workflow_id].keys(), key=lambda each: msgspec.json.encode(each[1])):
            new.append({"workflow_id": workflow_id, "team": team} | msgspec.structs.asdict(use))
            touched[team].add((use.name, use.uri))
    for start in range(0, len(gone), MOST):
        connection.execute(delete(asset_reference).where(asset_reference.c.id.in_(gone[start : start + MOST])))
    if new:
        connection.execute(insert(asset_reference), new)
    _describe(connection, namings.values(), now)
    for team, keys in touched.items():
        _settle(connection, team, _refs(keys), now)
    return _clashes(connection, namings, touched)


def forget_namings(connection: Connection, workflow_ids: Iterable[str], now: datetime) -> None:
    """Let workflows that are gone name nothing any more."""
    save_namings(connection, {one: Naming("", frozenset(), {}) for one in workflow_ids}, now)


def specs_with_assets(connection: Connection, bundle: str) -> dict[str, str]:
    """The bodies of the active specs of a bundle's workflows that name assets, by workflow id."""
    names = exists().where(asset_reference.c.workflow_id == workflow.c.workflow_id)
    statement = (
        select(workflow.c.workflow_id, spec.c.body)
        .join_from(workflow, spec, spec.c.hash == workflow.c.spec_hash)
        .where(workflow.c.bundle == bundle, workflow.c.stale.is_(False), names)
    )
    return {row.workflow_id: row.body for row in connection.execute(statement)}


def _describe(connection: Connection, namings: Iterable[Naming], now: datetime) -> None:
    """Make assets that are named in full and do not exist, inactive; and let them be described as is now said."""
    wanted: defaultdict[str, dict[tuple[str, str], AssetRef | None]] = defaultdict(dict)
    for naming in namings:
        for key, ref in naming.described.items():
            wanted[naming.team][key] = ref or wanted[naming.team].get(key)
    for team, described in wanted.items():
        known = {(one.name, one.uri): one for one in assets_like(connection, team, _refs(described))}
        new = [ref or AssetRef(*key) for key, ref in described.items() if key not in known]
        create_assets(connection, team, new, now)
        changed = [
            {"of_id": known[key].id, "new_group": ref.group, "new_extra": ref.extra, "now": now}
            for key, ref in described.items()
            if ref is not None and key in known and known[key].ref != ref
        ]
        if changed:
            connection.execute(_REDESCRIBE, changed)


_REDESCRIBE = (
    update(asset)
    .where(asset.c.id == bindparam("of_id"))
    .values(group=bindparam("new_group"), extra=bindparam("new_extra"), updated_at=bindparam("now"))
)


def _refs(keys: Iterable[tuple[str, str]]) -> list[AssetRef]:
    return [AssetRef(name, uri) for name, uri in keys]


def create_assets(connection: Connection, team: str, refs: Iterable[AssetRef], now: datetime) -> None:
    """Make assets, inactive; those that exist stay as they are."""
    rows = [
        {
            "team": team,
            "name": ref.name,
            "uri": ref.uri,
            "group": ref.group,
            "extra": ref.extra,
            "active": False,
            "created_at": now,
            "updated_at": now,
        }
        for ref in refs
    ]
    if rows:
        connection.execute(insert_or(asset).on_conflict_do_nothing(), rows)


# --- which are active ---------------------------------------------------------------------------

_is_named = exists().where(
    asset_reference.c.team == asset.c.team,
    asset_reference.c.name == asset.c.name,
    asset_reference.c.uri == asset.c.uri,
    asset_reference.c.kind == AssetKind.ASSET,
)
_is_attached = exists().where(asset_alias.c.asset == asset.c.id)
_other = asset.alias("other")
_is_taken = exists().where(
    _other.c.team == asset.c.team,
    _other.c.active,
    or_(_other.c.name == asset.c.name, _other.c.uri == asset.c.uri),
)
_DEACTIVATE = (
    update(asset)
    .where(asset.c.id == bindparam("of_id"), asset.c.active, ~_is_named, ~_is_attached)
    .values(active=False, updated_at=bindparam("now"))
)
_ACTIVATE = (
    update(asset)
    .where(asset.c.id == bindparam("of_id"), ~asset.c.active, or_(_is_named, _is_attached), ~_is_taken)
    .values(active=True, updated_at=bindparam("now"))
)


def activate_assets(connection: Connection, ids: Iterable[int], now: datetime) -> None:
    """Let those of these assets be active that may be, the oldest first."""
    for number in sorted(ids):  # one by one: each sees whether one before it has taken its name
        connection.execute(_ACTIVATE, {"of_id": number, "now": now})


def _settle(connection: Connection, team: str, touched: Iterable[AssetRef], now: datetime) -> None:
    """See which assets are active, of those that share a name or a URI with what is or was named.

    What an asset that goes gives free can only be taken by one that shares its name or URI: so these are all.
    """
    known = assets_like(connection, team, touched)
    for one in known:
        if one.active:
            connection.execute(_DEACTIVATE, {"of_id": one.id, "now": now})
    # One that stays active would be asked for nothing: what matters are those that are, or have just become, inactive.
    activate_assets(connection, [one.id for one in known], now)


def _clashes(
    connection: Connection, namings: Mapping[str, Naming], touched: Mapping[str, Collection[tuple[str, str]]]
) -> list[Clash]:
    found = []
    for team, keys in touched.items():
        known = assets_like(connection, team, _refs(keys))
        inactive = {(one.name, one.uri): one for one in known if not one.active}
        for workflow_id, naming in namings.items():
            for key in naming.described if naming.team == team else ():
                other = next((one for one in known if one.active and (one.name == key[0] or one.uri == key[1])), None)
                if key in inactive and other is not None:
                    found.append(Clash(workflow_id, inactive[key].ref, other.ref))
    return found


# --- who is to hear of a change -----------------------------------------------------------------


class Consumer(NamedTuple):
    """A workflow that is scheduled by an asset or alias."""

    workflow_id: str
    kind: AssetKind
    name: str
    uri: str


_CONSUMERS = select(*(asset_reference.c[name] for name in Consumer._fields)).where(
    asset_reference.c.team == bindparam("of_team"), asset_reference.c.role == AssetRole.SCHEDULE
)


def consumers_of(connection: Connection, team: str, names: Iterable[str], uris: Iterable[str]) -> list[Consumer]:
    """The workflows of a team that are scheduled by assets or aliases of these names, or by one of these URIs alone."""
    by_name = _CONSUMERS.where(asset_reference.c.name.in_(bindparam("ids", expanding=True)))
    by_uri = _CONSUMERS.where(asset_reference.c.uri.in_(bindparam("ids", expanding=True)), asset_reference.c.name == "")
    rows = [
        *_in_parts(connection, by_name, sorted(set(names)), of_team=team),
        *_in_parts(connection, by_uri, sorted(set(uris)), of_team=team),
    ]
    return [Consumer._make(row) for row in rows]


def attached_to(connection: Connection, aliases: Collection[tuple[str, str]]) -> dict[tuple[str, str], set[int]]:
    """The assets that have been attached to aliases, each given and answered as (team, alias)."""
    found: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    wanted = sorted(aliases)
    for start in range(0, len(wanted), MOST):
        here = tuple_(asset_alias.c.team, asset_alias.c.alias).in_(wanted[start : start + MOST])
        for row in connection.execute(select(asset_alias).where(here)):
            found[row.team, row.alias].add(row.asset)
    return found


def _in_parts(
    connection: Connection, statement: Select[Any], ids: Sequence[str], **parameters: Any
) -> Iterator[Row[*tuple[Any, ...]]]:
    for start in range(0, len(ids), MOST):
        yield from connection.execute(statement, {"ids": ids[start : start + MOST], **parameters})
