"""Request bodies: JSON that is not too deep, and that both databases can store."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from piper.model.errors import Invalid
from piper.model.spec import Json

MAX_DEPTH = 64


class RequestWithCheckedBody(Request):
    """A request whose body is refused when it is not plain JSON, nested deeper than 64, or holds a NUL."""

    async def json(self) -> Any:
        """The decoded body. Raises Invalid."""
        if not hasattr(self, "_json"):
            self._json = decode_body(await self.body())
        return self._json


async def read_json(request: RequestWithCheckedBody) -> bytes:
    """Read and check the body before anything else looks at it; returns its bytes.

    Raises:
        HTTPException: 415, it is not declared as JSON, which a page of another site could also send.
        Invalid: it does not arrive whole; or see `decode_body`.
    """
    try:
        body = await request.body()
    except ClientDisconnect as error:
        raise Invalid("the connection ended before the body did") from error
    if body:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise HTTPException(415, f"the body is declared as {kind or 'nothing'!r}: send application/json")
        await request.json()
    return body


def decode_body(body: bytes) -> Json:
    """The JSON value of a body.

    Raises:
        Invalid: it is not JSON in UTF-8, is nested too deep, or has a NUL, which PostgreSQL cannot store.
    """
    try:
        value = msgspec.json.decode(body)
        body.decode()  # a lone surrogate or a broken sequence is nobody's text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}") from error
    _check(value)
    return value


def _check(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Json] = []
        for part in level:
            if isinstance(part, str) and not _storable(part):
                raise Invalid("the body holds a text with a NUL or half a character, which cannot be stored")
            if isinstance(part, dict):
                below.extend(part)
                below.extend(part.values())
            elif isinstance(part, list):
                below.extend(part)
        if not below:
            return
        level = below
    raise Invalid(f"the body is nested deeper than {MAX_DEPTH} levels")


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
