"""What workflows that are scheduled by assets have been told, and which run took it: written by their owners alone.

Two tables say the same at two scales. A *delivery* is one event of which a workflow has heard, with the run that took
it; the *queue* has a row for each asset that has changed since the workflow's last such run, and is what its condition
is asked about. A change that comes while the workflow is paused is delivered and not queued: it calls for no run, and
the next run takes it with the others.

Every function is meant for a fenced transaction over the shards of the workflows that it names, some hundred of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or

from piper.core.assets import ChangedAsset
from piper.store.schema import asset, asset_delivery, asset_queue, workflow


class Delivery(NamedTuple):
    """An event of which a workflow hears."""

    workflow_id: str
    event: int
    asset: int
    at: datetime


def assets_by_number(connection: Connection, numbers: Collection[int]) -> dict[int, tuple[str, str]]:
    """(name, URI) of assets, by number."""
    rows = connection.execute(
        select(asset.c.id, asset.c.name, asset.c.uri).where(asset.c.id.in_(bindparam("ids", expanding=True))),
        {"ids": sorted(numbers)},
    )
    return {row.id: (row.name, row.uri) for row in rows}


_DELIVER = insert_or(asset_delivery).on_conflict_do_nothing()
_insert_queue = insert_or(asset_queue)
_QUEUE = _insert_queue.on_conflict_do_update(
    index_elements=[asset_queue.c.workflow_id, asset_queue.c.asset],
    set_={"event": _insert_queue.excluded.event, "at": _insert_queue.excluded.at},
    where=_insert_queue.excluded.event > asset_queue.c.event,
)


def deliver(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Note that workflows have heard of events. One of which a workflow has heard before is passed over."""
    if deliveries:
        rows = [{"workflow_id": one.workflow_id, "event": one.event, "asset": one.asset} for one in deliveries]
        connection.execute(_DELIVER, rows)


def queue(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Let changes call for runs."""
    latest: dict[tuple[str, int], Delivery] = {}
    for one in deliveries:
        before = latest.get((one.workflow_id, one.asset))
        if before is None or before.event < one.event:
            latest[one.workflow_id, one.asset] = one
    if latest:
        rows = [
            {"workflow_id": one.workflow_id, "asset": one.asset, "event": one.event, "at": one.at}
            for one in latest.values()
        ]
        connection.execute(_QUEUE, rows)


_QUEUED = (
    select(
        asset_queue.c.workflow_id, asset_queue.c.asset, asset.c.name, asset.c.uri, asset_queue.c.event, asset_queue.c.at
    )
    .join_from(asset_queue, asset, asset.c.id == asset_queue.c.asset)
    .where(asset_queue.c.workflow_id.in_(bindparam("ids", expanding=True)))
)


def queued_assets(connection: Connection, workflow_ids: Collection[str]) -> dict[str, list[ChangedAsset]]:
    """What has changed for these workflows since their last runs by assets, by workflow id."""
    found: defaultdict[str, list[ChangedAsset]] = defaultdict(list)
    for row in connection.execute(_QUEUED, {"ids": sorted(workflow_ids)}):
        found[row.workflow_id].append(ChangedAsset(row.asset, row.name, row.uri, row.event, row.at))
    return found


_waits = asset_delivery.c.run.is_(None)


def waiting_assets(connection: Connection, workflow_ids: Collection[str]) -> dict[str, dict[int, tuple[str, str]]]:
    """The assets of whose events these workflows have heard that no run has taken: number → (name, URI), by
    workflow id."""
    statement = (
        select(asset_delivery.c.workflow_id, asset.c.id, asset.c.name, asset.c.uri)
        .join_from(asset_delivery, asset, asset.c.id == asset_delivery.c.asset)
        .where(_waits, asset_delivery.c.workflow_id.in_(bindparam("ids", expanding=True)))
        .distinct()
    )
    found: defaultdict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    for row in connection.execute(statement, {"ids": sorted(workflow_ids)}):
        found[row.workflow_id][row.id] = (row.name, row.uri)
    return found


_WITH_WAITING = select(workflow.c.workflow_id).where(
    exists().where(asset_delivery.c.workflow_id == workflow.c.workflow_id, _waits)
)


def workflows_with_waiting(connection: Connection) -> set[str]:
    """Every workflow that has heard of an event which no run has taken."""
    return set(connection.execute(_WITH_WAITING).scalars())


def those_with_waiting(connection: Connection, workflow_ids: Collection[str]) -> set[str]:
    """Those of some hundred workflows that have heard of an event which no run has taken."""
    statement = _WITH_WAITING.where(workflow.c.workflow_id.in_(bindparam("ids", expanding=True)))
    return set(connection.execute(statement, {"ids": sorted(workflow_ids)}).scalars())


_TAKE = (update(asset_delivery).where(asset_delivery.c.workflow_id == bindparam("of_workflow"), _waits)).values(
    run=bindparam("new_run")
)
_EMPTY = delete(asset_queue).where(asset_queue.c.workflow_id == bindparam("of_workflow"))


def take(connection: Connection, runs: Sequence[tuple[str, int]]) -> None:
    """Let runs, as (workflow id, number), take all that their workflows have heard of and no run has taken yet."""
    if runs:
        connection.execute(_TAKE, [{"of_workflow": workflow_id, "new_run": run} for workflow_id, run in runs])
        connection.execute(_EMPTY, [{"of_workflow": workflow_id} for workflow_id, _ in runs])


def forget(connection: Connection, what: Sequence[tuple[str, int | None]]) -> None:
    """Let no run take the waiting events of (workflow id, asset), or with None those of every asset."""
    for workflow_id, number in what:
        deliveries = delete(asset_delivery).where(asset_delivery.c.workflow_id == workflow_id, _waits)
        queued = delete(asset_queue).where(asset_queue.c.workflow_id == workflow_id)
        if number is not None:
            deliveries = deliveries.where(asset_delivery.c.asset == number)
            queued = queued.where(asset_queue.c.asset == number)
        connection.execute(deliveries)
        connection.execute(queued)
