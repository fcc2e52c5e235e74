"""Who is late and who is gone, by what this process has seen and its own clock."""

from __future__ import annotations

from piper.executor.lost_workers import GAP_SECONDS, TTL_SECONDS, Watch
from piper.executor.misfits import explanation
from piper.executor.queued_sweep import RESEND_SECONDS, QueuedSweep
from piper.model.run import Identity
from piper.store.pools import Misfit
from piper.store.workers import WorkerSign

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


def seen(watch: Watch, sequences: list[int | None], worker: str = "w", start: float = 0.0) -> list[bool]:
    """Whether the worker is held to be gone, second after second; None is a second without a look."""
    answers = []
    for second, sequence in enumerate(sequences):
        if sequence is not None:
            signs = {worker: WorkerSign(False, sequence)}
            answers.append(worker in watch.gone(signs, start + second))
    return answers


def test_a_worker_that_renews_is_not_gone() -> None:
    assert not any(seen(Watch(), list(range(60))))


def test_a_worker_that_stops_renewing_is_gone_after_its_time_to_live() -> None:
    answers = seen(Watch(), [1, 2, *[3] * 30])
    assert answers.index(True) == 2 + TTL_SECONDS


def test_an_observer_that_stood_still_itself_begins_anew() -> None:
    pause = [None] * (int(GAP_SECONDS) + 1)
    answers = seen(Watch(), [*[1] * 9, *pause, *[1] * 20])
    assert answers.index(True) == 9 + TTL_SECONDS


def test_a_worker_that_is_known_to_be_dead_is_gone_at_once() -> None:
    assert Watch().gone({"w": WorkerSign(True, 5)}, 0.0) == {"w": WorkerSign(True, 5)}


def test_a_task_that_cannot_be_granted_is_explained() -> None:
    assert "wants 9 slots of pool 'p', which has 4" in explanation(Misfit(1, "t", "p", 9, 4))
    assert "waits for pool 'p', which does not exist" in explanation(Misfit(1, "t", "p", 9, None))
