"""The nearest known name."""

from __future__ import annotations

from piper.model.nearest import did_you_mean, nearest

KNOWN = ["port", "host", "page_limit", "Sales"]


def test_a_misspelt_name_finds_the_one_that_was_meant() -> None:
    assert nearest("prot", KNOWN) == ["port"]
    assert nearest("SALES", KNOWN) == ["Sales"]
    assert did_you_mean("page_limits", KNOWN) == "; did you mean 'page_limit'?"


def test_a_name_that_is_like_none_finds_none() -> None:
    assert nearest("xyzzy", KNOWN) == []
    assert did_you_mean("xyzzy", KNOWN) == ""
    assert nearest("x", []) == []
