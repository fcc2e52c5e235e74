"""Does a child stand still? Judged from what it writes into the memory that it shares; nothing here is done."""

from __future__ import annotations

from enum import Enum, auto

from piper.triggerer.protocol import Mark

PAUSED_SECONDS = 2.0
"""Between two looks: then it was we who stood still, and nothing can be said of the child."""


class Health(Enum):
    """What a look at a child has found."""

    WELL = auto()
    STUCK = auto()
    """One step, or something that is no step of a trigger, has gone on for longer than it may."""


class Watch:
    """Looks at one child again and again.

    Arguments:
        patience: seconds that one step may take.
        start: seconds until the loop must have had its first turn.
    """

    def __init__(self, patience: float, start: float, now: float) -> None:
        self._patience = patience
        self._start = start
        self._last = Mark(0, 0, 0, 0, 0)
        self._changed = now
        self._looked = now

    def look(self, mark: Mark, now: float) -> Health:
        """What is so at the monotonic second `now`."""
        if mark != self._last or now - self._looked > PAUSED_SECONDS:
            self._last, self._changed = mark, now
        self._looked = now
        limit = self._patience if mark.beats else self._start
        return Health.STUCK if now - self._changed > limit else Health.WELL
