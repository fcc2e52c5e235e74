"""Few begin at the same time, and all run in the end."""

from piper.worker.pace import YOUNG_SECONDS, Pace


def test_only_so_many_begin_at_the_same_time() -> None:
    pace = Pace(2)
    pace.begins("a")
    assert pace.allows(0.0)
    pace.begins("b")
    assert not pace.allows(0.0)


def test_one_that_has_run_for_a_moment_makes_room() -> None:
    pace = Pace(2)
    for name, moment in (("a", 0.0), ("b", 0.01)):
        pace.begins(name)
        pace.runs(name, moment)
    assert not pace.allows(YOUNG_SECONDS - 0.001)
    assert pace.due_in(0.005) == YOUNG_SECONDS - 0.005
    assert pace.allows(YOUNG_SECONDS)
    pace.begins("c")
    assert not pace.allows(YOUNG_SECONDS)
    assert pace.allows(YOUNG_SECONDS + 0.01)


def test_one_that_is_over_makes_room_at_once_and_only_once() -> None:
    pace = Pace(1)
    pace.begins("a")
    pace.runs("a", 0.0)
    pace.ends("a")
    assert pace.allows(0.0)
    pace.begins("b")
    assert not pace.allows(YOUNG_SECONDS)


def test_one_that_waits_for_its_process_is_young_however_long_that_takes() -> None:
    pace = Pace(1)
    pace.begins("a")
    assert not pace.allows(1000.0)
    assert pace.due_in(1000.0) is None
