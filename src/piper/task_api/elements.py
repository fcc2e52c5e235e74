"""Where the elements of a JSON array or object lie in its text, so that one can be had without the others.

10,000 mapped instances read 10,000 elements of one list. Handing each the list would copy it 10,000 times, and
decoding it here would make objects of what a task wrote (security.md §2 row 11). So the text is walked once, its
elements' positions are noted in an `Index`, and every read afterwards is a slice.

An index is bytes, 16 for each element of an array (start, stop of its text) and 32 for each entry of an object (of
its key, then of its value), so that it can lie beside a long value and be read at a position.

msgspec does the walking of nested text: it checks the syntax of a value and gives its extent without building it.
"""

from __future__ import annotations

import re
import struct
from array import array
from enum import StrEnum
from itertools import accumulate

import msgspec
from msgspec import Raw, Struct, field

from piper.model.errors import Invalid

_any_json = msgspec.json.Decoder(Raw)
_array_of_raw = msgspec.json.Decoder(list[Raw])
_object_of_raw = msgspec.json.Decoder(dict[str, Raw])

_OPENING = re.compile(rb"[ \t\r\n]*([\[{])[ \t\r\n]*")
_COMMA = re.compile(rb"[ \t\r\n]*,?[ \t\r\n]*")
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_TUPLE = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"__classname__"[ \t\r\n]*:[ \t\r\n]*"builtins\.tuple"')
_TUPLE_DATA = re.compile(rb'"__data__"[ \t\r\n]*:[ \t\r\n]*')


class _Tuple(Struct):
    """A tuple as the worker writes it (wire.GetXCom)."""

    data: Raw = field(name="__data__")


class Shape(StrEnum):
    """What an index is of."""

    ARRAY = "array"
    OBJECT = "object"


WIDTH = {Shape.ARRAY: 16, Shape.OBJECT: 32}
"""Bytes of index for each element."""


class Index(Struct, frozen=True):
    """The positions of every element of one text."""

    shape: Shape
    positions: bytes

    def __len__(self) -> int:
        return len(self.positions) // WIDTH[self.shape]


class Extent(Struct, frozen=True):
    """Where one element lies; an entry of an object has a key."""

    start: int
    stop: int
    key_start: int = 0
    key_stop: int = 0


def check_json(text: bytes) -> None:
    """Return if `text` is one JSON value in UTF-8.

    Raises:
        Invalid: it is not, or is nested deeper than this interpreter can follow.
    """
    try:
        _any_json.decode(text)
        if not text.isascii():
            text.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the pushed value is not JSON text: {error}; the worker that encoded it is at fault") from error
    except RecursionError as error:
        raise Invalid("the pushed value is nested too deeply; push a flatter one") from error


def index_of(text: bytes) -> Index | None:
    """The index of a JSON text that `check_json` has accepted; None if it has no elements to speak of.

    A tuple, which the worker writes as an object around an array, counts as its array.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return None
    if opening[1] == b"[":
        return _array_index(text, 0, _array_of_raw.decode(text))
    if _TUPLE.match(text):
        return _tuple_index(text)
    return _object_index(text, opening.end())


def extent(shape: Shape, positions: bytes) -> Extent:
    """The extent that `WIDTH[shape]` bytes of an index say."""
    if shape is Shape.ARRAY:
        return Extent(*struct.unpack("=QQ", positions))
    key_start, key_stop, start, stop = struct.unpack("=QQQQ", positions)
    return Extent(start, stop, key_start, key_stop)


def element_extent(index: Index, element: int) -> Extent | None:
    """Where element number `element` lies, or None if there are not that many."""
    width = WIDTH[index.shape]
    if not 0 <= element < len(index):
        return None
    return extent(index.shape, index.positions[element * width : (element + 1) * width])


def decode_key(text: bytes) -> str:
    """The key that its JSON text, with quotes, stands for."""
    return msgspec.json.decode(text, type=str)


def _array_index(text: bytes, offset: int, elements: list[Raw]) -> Index:
    """The index of an array that begins at `offset` of `text` and has these elements."""
    opening = _OPENING.match(text, offset)
    assert opening is not None
    lengths = [len(memoryview(element)) for element in elements]
    position = opening.end()
    if _is_compact(text, position, lengths):
        # Nothing but commas between the elements: sums say it all, without a step per element in Python.
        stops = list(accumulate(lengths, lambda total, length: total + 1 + length, initial=position - 1))[1:]
        starts = [stop - length for stop, length in zip(stops, lengths, strict=True)]
    else:
        starts, stops = [], []
        for length in lengths:
            starts.append(position)
            stops.append(position + length)
            comma = _COMMA.match(text, position + length)
            assert comma is not None
            position = comma.end()
    positions = array("Q", [0]) * (2 * len(lengths))
    positions[0::2], positions[1::2] = array("Q", starts), array("Q", stops)
    return Index(Shape.ARRAY, positions.tobytes())


def _is_compact(text: bytes, position: int, lengths: list[int]) -> bool:
    """Whether `text` is that array and nothing else: brackets, elements, one byte between each two."""
    return position == 1 and len(text) == 1 + sum(lengths) + max(len(lengths), 1)


def _tuple_index(text: bytes) -> Index | None:
    try:
        data = msgspec.json.decode(text, type=_Tuple).data
        elements = _array_of_raw.decode(data)
    except msgspec.DecodeError:
        return None
    mark = _TUPLE_DATA.search(text)
    if mark is None or not text.startswith(bytes(data), mark.end()):
        return None
    return _array_index(text, mark.end(), elements)


def _object_index(text: bytes, position: int) -> Index | None:
    values = _object_of_raw.decode(text)
    positions = array("Q")
    for value in values.values():
        key = _KEY.match(text, position)
        if key is None or not text.startswith(bytes(value), key.end()):
            return None  # a key that occurs twice: the text says one thing and an object another
        stop = key.end() + len(memoryview(value))
        positions.extend((*key.span(1), key.end(), stop))
        comma = _COMMA.match(text, stop)
        assert comma is not None
        position = comma.end()
    return Index(Shape.OBJECT, positions.tobytes())
