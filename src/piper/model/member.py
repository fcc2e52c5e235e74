"""Who takes part: the members of an installation and the shards they own (correctness §2)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class MemberState(StrEnum):
    """State of one registration of a process. `DEAD` is final: who lives on registers anew."""

    LIVE = "live"
    DEAD = "dead"


class Member(Struct, frozen=True, kw_only=True):
    """One process in one role, from its registration until its death."""

    member_id: str
    """New for each start and each registration; the owner in a fence."""
    node_key: str
    """Stable over restarts ("host:index"): what shards are assigned by."""
    kind: str
    """The role: scheduler, executor, serializer, triggerer, or standalone."""
    centre: str = ""
    version: str
    state: MemberState = MemberState.LIVE
    renew_seq: int = 0
    """Rises with each sign of life; others watch it with their own clocks."""
    started_at: datetime
    renewed_at: datetime
    """By the member's own clock, for people."""


class ShardOwner(Struct, frozen=True):
    """Who owns a shard, and in which term: `epoch` rises with every change of owner."""

    shard: int
    owner: str | None
    epoch: int
