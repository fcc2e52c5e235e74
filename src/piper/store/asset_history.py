"""What has changed: events of assets, for tasks that ask and for people who look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, literal, or_, select, tuple_

from piper.model.assets import AssetKind
from piper.model.spec import AssetRef, Json
from piper.model.wire import AssetEventFound
from piper.store.listings import AnyRow, Order, Page, Teams, Window, read_page, readable
from piper.store.schema import (
    asset,
    asset_alias,
    asset_delivery,
    asset_event,
    asset_event_alias,
    asset_queue,
    asset_reference,
    run,
)

MOST = 500
"""Values in one list of a statement."""

PAGE = 1_000
"""Events that are read at once."""

# --- for tasks ------------------------------------------------------------------------------------


class EventFilter(Struct, frozen=True, kw_only=True):
    """Which events of a team: of an asset, made by way of an alias, or taken by a run."""

    name: str = ""
    uri: str = ""
    alias: str = ""
    run: int | None = None
    """Number of the run that has taken them."""
    after: datetime | None = None
    before: datetime | None = None
    """Inclusive, both."""
    partition_key: str = ""
    extra: dict[str, str] = {}
    """What must be in the extra, as text."""


def find_events(
    connection: Connection,
    team: str,
    wanted: EventFilter,
    *,
    ascending: bool = True,
    limit: int | None = None,
    beyond: int | None = None,
) -> list[AssetEventFound]:
    """Events that match, the oldest first unless they are to come the other way round.

    Arguments:
        beyond: only those that come after the event of this number in that order.
    """
    statement = _events().where(asset_event.c.team == team, *_conditions(team, wanted))
    columns = (asset_event.c.at, asset_event.c.id)
    if beyond is not None:
        last = select(*columns).where(asset_event.c.id == beyond, asset_event.c.team == team)
        keys = connection.execute(last).one_or_none()
        if keys is None:
            return []
        here, there = (
            tuple_(*columns),
            tuple_(*(literal(key, each.type) for key, each in zip(keys, columns, strict=True))),
        )
        statement = statement.where(here > there if ascending else here < there)
    statement = statement.order_by(*(column.asc() if ascending else column.desc() for column in columns))
    if limit is not None and not wanted.extra:
        statement = statement.limit(limit)
    rows: list[AnyRow] = []
    for part in connection.execute(statement).partitions(PAGE):
        rows += [row for row in part if _has_extra(row.extra, wanted.extra)]
        if limit is not None and len(rows) >= limit:
            rows = rows[:limit]
            break
    aliases = aliases_of(connection, [row.id for row in rows])
    return [event_of(row, aliases.get(row.id, ())) for row in rows]


def _conditions(team: str, wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.run is not None:
        taken = select(asset_delivery.c.event).where(asset_delivery.c.run == wanted.run)
        conditions.append(asset_event.c.id.in_(taken))
    elif wanted.alias:
        made = select(asset_event_alias.c.event).where(
            asset_event_alias.c.team == team, asset_event_alias.c.alias == wanted.alias
        )
        conditions.append(asset_event.c.id.in_(made))
    else:
        meant = select(asset.c.id).where(asset.c.team == team)
        if wanted.name:
            meant = meant.where(asset.c.name == wanted.name)
        if wanted.uri:
            meant = meant.where(asset.c.uri == wanted.uri)
        if not (wanted.name and wanted.uri):
            meant = meant.where(asset.c.active)
        conditions.append(asset_event.c.asset.in_(meant))
    if wanted.after is not None:
        conditions.append(asset_event.c.at >= wanted.after)
    if wanted.before is not None:
        conditions.append(asset_event.c.at <= wanted.before)
    if wanted.partition_key:
        conditions.append(asset_event.c.partition_key == wanted.partition_key)
    return conditions


def _has_extra(extra: dict[str, Json], wanted: dict[str, str]) -> bool:
    return all(name in extra and str(extra[name]) == value for name, value in wanted.items())


def _events() -> Select[Any]:
    return select(
        asset_event,
        asset.c.name,
        asset.c.uri,
        asset.c.group,
        asset.c.extra.label("asset_extra"),
    ).join_from(asset_event, asset, asset.c.id == asset_event.c.asset)


_ALIASES = select(asset_event_alias.c.event, asset_event_alias.c.alias).where(
    asset_event_alias.c.event.in_(bindparam("ids", expanding=True))
)


def aliases_of(connection: Connection, events: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """By way of which aliases events were made, by number."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for start in range(0, len(events), MOST):
        for row in connection.execute(_ALIASES, {"ids": events[start : start + MOST]}):
            found[row.event].append(row.alias)
    return {number: tuple(sorted(aliases)) for number, aliases in found.items()}


def event_of(row: AnyRow, aliases: Iterable[str]) -> AssetEventFound:
    """An event from a row of a list of events."""
    return AssetEventFound(
        id=row.id,
        asset=AssetRef(row.name, row.uri, row.group, row.asset_extra),
        timestamp=row.at,
        extra=row.extra,
        workflow_id=row.workflow_id,
        run_id=row.run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        aliases=tuple(aliases),
        partition_key=row.partition_key,
    )


# --- for people -----------------------------------------------------------------------------------

ASSET_ORDER = Order((asset.c.name, asset.c.id))
EVENT_ORDER = Order((asset_event.c.id,), descending=True)
QUEUE_ORDER = Order((asset_delivery.c.event,))

_last_event = (
    select(asset_event.c.at)
    .where(asset_event.c.asset == asset.c.id)
    .order_by(asset_event.c.at.desc(), asset_event.c.id.desc())
    .limit(1)
    .scalar_subquery()
)


def list_assets(connection: Connection, teams: Teams, search: str | None, active: bool | None, window: Window) -> Page:
    """Assets, each with the moment of its last event (`last_event_at`)."""
    statement = readable(select(asset, _last_event.label("last_event_at")), asset.c.team, teams)
    if search is not None:
        fields = (asset.c.name, asset.c.uri)
        statement = statement.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    if active is not None:
        statement = statement.where(asset.c.active.is_(active))
    return read_page(connection, statement, ASSET_ORDER, window)


def assets_named(connection: Connection, named: str, teams: Teams) -> Sequence[AnyRow]:
    """The assets with that number, name or URI, active ones first."""
    which: list[ColumnElement[bool]] = [asset.c.name == named, asset.c.uri == named]
    if named.isascii() and named.isdigit() and len(named) < 19:
        which.append(asset.c.id == int(named))
    statement = select(asset, _last_event.label("last_event_at")).where(or_(*which))
    return connection.execute(
        readable(statement, asset.c.team, teams).order_by(asset.c.active.desc(), asset.c.id)
    ).all()


def find_asset(connection: Connection, number: int) -> AnyRow | None:
    """The asset of that number, or None."""
    statement = select(asset, _last_event.label("last_event_at")).where(asset.c.id == number)
    return connection.execute(statement).one_or_none()


def uses_of_asset(connection: Connection, row: AnyRow) -> Sequence[AnyRow]:
    """Which workflows name an asset as what: directly, by its name or URI alone, or by an alias that it is attached
    to."""
    ref = asset_reference.c
    aliases = select(asset_alias.c.alias).where(asset_alias.c.asset == row.id)
    direct = and_(
        ref.kind == AssetKind.ASSET,
        or_(
            and_(ref.name == row.name, ref.uri.in_(("", row.uri))),
            and_(ref.name == "", ref.uri == row.uri),
        ),
    )
    statement = select(ref.workflow_id, ref.role, ref.task_id, ref.kind, ref.name).where(
        ref.team == row.team, or_(direct, and_(ref.kind == AssetKind.ALIAS, ref.name.in_(aliases)))
    )
    rows: Sequence[AnyRow] = connection.execute(statement.order_by(ref.workflow_id, ref.role, ref.task_id)).all()
    return rows


def list_events(
    connection: Connection,
    teams: Teams,
    window: Window,
    *,
    asset_number: int | None = None,
    workflow_id: str | None = None,
    run_number: int | None = None,
) -> Page:
    """Events, the newest first: of an asset, caused by a workflow, taken by a run, or all."""
    statement = readable(_events(), asset_event.c.team, teams)
    if asset_number is not None:
        statement = statement.where(asset_event.c.asset == asset_number)
    if workflow_id is not None:
        statement = statement.where(asset_event.c.workflow_id == workflow_id)
    if run_number is not None:
        taken = select(asset_delivery.c.event).where(asset_delivery.c.run == run_number)
        statement = statement.where(asset_event.c.id.in_(taken))
    return read_page(connection, statement, EVENT_ORDER, window)


def find_event(connection: Connection, number: int) -> AnyRow:
    """One event."""
    return connection.execute(_events().where(asset_event.c.id == number)).one()


def runs_by_events(connection: Connection, events: Collection[int], teams: Teams) -> dict[int, list[tuple[str, str]]]:
    """(workflow id, run id) of the runs of these teams that have taken events, by the number of the event."""
    found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    statement = (
        select(asset_delivery.c.event, run.c.workflow_id, run.c.run_id)
        .join_from(asset_delivery, run, run.c.id == asset_delivery.c.run)
        .where(asset_delivery.c.event.in_(bindparam("ids", expanding=True)))
        .order_by(run.c.workflow_id)
    )
    for row in connection.execute(readable(statement, run.c.team, teams), {"ids": sorted(events)}):
        found[row.event].append((row.workflow_id, row.run_id))
    return found


def list_waiting(connection: Connection, workflow_id: str, window: Window) -> Page:
    """The events that a workflow has heard of and no run has taken, the oldest first; `queued` says whether the
    asset's change calls for a run, which one that came during a pause does not."""
    statement = (
        select(
            asset_delivery.c.event,
            asset_event.c.at,
            asset.c.id.label("asset"),
            asset.c.name,
            asset.c.uri,
            asset_queue.c.event.is_not(None).label("queued"),
        )
        .join_from(asset_delivery, asset_event, asset_event.c.id == asset_delivery.c.event)
        .join(asset, asset.c.id == asset_delivery.c.asset)
        .join(
            asset_queue,
            and_(
                asset_queue.c.workflow_id == asset_delivery.c.workflow_id,
                asset_queue.c.asset == asset_delivery.c.asset,
            ),
            isouter=True,
        )
        .where(asset_delivery.c.workflow_id == workflow_id, asset_delivery.c.run.is_(None))
    )
    return read_page(connection, statement, QUEUE_ORDER, window)
