"""Load files and say what they define, without a system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from piper.serializer.once import load_once
from piper.serializer.outcomes import FailedFile
from piper.settings import Settings
from piper.wiring.told import loader_of


@dataclass(frozen=True, slots=True)
class Finding:
    """What `piper validate` found of one file."""

    file: str
    workflows: tuple[str, ...] = ()
    error: str = ""
    error_file: str = ""
    error_line: int | None = None
    warnings: tuple[str, ...] = ()
    """`file:line: category: message`."""


def validate(settings: Settings, paths: Sequence[Path]) -> list[Finding]:
    """Load these files, and the workflow files in these folders, and say what they define or what is wrong."""
    findings = []
    for path in paths:
        top = path if path.is_dir() else path.parent
        for outcome in load_once(path, loader_of(settings)):
            file = str(top / outcome.file)
            if isinstance(outcome, FailedFile):
                where = str(top / outcome.error_file) if outcome.error_file else ""
                findings.append(Finding(file, (), outcome.text, where, outcome.line))
            else:
                warnings = tuple(f"{top / warning}" for warning in outcome.warnings)
                findings.append(Finding(file, tuple(outcome.ids), warnings=warnings))
    return findings
