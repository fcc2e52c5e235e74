"""Which member should own which shard: rendezvous hashing with bounded load, the same answer everywhere.

Each shard prefers the members in an order of its own, by hash; it goes to the first that has room. Without
the bound, a member that joins or leaves moves its own shards alone; with it, few more. Source: D. Thaler and
C. Ravishankar, "Using name-based mappings to increase hit rates" (1998); V. Mirrokni, M. Thorup and
M. Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from math import ceil

SLACK = Fraction(115, 100)
"""How much more than an equal share a member may own."""


def assign(members: Iterable[str], shards: Iterable[int]) -> dict[int, str]:
    """The owner of each shard.

    Arguments:
        members: node keys of those that may own something; their order does not matter.
        shards: their order does not matter.

    Returns an empty dict when there are no members.
    """
    names = sorted(set(members))
    numbers = sorted(set(shards))
    if not names:
        return {}
    room = dict.fromkeys(names, ceil(SLACK * len(numbers) / len(names)))
    owners = {}
    for shard in numbers:
        owner = max((name for name in names if room[name] > 0), key=lambda name: (_score(shard, name), name))
        room[owner] -= 1
        owners[shard] = owner
    return owners


def _score(shard: int, name: str) -> bytes:
    """How much a shard prefers a member: no relation between any two pairs."""
    return hashlib.blake2b(f"{shard}\0{name}".encode(), digest_size=8).digest()
