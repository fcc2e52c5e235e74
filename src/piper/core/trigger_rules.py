"""Trigger rules: what the states of the upstream instances mean for a task (airflow-semantics §3.3).

A rule is a pure function of a tally. It says one of four things: wait, run, or end without running as
skipped or upstream_failed. `REMOVED` is the answer for an instance of a mapped task that has more
instances than its upstream, which shrank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from piper.model.states import TaskState, TriggerRule


class Verdict(Enum):
    """What becomes of an instance."""

    WAIT = auto()
    RUN = auto()
    SKIP = auto()
    FAIL = auto()
    REMOVE = auto()


class Tally(NamedTuple):
    """How many upstream instances there are, and how many have ended in which state.

    The `setup` counts are of those among them that are setups.
    """

    total: int = 0
    success: int = 0
    failed: int = 0
    skipped: int = 0
    upstream_failed: int = 0
    removed: int = 0
    setup_total: int = 0
    setup_success: int = 0
    setup_skipped: int = 0

    @property
    def done(self) -> int:
        """Instances that have ended."""
        return self.success + self.failed + self.skipped + self.upstream_failed + self.removed

    @property
    def outline(self) -> tuple[bool, ...]:
        """All that a rule can see of it: which of its counts are above zero, and whether everything has ended.

        No rule tells two tallies of the same outline apart, alone or added to the same third one; only whether an
        instance is in excess (`_in_excess`) hangs on a number, and only once something has been removed.
        """
        counts = self[1:6]
        setups = (self.setup_total > 0, self.setup_success > 0, self.setup_skipped >= self.setup_total)
        return (*map(bool, counts), sum(counts) >= self.total, *setups)

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(*map(int.__add__, self, other))

    def counting(self, state: TaskState, by: int, setup: bool) -> Tally:
        """With `by` more (or fewer) instances in a finished state; unfinished states are not counted."""
        field = _FIELD.get(state)
        if field is None:
            return self
        counts = list(self)
        counts[field] += by
        if setup and state is TaskState.SUCCESS:
            counts[7] += by
        elif setup and state is TaskState.SKIPPED:
            counts[8] += by
        return Tally(*counts)

    def growing(self, by: int, setup: bool) -> Tally:
        """With `by` more (or fewer) instances in all."""
        return self._replace(total=self.total + by, setup_total=self.setup_total + (by if setup else 0))


_FIELD: Mapping[TaskState, int] = MappingProxyType(
    {
        TaskState.SUCCESS: 1,
        TaskState.FAILED: 2,
        TaskState.SKIPPED: 3,
        TaskState.UPSTREAM_FAILED: 4,
        TaskState.REMOVED: 5,
    }
)

NOTHING = Tally()


def evaluate(rule: TriggerRule, tally: Tally, map_index: int) -> Verdict:
    """What `rule` says of an instance, given the tally of its direct upstream instances.

    Arguments:
        map_index: of the instance; only one of a mapped task (≥ 0) can be in excess of its upstream.
    """
    return _RULES[rule](tally, map_index)


def evaluate_setups(tally: Tally, map_index: int) -> Verdict:
    """What the setups in whose scope an instance lies, without being directly below them, say of it.

    A failed setup fails it and a skipped one skips it at once, whatever its rule; it runs only when all
    of them have succeeded.
    """
    if tally.failed or tally.upstream_failed:
        return Verdict.FAIL
    if tally.skipped:
        return Verdict.SKIP
    if _in_excess(tally, map_index):
        return Verdict.REMOVE
    return Verdict.RUN if tally.success + tally.removed >= tally.total else Verdict.WAIT


def _in_excess(tally: Tally, map_index: int) -> bool:
    """Whether there are fewer above than there were, and none for this index. Known once all have ended: until then
    an index would be in excess or not by the order in which they end."""
    return bool(tally.removed and tally.success) and tally.done >= tally.total and map_index >= tally.success


def _all_success(t: Tally, map_index: int) -> Verdict:
    if t.failed or t.upstream_failed:
        return Verdict.FAIL
    if t.skipped:
        return Verdict.SKIP
    if _in_excess(t, map_index):
        return Verdict.REMOVE
    return Verdict.RUN if t.success + t.removed >= t.total else Verdict.WAIT


def _all_failed(t: Tally, _: int) -> Verdict:
    if t.success or t.skipped:
        return Verdict.SKIP
    return Verdict.RUN if t.failed + t.upstream_failed + t.removed >= t.total else Verdict.WAIT


def _all_done(t: Tally, _: int) -> Verdict:
    return Verdict.RUN if t.done >= t.total else Verdict.WAIT


def _all_done_min_one_success(t: Tally, _: int) -> Verdict:
    if t.skipped:
        return Verdict.SKIP
    if t.done < t.total:
        return Verdict.WAIT
    return Verdict.RUN if t.success else Verdict.FAIL


def _all_done_setup_success(t: Tally, _: int) -> Verdict:
    if t.done < t.total:
        return Verdict.WAIT
    if t.setup_total and t.setup_skipped >= t.setup_total:
        return Verdict.SKIP
    if t.setup_total and not t.setup_success:
        return Verdict.FAIL
    return Verdict.RUN


def _one_success(t: Tally, _: int) -> Verdict:
    if t.success:
        return Verdict.RUN
    if t.done < t.total:
        return Verdict.WAIT
    return Verdict.SKIP if t.done == t.skipped else Verdict.FAIL


def _one_failed(t: Tally, _: int) -> Verdict:
    if t.failed or t.upstream_failed:
        return Verdict.RUN
    return Verdict.SKIP if t.done >= t.total else Verdict.WAIT


def _one_done(t: Tally, _: int) -> Verdict:
    if t.success or t.failed:
        return Verdict.RUN
    return Verdict.SKIP if t.done >= t.total else Verdict.WAIT


def _none_failed(t: Tally, _: int) -> Verdict:
    if t.failed or t.upstream_failed:
        return Verdict.FAIL
    return Verdict.RUN if t.success + t.skipped + t.removed >= t.total else Verdict.WAIT


def _none_failed_min_one_success(t: Tally, _: int) -> Verdict:
    if t.failed or t.upstream_failed:
        return Verdict.FAIL
    if t.skipped == t.total:
        return Verdict.SKIP
    if t.done < t.total:
        return Verdict.WAIT
    return Verdict.RUN if t.success else Verdict.FAIL


def _none_skipped(t: Tally, _: int) -> Verdict:
    if t.skipped:
        return Verdict.SKIP
    return Verdict.RUN if t.done >= t.total else Verdict.WAIT


def _all_skipped(t: Tally, _: int) -> Verdict:
    if t.success or t.failed or t.upstream_failed:
        return Verdict.SKIP
    return Verdict.RUN if t.skipped >= t.total else Verdict.WAIT


def _always(_: Tally, __: int) -> Verdict:
    return Verdict.RUN


_RULES: Mapping[TriggerRule, Callable[[Tally, int], Verdict]] = MappingProxyType(
    {
        TriggerRule.ALL_SUCCESS: _all_success,
        TriggerRule.ALL_FAILED: _all_failed,
        TriggerRule.ALL_DONE: _all_done,
        TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: _all_done_min_one_success,
        TriggerRule.ALL_DONE_SETUP_SUCCESS: _all_done_setup_success,
        TriggerRule.ONE_SUCCESS: _one_success,
        TriggerRule.ONE_FAILED: _one_failed,
        TriggerRule.ONE_DONE: _one_done,
        TriggerRule.NONE_FAILED: _none_failed,
        TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: _none_failed_min_one_success,
        TriggerRule.NONE_SKIPPED: _none_skipped,
        TriggerRule.ALL_SKIPPED: _all_skipped,
        TriggerRule.ALWAYS: _always,
    }
)
