"""What is new since the last look: the log of one try, or a whole run with all its logs.

A follower is asked again and again by a stream (`streams.look_again`), in a thread of the pool. It remembers
how far it has told; what it reads is the database and the log store, so that any web server can follow
anything, and a stream that broke goes on elsewhere from where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from piper.logs import Chunk, FolderReader, LogLine, parse_line
from piper.model.ids import attempt_of_log, log_folder, log_path
from piper.model.states import FINISHED, RunState, TaskState
from piper.store import listings
from piper.store.listings import AnyRow
from piper.web.parts import WebParts

CHUNK = 64 << 10

PAUSE_PER_TASK = 0.0003
"""Seconds between two readings of a run's tasks, for each of them: 3 s for 10,000, of which reading takes some 2 %."""

News = list[tuple[str, dict[str, Any]]]
"""(name of the event, its data), in order."""

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

    def __post_init__(self) -> None:
        self.log = self.parts.logs.reader(log_path(self.instance, self.try_number))

    def look(self) -> News | None:
        """New lines, or the end; None when there is neither."""
        # Whether the try is over is asked first: what was written before is then in what is read after.
        over = self._is_over()
        chunk = self.log.read(self.offset, CHUNK)
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


class RunFollower:
    """A run: its state, the states of its tasks, and on demand every line that they write.

    What it costs to read the states of all its tasks grows with their number, so that they are read the less often the
    more they are (PAUSE_PER_TASK); at once when the run itself has begun, ended or been cleared.
    """

    def __init__(self, parts: WebParts, run: int, *, with_logs: bool) -> None:
        self.ended = False
        self._parts = parts
        self._run = run
        self._logs = FolderReader(parts.logs, log_folder(run)) if with_logs else None
        self._told_run: tuple[RunState, int] | None = None
        self._told: dict[int, tuple[TaskState, int]] = {}
        """Instance → the state and try that have been told."""
        self._names: dict[int, tuple[str, int]] = {}
        """Instance → its task and map index."""
        self._next_reading = float("-inf")

    def look(self) -> News | None:
        """What changed; None when nothing did."""
        with self._parts.database.read() as connection:
            # The run is read first: when it has ended, what is read of its tasks and logs after that is their end.
            run = listings.find_run(connection, self._run)
            if run is None:
                self.ended = True
                return [("end", {"state": None})]
            moved = (run.state, run.clears) != self._told_run
            # Before the lines, which are told first: what a task wrote is told before how it ended.
            rows = self._read_tasks(connection) if moved or self._is_due() else ()
        news, behind = self._new_lines()
        news += self._changed_tasks(rows)
        if moved:
            self._told_run = (run.state, run.clears)
            news.append(("run", {"id": run.id, "run_id": run.run_id, "state": run.state, "reason": run.reason}))
        if run.state.finished and not behind:
            self.ended = True
            news.append(("end", {"state": run.state}))
        return news or None

    def _is_due(self) -> bool:
        return self._parts.clock.monotonic() >= self._next_reading

    def _read_tasks(self, connection: Connection) -> Sequence[AnyRow]:
        rows = listings.instance_states(connection, self._run)
        self._names = {row.id: (row.task_id, row.map_index) for row in rows}
        self._next_reading = self._parts.clock.monotonic() + PAUSE_PER_TASK * len(rows)
        return rows

    def _changed_tasks(self, rows: Sequence[AnyRow]) -> News:
        changed = [row for row in rows if self._told.get(row.id) != (row.state, row.try_number)]
        self._told |= {row.id: (row.state, row.try_number) for row in changed}
        return [("tasks", {"tasks": [_task_news(row) for row in changed]})] if changed else []

    def _new_lines(self) -> tuple[News, bool]:
        """The new lines of every log; and whether there are more, for the next look."""
        if self._logs is None:
            return [], False
        found = [(attempt, chunk) for name, chunk in self._logs.look() if (attempt := attempt_of_log(self._run, name))]
        if any(instance not in self._names for (instance, _), _ in found):
            with self._parts.database.read() as connection:
                self._read_tasks(connection)  # for their names: what became of them is told after their lines
            self._next_reading = float("-inf")
        news: News = [
            ("log", _log_news(*self._names[instance], of_try, chunk))
            for (instance, of_try), chunk in found
            if instance in self._names
        ]
        return news, self._logs.behind


def _task_news(row: AnyRow) -> dict[str, Any]:
    return {
        "task_id": row.task_id,
        "map_index": row.map_index,
        "state": row.state.shown,
        "try_number": row.try_number,
        "due": row.due,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
    }


def _log_news(task_id: str, map_index: int, of_try: int, chunk: Chunk) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "map_index": map_index,
        "try_number": of_try,
        "lines": [line_view(line) for line in log_lines(chunk)],
    }
