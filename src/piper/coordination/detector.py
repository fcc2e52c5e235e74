"""Who has given no sign of life for too long, by the observer's own monotonic clock.

A sign of life is a counter that rises. No clock of another machine is compared with ours, so that a jump of
anyone's wall clock means nothing. An observer that was itself absent (its own looks lie too far apart, or the
last one failed) knows nothing about the others and begins to watch anew: after a pause of the database, or of
this process, nobody is declared dead for what happened meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ABSENCE_SECONDS = 1.0
"""If an observer's looks lie further apart than this it was absent."""

LOOKS = 2
"""How often, at least, the same counter must have been seen before its member is suspected."""


@dataclass(slots=True)
class _Watch:
    counter: int
    since: float
    looks: int


class FailureDetector:
    """Watches counters. Give it a look at all of them, a few times a second.

    Arguments:
        time_to_live: seconds without a sign of life after which a member is suspected.
        absence: seconds between two looks after which the observer is held to have been absent.
    """

    def __init__(self, time_to_live: float, absence: float = ABSENCE_SECONDS) -> None:
        self._time_to_live = time_to_live
        self._absence = absence
        self._watches: dict[str, _Watch] = {}
        self._last_look: float | None = None

    def look(self, counters: Mapping[str, int], now: float) -> dict[str, int]:
        """Take note of the counters as they are at `now` (monotonic seconds).

        Returns the suspects, with the counter at which each has stood still.
        """
        if self._last_look is None or now - self._last_look > self._absence:
            self._watches.clear()
        self._last_look = now
        watches = {}
        for member, counter in counters.items():
            watch = self._watches.get(member)
            if watch is None or watch.counter != counter:
                watch = _Watch(counter, now, 0)
            watch.looks += 1
            watches[member] = watch
        self._watches = watches
        return {
            member: watch.counter
            for member, watch in watches.items()
            if watch.looks >= LOOKS and now - watch.since >= self._time_to_live
        }

    def was_absent(self) -> None:
        """A look failed: forget what was seen."""
        self._last_look = None
