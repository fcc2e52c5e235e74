"""Which scheduled task instances may start now: `allocate(candidates, capacity)`.

The rules, in the order in which they bind:

* Nothing is granted beyond what is free: executions of the backend, slots of the pool, the team's quota (I15).
* What belongs to a backfill comes after all that does not, whoever's it is: fresh runs never wait for a backfill that
  has not begun. The rules below hold within each of the two.
* Teams share a pool. The next grant goes to the team that holds the fewest of its slots; among equals to the one
  whose last turn is longest ago. So a backlog, however long or however highly weighted, delays another team's
  ready task by no more than one turn of each team (I16).
* A team's own tasks go by priority, then by age. Priorities order the work of one team: between teams they break
  ties only, else one team could outbid all others.
* The order is kept. A task that wants more slots than are free holds its place, and nothing behind it takes a slot
  of that pool, so that slots gather until it fits: tasks of many slots do not starve behind tasks of one.
* A task that can never fit, and a team that has used up its quota, hold no place: they are passed over.
* Pools compete for what the backend can take: the head of each is as good as the others, and goes to the team that
  holds the fewest executions of all.

Capacity is counted from committed state for every call, never kept (architecture §6). What is kept between calls is
whose turn it was, and losing that costs one unfair grant.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field


class Candidate(Struct, frozen=True):
    """A scheduled task instance. Instance numbers rise with age: the lower has waited longer."""

    instance: int
    pool: str
    team: str
    slots: int = 1
    priority: int = 1
    backfill: bool = False
    """Of a run of a backfill."""


class PoolCapacity(Struct, frozen=True):
    """The slots of one pool."""

    slots: int | None
    """In all; None is without limit."""
    used: Mapping[str, int] = field(default_factory=dict)
    """Slots held by each team's queued and running instances (and deferred ones, where the pool counts these)."""

    @property
    def free(self) -> float:
        """Slots that nobody holds; 0 also when more are held than there are, after a pool was made smaller."""
        return float("inf") if self.slots is None else max(0, self.slots - sum(self.used.values()))


class Capacity(Struct, frozen=True):
    """What may be granted, counted from committed state."""

    free: int
    """Executions that the backend can take besides those it has."""
    pools: Mapping[str, PoolCapacity]
    """A task whose pool is not among them is not granted."""
    held: Mapping[str, int] = field(default_factory=dict)
    """Executions, queued and running, of each team."""
    quotas: Mapping[str, int] = field(default_factory=dict)
    """The most executions that a team may hold; a team without one is limited by its pools only."""
    turns: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(pool, team) → a number that rises with each grant: how long ago that team last got a slot there."""


def allocate(candidates: Iterable[Candidate], capacity: Capacity) -> list[Candidate]:
    """Those of `candidates` that may start now, in the order in which they are granted.

    Of each (pool, team) the candidates must include the first ones, those of backfills last, by priority and age;
    those that are not given are taken not to exist.
    """
    held = defaultdict(int, capacity.held)
    queues = _queues(candidates, capacity)
    granted: list[Candidate] = []
    while queues and len(granted) < capacity.free:
        queue = min(queues, key=lambda queue: (queue.head.backfill, held[queue.head.team], queue.name))
        head = queue.head
        quota = capacity.quotas.get(head.team)
        if quota is not None and held[head.team] >= quota:
            queue.pass_over_team()
        elif head.slots > queue.free:
            queues.remove(queue)  # it holds its place: the pool is closed until slots have gathered
            continue
        else:
            granted.append(queue.grant(turn=len(granted)))
            held[head.team] += 1
        if queue.is_empty:
            queues.remove(queue)
    return granted


class _PoolQueue:
    """The waiting teams of one pool, the one whose turn it is first."""

    def __init__(self, name: str, capacity: Capacity, lanes: Mapping[str, Sequence[Candidate]]) -> None:
        pool = capacity.pools[name]
        self.name = name
        self.free = pool.free
        self._used = defaultdict(int, pool.used)
        self._turn_offset = max(capacity.turns.values(), default=0) + 1
        self._lanes = {team: iter(lane) for team, lane in lanes.items()}
        self._heap: list[tuple[bool, int, int, int, int, Candidate]] = []
        for team, lane in self._lanes.items():
            self._enter(next(lane), capacity.turns.get((name, team), 0))

    @property
    def is_empty(self) -> bool:
        return not self._heap

    @property
    def head(self) -> Candidate:
        return self._heap[0][-1]

    def pass_over_team(self) -> None:
        """Take the head's team out of this allocation."""
        heapq.heappop(self._heap)

    def grant(self, turn: int) -> Candidate:
        """Give the head its slots; its team stands in line again with its next candidate."""
        head = heapq.heappop(self._heap)[-1]
        self.free -= head.slots
        self._used[head.team] += head.slots
        following = next(self._lanes[head.team], None)
        if following is not None:
            self._enter(following, self._turn_offset + turn)
        return head

    def _enter(self, candidate: Candidate, turn: int) -> None:
        used = self._used[candidate.team]
        place = (candidate.backfill, used, turn, -candidate.priority, candidate.instance, candidate)
        heapq.heappush(self._heap, place)


def _queues(candidates: Iterable[Candidate], capacity: Capacity) -> list[_PoolQueue]:
    lanes: defaultdict[str, defaultdict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in candidates:
        pool = capacity.pools.get(candidate.pool)
        if pool is not None and (pool.slots is None or candidate.slots <= pool.slots):
            lanes[candidate.pool][candidate.team].append(candidate)
    for teams in lanes.values():
        for lane in teams.values():
            lane.sort(key=lambda candidate: (candidate.backfill, -candidate.priority, candidate.instance))
    return [_PoolQueue(name, capacity, lanes[name]) for name in sorted(lanes)]
