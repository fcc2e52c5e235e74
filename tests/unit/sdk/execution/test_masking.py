"""Secrets are shown nowhere: what the process composes is masked here, what it logs by its supervisor."""

from __future__ import annotations

import pytest

from piper.sdk.execution.current import Execution, executing
from piper.sdk.execution.masking import begin_masking, mask, mask_secret, redact
from tests.unit.sdk.execution.stage import MemoryChannel, facts


def test_a_registered_secret_is_masked_wherever_it_stands() -> None:
    mask_secret("hunter22")
    assert mask("the password is hunter22, hunter22!") == "the password is ***, ***!"


def test_a_secret_that_contains_another_is_masked_whole() -> None:
    mask_secret(["abcde", "abcdefgh"])
    assert mask("abcdefgh abcde") == "*** ***"


def test_a_short_string_is_not_masked_as_it_would_hide_half_of_the_log() -> None:
    mask_secret("abcd")
    assert mask("abcdabcd") == "abcdabcd"
    mask_secret("abcde")
    assert mask("abcde") == "***"


def test_characters_with_a_meaning_in_patterns_are_taken_literally() -> None:
    mask_secret("a.c+(d")
    assert mask("a.c+(d axc+(d") == "*** axc+(d"


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "my_api_key", "Authorization", "access_token"])
def test_a_value_with_a_sensitive_name_is_a_secret(name: str) -> None:
    mask_secret("value-of-it", name)
    assert mask("value-of-it") == "***"
    assert redact({name: "other"}) == {name: "***"}


def test_a_value_with_another_name_is_none() -> None:
    mask_secret("value-of-it", "colour")
    assert mask("value-of-it") == "value-of-it"


def test_of_a_dict_only_what_is_under_sensitive_names_is_secret() -> None:
    mask_secret({"host": "db.example", "password": "hunter22", "deep": {"token": ["t0k3n"]}})
    assert mask("db.example hunter22 t0k3n") == "db.example *** ***"


def test_redaction_reaches_into_lists_and_dicts_and_keeps_other_values() -> None:
    mask_secret("hunter22")
    value = {"a": ["x hunter22", {"passwd": 1, "n": 2}], "b": (None, True)}
    assert redact(value) == {"a": ["x ***", {"passwd": "***", "n": 2}], "b": [None, True]}


def test_a_value_that_is_nested_deeply_is_masked_as_text() -> None:
    mask_secret("hunter22")
    value: object = "hunter22"
    for _ in range(10):
        value = [value]
    assert "hunter22" not in str(redact(value))


def test_the_supervisor_hears_of_a_secret_before_it_can_be_logged() -> None:
    channel = MemoryChannel()
    with executing(Execution(None, facts(), channel)):
        mask_secret("hunter22")
        mask_secret("hunter22")
    assert channel.masked == ["hunter22"]


def test_secrets_of_the_file_are_announced_to_each_execution_and_those_of_another_execution_forgotten() -> None:
    mask_secret("of-the-file")
    first, second = MemoryChannel(), MemoryChannel()
    with executing(Execution(None, facts(), first)):
        begin_masking()
        mask_secret("of-the-task")
    with executing(Execution(None, facts(), second)):
        begin_masking()
    assert first.masked == ["of-the-file", "of-the-task"]
    assert second.masked == ["of-the-file"]
    assert mask("of-the-task") == "of-the-task"
