"""What is late, by what this process has seen and its own clock; and what waits in vain."""

from __future__ import annotations

from piper.executor.misfits import explanation
from piper.executor.queued_sweep import RESEND_SECONDS, QueuedSweep
from piper.model.run import Identity
from piper.store.pools import Misfit

A, B = Identity(1, 1, 0), Identity(2, 1, 0)


def test_what_is_queued_for_long_is_sent_again() -> None:
    sweep = QueuedSweep()
    sweep.sent([A], 100.0)
    assert sweep.overdue([A, B], 110.0) == set()
    assert sweep.overdue([A, B], 100.0 + RESEND_SECONDS) == {A}
    assert sweep.overdue([A, B], 110.0 + RESEND_SECONDS) == {B}


def test_what_was_sent_again_has_its_time_anew() -> None:
    sweep = QueuedSweep()
    sweep.sent([A], 0.0)
    assert sweep.overdue([A], RESEND_SECONDS) == {A}
    assert sweep.overdue([A], RESEND_SECONDS + 1) == set()
    assert sweep.overdue([A], 2 * RESEND_SECONDS) == {A}


def test_what_has_started_is_forgotten() -> None:
    sweep = QueuedSweep()
    sweep.sent([A], 0.0)
    assert sweep.overdue([], 10.0) == set()
    assert sweep.overdue([A], RESEND_SECONDS + 1) == set()


def test_a_task_that_cannot_be_granted_is_explained() -> None:
    assert "wants 9 slots of pool 'p', which has 4" in explanation(Misfit(1, "t", "p", 9, 4))
    assert "waits for pool 'p', which does not exist" in explanation(Misfit(1, "t", "p", 9, None))
