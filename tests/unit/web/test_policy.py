"""Who may do what."""

from __future__ import annotations

import pytest

from piper.web.policy import COMMON_KINDS, Action, Kind, Principal, Thing, can

RED = Principal("red", frozenset({"red"}))
NOBODY = Principal("nobody", frozenset())
ROOT = Principal("root", None)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("kind", Kind)
def test_a_team_may_everything_with_its_own_and_nothing_with_anothers(action: Action, kind: Kind) -> None:
    assert can(RED, action, Thing(kind, "x", "red"))
    assert not can(RED, action, Thing(kind, "x", "blue"))
    assert not can(NOBODY, action, Thing(kind, "x", "red"))
    assert can(ROOT, action, Thing(kind, "x", "blue"))


@pytest.mark.parametrize("kind", Kind)
def test_what_belongs_to_the_installation_may_at_most_be_read(kind: Kind) -> None:
    thing = Thing(kind, "x", "")
    assert can(RED, Action.READ, thing) == (kind in COMMON_KINDS)
    assert not can(RED, Action.EDIT, thing)
    assert not can(RED, Action.RUN, thing)
    assert can(ROOT, Action.EDIT, thing)
