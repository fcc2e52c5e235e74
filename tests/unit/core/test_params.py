"""Params of a run against their JSON Schemas."""

from __future__ import annotations

from typing import Any

import pytest

from piper.core.params import check_params
from piper.model.spec import ParamSpec


def check(schema: dict[str, Any], conf: dict[str, Any], **options: Any) -> list[str]:
    return check_params({"p": ParamSpec(schema, **options)}, conf)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "minLength": 2}, "ab", "a"),
        ({"type": ["integer", "null"]}, None, "1"),
        ({"enum": [1, 2]}, 2, 3),
        ({"type": "string", "format": "date"}, "2026-11-20", "2026-13-20"),
        ({"type": "string", "format": "date-time"}, "2026-11-20T10:00:00Z", "soon"),
        ({"type": "string", "format": "time"}, "10:30:00", "25:00"),
        ({"type": ["null", "string"], "format": "date-time"}, None, "2026-11-20T10:00:00"),
        ({"type": "array", "items": {"type": "integer"}}, [1], ["x"]),
        ({"type": "object", "required": ["a"]}, {"a": 1}, {}),
        ({"pattern": "^a+$"}, "aa", "b"),
    ],
)
def test_a_value_must_fit_the_schema(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert check(schema, {"p": good}) == []
    [problem] = check(schema, {"p": bad})
    assert problem.startswith("param 'p'")


def test_a_default_is_checked_and_a_param_without_one_must_be_given() -> None:
    assert check({"type": "integer"}, {}, default=1) == []
    assert check({"type": "integer"}, {}, default=None) != []
    assert check({"type": "integer"}, {}, required=True) == ["param 'p' has no default: give it a value"]
    assert check({"type": "integer"}, {"p": 3}, required=True) == []


def test_what_no_param_asks_for_is_let_be() -> None:
    assert check({}, {"other": object}) == []


def test_the_place_inside_a_value_is_said() -> None:
    [problem] = check({"properties": {"a": {"items": {"type": "integer"}}}}, {"p": {"a": [1, "x"]}})
    assert "param 'p'['a'][1]:" in problem


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/nowhere"},
    ],
)
def test_a_schema_that_cannot_be_used_is_the_authors_fault_and_fetches_nothing(schema: dict[str, Any]) -> None:
    [problem] = check(schema, {"p": 1})
    assert "which the workflow's author can mend" in problem
