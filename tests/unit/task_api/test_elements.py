"""Elements of JSON text, found without making objects of it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.model.errors import Invalid
from piper.task_api.elements import Index, check_json, decode_key, element_extent, index_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
lists = st.lists(values, max_size=12)
objects = st.dictionaries(st.text(), values, max_size=12)
writers = st.sampled_from(
    [
        lambda value: json.dumps(value).encode(),
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        lambda value: json.dumps(value, indent=3).encode(),
        lambda value: json.dumps(value, separators=(",", ":")).encode(),
        lambda value: b" \n" + json.dumps(value, separators=(" , ", " :\t")).encode() + b"\n",
    ]
)


def indexed(text: bytes) -> Index:
    check_json(text)
    index = index_of(text)
    assert index is not None
    return index


def elements(text: bytes) -> list[object]:
    """Every element of a text, each had by its own position."""
    index = indexed(text)
    found: list[object] = []
    for number in range(len(index)):
        where = element_extent(index, number)
        assert where is not None
        value = json.loads(text[where.start : where.stop])
        found.append((decode_key(text[where.key_start : where.key_stop]), value) if where.key_stop else value)
    return found


@given(lists, writers)
def test_the_elements_of_a_list_are_those_of_its_text(value: list[object], write: object) -> None:
    assert elements(write(value)) == value  # type: ignore[operator]


@given(objects, writers)
def test_the_entries_of_a_dict_are_those_of_its_text(value: dict[str, object], write: object) -> None:
    assert elements(write(value)) == list(value.items())  # type: ignore[operator]


@given(lists, writers)
def test_a_tuple_counts_as_its_list(value: list[object], write: object) -> None:
    envelope = {"__classname__": "builtins.tuple", "__version__": 1, "__data__": value}
    assert elements(write(envelope)) == value  # type: ignore[operator]


@pytest.mark.parametrize("text", [b"3", b'"[1]"', b"null", b"true"])
def test_a_single_value_has_no_elements(text: bytes) -> None:
    assert index_of(text) is None


def test_there_is_nothing_before_the_first_and_after_the_last_element() -> None:
    index = indexed(b"[1,2]")
    assert element_extent(index, -1) is None
    assert element_extent(index, 2) is None
    assert len(indexed(b"[]")) == len(indexed(b"{ }")) == 0


def test_an_object_with_a_key_twice_has_no_elements() -> None:
    assert index_of(b'{"a":1,"a":2}') is None


def test_an_envelope_that_lies_about_its_tuple_has_no_wrong_elements() -> None:
    assert index_of(b'{"__classname__":"builtins.tuple","__data__":7}') is None
    twice = b'{"__classname__":"builtins.tuple","__data__":[1],"__data__":[2,3]}'
    assert index_of(twice) is None


@pytest.mark.parametrize("text", [b"", b"[1,]", b"{1:2}", b"NaN", b"1 2", b"'a'", b'"\xff"', b"[" * 100_000])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid):
        check_json(text)


def test_ten_thousand_elements_are_found_in_one_walk() -> None:
    text = msgspec.json.encode([{"n": n, "s": '"],['} for n in range(10_000)])
    index = indexed(text)
    where = element_extent(index, 9_999)
    assert where is not None
    assert json.loads(text[where.start : where.stop]) == {"n": 9_999, "s": '"],['}
    assert len(index.positions) == 160_000
