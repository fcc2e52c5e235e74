"""Who did what to which object: one row per call that changes something, chained by hash for each team (I29).

A row's hash covers the row and the hash of the row before it, so that a row which was changed, removed or
put in later no longer fits its neighbours. What a chain alone cannot show is the loss of its newest rows:
`verify` therefore tells the head of each chain, to be kept elsewhere and compared.

The database itself refuses to change or to remove a row (`schema.AUDIT_GUARDS`); who may change its tables can lift
that, and is found out by the chain.

The row is written in the transaction of the change, as its last statement: `append` holds the team's chain
until the commit (the global lock order of architecture §5 ends with the audit).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from piper.model.spec import Json
from piper.store.listings import AnyRow, Order, Page, Teams, Window, read_page, readable
from piper.store.schema import audit
from piper.store.types import to_microseconds

GENESIS = ""
"""What the first row of a chain has for the hash of the row before it."""

AUDIT_ORDER = Order((audit.c.at, audit.c.team, audit.c.seq), descending=True)
_VERIFIED_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened to one object. `detail` never holds a secret: names of what changed, not values."""

    team: str
    action: str
    """A noun and a verb: `run.trigger`, `connection.set`."""
    object_type: str
    object_id: str
    detail: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chain:
    """What verification found of one team's chain."""

    team: str
    rows: int
    head: str
    """Hash of the newest row: keep it elsewhere, and a chain that was cut short is seen too."""
    broken_at: int | None
    """`seq` of the first row that does not fit; None when all do."""


def append(connection: Connection, entry: Entry, principal: str, at: datetime) -> str:
    """Add a row to its team's chain and return its hash. The last write of a transaction."""
    if connection.dialect.name == "postgresql":
        # Held until the commit. The newest row is then read by a statement of its own: one that had waited
        # for the lock would still see the rows of before.
        connection.execute(select(func.pg_advisory_xact_lock(_lock_number(entry.team))))
    newest = connection.execute(
        select(audit.c.seq, audit.c.hash).where(audit.c.team == entry.team).order_by(audit.c.seq.desc()).limit(1)
    ).one_or_none()
    row = {
        "team": entry.team,
        "seq": newest.seq + 1 if newest else 1,
        "at": at,
        "principal": principal,
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "detail": entry.detail,
        "previous": newest.hash if newest else GENESIS,
    }
    row["hash"] = hash_of(row)
    connection.execute(audit.insert().values(**row))
    return str(row["hash"])


def verify(connection: Connection, teams: Teams) -> list[Chain]:
    """Follow every readable chain from its beginning."""
    statement = readable(select(audit.c.team).distinct(), audit.c.team, teams)
    return [_verify_chain(connection, team) for team in sorted(connection.execute(statement).scalars())]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows; None does not ask."""

    principal: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def search(connection: Connection, teams: Teams, wanted: AuditFilter, window: Window) -> Page:
    """Rows of readable chains, newest first."""
    statement = readable(select(audit), audit.c.team, teams)
    for column, value in (
        (audit.c.principal, wanted.principal),
        (audit.c.object_type, wanted.object_type),
        (audit.c.object_id, wanted.object_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.action is not None:
        statement = statement.where(audit.c.action.startswith(wanted.action, autoescape=True))
    if wanted.since is not None:
        statement = statement.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(audit.c.at < wanted.until)
    return read_page(connection, statement, AUDIT_ORDER, window)


def _verify_chain(connection: Connection, team: str) -> Chain:
    rows, head = 0, GENESIS
    for row in _chain(connection, team):
        values = {name: getattr(row, name) for name in audit.c.keys()}  # noqa: SIM118, the keys of columns
        if row.seq != rows + 1 or row.previous != head or row.hash != hash_of(values):
            return Chain(team, rows, head, broken_at=row.seq)
        rows, head = row.seq, row.hash
    return Chain(team, rows, head, broken_at=None)


def _chain(connection: Connection, team: str) -> Iterator[AnyRow]:
    """The rows of a team in order, a part at a time."""
    seen = 0
    while True:
        statement = select(audit).where(audit.c.team == team, audit.c.seq > seen).order_by(audit.c.seq)
        part = connection.execute(statement.limit(_VERIFIED_AT_A_TIME)).all()
        yield from part
        if len(part) < _VERIFIED_AT_A_TIME:
            return
        seen = part[-1].seq


def hash_of(row: dict[str, Any]) -> str:
    """SHA-256 over the row's fields, but for the hash itself, as deterministic JSON."""
    fields = [
        row["team"],
        row["seq"],
        to_microseconds(row["at"]),
        row["principal"],
        row["action"],
        row["object_type"],
        row["object_id"],
        row["detail"],
        row["previous"],
    ]
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()


def _lock_number(team: str) -> int:
    digest = hashlib.blake2b(b"piper audit " + team.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
