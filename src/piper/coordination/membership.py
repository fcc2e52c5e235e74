"""One member among others on PostgreSQL: signs of life, watching the others, claiming and giving up shards.

Every tick is one round of the protocol of correctness §2.1, and any number of rounds may be missed. A round
that fails changes nothing here but this: the others' watches are reset, and without a renewal the member
fences itself.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import piper
from piper.coordination.assign import assign
from piper.coordination.detector import FailureDetector
from piper.coordination.ownership import Ownership
from piper.coordination.timing import LOOK_SECONDS, RENEW_JITTER, RENEW_SECONDS, Timing
from piper.model.errors import AmbiguousCommit, StoreUnavailable
from piper.model.member import Member, ShardOwner
from piper.service import Clock, Wakeups
from piper.store import members, shards
from piper.store.database import Database, Fence

log = logging.getLogger(__name__)

REMEMBER_DEAD = timedelta(days=1)


class Membership(Ownership):
    """This process in one role.

    Arguments:
        database: on PostgreSQL.
        kind: the role: only members of one kind share its shards out.
        node_key: stable over restarts and unique within the kind ("host:index"); a restart under the same key
            takes its predecessor's shards at once.
        shards: all shards of this role, consecutive numbers, the same for every member of the kind.
        wakeups: `kind` is notified when shards come or go.
        centre: the data centre.
    """

    def __init__(
        self,
        database: Database,
        *,
        kind: str,
        node_key: str,
        shards: Collection[int],
        clock: Clock,
        wakeups: Wakeups,
        timing: Timing = Timing(),  # noqa: B008, an immutable value
        centre: str = "",
    ) -> None:
        super().__init__(f"{kind}-membership", wakeups.listen(f"{kind}-membership"))
        self._database = database
        self._kind = kind
        self._node_key = node_key
        self._shards = sorted(shards)
        self._clock = clock
        self._wakeups = wakeups
        self._timing = timing
        self._centre = centre
        self._detector = FailureDetector(timing.time_to_live)
        self._jitter = random.Random(node_key)  # noqa: S311, spreads renewals, guards nothing
        self._renewed_at = float("-inf")
        self._renew_next = 0.0
        self._look_next = 0.0
        self._reachable = True
        self._assigned: tuple[Sequence[str], Mapping[int, str]] = ((), {})

    def join(self) -> None:
        with self._database.read() as connection:
            self._refuse_other_coordination(shards.coordinator(connection), "postgres")
        self._register()

    def leave(self) -> None:
        if not self.member_id:
            return
        leaving = self.member_id
        self._renewed_at = float("-inf")
        self._begin_term("")
        with self._database.as_member(leaving) as connection:
            members.end(connection, leaving)

    def fence(self) -> Fence | None:
        silence = self._clock.monotonic() - self._renewed_at
        return self._term if silence <= self._timing.self_fence else None

    def tick(self) -> float:
        """One round: renew, look, and put right what is not owned as it should be."""
        before = self.epochs
        try:
            self._renew_if_due()
            if self._clock.monotonic() >= self._look_next:
                self._look_next = self._clock.monotonic() + LOOK_SECONDS
                self._look()
        except (StoreUnavailable, AmbiguousCommit) as error:
            self._detector.was_absent()
            if self._reachable:
                log.warning("%s: the database cannot be used, so that this member may pause: %s", self.name, error)
            self._reachable = False
            return LOOK_SECONDS
        finally:
            if self.epochs != before:
                self._wakeups.notify(self._kind)
        self._reachable = True
        return max(min(self._renew_next, self._look_next) - self._clock.monotonic(), 0.0)

    # --- signs of life --------------------------------------------------------------------------

    def _register(self) -> None:
        member_id = uuid.uuid4().hex
        sent = self._clock.monotonic()
        at = self._clock.now()
        with self._database.as_member(member_id) as connection:
            members.forget_dead(connection, at - REMEMBER_DEAD)
            members.register(
                connection,
                Member(
                    member_id=member_id,
                    node_key=self._node_key,
                    kind=self._kind,
                    centre=self._centre,
                    version=piper.__version__,
                    started_at=at,
                    renewed_at=at,
                ),
            )
        self._begin_term(member_id)
        self._renewed(sent)
        self._look_next = 0.0

    def _renew_if_due(self) -> None:
        sent = self._clock.monotonic()
        if sent < self._renew_next:
            return
        with self._database.as_member(self.member_id) as connection:
            alive = members.renew(connection, self.member_id, self._clock.now())
        if alive:
            self._renewed(sent)
        else:
            log.warning("%s: member %s was declared dead; it registers anew", self.name, self.member_id)
            self._renewed_at = float("-inf")
            self._register()

    def _renewed(self, sent: float) -> None:
        # Counted from before it was sent: others may have begun to count as early as that.
        self._renewed_at = sent
        self._renew_next = sent + RENEW_SECONDS * self._jitter.uniform(1 - RENEW_JITTER, 1 + RENEW_JITTER)

    # --- who should own what --------------------------------------------------------------------

    def _look(self) -> None:
        with self._database.read() as connection:
            others = members.present(connection, self._kind)
            owners = shards.survey(connection, self._shards[0], self._shards[-1])
        alive = self._declare_dead(others)
        wanted = self._wanted([member.node_key for member in alive])
        self._lose_what_is_lost(owners)
        self._release([o.shard for o in owners if o.owner == self.member_id and o.shard not in wanted])
        present = {member.member_id for member in alive} - {self.member_id}
        self._claim([o for o in owners if o.shard in wanted and o.shard not in self.epochs and o.owner not in present])

    def _declare_dead(self, others: Sequence[Member]) -> Sequence[Member]:
        """Look for signs of life; returns the members that are left."""
        counters = {member.member_id: member.renew_seq for member in others if member.member_id != self.member_id}
        suspects = self._detector.look(counters, self._clock.monotonic())
        dead = set()
        for member_id, counter in suspects.items():
            with self._database.as_member(self.member_id) as connection:
                if members.declare_dead(connection, member_id, counter):
                    log.warning("%s: member %s gave no sign of life and is declared dead", self.name, member_id)
                    dead.add(member_id)
        return [member for member in others if member.member_id not in dead]

    def _wanted(self, node_keys: Sequence[str]) -> frozenset[int]:
        """The shards that this member should own."""
        if self._assigned[0] != node_keys:
            self._assigned = (node_keys, assign(node_keys, self._shards))
        return frozenset(shard for shard, key in self._assigned[1].items() if key == self._node_key)

    def _lose_what_is_lost(self, owners: Sequence[ShardOwner]) -> None:
        held = {owner.shard: owner.epoch for owner in owners if owner.owner == self.member_id}
        self._lose({shard: epoch for shard, epoch in self.epochs.items() if held.get(shard) != epoch})

    def _release(self, surplus: Sequence[int]) -> None:
        """Give up what another should own. Forgotten first, so that no service begins anything more there."""
        if not surplus:
            return
        self._lose({shard: epoch for shard, epoch in self.epochs.items() if shard in surplus})
        with self._database.as_member(self.member_id) as connection:
            shards.release(connection, self.member_id, surplus, self._clock.now())

    def _claim(self, free: Sequence[ShardOwner]) -> None:
        for first in range(0, len(free), shards.CLAIM_SIZE):
            batch = free[first : first + shards.CLAIM_SIZE]
            if self._clock.monotonic() >= self._renew_next:
                self._look_next = 0.0  # a sign of life is due: the rest comes after it
                return
            try:
                with self._database.as_member(self.member_id) as connection:
                    seen = {owner.shard: owner.epoch for owner in batch}
                    claimed = shards.claim(connection, self.member_id, seen, self._clock.now())
            except StoreUnavailable:
                # A dead owner's transaction may still hold a shard; it can only fail, so it is ended now.
                self._end_sessions_of({owner.owner for owner in batch if owner.owner is not None})
                self._look_next = 0.0
                return
            self._gain(claimed)

    def _end_sessions_of(self, dead: Collection[str]) -> None:
        with self._database.as_member(self.member_id) as connection:
            for member_id in dead:
                if member_id != self.member_id:
                    shards.end_sessions(connection, member_id)
