"""Who is suspected, and when nobody may be."""

from __future__ import annotations

from piper.coordination.detector import FailureDetector


def look_on(detector: FailureDetector, counters: dict[str, int], start: float, seconds: float) -> dict[str, int]:
    """Look four times a second from `start` on; the suspects of the last look."""
    suspects: dict[str, int] = {}
    for quarter in range(int(seconds * 4) + 1):
        suspects = detector.look(counters, start + quarter / 4)
    return suspects


def test_a_member_that_stands_still_for_the_time_to_live_is_suspected_with_its_counter() -> None:
    detector = FailureDetector(2.0)
    assert look_on(detector, {"a": 7}, 100.0, 1.75) == {}
    assert detector.look({"a": 7}, 102.0) == {"a": 7}


def test_a_sign_of_life_begins_the_watch_anew() -> None:
    detector = FailureDetector(2.0)
    look_on(detector, {"a": 7}, 100.0, 1.75)
    assert look_on(detector, {"a": 8}, 102.0, 1.75) == {}
    assert detector.look({"a": 8}, 104.0) == {"a": 8}


def test_one_is_suspected_while_another_lives() -> None:
    detector = FailureDetector(2.0)
    suspects: dict[str, int] = {}
    for quarter in range(9):
        suspects = detector.look({"a": 7, "b": quarter}, 100.0 + quarter / 4)
    assert suspects == {"a": 7}


def test_an_observer_that_was_itself_stopped_suspects_nobody() -> None:
    detector = FailureDetector(2.0)
    look_on(detector, {"a": 7}, 100.0, 1.0)
    assert detector.look({"a": 7}, 110.0) == {}
    assert look_on(detector, {"a": 7}, 110.25, 1.5) == {}
    assert detector.look({"a": 7}, 112.0) == {"a": 7}


def test_an_observer_whose_look_failed_begins_to_watch_anew() -> None:
    detector = FailureDetector(2.0)
    look_on(detector, {"a": 7}, 100.0, 1.75)
    detector.was_absent()
    assert look_on(detector, {"a": 7}, 102.0, 1.75) == {}


def test_a_member_that_is_new_is_watched_from_its_first_look() -> None:
    detector = FailureDetector(2.0)
    look_on(detector, {}, 100.0, 3.0)
    assert look_on(detector, {"a": 0}, 103.0, 1.75) == {}


def test_one_look_is_never_enough() -> None:
    detector = FailureDetector(0.0)
    assert detector.look({"a": 7}, 100.0) == {}
    assert detector.look({"a": 7}, 100.1) == {"a": 7}


def test_a_member_that_has_gone_is_suspected_no_more() -> None:
    detector = FailureDetector(2.0)
    look_on(detector, {"a": 7}, 100.0, 1.75)
    assert detector.look({}, 102.0) == {}
