"""Assets as the system knows them: who uses which as what, and what an event of one says."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import Struct, field

from piper.model.ids import UNMAPPED
from piper.model.spec import AssetRef, Json

MAX_EXTRA = 64 << 10
"""Bytes of JSON that the extra of one event may have."""

MAX_EXTRAS = 8 << 20
"""Bytes of JSON that the extras of all events of one execution may have together: they travel in one message."""

MAX_EVENTS = 1_000
"""Events that one execution may cause."""

NAME_BYTES = 1_000
"""Bytes of an asset's name, of its URI and of an alias: what both databases can index together."""


class AssetRole(StrEnum):
    """What an asset is to the workflow that names it."""

    SCHEDULE = "schedule"
    INLET = "inlet"
    OUTLET = "outlet"


class AssetKind(StrEnum):
    """What is named: an asset, or an alias for assets that are known at run time only."""

    ASSET = "asset"
    ALIAS = "alias"


class AssetUse(Struct, frozen=True):
    """That a workflow, or one of its tasks, names an asset. A reference leaves the name or the URI empty."""

    role: AssetRole
    task_id: str
    """Empty in a schedule."""
    kind: AssetKind
    name: str
    uri: str = ""


class Emission(Struct, frozen=True, kw_only=True):
    """An event of an asset that is to be written. Where it comes from is empty when a person or a program made it."""

    team: str
    asset: AssetRef
    extra: dict[str, Json] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """Aliases by way of which it is made: the asset is attached to them."""
    workflow_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = UNMAPPED
    partition_key: str = ""


def problem_of_name(name: str) -> str:
    """Why a name, a URI or an alias cannot be kept, as the end of a sentence; empty if it can."""
    if len(name.encode()) > NAME_BYTES:
        return f"{name[:40]!r}… has {len(name.encode()):,} bytes: {NAME_BYTES:,} are the most"
    return f"{name[:40]!r} has a NUL character" if "\0" in name else ""


def problem_of_extra(extra: Mapping[str, Json]) -> str:
    """Why the extra of an asset or event cannot be kept, as the end of a sentence; empty if it can."""
    text = msgspec.json.encode(extra)
    if len(text) > MAX_EXTRA:
        return f"has {len(text):,} bytes of JSON: {MAX_EXTRA:,} are the most; pass where the data lies instead"
    return "has a NUL character, which no database keeps" if b"\\u0000" in text else ""
