"""Workers: who lives. A worker is a member of kind `worker`, renewed by its heartbeats (correctness §2.1).

A worker that was declared dead may come back under its name. What it held then is lost by then, in the transaction
that declared it dead: for each of these executions its attempt says so, and the worker is told when it names them.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, literal_column, select
from sqlalchemy.dialects.postgresql import insert  # compiles for both databases

from piper.store.schema import member

KIND = "worker"

_is_worker = member.c.kind == literal_column(f"'{KIND}'")
_is_alive = member.c.state != literal_column("'dead'")


class WorkerSign(NamedTuple):
    """What is seen of a worker."""

    is_dead: bool
    renew_seq: int


def renew_worker(connection: Connection, worker: str, version: str, now: datetime) -> None:
    """Count a heartbeat of a worker, which is made known by its first."""
    fresh = insert(member).values(
        member_id=worker,
        node_key=worker,
        kind=KIND,
        version=version,
        state="live",
        renew_seq=1,
        started_at=now,
        renewed_at=now,
    )
    renewed = fresh.on_conflict_do_update(
        index_elements=["member_id"],
        set_={"renew_seq": member.c.renew_seq + 1, "renewed_at": now, "state": "live", "version": version},
    )
    connection.execute(renewed)


_SIGNS = select(member.c.member_id, member.c.state, member.c.renew_seq).where(_is_worker)


def signs_of_workers(connection: Connection) -> dict[str, WorkerSign]:
    """What is seen of every worker that was ever heard of and is not forgotten yet, by name."""
    rows = connection.execute(_SIGNS)
    return {row.member_id: WorkerSign(row.state == "dead", row.renew_seq) for row in rows}


_DECLARE_DEAD = (
    member.update()
    .where(
        _is_worker,
        _is_alive,
        member.c.member_id == bindparam("worker"),
        member.c.renew_seq <= bindparam("seen"),
    )
    .values(state="dead")
)


def declare_dead(connection: Connection, worker: str, seen: int) -> bool:
    """Declare a worker dead, unless it has renewed since it was `seen`: then it lives, and the answer is False."""
    return connection.execute(_DECLARE_DEAD, {"worker": worker, "seen": seen}).rowcount == 1


_FORGET = member.delete().where(_is_worker, member.c.state == "dead", member.c.renewed_at < bindparam("before"))


def forget_dead_workers(connection: Connection, before: datetime) -> None:
    """Remove the rows of workers that died long ago."""
    connection.execute(_FORGET, {"before": before})
