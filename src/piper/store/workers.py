"""Workers: who lives. A worker is a member of kind `worker`, known by its name, renewed by its heartbeats.

Its name is its node key, the same after a restart. One that was declared dead, by mistake or not, is registered anew
by its next heartbeat; what it held then is lost, and it is told so when it names it.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Connection, bindparam

from piper.model.member import Member, MemberState
from piper.store import members
from piper.store.schema import member

KIND = "worker"

_RENEW = (
    member.update()
    .where(
        member.c.kind == KIND,
        member.c.node_key == bindparam("worker"),
        member.c.state != MemberState.DEAD,
    )
    .values(renew_seq=member.c.renew_seq + 1, renewed_at=bindparam("at"))
)


def renew_worker(connection: Connection, worker: str, version: str, at: datetime) -> None:
    """Count a heartbeat of a worker. The first one, and the first after its death, makes it known."""
    if connection.execute(_RENEW, {"worker": worker, "at": at}).rowcount == 0:
        new = Member(
            member_id=uuid.uuid4().hex, node_key=worker, kind=KIND, version=version, started_at=at, renewed_at=at
        )
        members.register(connection, new)
