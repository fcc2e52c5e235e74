"""Who owns which shard, and in which term (correctness §2.1).

Every change of owner raises the epoch, so that a term is never used twice and what the old owner still
sends is refused by its fence. A claim's UPDATE waits for transactions that hold the shard by their fence;
the new owner reads only after its claim is committed, and so sees all that the old one wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy
from sqlalchemy import Connection, bindparam, text

from piper.model.member import MemberState, ShardOwner
from piper.store.schema import coordination, member, shard

CLAIM_LOCK_MILLISECONDS = 300
"""How long a claim waits for an owner's transaction before its sessions are looked at."""

CLAIM_SIZE = 64
"""Most shards of one claim: a long transaction would delay the claimer's own signs of life."""

_among_shards = shard.c.shard.in_(bindparam("shards", expanding=True))
_SURVEY = (
    sqlalchemy.select(shard.c.shard, shard.c.owner, shard.c.epoch)
    .where(shard.c.shard.between(bindparam("first"), bindparam("last")))
    .order_by(shard.c.shard)
)
_LOCK = sqlalchemy.select(shard.c.shard).where(_among_shards).order_by(shard.c.shard).with_for_update()

_claimer = member.alias("claimer")
_holder = member.alias("holder")
_CLAIM = (
    shard.update()
    .where(
        sqlalchemy.tuple_(shard.c.shard, shard.c.epoch).in_(bindparam("seen", expanding=True)),
        sqlalchemy.or_(
            shard.c.owner.is_(None),
            shard.c.owner == bindparam("me"),
            # Dead is final, so that what this finds cannot become false before the commit.
            ~sqlalchemy.exists().where(_holder.c.member_id == shard.c.owner, _holder.c.state != MemberState.DEAD),
        ),
        sqlalchemy.exists().where(_claimer.c.member_id == bindparam("me"), _claimer.c.state == MemberState.LIVE),
    )
    .values(owner=bindparam("me"), epoch=shard.c.epoch + 1, changed_at=bindparam("at"))
    .returning(shard.c.shard, shard.c.epoch)
)
_RELEASE = (
    shard.update()
    .where(_among_shards, shard.c.owner == bindparam("me"))
    .values(owner=None, epoch=shard.c.epoch + 1, changed_at=bindparam("at"))
)
_TAKE_ALL = (
    shard.update()
    .values(owner=bindparam("me"), epoch=shard.c.epoch + 1, changed_at=bindparam("at"))
    .returning(shard.c.shard, shard.c.epoch)
)


def coordinator(connection: Connection) -> str:
    """What coordinates the members of this installation: sqlite, postgres or zookeeper."""
    return str(connection.execute(sqlalchemy.select(coordination.c.coordinator)).scalar_one())


def survey(connection: Connection, first: int, last: int) -> Sequence[ShardOwner]:
    """Who owns each shard from `first` to `last` now. Asked four times a second, hence a range and no list."""
    return [ShardOwner(*row) for row in connection.execute(_SURVEY, {"first": first, "last": last})]


def claim(connection: Connection, owner: str, seen: Mapping[int, int], at: datetime) -> dict[int, int]:
    """Take shards that nobody living owns, each if its epoch is still the one seen; returns their new epochs.

    Arguments:
        owner: the claiming member, which must be live.
        seen: at most CLAIM_SIZE shards with their epochs, as `survey` gave them.
    """
    if not seen:
        return {}
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {CLAIM_LOCK_MILLISECONDS}"))
    connection.execute(_LOCK, {"shards": sorted(seen)})  # in order: two that claim may not wait for each other
    claimed = connection.execute(_CLAIM, {"me": owner, "seen": sorted(seen.items()), "at": at})
    return {row.shard: row.epoch for row in claimed}


def release(connection: Connection, owner: str, shards: Sequence[int], at: datetime) -> None:
    """Give up those of `shards` that `owner` still owns; waits for its transactions that hold them."""
    connection.execute(_LOCK, {"shards": sorted(shards)})
    connection.execute(_RELEASE, {"me": owner, "shards": shards, "at": at})


def take_all(connection: Connection, owner: str, at: datetime) -> dict[int, int]:
    """Take every shard, whoever owns it; returns their new epochs. For the one process that serves a SQLite file."""
    return {row.shard: row.epoch for row in connection.execute(_TAKE_ALL, {"me": owner, "at": at})}


def end_sessions(connection: Connection, owner: str) -> int:
    """End a dead member's database sessions, which may hold its shards; returns how many there were.

    On SQLite there are none to end.
    """
    if connection.dialect.name != "postgresql":
        return 0
    ended = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = :session AND pid <> pg_backend_pid() AND usename = current_user"
    )
    return int(connection.execute(ended, {"session": f"piper/{owner}"}).scalar_one())
