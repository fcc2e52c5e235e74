"""What is new since the last look: the log of one try, or a whole run with all its logs.

A follower is asked again and again by a stream (`streams.look_again`), in a thread of the pool. It remembers
how far it has told; what it reads is the database and the log store, so that any web server can follow
anything, and a stream that broke goes on elsewhere from where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from piper.logs import Chunk, LogLine, parse_line
from piper.model.ids import log_path
from piper.model.states import FINISHED, RunState, TaskState
from piper.store import listings
from piper.store.listings import AnyRow
from piper.web.parts import WebParts

CHUNK = 64 << 10
_MOST_BYTES_AT_A_LOOK = 1 << 20

News = list[tuple[str, dict[str, Any]]]
"""(name of the event, its data), in order."""

_BEGUN = frozenset(TaskState) - {TaskState.NONE, TaskState.SCHEDULED, TaskState.QUEUED}
_TRY_IS_OVER = FINISHED | {TaskState.UP_FOR_RETRY}


def log_lines(chunk: Chunk) -> list[LogLine]:
    """The lines of a stretch of a log, as its readers see them."""
    data = chunk.data.removesuffix(b"\n")
    return [parse_line(line) for line in data.split(b"\n")] if data else []


def line_view(line: LogLine) -> dict[str, str]:
    """What is sent of a line."""
    return {"time": line.time, "kind": line.kind, "logger": line.logger, "text": line.text}


def try_is_over(state: TaskState, try_number: int, of_try: int) -> bool:
    """Whether nothing more will be written to the log of try `of_try` of an instance that is now so."""
    return try_number > of_try or (try_number == of_try and state in _TRY_IS_OVER)


@dataclass
class LogFollower:
    """The log of one try, from an offset on, until the try is over."""

    parts: WebParts
    run: int
    task_id: str
    map_index: int
    instance: int
    try_number: int
    offset: int
    ended: bool = False

    def look(self) -> News | None:
        """New lines, or the end; None when there is neither."""
        # Whether the try is over is asked first: what was written before is then in what is read after.
        over = self._is_over()
        chunk = self.parts.logs.read(log_path(self.instance, self.try_number), self.offset, CHUNK)
        if chunk.next > self.offset:
            self.offset = chunk.next
            lines = [line_view(line) for line in log_lines(chunk)]
            return [("lines", {"lines": lines, "next": self.offset})]
        if over:
            self.ended = True
            return [("end", {"next": self.offset})]
        return None

    def _is_over(self) -> bool:
        with self.parts.database.read() as connection:
            row = listings.find_instance(connection, self.run, self.task_id, self.map_index)
        return row is None or try_is_over(row.state, row.try_number, self.try_number)


@dataclass
class _Told:
    """What has been told of an instance."""

    state: TaskState
    try_number: int
    open_logs: dict[int, int] = field(default_factory=dict)
    """Try → offset, of the logs that may grow or have not been read to their end."""


@dataclass
class RunFollower:
    """A run: its state, the states of its tasks, and on demand every line that they write."""

    parts: WebParts
    run: int
    with_logs: bool
    ended: bool = False
    _run_state: tuple[RunState, int] | None = None
    _told: dict[int, _Told] = field(default_factory=dict)

    def look(self) -> News | None:
        """What changed; None when nothing did."""
        with self.parts.database.read() as connection:
            # The run is read first: when it has ended, what is read of its tasks after that is their end.
            run = listings.find_run(connection, self.run)
            rows = listings.instance_states(connection, self.run)
        if run is None:
            self.ended = True
            return [("end", {"state": None})]
        changed = [row for row in rows if self._is_news(row)]
        news: News = []
        if changed:
            news.append(("tasks", {"tasks": [_task_news(row) for row in changed]}))
        unread = self._read_logs(rows, news) if self.with_logs else False
        if (run.state, run.clears) != self._run_state:
            self._run_state = (run.state, run.clears)
            news.append(("run", {"id": run.id, "run_id": run.run_id, "state": run.state, "reason": run.reason}))
        if run.state.finished and not unread:
            self.ended = True
            news.append(("end", {"state": run.state}))
        return news or None

    def _is_news(self, row: AnyRow) -> bool:
        told = self._told.get(row.id)
        if told is not None and (told.state, told.try_number) == (row.state, row.try_number):
            return False
        first_unread = 1 if told is None else told.try_number + 1
        logs = {} if told is None else told.open_logs
        logs |= dict.fromkeys(range(first_unread, row.try_number), 0)
        if row.state in _BEGUN and row.try_number > 0:
            logs.setdefault(row.try_number, 0)
        self._told[row.id] = _Told(row.state, row.try_number, logs)
        return True

    def _read_logs(self, rows: Iterable[AnyRow], news: News) -> bool:
        """Tell the new lines of every log that may have some; whether some are left for the next look."""
        room = _MOST_BYTES_AT_A_LOOK
        unread = False
        for row in rows:
            told = self._told[row.id]
            for of_try, offset in sorted(told.open_logs.items()):
                if room <= 0:
                    return True
                chunk = self.parts.logs.read(log_path(row.id, of_try), offset, CHUNK)
                room -= len(chunk.data)
                if chunk.next > offset:
                    told.open_logs[of_try] = chunk.next
                    unread = True
                    news.append(("log", _log_news(row, of_try, chunk)))
                elif try_is_over(row.state, row.try_number, of_try):
                    del told.open_logs[of_try]
        return unread


def _task_news(row: AnyRow) -> dict[str, Any]:
    return {
        "task_id": row.task_id,
        "map_index": row.map_index,
        "state": row.state.shown,
        "try_number": row.try_number,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
    }


def _log_news(row: AnyRow, of_try: int, chunk: Chunk) -> dict[str, Any]:
    return {
        "task_id": row.task_id,
        "map_index": row.map_index,
        "try_number": of_try,
        "lines": [line_view(line) for line in log_lines(chunk)],
    }
