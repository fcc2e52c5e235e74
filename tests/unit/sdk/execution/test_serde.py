"""XCom values survive storage, or the task that pushes them is told why not."""

from __future__ import annotations

import enum
import math
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import numpy
import pandas
import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from piper.sdk.execution import serde
from piper.sdk.execution.lazy import Lazy

Point = namedtuple("Point", "x y")


@dataclass
class Score:
    """A result as a DAG file would define it."""

    name: str
    value: float = 0.0
    seen: list[int] = field(default_factory=list)


class Model(BaseModel):
    """A Pydantic model at the top level of a module."""

    id: int
    tags: list[str] = []


class SelfDescribing:
    """A class that says itself how it is stored."""

    __version__ = 2

    def __init__(self, path: str) -> None:
        self.path = path

    def serialize(self) -> dict[str, str]:
        return {"path": self.path}

    @staticmethod
    def deserialize(data: dict[str, str], version: int) -> SelfDescribing:
        return SelfDescribing(f"{data['path']}@{version}")


class Colour(enum.Enum):
    RED = "red"


class Mode(enum.StrEnum):
    FAST = "fast"


def through(value: object) -> object:
    return serde.decode(serde.encode(value))


def test_what_is_computed_when_it_is_looked_at_is_stored_as_what_it_is() -> None:
    moment = datetime(2026, 5, 4, tzinfo=UTC)
    assert through({"at": Lazy(lambda: moment), "text": Lazy(lambda: "x"), "nothing": Lazy(lambda: None)}) == {
        "at": moment,
        "text": "x",
        "nothing": None,
    }


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != serde.CLASSNAME), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_json_comes_back_as_it_was_and_is_stored_without_envelopes(value: object) -> None:
    text = serde.encode(value)
    assert msgspec.json.decode(text) == value
    assert serde.decode(text) == value


@pytest.mark.parametrize(
    "value",
    [
        (1, "a", None),
        {1, 2},
        frozenset({"a"}),
        [(1, 2), {"a": (3,)}],
        datetime(2024, 3, 31, 1, 30, 0, 123456, tzinfo=UTC),
        datetime(2024, 3, 31, 3, 30, tzinfo=ZoneInfo("Europe/Zurich")),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3))),
        datetime(2024, 1, 1, 12),
        date(2024, 2, 29),
        time(23, 59, 1),
        timedelta(days=-1, microseconds=5),
        ZoneInfo("Asia/Tokyo"),
        Decimal("0.10"),
        UUID("12345678123456781234567812345678"),
        pendulum.datetime(2024, 3, 31, 3, 30, tz="Europe/Zurich"),
        pendulum.datetime(2024, 1, 1, tz=2),
        pendulum.date(2024, 1, 2),
        numpy.float32(0.5),
        numpy.int64(7),
        numpy.bool_(True),
        numpy.complex128(1 + 2j),
    ],
    ids=repr,
)
def test_a_value_with_a_codec_comes_back_equal_and_of_its_type(value: object) -> None:
    back = through(value)
    assert back == value
    assert type(back) is type(value)


def test_a_zone_is_kept_and_not_only_its_offset() -> None:
    back = through(datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Zurich")))
    assert isinstance(back, datetime)
    assert str(back.tzinfo) == "Europe/Zurich"


def test_a_data_frame_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    frame = pandas.DataFrame({"a": [1, 2]})
    # pyarrow is not among the development tools: what is stored is whatever the frame writes as Parquet.
    monkeypatch.setattr(pandas.DataFrame, "to_parquet", lambda self, buffer: buffer.write(b"parquet"))
    monkeypatch.setattr(pandas, "read_parquet", lambda buffer: written.append(buffer.read()) or frame)
    assert through({"frame": frame})["frame"] is frame  # type: ignore[index]
    assert written == [b"parquet"]


def test_a_named_tuple_comes_back_as_a_plain_tuple() -> None:
    assert through(Point(1, 2)) == (1, 2)
    assert type(through(Point(1, 2))) is tuple


def test_keys_of_a_dict_become_strings() -> None:
    assert through({1: "a", None: "b"}) == {"1": "a", "None": "b"}
    assert through({(1, 2): 3}) == {"(1, 2)": 3}


def test_a_string_enum_is_stored_as_its_value() -> None:
    assert through(Mode.FAST) == "fast"


def test_a_pushed_dataclass_is_not_read_back_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serde, "_allowed_classes", set())
    text = serde.encode(Score("auc", 0.9, [1]))
    with pytest.raises(ImportError, match=r"Score may not be read from an XCom: allow it"):
        serde.decode(text)
    serde.allow_class(Score)
    assert serde.decode(text) == Score("auc", 0.9, [1])


def test_a_class_allowed_by_pattern_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serde, "_allowed_patterns", [])
    serde.allow_classes(f"{__name__}.*")
    assert through(Model(id=1, tags=["a"])) == Model(id=1, tags=["a"])
    back = through(SelfDescribing("p"))
    assert isinstance(back, SelfDescribing)
    assert back.path == "p@2"


def test_a_local_class_cannot_be_allowed() -> None:
    class Local:
        pass

    with pytest.raises(ValueError, match="top level of its module"):
        serde.allow_class(Local)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"bytes", "cannot store an object of type builtins.bytes"),
        ([1, {"a": object()}], "cannot store an object of type builtins.object"),
        (Colour.RED, r"Colour .* return its `\.value`"),
        (memoryview(b"a"), r"return its `\.tolist\(\)`"),
        (math.nan, "nan has no JSON form"),
        ([1.5, math.inf], "inf has no JSON form"),
        ({"a": [1, math.nan]}, "nan has no JSON form"),
        (2**64, "more than 64 bits"),
        ([-(2**63) - 1], "more than 64 bits"),
        (lambda: 1, "function"),
        ({"__classname__": "os.system"}, "reserved"),
    ],
)
def test_what_cannot_be_stored_is_a_type_error_that_says_why(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        serde.encode(value)


def test_a_value_that_contains_itself_is_an_error_and_not_a_hang() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(TypeError, match="contains itself, or too many levels"):
        serde.encode(value)


def test_a_newer_version_of_a_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serde, "_allowed_patterns", ["*"])
    text = serde.encode(Score("a")).replace(b'"__version__":0', b'"__version__":3')
    with pytest.raises(TypeError, match="version 3, which is newer"):
        serde.decode(text)


def test_a_class_that_is_gone_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serde, "_allowed_patterns", ["*"])
    with pytest.raises(ImportError, match=r"an XCom holds datetime\.Gone, .*: module datetime has no Gone"):
        serde.decode(b'{"__classname__":"datetime.Gone","__version__":1,"__data__":1}')
