"""The intervals of the lease protocol, in seconds, and how they depend on each other (correctness §2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from piper.model.errors import InvalidSetting

RENEW_SECONDS = 0.5
"""A sign of life twice a second, give or take RENEW_JITTER."""

RENEW_JITTER = 0.1

LOOK_SECONDS = 0.25
"""How often a member looks at the others and at the shards."""

SHORTEST_TIME_TO_LIVE = 2.0
"""Above the second after which PostgreSQL ends a stopped member's transaction, and above 3 renewals and a look."""

LONGEST_TIME_TO_LIVE = 30.0

EARLIER_SECONDS = 0.5
"""A member stops of its own accord this long before others may declare it dead."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a member may be silent: longer on a machine that is often overloaded, for fewer false alarms.

    Raises:
        InvalidSetting: the time to live is not between 2 and 30 seconds.
    """

    time_to_live: float = SHORTEST_TIME_TO_LIVE

    def __post_init__(self) -> None:
        if not SHORTEST_TIME_TO_LIVE <= self.time_to_live <= LONGEST_TIME_TO_LIVE:
            raise InvalidSetting(
                f"a member's time to live is {self.time_to_live} s: give "
                f"{SHORTEST_TIME_TO_LIVE:.0f} to {LONGEST_TIME_TO_LIVE:.0f} s"
            )

    @property
    def self_fence(self) -> float:
        """Seconds without a successful renewal after which a member begins nothing more."""
        return self.time_to_live - EARLIER_SECONDS
