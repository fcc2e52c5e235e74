"""A stand-in behaves like the value that it stands for, and computes it once, when it is looked at."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

from piper.sdk.execution.lazy import Lazy

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


def test_nothing_is_computed_before_someone_looks() -> None:
    made: list[int] = []
    lazy = Lazy(lambda: made.append(1) or 5)
    assert made == []
    assert lazy + 1 == 6
    assert lazy * 2 == 10
    assert made == [1]


def test_it_is_an_instance_of_its_values_type_and_has_its_attributes() -> None:
    lazy = Lazy(lambda: NEW_YEAR)
    assert isinstance(lazy, datetime)
    assert lazy.year == 2024
    assert lazy.isoformat() == NEW_YEAR.isoformat()


def test_it_computes_and_compares_from_both_sides() -> None:
    lazy = Lazy(lambda: NEW_YEAR)
    day = timedelta(days=1)
    assert lazy + day == NEW_YEAR + day
    assert NEW_YEAR + day - lazy == day
    assert lazy < NEW_YEAR + day
    assert lazy == NEW_YEAR
    assert lazy == Lazy(lambda: NEW_YEAR)
    assert hash(lazy) == hash(NEW_YEAR)


def test_it_is_shown_and_formatted_as_its_value() -> None:
    lazy = Lazy(lambda: NEW_YEAR)
    assert str(lazy) == str(NEW_YEAR)
    assert repr(lazy) == repr(NEW_YEAR)
    assert f"{lazy:%Y}" == "2024"


def test_a_stand_in_for_none_is_false_and_equal_to_none() -> None:
    lazy = Lazy(lambda: None)
    assert not lazy
    assert lazy == None  # noqa: E711, `is` cannot be overridden
    assert str(lazy) == "None"


def test_a_copy_is_of_the_value() -> None:
    assert copy.deepcopy(Lazy(lambda: [1])) == [1]
    assert list(Lazy(lambda: [1, 2])) == [1, 2]
    assert len(Lazy(lambda: [1, 2])) == 2
    assert 2 in Lazy(lambda: [1, 2])
