"""Events of assets in a running task: those that it emits, those of its inlets, those that caused its run.

A task that succeeds emits one event for each asset among its outlets, with whatever it has put into the event's
extra. Of an alias it emits one event for each asset that it has attached to it. What it says of assets that are
not among its outlets is dropped, with a warning.

Earlier events are fetched when they are first looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, overload

import msgspec

from piper.model import wire
from piper.model.assets import MAX_EVENTS, MAX_EXTRA, MAX_EXTRAS
from piper.model.events import AssetEventOut
from piper.model.spec import AssetRef as AssetReference
from piper.model.spec import Json
from piper.model.states import RunType
from piper.sdk.assets import Asset, AssetAlias, AssetNameRef, AssetUriRef, BaseAsset
from piper.sdk.exceptions import AirflowInactiveAssetInInletOrOutletException
from piper.sdk.execution import serde, xcoms
from piper.sdk.execution.channel import Channel, ask_maybe
from piper.sdk.execution.current import Execution, current_execution
from piper.sdk.execution.dag_run import DagRun

log = logging.getLogger("piper.task")

Key = tuple[str, str, str]
"""("asset", name, URI) or ("alias", name, ""). Of a reference by name or URI the other part is empty."""


def _key(asset: Any) -> Key:
    match asset:
        case Asset():
            return "asset", asset.name, asset.uri
        case AssetNameRef():
            return "asset", asset.name, ""
        case AssetUriRef():
            return "asset", "", asset.uri
        case AssetAlias():
            return "alias", asset.name, ""
    raise TypeError(f"Key should be either an asset or an asset alias, not {type(asset).__name__}")


def _same(one: Key, other: Key) -> bool:
    """Whether two keys mean the same asset: a reference means whatever has its name, or its URI."""
    kind, name, uri = one
    return (
        kind == other[0]
        and (not (name and other[1]) or name == other[1])
        and (not (uri and other[2]) or uri == other[2])
    )


class _ByAsset:
    """Access by an asset's name or URI in place of the asset."""

    def __getitem__(self, key: Any) -> Any:
        raise NotImplementedError

    def for_asset(self, *, name: str = "", uri: str = "") -> Any:
        """That of an asset, by name, by URI, or by both."""
        if name and uri:
            return self[Asset(name=name, uri=uri)]
        return self[Asset.ref(name=name) if name else Asset.ref(uri=uri)]

    def for_asset_alias(self, *, name: str) -> Any:
        """That of an alias."""
        return self[AssetAlias(name)]


# --- events to be emitted -----------------------------------------------------------------------


@dataclass
class AliasEvent:
    """An asset that the task attaches to an alias, and the facts to send with its event."""

    asset: Asset | AssetNameRef | AssetUriRef
    extra: dict[str, Json]


@dataclass
class OutletEvent:
    """The event of one outlet, as far as the task has something to say about it."""

    key: Asset | AssetAlias | AssetNameRef | AssetUriRef
    extra: dict[str, Any] = field(default_factory=dict)
    """Facts to send with the event; JSON."""
    asset_alias_events: list[AliasEvent] = field(default_factory=list)

    def add(self, asset: Any, extra: Mapping[str, Any] | None = None) -> None:
        """Attach an asset to this alias, and emit an event of it. Does nothing if this is no alias.

        Arguments:
            asset: an asset, or a reference to one.
            extra: facts to send with the event; JSON.
        """
        if not isinstance(asset, Asset | AssetNameRef | AssetUriRef):
            raise TypeError(f"what is added to an alias must be an asset or a reference to one, not {asset!r}")
        if isinstance(self.key, AssetAlias):
            self.asset_alias_events.append(AliasEvent(asset, dict(extra or {})))

    def add_partitions(self, keys: Any) -> None:
        """Refused: Piper has no partitions yet."""
        raise NotImplementedError("Piper has no asset partitions yet: put the key into the event's extra")


class OutletEvents(_ByAsset, Mapping[Any, OutletEvent]):
    """`outlet_events` of the context: `outlet_events[asset].extra = {"rows": 17}`."""

    def __init__(self) -> None:
        self._events: dict[Key, OutletEvent] = {}

    def __getitem__(self, key: Any) -> OutletEvent:
        wanted = _key(key)
        for known, event in self._events.items():
            if _same(known, wanted):
                return event
        return self._events.setdefault(wanted, OutletEvent(key))

    def __iter__(self) -> Iterator[Any]:
        return (event.key for event in self._events.values())

    def __len__(self) -> int:
        return len(self._events)


def outlet_events_of(execution: Execution) -> OutletEvents:
    """What an execution says of its outlets: the same object whenever it is asked for."""
    if execution.outlet_events is None:
        execution.outlet_events = OutletEvents()
    return execution.outlet_events


def events_of(execution: Execution) -> tuple[AssetEventOut, ...]:
    """The events that a task emits by having succeeded.

    Raises:
        TypeError: an extra is not JSON.
        ValueError: an extra is too long, or there are too many events.
    """
    said = outlet_events_of(execution)
    outlets = [outlet for outlet in execution.task.outlets if isinstance(outlet, BaseAsset)]
    attached = [each.asset for key in said if isinstance(key, AssetAlias) for each in said[key].asset_alias_events]
    for key in said:
        if not any(_same(_key(key), _key(known)) for known in (*outlets, *attached)):
            log.warning("%r is not among the task's outlets, so that no event of it is emitted", key)
    found: list[AssetEventOut] = []
    for outlet in outlets:
        event = said[outlet]
        if isinstance(outlet, AssetAlias):
            found += [
                AssetEventOut(_reference(each.asset), _json(each.extra, each.asset), alias=outlet.name)
                for each in event.asset_alias_events
            ]
        else:
            if isinstance(outlet, AssetNameRef | AssetUriRef) and resolve(execution, outlet) is None:
                log.warning("there is no active asset %r, so that no event of it is emitted", outlet)
            found.append(AssetEventOut(_reference(outlet), _json(event.extra, outlet)))
    if len(found) > MAX_EVENTS:
        raise ValueError(f"the task caused {len(found):,} asset events: {MAX_EVENTS:,} are the most")
    size = sum(len(msgspec.json.encode(event.extra)) for event in found)
    if size > MAX_EXTRAS:
        raise ValueError(
            f"the extras of the task's asset events have {size:,} bytes of JSON: {MAX_EXTRAS:,} are the most together; "
            "pass where the data lies instead"
        )
    return tuple(found)


def resolve(execution: Execution, ref: Asset | AssetNameRef | AssetUriRef) -> Asset | None:
    """The asset that one of the task's inlets or outlets stands for; None if there is no active one."""
    if isinstance(ref, Asset):
        return ref
    for known in execution.facts.assets:
        if _same(_key(ref), ("asset", known.name, known.uri)):
            return Asset(known.name, known.uri, group=known.group, extra=known.extra)
    return None


def refuse_inactive(execution: Execution) -> None:
    """Return if all inlets and outlets of the task are active.

    Raises:
        AirflowInactiveAssetInInletOrOutletException: some are not, since other assets have their name or URI.
    """
    if execution.facts.inactive_assets:
        raise AirflowInactiveAssetInInletOrOutletException(
            [f"Asset(name={ref.name!r}, uri={ref.uri!r})" for ref in execution.facts.inactive_assets]
        )


def _reference(asset: Any) -> AssetReference:
    reference = asset.references()[0]
    assert isinstance(reference, AssetReference), f"no asset: {asset!r}"
    return reference


def _json(extra: Any, asset: Any) -> dict[str, Json]:
    if not isinstance(extra, Mapping):
        raise TypeError(f"the extra of an event of {asset!r} must be a dict, not {extra!r}")
    try:
        found = {str(name): serde.to_json(value) for name, value in extra.items()}
    except TypeError as error:
        raise TypeError(f"the extra of an event of {asset!r} is not JSON: {error}") from error
    size = len(msgspec.json.encode(found))
    if size > MAX_EXTRA:
        raise ValueError(
            f"the extra of an event of {asset!r} has {size:,} bytes of JSON: {MAX_EXTRA:,} are the most; "
            "pass where the data lies instead"
        )
    return found


# --- events of earlier executions ---------------------------------------------------------------


@dataclass(frozen=True)
class AssetEvent:
    """An event of an asset. Its `source_…` say which execution emitted it; None if a person or program did."""

    id: int
    timestamp: datetime
    asset: Asset
    extra: dict[str, Json]
    source_dag_id: str | None
    source_run_id: str | None
    source_task_id: str | None
    source_map_index: int
    source_aliases: tuple[AssetAlias, ...]
    partition_key: str | None
    channel: Channel = field(repr=False, compare=False)

    @property
    def uri(self) -> str:
        """URI of the asset."""
        return self.asset.uri

    @property
    def source_dag_run(self) -> DagRun | None:
        """The run that emitted it."""
        if not self.source_dag_id or not self.source_run_id:
            return None
        run = ask_maybe(self.channel, wire.GetRun(self.source_dag_id, self.source_run_id), wire.RunContext)
        return None if run is None else DagRun.of(run)

    @property
    def source_task_instance(self) -> SourceTaskInstance | None:
        """The task instance that emitted it."""
        return SourceTaskInstance(self) if self.source_task_id else None


class SourceTaskInstance:
    """The task instance that emitted an event: its XComs can be pulled."""

    def __init__(self, event: AssetEvent) -> None:
        self.dag_id = event.source_dag_id or ""
        self.run_id = event.source_run_id or ""
        self.task_id = event.source_task_id or ""
        self.map_index = event.source_map_index

    def xcom_pull(self, *, key: str = "return_value", default: Any = None) -> Any:
        """A value that it has left."""
        execution = current_execution()
        if execution is None:
            raise RuntimeError("XComs are pulled while a task runs, not outside of one")
        value = xcoms.pull(
            execution, self.task_id, key, map_index=self.map_index, workflow_id=self.dag_id, run_id=self.run_id
        )
        return default if value is xcoms.ABSENT else value


def _event(found: wire.AssetEventFound, channel: Channel) -> AssetEvent:
    asset = found.asset
    return AssetEvent(
        id=found.id,
        timestamp=found.timestamp,
        asset=Asset(asset.name or None, asset.uri or None, group=asset.group, extra=asset.extra),
        extra=found.extra,
        source_dag_id=found.workflow_id or None,
        source_run_id=found.run_id or None,
        source_task_id=found.task_id or None,
        source_map_index=found.map_index,
        source_aliases=tuple(AssetAlias(name) for name in found.aliases),
        partition_key=found.partition_key or None,
        channel=channel,
    )


def _ask(channel: Channel, asked: wire.GetAssetEvents) -> list[AssetEvent]:
    """All that is asked for, however many answers that takes."""
    found: list[AssetEvent] = []
    while True:
        answer = msgspec.convert(channel.ask(asked), list[wire.AssetEventFound])
        found += [_event(each, channel) for each in answer]
        left = None if asked.limit is None else asked.limit - len(answer)
        if not wire.fills_an_answer(answer) or left == 0:
            return found
        asked = msgspec.structs.replace(asked, limit=left, beyond=answer[-1].id)


class InletEventsAccessor(Sequence[AssetEvent]):
    """The events of one inlet, oldest first. Filters narrow them: `events.after("2026-01-01").limit(10)`."""

    def __init__(self, asked: wire.GetAssetEvents, channel: Channel) -> None:
        self._asked = asked
        self._channel = channel
        self._found: list[AssetEvent] | None = None

    def after(self, after: datetime | str) -> Self:
        """Only those after a moment (ISO text or datetime)."""
        return self._narrowed(after=_moment(after))

    def before(self, before: datetime | str) -> Self:
        """Only those before a moment."""
        return self._narrowed(before=_moment(before))

    def ascending(self, ascending: bool = True) -> Self:
        """Oldest first, or newest first."""
        return self._narrowed(ascending=ascending)

    def limit(self, limit: int) -> Self:
        """No more than so many."""
        return self._narrowed(limit=limit)

    def extra(self, key: str, value: str) -> Self:
        """Only those whose extra has this value under this key."""
        return self._narrowed(extra={**self._asked.extra, key: value})

    def partition_key(self, key: str) -> Self:
        """Only those of this partition."""
        return self._narrowed(partition_key=key)

    def __len__(self) -> int:
        return len(self._events())

    def __iter__(self) -> Iterator[AssetEvent]:
        return iter(self._events())

    @overload
    def __getitem__(self, key: int) -> AssetEvent: ...

    @overload
    def __getitem__(self, key: slice) -> list[AssetEvent]: ...

    def __getitem__(self, key: int | slice) -> AssetEvent | list[AssetEvent]:
        if isinstance(key, int) and self._found is None and self._asked.limit is None:
            return self._one(key)
        return self._events()[key]

    def _one(self, index: int) -> AssetEvent:
        """One of them, without fetching those that lie on the other side of it."""
        count = index + 1 if index >= 0 else -index
        ascending = self._asked.ascending if index >= 0 else not self._asked.ascending
        found = _ask(self._channel, msgspec.structs.replace(self._asked, limit=count, ascending=ascending))
        if len(found) < count:
            raise IndexError(f"there are {len(found)} events, none at {index}")
        return found[-1]

    def _events(self) -> list[AssetEvent]:
        if self._found is None:
            self._found = _ask(self._channel, self._asked)
        return self._found

    def _narrowed(self, **changes: Any) -> Self:
        self._asked = msgspec.structs.replace(self._asked, **changes)
        self._found = None
        return self


class InletEvents(_ByAsset, Mapping[Any, InletEventsAccessor]):
    """`inlet_events` of the context: `inlet_events[asset][-1].extra`.

    Arguments:
        inlets: of the task; also accessible by their position.
        channel: to ask.
    """

    def __init__(self, inlets: Iterable[Any], channel: Channel) -> None:
        self._inlets = list(inlets)
        self._channel = channel

    def __getitem__(self, key: Any) -> InletEventsAccessor:
        wanted = self._inlets[key] if isinstance(key, int) else key
        for inlet in self._inlets:
            if isinstance(inlet, BaseAsset) and _same(_key(inlet), _key(wanted)):
                kind, name, uri = _key(inlet)
                asked = wire.GetAssetEvents(alias=name) if kind == "alias" else wire.GetAssetEvents(name, uri)
                return InletEventsAccessor(asked, self._channel)
        raise KeyError(f"{wanted!r} is not among the task's inlets")

    def __iter__(self) -> Iterator[Any]:
        return iter(self._inlets)

    def __len__(self) -> int:
        return len(self._inlets)


class TriggeringEvents(_ByAsset, Mapping[Any, Sequence[AssetEvent]]):
    """`triggering_asset_events` of the context: the events that caused the run, by asset and by alias.

    Arguments:
        channel: to ask.
        run_type: of the run; one that no asset caused has none.
    """

    def __init__(self, channel: Channel, run_type: RunType) -> None:
        self._channel = channel
        self._run_type = run_type
        self._found: dict[Any, list[AssetEvent]] | None = None

    def __getitem__(self, key: Any) -> Sequence[AssetEvent]:
        for known, events in self._by_asset().items():
            if _same(_key(known), _key(key)):
                return events
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._by_asset())

    def __len__(self) -> int:
        return len(self._by_asset())

    def _by_asset(self) -> dict[Any, list[AssetEvent]]:
        if self._found is None:
            self._found = {}
            events = []
            if self._run_type is RunType.ASSET_TRIGGERED:
                events = _ask(self._channel, wire.GetAssetEvents(triggering=True))
            for event in events:
                for key in (event.asset, *event.source_aliases):
                    self._found.setdefault(key, []).append(event)
        return self._found


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
