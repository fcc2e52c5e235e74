"""What people's clears may do, and must do: looked at after the commit that applied them.

A clear takes back what it names, in the states that it asks for, and nothing else; each of those gets a try number of
its own when it runs again. The version that it brings removes what it lacks and brings back what it has again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Set

import msgspec

from piper.core.selection import states_to_clear
from piper.model.events import Clear, Event, Mark, MarkRun
from piper.model.spec import WorkflowSpec
from piper.model.states import FINISHED

_decode = msgspec.json.Decoder(Event).decode


class Steering:
    """Knows which commands wait, and so which have been applied by a commit."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._waiting: dict[tuple, Event] = {}

    def applied(self) -> dict[int, list[Event]]:
        """The commands of people that have been applied since this was last asked, by run."""
        rows = self._database.execute("SELECT id, run, created_at, body FROM event WHERE run IS NOT NULL ORDER BY id")
        waiting = {row[:3]: row[3] for row in rows}
        gone = [key for key in self._waiting if key not in waiting]
        found: dict[int, list[Event]] = {}
        for key in gone:
            found.setdefault(key[1], []).append(self._waiting[key])
        self._waiting = {
            key: self._waiting.get(key) or event
            for key, body in waiting.items()
            if isinstance(event := _decode(body), Clear | Mark | MarkRun)
        }
        return found


def trouble_with_clears(
    applied: Mapping[int, list[Event]],
    before: Mapping[int, tuple],
    rows: Mapping[int, tuple],
    spec_of: Mapping[int, WorkflowSpec],
    adopted: Set[int],
) -> Iterable[str]:
    """What a commit has done to instances that had ended, or whose tasks are gone, and should not; or has not done.

    Arguments:
        before, rows: the instances by number, before and after the commit (`monitor.Row`): the same if unchanged.
        spec_of: of each run the version that it now has.
        adopted: runs that a backfill has just cleared, as a whole.
    """
    for number, old in before.items():
        new = rows[number]
        if new is old and old.run not in applied:
            continue
        commands = applied.get(old.run, [])
        marks = [c for c in commands if not isinstance(c, Clear)]
        clears = [c for c in commands if isinstance(c, Clear)]
        named = any(_names(clear, old) and old.state in states_to_clear(clear) for clear in clears)
        has_task = any(task.task_id == old.task_id for task in spec_of[old.run].tasks)
        repinned = any(clear.spec_hash for clear in clears)
        if repinned and not has_task and new.state != "removed":
            yield f"{new} is of a task that its run no longer has"
        if old.state not in FINISHED or old.run in adopted:
            continue
        unchanged = (old.state, old.try_number) == (new.state, new.try_number)
        if not unchanged and not (named or marks or (repinned and "removed" in (old.state, new.state))):
            yield f"{old} became {new} though nobody named it: {commands}"
        if unchanged and named and has_task and not marks and old.state in ("success", "failed"):
            yield f"{old} was cleared and has not changed: {commands}"
        if new.try_number > old.try_number + 1:
            yield f"{old} became {new}: a clear runs an instance once"


def _names(clear: Clear, row: tuple) -> bool:
    return any(ref.task_id == row.task_id and ref.map_index in (None, row.map_index) for ref in clear.tasks)
