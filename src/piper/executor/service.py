"""The leader's loop: grant slots to what is scheduled, and send it to the backend."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sqlalchemy import Connection

from piper.core.grants import Candidate, Capacity, PoolCapacity, allocate
from piper.executor.backend import Backend
from piper.executor.lost_workers import PERIOD_SECONDS as LOST_WORKERS_PERIOD
from piper.executor.lost_workers import LostWorkers
from piper.executor.misfits import PERIOD_SECONDS as MISFITS_PERIOD
from piper.executor.misfits import report_misfits
from piper.executor.queued_sweep import PERIOD_SECONDS as QUEUED_PERIOD
from piper.executor.queued_sweep import QueuedSweep
from piper.model.errors import FenceLost
from piper.model.ids import EXECUTOR_SHARD
from piper.model.run import Identity
from piper.model.wire import Dispatch
from piper.service import POLL_SECONDS, Clock, Service, Wakeups
from piper.store.database import Database, Fence
from piper.store.grants import Dispatchable, Waiting, grant, queued, waiting
from piper.store.pools import UNLIMITED, Lane, Misfit, Pool, holdings, lanes, list_pools
from piper.task_api.tokens import Tokens

log = logging.getLogger(__name__)

POOLS_SECONDS = 0.5
"""How long the pools that were read are believed."""

MAX_GRANTS = 256
"""In one transaction; the next tick follows at once."""


class Term(Protocol):
    """What the executor must know of its ownership (`piper.coordination`)."""

    def fence(self) -> Fence | None:
        """The shards it owns at their epochs, or None while it may not write at all."""
        ...

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        """These have turned out to be lost."""
        ...


class ExecutorService(Service):
    """Leads the granting while it holds the executor's shard, and stands by otherwise.

    Arguments:
        backend: where executions are sent.
        term: what this process owns; it leads while that includes EXECUTOR_SHARD.
        quotas: the most executions that a team may hold; a team without one is limited by pools only.
        wakeups: it listens to "executor"; the scheduler notifies that when something was scheduled or has ended.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        tokens: Tokens,
        backend: Backend,
        term: Term,
        wakeups: Wakeups,
        quotas: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__("executor", wakeups.listen("executor"))
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._backend = backend
        self._ownership = term
        self._wakeups = wakeups
        self._quotas = dict(quotas or {})
        self._term: Fence | None = None
        self._arrivals = -1
        self._turns: dict[tuple[str, str], int] = {}
        self._granted = 0
        self._queued = QueuedSweep()
        self._lost_workers = LostWorkers(database, clock)
        self._misfits: frozenset[Misfit] = frozenset()
        self._pools: Mapping[str, Pool] = {}
        self._pools_due = 0.0
        self._due = {"queued": 0.0, "lost": 0.0, "misfits": 0.0}

    @property
    def leads(self) -> bool:
        """Whether it was the leader when it last looked."""
        return self._term is not None

    def tick(self) -> float:
        owned = self._ownership.fence()
        if owned is None or EXECUTOR_SHARD not in owned.epochs:
            self._term = None
            return POLL_SECONDS
        fence = owned.only([EXECUTOR_SHARD])
        try:
            if fence != self._term or self._backend.arrivals != self._arrivals:
                self._begin(fence)
            granted = self._grant(fence)
            self._sweep(fence)
        except FenceLost as lost:
            log.info("another executor leads now")
            self._ownership.forget(fence, lost.shards)
            self._term = None
            return POLL_SECONDS
        except Exception:
            # The grant may have been committed and not sent: the next tick begins as a new leader does.
            self._term = None
            raise
        return 0.0 if granted == MAX_GRANTS else POLL_SECONDS

    def cancel(self, identities: Collection[Identity], reason: str = "") -> None:
        """End these wherever they run: an effect of the scheduler's decisions, and a hint. May be called by any thread.

        Executions that are no longer current are refused whatever they say next; this spares their work.
        """
        self._backend.cancel(list(identities), reason)

    def _begin(self, fence: Fence) -> None:
        """A new term, or a new worker: what was sent before may never have arrived."""
        self._arrivals = self._backend.arrivals  # first, so that who comes meanwhile is not missed
        with self._database.read() as connection:
            waiting_for_start = queued(connection)
        self._send(waiting_for_start)
        self._term = fence

    def _grant(self, fence: Fence) -> int:
        """Grant what there is room for. Returns how many.

        What is held and what waits is read before the transaction. Only the leader adds to what is held, and the
        fence proves that nobody else led meanwhile; so what was free when it was read is free when it is granted.
        """
        capacity, candidates = self._situation()
        grants = allocate(candidates, capacity)[:MAX_GRANTS]
        if not grants:
            return 0
        with self._database.fenced(fence) as connection:
            dispatchable = grant(connection, [one.instance for one in grants], self._clock.now())
        for candidate in grants:
            self._granted += 1
            self._turns[candidate.pool, candidate.team] = self._granted
        self._send(dispatchable)
        return len(grants)

    def _situation(self) -> tuple[Capacity, list[Candidate]]:
        """What is free, and of each lane as many candidates as could take it. A pool without room is not read."""
        with self._database.read() as connection:
            occupied = lanes(connection)
            if not occupied:
                return Capacity(free=0, pools={}), []
            pools = self._known_pools(connection)
            held: defaultdict[str, int] = defaultdict(int)
            used: defaultdict[str, dict[str, int]] = defaultdict(dict)
            for holding in holdings(connection, pools.values()):
                held[holding.team] += holding.executions
                in_pool = used[holding.pool]
                in_pool[holding.team] = in_pool.get(holding.team, 0) + holding.slots
            capacity = Capacity(
                free=max(0, self._backend.capacity - sum(held.values())),
                pools={name: PoolCapacity(_limit(pool), used[name]) for name, pool in pools.items()},
                held=held,
                quotas=self._quotas,
                turns=self._turns,
            )
            candidates: list[Candidate] = []
            for lane in occupied:
                room = _room(capacity, lane)
                if room > 0:
                    found = waiting(connection, lane, pools[lane.pool].slots, room)
                    candidates += [_candidate(one, lane) for one in found]
        return capacity, candidates

    def _known_pools(self, connection: Connection) -> Mapping[str, Pool]:
        """The pools, at most POOLS_SECONDS old: a person who changes one waits no longer than that."""
        now = self._clock.monotonic()
        if now >= self._pools_due:
            self._pools = {pool.name: pool for pool in list_pools(connection)}
            self._pools_due = now + POOLS_SECONDS
        return self._pools

    def _send(self, executions: Sequence[Dispatchable]) -> None:
        if executions:
            self._queued.sent((one.identity for one in executions), self._clock.monotonic())
            self._backend.send(
                [
                    Dispatch(one.identity, self._tokens.issue(one.identity), one.code, one.isolation)
                    for one in executions
                ]
            )

    def _sweep(self, fence: Fence) -> None:
        """The chores whose time has come."""
        if self._is_due("queued", QUEUED_PERIOD):
            with self._database.read() as connection:
                waiting_for_start = queued(connection)
            late = self._queued.overdue((one.identity for one in waiting_for_start), self._clock.monotonic())
            self._send([one for one in waiting_for_start if one.identity in late])
        if self._is_due("lost", LOST_WORKERS_PERIOD) and self._lost_workers.sweep(fence):
            self._wakeups.notify("scheduler")
        if self._is_due("misfits", MISFITS_PERIOD):
            self._misfits = report_misfits(self._database, self._misfits)

    def _is_due(self, chore: str, period: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due[chore]:
            return False
        self._due[chore] = now + period
        return True


def _candidate(one: Waiting, lane: Lane) -> Candidate:
    return Candidate(one.instance, lane.pool, lane.team, one.slots, one.priority, one.backfill)


def _room(capacity: Capacity, lane: Lane) -> int:
    """How many grants a lane can get at most."""
    pool = capacity.pools.get(lane.pool)
    if pool is None:
        return 0
    quota = capacity.quotas.get(lane.team, math.inf) - capacity.held.get(lane.team, 0)
    return int(min(pool.free, capacity.free, quota, MAX_GRANTS))


def _limit(pool: Pool) -> int | None:
    return None if pool.slots == UNLIMITED else pool.slots
