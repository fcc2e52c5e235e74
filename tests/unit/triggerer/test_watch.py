"""When a child is taken to stand still."""

from __future__ import annotations

from piper.model.run import Identity
from piper.triggerer.protocol import Mark, Marks
from piper.triggerer.watch import Health, Watch

IDENTITY = (5, 1, 0)


def look_every_second(marks: list[Mark], patience: float = 3.0) -> list[Health]:
    watch = Watch(patience, start=10.0, now=0.0)
    return [watch.look(mark, float(second)) for second, mark in enumerate(marks, 1)]


def test_a_loop_that_has_its_turns_is_well() -> None:
    assert set(look_every_second([Mark(beat, beat, 0, 0, 0) for beat in range(1, 20)])) == {Health.WELL}


def test_a_step_that_goes_on_for_longer_than_it_may_is_stuck() -> None:
    assert look_every_second([Mark(4, 9, *IDENTITY)] * 5) == [Health.WELL] * 4 + [Health.STUCK]


def test_many_steps_that_leave_the_loop_no_turn_are_not_stuck() -> None:
    assert set(look_every_second([Mark(4, step, *IDENTITY) for step in range(20)])) == {Health.WELL}


def test_a_child_that_has_not_begun_has_longer() -> None:
    health = look_every_second([Mark(0, 0, 0, 0, 0)] * 11)
    assert health == [Health.WELL] * 10 + [Health.STUCK]


def test_who_was_asleep_itself_says_nothing_of_others() -> None:
    watch = Watch(3.0, start=10.0, now=0.0)
    mark = Mark(4, 9, *IDENTITY)
    assert watch.look(mark, 1.0) is Health.WELL
    assert watch.look(mark, 3600.0) is Health.WELL


def test_marks_are_read_from_the_shared_memory() -> None:
    ours, descriptor = Marks.make()
    theirs = Marks(descriptor)
    assert ours.read() == Mark(0, 0, 0, 0, 0)
    theirs.beat()
    theirs.enter(Identity(1 << 40, 2, 3))
    assert ours.read().identity == Identity(1 << 40, 2, 3)
    assert ours.read().beats == 1
    theirs.leave()
    assert ours.read().identity is None
    theirs.close()
    ours.close()
