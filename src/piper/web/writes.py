"""Writes: one transaction with its effect, its audit rows and the remembered reply; and waiting for a command.

A command is applied by the owner of the run, in its own time. The reply waits for that on the event loop,
not in a thread, and looks at growing intervals whether the command's event is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import anyio
import msgspec
from msgspec import Struct
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from piper.store import audit, commands, idempotency
from piper.store.audit import Entry
from piper.store.commands import Sent
from piper.store.types import from_microseconds, to_microseconds
from piper.web.routing import Call

_FIRST_LOOK = 0.004
_LONGEST_LOOK = 0.1


class Receipt(BaseModel):
    """What a command was about. 200: it has been applied; 202: it is on its way to the owner of the run."""

    workflow_id: str
    run_id: str | None = Field(default=None, description="The run; null for a command to the workflow.")
    command: str = Field(description="clear, mark, cancel, pause, unpause, resume.")
    runs: int = Field(default=0, description="How many runs it is about; 0 for a command to the workflow.")
    affected: list[dict[str, object]] = Field(default=[], description="The task instances that it names.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a write did, inside its transaction."""

    status: int
    reply: BaseModel | None
    entries: tuple[Entry, ...]
    """The audit rows: one for each team whose objects were changed."""
    wake: tuple[str, ...] = ()
    """Services that have something to do now."""
    sent: tuple[Sent, ...] = ()
    """Commands whose application the reply waits for."""
    location: str = ""
    """Where what was made can be read."""


class Outcome(Struct, frozen=True):
    """What is answered, and remembered under the Idempotency-Key."""

    status: int
    body: str
    """JSON, or nothing with a 204."""
    sent: tuple[tuple[int, int], ...] = ()
    location: str = ""

    def response(self, status: int | None = None) -> Response:
        """The reply, with another status if one is given."""
        headers = {"Location": self.location} if self.location else None
        return Response(self.body or None, status or self.status, headers, "application/json" if self.body else None)


def write(call: Call, work: Callable[[Connection], Effect]) -> Outcome:
    """Do a write and answer it, or give the answer again that the same Idempotency-Key got before.

    Arguments:
        work: does the effect on the given connection and says what it was. What it raises undoes it all.

    Raises:
        Invalid: the Idempotency-Key was used for another request.
        StoreUnavailable, AmbiguousCommit: of the database.
    """
    parts = call.parts
    now = parts.clock.now()
    principal, key = call.principal.name, call.idempotency_key
    with parts.database.write() as connection:
        if key:
            before = idempotency.claim(connection, principal, key, _fingerprint(call), now)
            if before is not None:
                call.decided = True  # the reply is the caller's own, and was authorised when it was made
                return msgspec.json.decode(before.body, type=Outcome)
        effect = work(connection)
        outcome = Outcome(
            effect.status,
            effect.reply.model_dump_json(by_alias=True) if effect.reply is not None else "",
            tuple((command.id, to_microseconds(command.at)) for command in effect.sent),
            effect.location,
        )
        if key:
            idempotency.remember(
                connection, principal, key, idempotency.Reply(effect.status, msgspec.json.encode(outcome))
            )
        _audit(connection, effect, call, now)
    for name in effect.wake:
        parts.wakeups.notify(name)
    return outcome


async def command(call: Call, work: Callable[[Connection], Effect]) -> Response:
    """Do a write that sends commands, and wait until they are applied: 200, or 202 if that takes too long."""
    outcome = await run_in_threadpool(write, call, work)
    if await _applied(call, outcome):
        return outcome.response(200)
    return outcome.response(202)


async def _applied(call: Call, outcome: Outcome) -> bool:
    commands_sent = [Sent(number, from_microseconds(at)) for number, at in outcome.sent]
    clock = call.parts.clock
    deadline = clock.monotonic() + call.parts.settings.web.command_wait.total_seconds()
    pause = _FIRST_LOOK
    while commands_sent:
        if clock.monotonic() >= deadline:
            return False
        await anyio.sleep(pause)
        pause = min(2 * pause, _LONGEST_LOOK)
        if await run_in_threadpool(_count_pending, call, commands_sent) == 0:
            break
    return True


def _count_pending(call: Call, sent: list[Sent]) -> int:
    with call.parts.database.read() as connection:
        return commands.count_pending(connection, sent)


def _audit(connection: Connection, effect: Effect, call: Call, now: datetime) -> None:
    """Exactly one row for each team, in a fixed order, so that two writes never wait for each other's chain."""
    teams = [entry.team for entry in effect.entries]
    if not teams or len(set(teams)) != len(teams):
        raise AssertionError(f"{call.method} {call.path} must write one audit row for each team")
    for entry in sorted(effect.entries, key=lambda entry: entry.team):
        audit.append(connection, entry, call.principal.name, now)


def _fingerprint(call: Call) -> str:
    """A hash of what is asked: method, address and body."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (call.method.encode(), call.path.encode(), call.query.encode(), call.body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
