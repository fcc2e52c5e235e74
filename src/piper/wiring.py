"""The one place that knows every concrete part and puts a running system together.

(A stand-in, until the real one lands: it has the names that the command line calls.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from piper.model.errors import SystemFault
from piper.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """What loading one workflow file showed."""

    file: str
    workflows: tuple[str, ...] = ()
    error: str = ""
    error_file: str = ""
    error_line: int | None = None


class Instance:
    """A whole Piper in this process, for one workflow file, which it runs when told and not by schedule."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings = settings
        self.file = file
        self.address = ""
        self.token = ""

    def start(self) -> None:
        """Serve. Returns when the file has been loaded, well or not."""
        _missing("an instance")

    def stop(self) -> None:
        """End every task and service."""


def run_standalone(settings: Settings) -> None:
    """Serve everything in this process until it is told to stop."""
    _missing("standalone")


def run_service(name: str, settings: Settings) -> None:
    """Serve one service in this process until it is told to stop."""
    _missing(name)


def validate(settings: Settings, paths: Sequence[Path]) -> list[Finding]:
    """Load these files, and the workflow files in these folders, and say what they define or what is wrong."""
    _missing("validation")


def _missing(what: str) -> NoReturn:
    raise SystemFault(f"{what} is not wired in this build of Piper")
