"""Operators described as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pytest

from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.sdk.operator import BaseOperator
from piper.sdk.schemas import arguments_schema, common_arguments_schema, schema_of, schema_of_type
from tests.unit.sdk.operators import Loud, Shell

if TYPE_CHECKING:
    from nowhere import Unseen  # type: ignore[import-not-found]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, {"type": "string"}),
        (int | None, {"type": ["integer", "null"]}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (Iterable[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Mapping[str, Any], {"type": "object"}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (Color, {"enum": ["red", "blue"]}),
        (Path, {"type": "string"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (timedelta | float, {"anyOf": [{"type": "number", "format": "seconds"}, {"type": "number"}]}),
        (str | list[str], {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
        (Callable[..., Any], {"code": True}),
        (Any, {}),
        (str | Any, {}),
        (object, {}),
    ],
)
def test_annotations_become_json_schema(hint: Any, expected: dict[str, Any]) -> None:
    assert schema_of_type(hint) == expected


def test_arguments_come_from_all_ancestors_with_their_words() -> None:
    assert arguments_schema(Loud) == {
        "type": "object",
        "properties": {
            "command": {"type": "string", "default": "true", "description": "what to run.", "templated": True},
            "env": {
                "anyOf": [{"type": "object", "additionalProperties": {"type": "string"}}, {"type": "null"}],
                "description": "environment variables.",
                "templated": True,
            },
            "callback": {"description": "called with the output."},
            "volume": {"type": "integer", "default": 11},
        },
        "additionalProperties": False,
    }


class Rest(BaseOperator):
    """Loads a table.

    More words about it,
    on two lines.

    :param table: which table
        to load
    :param Color color: how it looks
    :param unseen: a type that only a checker sees
    """

    icon = "table"
    ui_color = "#123456"

    def __init__(self, *, table: str, color: Color = Color.RED, unseen: Unseen | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)


def test_an_operator_is_described_for_people_and_forms() -> None:
    schema = schema_of(Rest)
    assert schema.path == f"{__name__}.Rest"
    assert (schema.name, schema.summary, schema.icon, schema.color) == ("Rest", "Loads a table.", "table", "#123456")
    assert "on two lines" in schema.doc
    assert schema.arguments["required"] == ["table"]
    properties = schema.arguments["properties"]
    assert properties["table"]["description"] == "which table to load"
    assert properties["color"] == {"enum": ["red", "blue"], "description": "how it looks"}
    assert properties["unseen"] == {"description": "a type that only a checker sees"}


def test_what_a_class_is_can_be_read_from_its_description() -> None:
    from piper.operators.python import BranchPythonOperator
    from piper.sdk.sensor import BaseSensorOperator

    assert schema_of(EmptyOperator).inert
    assert schema_of(BranchPythonOperator).branches
    assert schema_of(BaseSensorOperator).sensor
    assert not schema_of(Shell).sensor
    assert schema_of(Shell).template_fields == ("command", "env")


def test_descriptions_are_json() -> None:
    for operator in (Rest, Shell, Loud, BashOperator, EmptyOperator):
        assert msgspec.json.decode(msgspec.json.encode(schema_of(operator)))


def test_every_common_argument_is_described() -> None:
    schema = common_arguments_schema()
    assert msgspec.json.encode(schema)
    assert schema["required"] == ["task_id"]
    properties = schema["properties"]
    assert properties["retries"] == {
        "type": ["integer", "null"],
        "default": 0,
        "description": "how often it is tried again after a failure.",
    }
    assert properties["retry_delay"]["default"] == 300
    assert properties["trigger_rule"]["default"] == "all_success"
    assert all(one.get("description") for name, one in properties.items() if name != "task_id")
