"""Logs, as pages and as streams; and the events of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Header, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from piper.model.errors import NotFound
from piper.model.ids import UNMAPPED
from piper.web.following import LogFollower, News, RunFollower, line_view, log_lines, try_is_over
from piper.web.policy import Action, Kind, Permission
from piper.web.resources.loading import MapIndex, RunNumber, TaskId, load_instance, load_run
from piper.web.routing import Call, CurrentCall, Resource
from piper.web.streams import KEEPALIVE, MEDIA_TYPE, Streams, encode_event, look_again

READ = Permission(Action.READ, Kind.LOG)

resource = Resource("logs")

_SHORTEST_LOOK, _LONGEST_LOOK = 0.1, 0.4
"""Seconds between two looks of a stream: with the half second for which a worker may hold a line, a line is
seen within a second of its being written."""

_LARGEST_OFFSET = 1 << 62


class LineView(BaseModel):
    """A line of a log."""

    time: str = Field(description="UTC; when the worker read it from the task.")
    kind: str = Field(description="`out`, a level of logging, or `piper` for what Piper itself has to say.")
    logger: str
    text: str


class LogView(BaseModel):
    """A stretch of the log of one try."""

    try_number: int
    lines: list[LineView]
    offset: int = Field(description="Where it begins.")
    next: int = Field(description="Give it as `offset` for what follows.")
    ended: bool = Field(description="Nothing more will be written to this log, and this is its end.")


TryNumberOrLatest = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Which try; the latest if it is left out.")
]


@resource.get("/runs/{run}/tasks/{task_id}/logs", READ, response_model=LogView)
async def read_log(
    call: CurrentCall,
    request: Request,
    run: RunNumber,
    task_id: TaskId,
    map_index: MapIndex = UNMAPPED,
    try_number: TryNumberOrLatest = None,
    offset: Annotated[int, Query(ge=0, le=_LARGEST_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1024, le=1 << 20, description="Most bytes.")] = 64 << 10,
    last_event_id: Annotated[str, Header(description="Of a broken stream: where it goes on.")] = "",
) -> Response:
    """Read the log of a task's try.

    With `Accept: text/event-stream` it is followed until the try is over: events `lines` with new lines, then one
    `end`. The id of an event is the offset after it.
    """
    follower = await run_in_threadpool(_follower, call, run, task_id, map_index, try_number)
    if MEDIA_TYPE not in request.headers.get("accept", ""):
        return JSONResponse(await run_in_threadpool(_page, call, follower, offset, limit))
    follower.offset = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 19 else offset
    streams: Streams = request.app.state.streams
    return streams.respond(_stream(streams, follower))


@resource.get("/runs/{run}/events", READ, response_class=Response, responses={200: {"content": {MEDIA_TYPE: {}}}})
async def follow_run(
    call: CurrentCall,
    request: Request,
    run: RunNumber,
    logs: Annotated[bool, Query(description="Also every line that its tasks write.")] = False,
) -> Response:
    """Follow a run until it has ended, as server-sent events.

    Events: `tasks` (instances whose state changed), `run` (its own state), `log` (lines of one try) and, at last,
    `end`. The first events tell how everything is.
    """

    def load() -> None:
        with call.parts.database.read() as connection:
            load_run(call, connection, run)

    await run_in_threadpool(load)
    streams: Streams = request.app.state.streams
    return streams.respond(_stream(streams, RunFollower(call.parts, run, with_logs=logs)))


def _follower(call: Call, run: int, task_id: str, map_index: int, try_number: int | None) -> LogFollower:
    with call.parts.database.read() as connection:
        row = load_instance(call, connection, load_run(call, connection, run), task_id, map_index)
    wanted = row.try_number if try_number is None else try_number
    if wanted == 0:
        raise NotFound(f"task {task_id!r} of run number {run} has not been tried yet, so that it has no log")
    if wanted > row.try_number:
        raise NotFound(f"task {task_id!r} of run number {run} has no try {wanted}: it is at try {row.try_number}")
    follower = LogFollower(call.parts, run, task_id, map_index, row.id, wanted, 0)
    follower.ended = try_is_over(row.state, row.try_number, wanted)
    return follower


def _page(call: Call, follower: LogFollower, offset: int, limit: int) -> dict[str, Any]:
    chunk = follower.log.read(offset, limit)
    return {
        "try_number": follower.try_number,
        "lines": [line_view(line) for line in log_lines(chunk)],
        "offset": chunk.offset,
        "next": chunk.next,
        "ended": follower.ended and chunk.next >= follower.log.size(),
    }


async def _stream(streams: Streams, follower: LogFollower | RunFollower) -> AsyncIterator[bytes]:
    follower.ended = False

    def look() -> News | None:
        return follower.look()

    async for news in look_again(streams, look, _SHORTEST_LOOK, _LONGEST_LOOK):
        if news is None:
            yield KEEPALIVE
            continue
        for name, data in news:
            yield encode_event(name, data, str(data["next"]) if "next" in data else "")
        if follower.ended:
            return
