"""Server-sent events: how many may be followed at a time, how they end, and how they look on the wire.

A stream looks for news at intervals: it costs a short query or a file read, in a thread that it does not
keep. It ends when there is nothing more to come, when the client goes, or when the server stops.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from piper.model.errors import StoreUnavailable
from piper.model.spec import Json
from piper.telemetry import STREAMS
from piper.web.problems import TooManyStreams

log = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"
KEEPALIVE = b": still here\n\n"
_KEEPALIVE_SECONDS = 15.0

T = TypeVar("T")


class Streams:
    """The live streams of one server."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.active = 0
        self.closing = False

    def close(self) -> None:
        """Let every stream end at its next look."""
        self.closing = True

    def respond(self, events: AsyncIterator[bytes]) -> StreamingResponse:
        """The reply that sends these events. Raises TooManyStreams."""
        if self.active >= self.limit:
            raise TooManyStreams(f"{self.limit} streams are being followed, which is as many as there may be")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._counted(events), headers=headers, media_type=MEDIA_TYPE)

    async def _counted(self, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.active += 1
        STREAMS.inc()
        try:
            async for event in events:
                yield event
        finally:
            self.active -= 1
            STREAMS.dec()


def encode_event(name: str, data: Json, id: str = "") -> bytes:  # noqa: A002, the protocol's word
    """One event. `data` becomes JSON, which has no line breaks of its own."""
    head = f"event: {name}\n" + (f"id: {id}\n" if id else "")
    return head.encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"


async def look_again(
    streams: Streams, look: Callable[[], T | None], shortest: float, longest: float
) -> AsyncIterator[T | None]:
    """What `look` finds, again and again, in a thread of the pool each time; None when it is time for a sign of life.

    Looks follow each other quickly while there is something, and ever more slowly while there is nothing. While the
    database cannot be used there is nothing; what happens meanwhile is told when it is back. Ends when the server
    stops.

    Arguments:
        look: returns None when there is nothing new.
        shortest, longest: seconds between two looks.
    """
    pause = shortest
    silent = 0.0
    while not streams.closing:
        try:
            found = await run_in_threadpool(look)
        except StoreUnavailable as error:
            log.debug("a stream goes on later: %s", error)
            found = None
        if found is not None:
            pause, silent = shortest, 0.0
            yield found
        elif silent >= _KEEPALIVE_SECONDS:
            silent = 0.0
            yield None
        await anyio.sleep(pause)
        silent += pause
        if found is None:
            pause = min(1.5 * pause, longest)
