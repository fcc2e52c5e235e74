"""What proves who calls."""

from __future__ import annotations

import pytest

from piper.model.run import Identity
from piper.secrets import Keys
from piper.task_api.tokens import Tokens

OLD, NEW = b"o" * 32, b"n" * 32
ME = Identity(7, 2, 1)


def test_a_new_leader_issues_the_same_token() -> None:
    assert Tokens(Keys([OLD])).issue(ME) == Tokens(Keys([OLD])).issue(ME)


def test_a_token_is_good_for_its_execution() -> None:
    tokens = Tokens(Keys([OLD]))
    assert tokens.is_valid(ME, tokens.issue(ME))


@pytest.mark.parametrize("other", [Identity(8, 2, 1), Identity(7, 3, 1), Identity(7, 2, 2), Identity(72, 1, 0)])
def test_a_token_is_good_for_no_other_execution(other: Identity) -> None:
    tokens = Tokens(Keys([OLD]))
    assert not tokens.is_valid(other, tokens.issue(ME))


@pytest.mark.parametrize("token", ["", "nothing", "ü", "\0", "A" * 24])
def test_what_was_not_issued_is_not_valid(token: str) -> None:
    assert not Tokens(Keys([OLD])).is_valid(ME, token)


def test_a_token_of_another_installation_is_not_valid() -> None:
    assert not Tokens(Keys([NEW])).is_valid(ME, Tokens(Keys([OLD])).issue(ME))


def test_a_token_outlives_a_change_of_the_master_key() -> None:
    assert Tokens(Keys([NEW, OLD])).is_valid(ME, Tokens(Keys([OLD])).issue(ME))
