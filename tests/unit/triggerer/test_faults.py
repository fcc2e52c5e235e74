"""Who is to blame when a process with triggers ends."""

from __future__ import annotations

import pytest

from piper.model.run import Identity
from piper.triggerer.faults import LONGEST_PAUSE, MOST_ENDS, Faults, Verdict, pause_after, why_it_ended

ONE, TWO, THREE = (Identity(number, 1, 0) for number in (1, 2, 3))
TWO_CLASSES = {ONE: "m.A", TWO: "m.B", THREE: "m.B"}
ONE_CLASS = {TWO: "m.B", THREE: "m.B"}


def test_a_trigger_that_stood_still_fails_at_once_and_its_class_goes_apart() -> None:
    verdict = Faults().judge(TWO_CLASSES, TWO, stood_still=True)
    assert verdict == Verdict(frozenset({TWO}), frozenset({"m.B"}))


def test_a_trigger_in_whose_step_its_process_ends_fails_the_third_time() -> None:
    faults = Faults()
    verdicts = [faults.judge(TWO_CLASSES, ONE, stood_still=False) for _ in range(MOST_ENDS)]
    assert [verdict.failed for verdict in verdicts] == [frozenset(), frozenset(), frozenset({ONE})]
    assert {verdict.apart for verdict in verdicts} == {frozenset({"m.A"})}


def test_a_trigger_that_is_over_is_no_longer_counted() -> None:
    faults = Faults()
    for _ in range(MOST_ENDS * 2):
        assert not faults.judge(TWO_CLASSES, ONE, stood_still=False).failed
        faults.forget(ONE)


def test_an_end_between_steps_is_nobodys_until_it_happens_again_and_again() -> None:
    faults = Faults()
    assert [faults.judge(TWO_CLASSES, None, stood_still=False) for _ in range(MOST_ENDS - 1)] == [Verdict()] * 2
    assert faults.judge(TWO_CLASSES, None, stood_still=False) == Verdict(apart=frozenset({"m.A", "m.B"}))
    assert faults.judge(TWO_CLASSES, None, stood_still=False) == Verdict()


def test_a_class_that_is_alone_is_to_blame_for_its_process() -> None:
    faults = Faults()
    verdicts = [faults.judge(ONE_CLASS, None, stood_still=False) for _ in range(MOST_ENDS)]
    assert [verdict.failed for verdict in verdicts] == [frozenset(), frozenset(), frozenset(ONE_CLASS)]


def test_a_step_of_a_trigger_that_was_over_blames_nobody() -> None:
    assert Faults().judge(TWO_CLASSES, Identity(9, 1, 0), stood_still=True) == Verdict()


def test_pauses_grow_up_to_a_bound() -> None:
    assert [pause_after(ends) for ends in range(4)] == [0.0, 0.1, 0.2, 0.4]
    assert pause_after(40) == LONGEST_PAUSE


@pytest.mark.parametrize(("status", "said"), [(7, "exited with code 7"), (-11, "was killed by signal 11")])
def test_the_error_says_how_the_process_ended(status: int, said: str) -> None:
    assert f"the process of its trigger m.A {said}, 3 times" in why_it_ended(status, ["m.A"])
