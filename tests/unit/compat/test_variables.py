"""`airflow.models.Variable` keeps its own spelling of defaults, in either mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from piper.compat.variables import Variable
from piper.sdk.execution.current import answer_outside_of_tasks
from tests.unit.sdk.execution.stage import MemoryChannel


@pytest.fixture(autouse=True)
def channel() -> Iterator[MemoryChannel]:
    found = MemoryChannel(variables={"bucket": "b1", "limits": '{"rows": 5}'})
    answer_outside_of_tasks(found)
    yield found
    answer_outside_of_tasks(None)


def test_a_default_is_called_default_var_or_stands_second() -> None:
    assert Variable.get("bucket", default_var="b0") == "b1"
    assert Variable.get("gone", default_var=None) is None
    assert Variable.get("gone", {"rows": 0}, True) == {"rows": 0}
    assert Variable.get("limits", deserialize_json=True) == {"rows": 5}
    with pytest.raises(KeyError, match="Variable gone not found"):
        Variable.get("gone")


def test_setdefault_creates_what_is_missing(channel: MemoryChannel) -> None:
    assert Variable.setdefault("bucket", "b2") == "b1"
    assert Variable.setdefault("new", {"rows": 7}, deserialize_json=True) == {"rows": 7}
    assert Variable.get("new", deserialize_json=True) == {"rows": 7}
    with pytest.raises(ValueError, match="its default is None"):
        Variable.setdefault("gone", None)
