"""A throw-away system for one file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from piper.model.spec import Json
from piper.serializer.bundles import Bundle
from piper.serializer.needs import is_small, needed_by
from piper.settings import Settings
from piper.wiring.system import GivenXCom, System

LOADED_WITHIN = 120.0
"""Seconds that `piper run` waits for its file to be loaded; the loader's own limit is far shorter."""


class Instance:
    """A throw-away system for one file (`piper run FILE`)."""

    def __init__(self, settings: Settings, file: Path) -> None:
        files = () if is_small(file.parent, (settings.home,)) else needed_by(file)
        self.notes = (_note_of_needs(file, files),) if files else ()
        bundle = Bundle(
            name="run",
            team=settings.core.team,
            folder=file.parent,
            only=(file.name,),
            files=files,
            environment=_visible_environment(),
        )
        self._system = System(settings, [bundle], by_time=False)

    @property
    def address(self) -> str:
        """Of its web server."""
        return self._system.address

    @property
    def token(self) -> str:
        """That its web server wants."""
        return self._system.token

    def start(self) -> None:
        """Serve; returns when the file has been loaded, well or not."""
        self._system.start()
        deadline = time.monotonic() + LOADED_WITHIN
        while not self._system.serializer.settled and time.monotonic() < deadline:
            time.sleep(0.005)

    def execute(
        self,
        workflow_id: str,
        task_id: str,
        map_index: int,
        logical_date: datetime,
        conf: Mapping[str, Json],
        xcoms: Sequence[GivenXCom],
    ) -> int:
        """Run one task alone, in a run of its own in which everything else counts as done; the run's number.

        Raises:
            NotFound: there is no such workflow.
            Invalid: a value is not JSON, or too long.
        """
        return self._system.execute(workflow_id, task_id, map_index, logical_date, conf, xcoms)

    def stop(self) -> None:
        """End every task and service."""
        self._system.stop()


def _note_of_needs(file: Path, files: Sequence[str]) -> str:
    others = [name for name in files if name != file.name]
    shown = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
    return (
        f"{file.parent} holds too much to copy: taking {file.name}"
        + (f", what it imports or names, and templates beside it: {shown}" if others else " alone")
        + "; put the file into a folder of its own if more is needed"
    )


def _visible_environment() -> dict[str, str]:
    """What a file that a person runs by hand may see of that person's environment."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PIPER_")}
