"""XCom values: where they are put, and how they and their elements are had again.

A value of up to INLINE_XCOM bytes lies in its row; a longer one in the artifact store with the index of its elements
beside it, so that reading an element is two short reads wherever it lies. An inline value is indexed when an element
of it is first asked for, and the indexes used last are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from piper.artifacts import ArtifactStore
from piper.model.errors import Invalid, NotFound
from piper.model.wire import INLINE_XCOM, XComFound, XComPush
from piper.store.xcoms import StoredXCom
from piper.task_api.elements import (
    WIDTH,
    Extent,
    Index,
    Shape,
    check_json,
    decode_key,
    element_extent,
    extent,
    index_of,
)

MAX_VALUE = 1 << 30
"""Bytes of JSON that a value may have, unless a setting says otherwise."""

_SHAPE_BYTES = {Shape.ARRAY: b"array   ", Shape.OBJECT: b"object  "}
_SHAPES = {code: shape for shape, code in _SHAPE_BYTES.items()}
_HEADER = 8


class TooLarge(Invalid):
    """A value is longer than is allowed, or than one answer can be."""


class XComValues:
    """Puts values away and gets them back. May be used by many threads.

    Arguments:
        limit: bytes of JSON that a value may have.
    """

    def __init__(self, artifacts: ArtifactStore, limit: int = MAX_VALUE) -> None:
        self._artifacts = artifacts
        self._limit = limit
        self._indexes = _IndexCache()

    def put(self, push: XComPush) -> StoredXCom:
        """Where the pushed value is to be found from now on. A long one is durable when this returns.

        Raises:
            Invalid: it is not JSON.
            TooLarge: it is longer than the limit.
            StoreUnavailable: the artifact store cannot write.
        """
        if len(push.value) > self._limit:
            raise TooLarge(
                f"XCom {push.key!r} has {len(push.value):,} bytes, {self._limit:,} are allowed: "
                "store the data elsewhere and push where it lies"
            )
        check_json(push.value)
        if len(push.value) <= INLINE_XCOM:
            return StoredXCom(push.value, None, push.length)
        index = index_of(push.value)
        beside = b"" if index is None else _SHAPE_BYTES[index.shape] + index.positions
        return StoredXCom(None, self._artifacts.write(push.value, beside), push.length)

    def size(self, stored: StoredXCom) -> int:
        """Bytes of a value."""
        if stored.value is not None:
            return len(stored.value)
        return 0 if stored.artifact is None else self._artifacts.size(stored.artifact)

    def text(self, stored: StoredXCom) -> bytes:
        """The JSON text of a value. Raises NotFound if its artifact is gone."""
        if stored.value is not None:
            return stored.value
        assert stored.artifact is not None
        return self._artifacts.read(stored.artifact)

    def element(self, stored: StoredXCom, element: int) -> XComFound:
        """One element of a value, or nothing if it is no list or dict, or has not that many.

        Raises:
            NotFound: its artifact is gone.
        """
        if stored.value is not None:
            index = self._indexes.get(stored.value)
            where = None if index is None else element_extent(index, element)
        else:
            assert stored.artifact is not None
            where = self._indexed_extent(stored.artifact, element)
        if where is None:
            return XComFound(None, stored.length)
        key = decode_key(self._part(stored, where.key_start, where.key_stop)) if where.key_stop else None
        return XComFound(self._part(stored, where.start, where.stop), stored.length, key)

    def _part(self, stored: StoredXCom, start: int, stop: int) -> bytes:
        if stored.value is not None:
            return stored.value[start:stop]
        assert stored.artifact is not None
        return self._artifacts.read(stored.artifact, start, stop)

    def _indexed_extent(self, artifact: str, element: int) -> Extent | None:
        try:
            shape = _SHAPES[self._artifacts.read_index(artifact, 0, _HEADER)]
        except NotFound:
            self._artifacts.size(artifact)  # if the value itself is gone, say that
            return None
        width = WIDTH[shape]
        start = _HEADER + element * width
        positions = self._artifacts.read_index(artifact, start, start + width) if element >= 0 else b""
        return extent(shape, positions) if len(positions) == width else None


class _IndexCache:
    """Indexes of inline values, by the values themselves: a value that was pushed anew has another index."""

    KEPT = 32

    def __init__(self) -> None:
        self._indexes: OrderedDict[bytes, Index | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: bytes) -> Index | None:
        with self._lock:
            if text in self._indexes:
                self._indexes.move_to_end(text)
                return self._indexes[text]
        index = index_of(text)
        with self._lock:
            self._indexes[text] = index
            if len(self._indexes) > self.KEPT:
                self._indexes.popitem(last=False)
        return index
