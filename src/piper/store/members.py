"""Registrations of processes: who lives and who is dead (correctness §2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam

from piper.model.member import Member, MemberState
from piper.store.schema import member

_RENEW = (
    member.update()
    .where(member.c.member_id == bindparam("me"), member.c.state != MemberState.DEAD)
    .values(renew_seq=member.c.renew_seq + 1, renewed_at=bindparam("at"))
)
_DECLARE_DEAD = (
    member.update()
    .where(
        member.c.member_id == bindparam("suspect"),
        member.c.state != MemberState.DEAD,
        member.c.renew_seq == bindparam("seen"),
    )
    .values(state=MemberState.DEAD)
)
_END = (
    member.update()
    .where(member.c.member_id == bindparam("me"), member.c.state != MemberState.DEAD)
    .values(state=MemberState.DEAD)
)
_REPLACE = (
    member.update()
    .where(member.c.kind == bindparam("its_kind"), member.c.node_key == bindparam("its_key"))
    .where(member.c.state != MemberState.DEAD)
    .values(state=MemberState.DEAD)
)
_PRESENT = (
    member.select()
    .where(member.c.kind == bindparam("its_kind"), member.c.state != MemberState.DEAD)
    .order_by(member.c.node_key)
)
_EVERYONE = member.select().order_by(member.c.kind, member.c.node_key, member.c.started_at)
_FORGET = member.delete().where(member.c.state == MemberState.DEAD, member.c.renewed_at < bindparam("before"))


def register(connection: Connection, new: Member) -> None:
    """Begin a membership. One of the same kind and node key that still seems to live ends here: it restarted.

    Raises:
        Conflict: (when the transaction ends) another process registers under the same node key just now.
    """
    connection.execute(_REPLACE, {"its_kind": new.kind, "its_key": new.node_key})
    connection.execute(
        member.insert(),
        {
            "member_id": new.member_id,
            "node_key": new.node_key,
            "kind": new.kind,
            "centre": new.centre,
            "version": new.version,
            "state": new.state.value,
            "renew_seq": new.renew_seq,
            "started_at": new.started_at,
            "renewed_at": new.renewed_at,
        },
    )


def renew(connection: Connection, member_id: str, at: datetime) -> bool:
    """Give a sign of life. False if others have declared this member dead: it must register anew."""
    return bool(connection.execute(_RENEW, {"me": member_id, "at": at}).rowcount)


def declare_dead(connection: Connection, member_id: str, renew_seq: int) -> bool:
    """End a membership whose last sign of life was `renew_seq`; False if a later sign, or its end, came first."""
    return bool(connection.execute(_DECLARE_DEAD, {"suspect": member_id, "seen": renew_seq}).rowcount)


def end(connection: Connection, member_id: str) -> None:
    """End one's own membership: others may claim its shards from now on."""
    connection.execute(_END, {"me": member_id})


def present(connection: Connection, kind: str) -> Sequence[Member]:
    """The members of a kind that are not dead, by node key."""
    return [_member(row) for row in connection.execute(_PRESENT, {"its_kind": kind})]


def everyone(connection: Connection) -> Sequence[Member]:
    """All registrations that are remembered, for people."""
    return [_member(row) for row in connection.execute(_EVERYONE)]


def forget_dead(connection: Connection, before: datetime) -> int:
    """Delete the dead whose last sign of life was earlier than `before`; returns how many."""
    return connection.execute(_FORGET, {"before": before}).rowcount


def _member(row: Row[tuple[object, ...]]) -> Member:
    fields = row._asdict()
    return Member(**{**fields, "state": MemberState(fields["state"])})
