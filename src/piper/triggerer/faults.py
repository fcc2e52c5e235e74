"""Who is to blame when a child ends, and what becomes of its triggers. Decisions only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from piper.model.run import Identity

MOST_ENDS = 3
"""So often a process may end in the code of a trigger before the task that waits for it fails."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
HEALTHY_SECONDS = 60.0
"""A child that has lived so long has started well: the next is not made to wait."""


class Verdict(NamedTuple):
    """What is to be done after the end of a child."""

    failed: frozenset[Identity] = frozenset()
    """Triggers whose tasks fail."""
    apart: frozenset[str] = frozenset()
    """Classes that run in a child of their own from now on."""


class Faults:
    """Keeps count of the ends of children, to tell those who cause them from those who suffer."""

    def __init__(self) -> None:
        self._ends: Counter[Identity] = Counter()
        self._unexplained = 0

    def forget(self, identity: Identity) -> None:
        """The trigger is over."""
        self._ends.pop(identity, None)

    def judge(self, triggers: Mapping[Identity, str], culprit: Identity | None, *, stood_still: bool) -> Verdict:
        """Who has ended a child?

        Arguments:
            triggers: those that ran in it, and their classes.
            culprit: in whose step it ended, if that is known.
            stood_still: it was ended because that step took too long.
        """
        if culprit in triggers:
            assert culprit is not None
            self._ends[culprit] += 1
            over = stood_still or self._ends[culprit] >= MOST_ENDS
            return Verdict(frozenset({culprit}) if over else frozenset(), frozenset({triggers[culprit]}))
        classes = frozenset(triggers.values())
        if len(classes) == 1:  # whatever it is, it is in there
            self._ends.update(triggers.keys())
            return Verdict(frozenset(one for one in triggers if self._ends[one] >= MOST_ENDS))
        self._unexplained += 1
        if self._unexplained < MOST_ENDS:
            return Verdict()
        self._unexplained = 0
        return Verdict(apart=classes)


def pause_after(ends: int) -> float:
    """Seconds until another child is started, after so many that have not lived long, one after the other."""
    return 0.0 if ends == 0 else float(min(FIRST_PAUSE * 2 ** (ends - 1), LONGEST_PAUSE))


def why_it_ended(status: int, classes: Collection[str]) -> str:
    """The error of a task whose trigger has ended its process too often."""
    how = f"was killed by signal {-status}" if status < 0 else f"exited with code {status}"
    return f"the process of its trigger {', '.join(sorted(classes))} {how}, {MOST_ENDS} times while this trigger ran"
