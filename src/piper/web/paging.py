"""Pages of lists: `limit` and `cursor` in, items and the cursor of the next page out.

A cursor is the sort keys of the last row, so that a list is walked by key (`piper.store.listings`). It is
opaque, holds nothing secret, and says which order it belongs to: with another order it is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy.types import TypeEngine

from piper.model.errors import Invalid
from piper.model.nearest import did_you_mean
from piper.store.listings import AnyRow, Order, Page, Window
from piper.store.types import Instant
from piper.web.routing import Call, CurrentCall

DEFAULT_LIMIT = 50
_BIGGEST_KEY = 2**63 - 1
_OFFSET = "offset"
"""In place of the signature of an order: the cursor counts items."""

T = TypeVar("T")


class Items(BaseModel, Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    next_cursor: str | None = Field(
        default=None, description="Give it as `cursor` for the next page; null on the last one."
    )


class Paging:
    """The part of a list that a call asks for."""

    def __init__(self, call: Call, limit: int, cursor: str | None) -> None:
        self.limit = min(limit, call.parts.settings.web.page_limit)
        self.cursor = cursor

    def window(self, order: Order, name: str = "") -> Window:
        """The window into a list that is sorted so; `name` is that of the order, where there are several.

        Raises:
            Invalid: the cursor is not one of this list in this order.
        """
        if self.cursor is None:
            return Window(self.limit)
        keys = _decode(self.cursor)
        if keys is None or not _fits(keys, order, name):
            raise Invalid("the cursor is not one of this list in this order: begin again without it")
        return Window(self.limit, tuple(keys[1:]))

    def offset(self) -> int:
        """How many items of a list that is computed, and not read, lie before the page.

        Raises:
            Invalid: the cursor is not one of such a list.
        """
        if self.cursor is None:
            return 0
        keys = _decode(self.cursor)
        if keys is None or len(keys) != 2 or keys[0] != _OFFSET or not isinstance(keys[1], int) or keys[1] < 0:
            raise Invalid("the cursor is not one of this list: begin again without it")
        return keys[1]

    def cursor_at(self, offset: int) -> str:
        """The cursor of a page of such a list."""
        return _encode([_OFFSET, offset])

    def page(self, found: Page, order: Order, convert: Callable[[AnyRow], T], name: str = "") -> Items[T]:
        """What is sent of a page that was read."""
        cursor = None
        if found.last is not None:
            cursor = _encode([_signature(order, name), *found.last])
        return Items(items=[convert(row) for row in found.rows], next_cursor=cursor)


async def _paging(
    call: CurrentCall,
    limit: Annotated[int, Query(ge=1, le=500, description="Most items on the page.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=2000, description="`next_cursor` of the page before; none for the first page.")
    ] = None,
) -> Paging:
    return Paging(call, limit, cursor)


CurrentPaging = Annotated[Paging, Depends(_paging)]
"""The type of a list handler's argument for its paging."""


def chosen_order(orders: Mapping[str, Order], wanted: str) -> Order:
    """The order of that name, from the other end if it begins with "-". Raises Invalid for an unknown one."""
    order = orders.get(wanted.removeprefix("-"))
    if order is None:
        known = [sign + name for name in orders for sign in ("", "-")]
        raise Invalid(f"this list has no order {wanted!r}{did_you_mean(wanted, known)}; known are {', '.join(known)}")
    return order.reversed() if wanted.startswith("-") else order


def _signature(order: Order, name: str) -> str:
    return f"{name}{'-' if order.descending else '+'}{len(order.columns)}"


def _fits(keys: list[Any], order: Order, name: str) -> bool:
    """Whether these are sort keys of that order, each of its column's type."""
    kinds = [_python_type(column.type) for column in order.columns]
    return (
        len(keys) == len(kinds) + 1
        and keys[0] == _signature(order, name)
        and all(isinstance(key, kind) for key, kind in zip(keys[1:], kinds, strict=True))
    )


def _python_type(kind: TypeEngine[Any]) -> type:
    return datetime if isinstance(kind, Instant) else kind.python_type


def _encode(keys: list[Any]) -> str:
    tagged = [{"at": key} if isinstance(key, datetime) else key for key in keys]
    return base64.urlsafe_b64encode(msgspec.json.encode(tagged)).decode().rstrip("=")


def _decode(cursor: str) -> list[Any] | None:
    try:
        keys = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        return [_key(key) for key in keys]
    except (msgspec.DecodeError, binascii.Error, UnicodeError, ValueError, TypeError, KeyError):
        return None


def _key(key: Any) -> Any:
    if isinstance(key, dict):
        moment = msgspec.convert(key["at"], datetime)
        if moment.tzinfo is None:
            raise ValueError("a moment without a zone")
        return moment
    if isinstance(key, bool) or not isinstance(key, (int, str)):
        raise TypeError("no sort key")
    if isinstance(key, int) and abs(key) > _BIGGEST_KEY:
        raise ValueError("no number of a row")
    if isinstance(key, str) and "\0" in key:
        raise ValueError("no text of a row")
    return key
