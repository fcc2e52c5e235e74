"""Runs that go on with another version of their workflow, since a clear asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from piper.core.memory import RunMemory
from piper.core.run import RunEvent
from piper.model.events import Clear
from piper.scheduler.book import Graphs


def on_wanted_version(memory: RunMemory, events: Sequence[RunEvent], graphs: Graphs) -> RunMemory:
    """The memory that these events are to be applied to: on the graph of the version that they ask for.

    The run itself still names its old version: the step changes that, with all that follows from it. After the
    commit the run is loaded anew.

    Raises:
        KeyError: that version is not stored.
    """
    wanted = next((e.spec_hash for e in reversed(events) if isinstance(e, Clear) and e.spec_hash), "")
    if wanted in ("", memory.run.spec_hash):
        return memory
    return RunMemory(memory.run, graphs.get(wanted), memory.everything())
