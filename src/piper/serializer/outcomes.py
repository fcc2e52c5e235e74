"""What comes of loading a file, and what to say when its process ended instead of answering."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from piper.model.spec import Json, WorkflowSpec
from piper.serializer.protocol import Ended, Excess, Limits


@dataclass(frozen=True, slots=True)
class CheckedSpec:
    """A well-formed spec in its stored form."""

    spec: WorkflowSpec
    body: str
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedFile:
    """A file that loaded, and all that it defines."""

    file: str
    specs: tuple[CheckedSpec, ...]
    imports: tuple[str, ...] = ()
    """What it read of its bundle (see `protocol.Loaded`)."""
    operators: Mapping[str, Json] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    output: str = ""
    questions: int = 0
    """How often it has asked for a variable or a connection."""

    @property
    def summary(self) -> tuple[object, ...]:
        """What matters to those who read the log."""
        return (*(one.hash for one in self.specs), *self.warnings)

    @property
    def ids(self) -> list[str]:
        """Of the workflows that it defines."""
        return [one.spec.workflow_id for one in self.specs]


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedFile:
    """A file that did not load."""

    file: str
    message: str
    traceback: str = ""
    error_file: str = ""
    """Where it went wrong, relative to the bundle's root; a file that it imports, perhaps."""
    line: int | None = None
    seconds: float = 0.0
    output: str = ""
    questions: int = 0

    @property
    def summary(self) -> tuple[object, ...]:
        """What matters to those who read the log."""
        return (self.error_file, self.line, self.message)

    @property
    def text(self) -> str:
        """The whole error as people read it; the first line says what matters."""
        text = "\n\n".join(part for part in (self.message, self.traceback.rstrip(), self._printed()) if part)
        return without_nul(text)

    def _printed(self) -> str:
        return f"It printed:\n{self.output.rstrip()}" if self.output.strip() and not self.traceback else ""


Outcome = LoadedFile | FailedFile

MOST_LINES = (1 << 31) - 1
"""A line beyond this is none: a file may claim any (SyntaxError takes what it is given), the database has 32 bits."""

_FRAME = re.compile(rb'File "([^"\n]*)", line (\d+) in ')
_DUMP = b"most recent call first"


def without_nul(text: str) -> str:
    """The text with a visible sign for what PostgreSQL cannot hold."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}")


def already_defined(outcome: LoadedFile, workflow_id: str, where: str) -> FailedFile:
    """What becomes of a file that defines a workflow which another file defines (`where`)."""
    line = next(one.spec.source.line for one in outcome.specs if one.spec.workflow_id == workflow_id)
    return FailedFile(
        file=outcome.file,
        message=f"workflow id {workflow_id!r} is already defined {where}: choose another",
        error_file=outcome.file,
        line=line or None,
        seconds=outcome.seconds,
        output=outcome.output,
        questions=outcome.questions,
    )


def cannot_be_stored(outcome: Outcome, why: str) -> FailedFile:
    """What becomes of a file that says something the database cannot hold."""
    return FailedFile(
        file=outcome.file,
        message=f"what it defines cannot be stored: {why}",
        error_file=outcome.file,
        seconds=outcome.seconds,
        output=outcome.output,
        questions=outcome.questions,
    )


def explain_end(ended: Ended, limits: Limits) -> str:
    """Why a loading process ended without a report."""
    by_excess = {
        Excess.SECONDS: f"it took longer than {limits.seconds:g} s to load: move slow work from the file into tasks",
        Excess.MEMORY: f"it took more than {limits.memory >> 20} MiB of memory to load",
        Excess.PROCESSES: f"it started more than {limits.processes} processes while it was loaded",
        Excess.OUTPUT: f"it printed more than {limits.output >> 20} MiB while it was loaded",
        Excess.UNWANTED: "loading it was cancelled",
    }
    if ended.excess is not Excess.NONE:
        return by_excess[ended.excess]
    if ended.signal == signal.SIGXCPU or (ended.signal == signal.SIGKILL and ended.cpu_seconds >= limits.cpu_seconds):
        return f"it took more than {limits.cpu_seconds} s of processor time to load: move slow work into tasks"
    if ended.signal is not None:
        return f"its process was killed by {_signal_name(ended.signal)} while it was loaded"
    return (
        f"it ended its process (exit code {ended.exit_code}) while it was loaded, or closed the channel of its loader: "
        f"a workflow file may do neither"
    )


def place_in_trace(trace: bytes, root: str) -> tuple[str, int | None]:
    """The innermost line of the bundle that faulthandler's last dump shows; empty if it shows none."""
    prefix = root.encode() + b"/"
    for dump in reversed(trace.split(_DUMP)):
        for file, line in _FRAME.findall(dump):
            if file.startswith(prefix):
                return file.removeprefix(prefix).decode(errors="replace"), int(line)
    return "", None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
