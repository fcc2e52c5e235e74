"""Assets: data that tasks change and read, and that DAGs may be scheduled by."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, overload
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from piper.model import schedule as data
from piper.model.spec import AssetRef as AssetReference

NAME_LENGTH = 1500


class BaseAsset:
    """Whatever a DAG may be scheduled by: an asset, a reference, an alias, `a & b`, `a | b`."""

    def condition(self) -> data.AssetCondition:
        """As data."""
        raise NotImplementedError

    def references(self) -> Sequence[AssetReference | data.AssetAliasKey]:
        """The assets and aliases in it, as a task's inlets or outlets name them."""
        raise NotImplementedError

    def iter_assets(self) -> Iterator[BaseAsset]:
        """The assets, references and aliases in it."""
        yield self

    def __or__(self, other: BaseAsset) -> BaseAsset:
        """Either: an event of one is enough."""
        return AssetAny(self, other) if isinstance(other, BaseAsset) else NotImplemented

    def __and__(self, other: BaseAsset) -> BaseAsset:
        """Both: there must be an event of each."""
        return AssetAll(self, other) if isinstance(other, BaseAsset) else NotImplemented


@dataclass
class AssetAccessControl:
    """Who may cause and who may use events of an asset.

    Arguments:
        producer_teams: teams whose events count; empty: all.
        consumer_teams: teams whose DAGs may be scheduled by it; None: all.
        allow_global: whether DAGs without a team may.
    """

    producer_teams: list[str] = field(default_factory=list)
    consumer_teams: list[str] | None = None
    allow_global: bool = True

    def __post_init__(self) -> None:
        for team in (*self.producer_teams, *(self.consumer_teams or ())):
            if not isinstance(team, str) or not team or team.isspace():
                raise ValueError(f"a team is named by a non-empty string, not {team!r}")
        if not isinstance(self.allow_global, bool):
            raise TypeError(f"allow_global must be a bool, not {self.allow_global!r}")


class Asset(BaseAsset, os.PathLike[str]):
    """A table, a file, a model: data with a name.

    Example::

        orders = Asset("orders", "s3://warehouse/orders")

        with DAG("report", schedule=[orders]): …

    Arguments:
        name: its name; by default the URI.
        uri: where it is; by default the name. No scheme `airflow`.
        group: the kind of asset.
        extra: facts about it; JSON.
        access_control: who may cause and use its events.

    Raises:
        TypeError: neither name nor URI is given.
        ValueError: the name or the URI is not valid.
    """

    asset_type: ClassVar[str] = "asset"

    def __init__(
        self,
        name: str | None = None,
        uri: str | os.PathLike[str] | None = None,
        *,
        group: str | None = None,
        extra: Mapping[str, Any] | None = None,
        watchers: Collection[Any] | None = None,
        access_control: AssetAccessControl | None = None,
    ) -> None:
        if name is None and uri is None:
            raise TypeError("Asset() requires either 'name' or 'uri'")
        if watchers:
            raise NotImplementedError(
                "Asset(watchers=…): Piper has no asset watchers yet; see Asset(extra=…) and events"
            )
        location = str(uri) if uri is not None else str(name)
        self.name = _name(name if name is not None else location)
        self.uri = _uri(location)
        self.group = group if group is not None else self.asset_type
        self.extra: dict[str, Any] = dict(extra or {})
        self.watchers: list[Any] = []
        self.access_control = access_control or AssetAccessControl()

    @overload
    @staticmethod
    def ref(*, name: str) -> AssetNameRef: ...

    @overload
    @staticmethod
    def ref(*, uri: str) -> AssetUriRef: ...

    @staticmethod
    def ref(*, name: str = "", uri: str = "") -> AssetRef:
        """A reference to an asset that is described elsewhere, by its name or by its URI."""
        if bool(name) == bool(uri):
            raise TypeError("Asset.ref() takes either 'name' or 'uri'")
        return AssetNameRef(name) if name else AssetUriRef(uri)

    def condition(self) -> data.AssetCondition:
        """Itself."""
        return data.AssetKey(self.name, self.uri)

    def references(self) -> Sequence[AssetReference | data.AssetAliasKey]:
        """Itself."""
        return (AssetReference(self.name, self.uri, self.group, self.extra),)

    @property
    def normalized_uri(self) -> str | None:
        """The URI, if it is one."""
        return self.uri if urlsplit(self.uri).scheme else None

    def __fspath__(self) -> str:
        return self.uri

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Asset):
            return NotImplemented
        return (self.name, self.uri, self.group, self.extra) == (other.name, other.uri, other.group, other.extra)

    def __hash__(self) -> int:
        return hash((self.name, self.uri))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, uri={self.uri!r})"


class Dataset(Asset):
    """Airflow 2's name for an asset."""

    asset_type: ClassVar[str] = "dataset"


class Model(Asset):
    """An asset that is a trained model."""

    asset_type: ClassVar[str] = "model"


class AssetRef(BaseAsset):
    """A reference to an asset that is described elsewhere; `Asset.ref` makes it."""


@dataclass(frozen=True)
class AssetNameRef(AssetRef):
    """A reference by name."""

    name: str

    def condition(self) -> data.AssetCondition:
        """By name."""
        return data.AssetKey(name=self.name)

    def references(self) -> Sequence[AssetReference | data.AssetAliasKey]:
        """By name."""
        return (AssetReference(self.name, ""),)


@dataclass(frozen=True)
class AssetUriRef(AssetRef):
    """A reference by URI."""

    uri: str

    def condition(self) -> data.AssetCondition:
        """By URI."""
        return data.AssetKey(uri=self.uri)

    def references(self) -> Sequence[AssetReference | data.AssetAliasKey]:
        """By URI."""
        return (AssetReference("", self.uri),)


@dataclass(frozen=True)
class AssetAlias(BaseAsset):
    """A name for assets that only a running task knows: it attaches them to its events.

    Arguments:
        name: of the alias.
        group: the kind of asset.
    """

    name: str
    group: str = "asset"

    def __post_init__(self) -> None:
        _name(self.name)

    def condition(self) -> data.AssetCondition:
        """Whatever assets are attached to it."""
        return data.AssetAliasKey(self.name)

    def references(self) -> Sequence[AssetReference | data.AssetAliasKey]:
        """Itself."""
        return (data.AssetAliasKey(self.name),)


class AssetBooleanCondition(BaseAsset):
    """Assets joined by and, or by or."""

    def __init__(self, *objects: BaseAsset) -> None:
        for one in objects:
            if not isinstance(one, BaseAsset):
                raise TypeError(f"expect asset expressions in condition, not {one!r}")
        self.objects = objects

    def references(self) -> Sequence[AssetReference | data.AssetAliasKey]:
        """Those of all parts."""
        return [reference for one in self.objects for reference in one.references()]

    def iter_assets(self) -> Iterator[BaseAsset]:
        """Those of all parts."""
        for one in self.objects:
            yield from one.iter_assets()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, AssetBooleanCondition)
        return self.objects == other.objects

    def __hash__(self) -> int:
        return hash((type(self), self.objects))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.objects))})"


class AssetAny(AssetBooleanCondition):
    """One event of any part is enough: `a | b`."""

    def condition(self) -> data.AssetCondition:
        """Any part."""
        return data.AssetAny(tuple(one.condition() for one in self.objects))

    def __or__(self, other: BaseAsset) -> BaseAsset:
        return AssetAny(*self.objects, other) if isinstance(other, BaseAsset) else NotImplemented


class AssetAll(AssetBooleanCondition):
    """There must be events of all parts: `a & b`, or a list."""

    def condition(self) -> data.AssetCondition:
        """All parts."""
        return data.AssetAll(tuple(one.condition() for one in self.objects))

    def __and__(self, other: BaseAsset) -> BaseAsset:
        return AssetAll(*self.objects, other) if isinstance(other, BaseAsset) else NotImplemented


@dataclass
class Metadata:
    """Facts to send with an event of an asset: `yield Metadata(orders, {"rows": 17})`.

    Arguments:
        asset: one of the task's outlets.
        extra: the facts; JSON.
        alias: the alias, among the task's outlets, to attach the asset to.
    """

    asset: Asset
    extra: dict[str, Any] = field(default_factory=dict)
    alias: AssetAlias | None = None


def from_reference(named: AssetReference | data.AssetAliasKey) -> BaseAsset:
    """The asset, reference or alias that a task's spec names."""
    if isinstance(named, data.AssetAliasKey):
        return AssetAlias(named.name)
    if named.name and named.uri:
        return Asset(named.name, named.uri, group=named.group, extra=named.extra)
    return AssetNameRef(named.name) if named.name else AssetUriRef(named.uri)


def condition_of(assets: Any) -> BaseAsset:
    """An asset, a collection of assets (all of them), or an expression, as one condition.

    Raises:
        ValueError: something in there is no asset.
    """
    found = condition_or_none(assets)
    if found is None:
        raise ValueError(f"expected an asset, a list of assets or an expression of assets, not {assets!r}")
    return found


def condition_or_none(assets: Any) -> BaseAsset | None:
    if isinstance(assets, BaseAsset):
        return assets
    if isinstance(assets, Collection) and not isinstance(assets, str | dict):
        if not all(isinstance(one, BaseAsset) for one in assets):
            raise ValueError("All elements in 'schedule' should be either assets, asset references, or asset aliases")
        if assets:
            return AssetAll(*assets)
    return None


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"an asset's name must be a string, not {name!r}")
    if not name or name.isspace():
        raise ValueError("an asset's name cannot be empty or just whitespace")
    if len(name) > NAME_LENGTH:
        raise ValueError(f"an asset's name cannot exceed {NAME_LENGTH} characters")
    if name in ("self", "context"):
        raise ValueError(f"prohibited name for asset: {name}")
    return name


def _uri(text: str) -> str:
    """The URI in one spelling: scheme in lower case, no user name and password, no trailing slash, sorted query."""
    if not text or text.isspace():
        raise ValueError("an asset's URI cannot be empty or just whitespace")
    parts = urlsplit(text)
    scheme = parts.scheme.lower()
    if not scheme or scheme.startswith("x-"):
        return text
    if scheme == "airflow":
        raise ValueError(f"{text!r}: Asset scheme 'airflow' is reserved")
    host = parts.netloc
    if parts.password:
        warnings.warn("An Asset URI should not contain a password. User info has been dropped.", stacklevel=4)
        host = host.rpartition("@")[2]
    query = urlencode(sorted(parse_qsl(parts.query))) if parts.query else ""
    return urlunsplit((scheme, host, parts.path.rstrip("/") or "/", query, ""))
