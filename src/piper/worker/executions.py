"""An execution as the supervisor follows it, and what is reported when it is over."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct, structs

from piper import __version__
from piper.logs import LogWriter, Masker
from piper.model.events import Failed, Lost, Skipped
from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import CodeRef, Dispatch, Report
from piper.worker.processes import signal_name

if TYPE_CHECKING:
    from piper.worker.children import Child
    from piper.worker.zygotes import Zygote


class Stage(Enum):
    """How far an execution has come (see the package's docstring)."""

    WAITING = "waiting"
    """For its zygote to be loaded, then for a slot."""
    STARTING = "starting"
    """`Start` is asked."""
    GRANTED = "granted"
    """It may enter user code, and waits for a child."""
    RUNNING = "running"
    REPORTING = "reporting"
    """It is over, and its report is on its way."""


class TaskLimits(Struct, frozen=True):
    """Of a TaskSpec, what concerns the supervisor."""

    execution_timeout: timedelta | None = None
    memory_limit: int | None = None


class Grant(Struct, frozen=True):
    """Of a TaskContext, what concerns the supervisor; the child gets the whole as it came."""

    task: TaskLimits
    log: str = ""
    code: CodeRef = CodeRef()


decode_grant = msgspec.msgpack.Decoder(Grant).decode


class Execution:
    """One dispatch, from its arrival until its report is acknowledged."""

    __slots__ = (
        "child",
        "context",
        "deadline",
        "dispatch",
        "failure",
        "grant",
        "kill_at",
        "log",
        "loss",
        "memory_due",
        "memory_limit",
        "printed",
        "refused",
        "report",
        "row",
        "stage",
        "started_at",
        "unwanted",
        "zygote",
    )

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch = dispatch
        self.row = -1
        """Where it stands in the register."""
        self.stage = Stage.WAITING
        self.zygote: Zygote | None = None
        self.context: Raw | None = None
        """The granted TaskContext, until a child has it."""
        self.grant = Grant(TaskLimits())
        self.child: Child | None = None
        self.log: LogWriter | None = None
        self.report: Report | None = None
        self.failure = ""
        """Why it is being ended, if that is the task's failure: it then says so instead of naming the signal."""
        self.loss = ""
        """The same, if it is the infrastructure's."""
        self.printed = b""
        """What its file printed before it failed to load."""
        self.refused = False
        """The Task API did not take its report, and has been given a smaller one."""
        self.unwanted = False
        """It was cancelled or is stale: if it has not begun it need not, and how it ends changes nothing."""
        self.started_at: datetime | None = None
        self.deadline: float | None = None
        """Monotonic second at which it must be gone: its execution_timeout and then some."""
        self.kill_at: float | None = None
        """Monotonic second at which SIGTERM is followed by SIGKILL."""
        self.memory_limit = 0
        """Bytes."""
        self.memory_due: float | None = None
        """Monotonic second at which its memory is measured next."""

    @property
    def identity(self) -> Identity:
        """Whom it speaks for."""
        return self.dispatch.identity

    @property
    def warm(self) -> bool:
        """Whether its child goes on after it. Not one that must load the file itself: it would meet others' files."""
        if self.dispatch.isolation is not Isolation.WARM:
            return False
        return self.zygote is None or self.zygote.code.file == self.dispatch.code.file


def report_of_end(execution: Execution, exit_code: int | None, signal: int | None) -> Report:
    """What to report of an execution whose processes are gone.

    A report that the child had finished stands, whatever happened to the process after it. Without one
    it has failed, also when it exited with 0: only user code that ran to its end can succeed.

    Arguments:
        exit_code, signal: how the child ended, one of them None; both if it did not (it is warm, or never was).
    """
    said = execution.report
    if said is not None and not (execution.loss and isinstance(said.event, Failed)):
        return structs.replace(said, exit_code=exit_code, signal=signal)
    if execution.loss:  # also when the task took our SIGTERM for its own failure
        lost = Lost(execution.identity, execution.loss)
        return Report(lost, exit_code=exit_code, signal=signal, error=execution.loss)
    error = execution.failure or why_it_ended(exit_code, signal)
    # One that never had a process has a file that does not load: there is nothing to call back.
    failed = Failed(execution.identity, error, outside=execution.child is not None)
    return Report(failed, exit_code=exit_code, signal=signal, error=error)


def why_it_ended(exit_code: int | None, signal: int | None) -> str:
    """The error of a child that ended without a report, and that nobody meant to end."""
    if signal is not None:
        return f"killed by signal {signal} ({signal_name(signal)})"
    return f"ended without result (exit code {exit_code})"


ENVIRONMENT = {"host": os.uname().nodename, "python": platform.python_version(), "piper": __version__}
"""Of every execution on this worker, as its record shows it."""


def completed(report: Report, started_at: datetime | None, pid: int | None) -> Report:
    """The report with what only the supervisor knows, where the child did not say it."""
    return structs.replace(
        report,
        pid=report.pid if report.pid is not None else pid,
        started_at=report.started_at or started_at,
        ended_at=report.ended_at or datetime.now(UTC),
        environment=ENVIRONMENT,
    )


def masked(report: Report, masker: Masker) -> Report:
    """The report without secrets in what people read. XComs are the task's data and stay as they are."""
    if not masker.forms:
        return report
    event = report.event
    if isinstance(event, (Failed, Skipped, Lost)) and event.error:
        event = structs.replace(event, error=masker.mask_text(event.error))
    return structs.replace(
        report,
        event=event,
        error=masker.mask_text(report.error),
        inputs=masker.mask_json(report.inputs),
        outputs=masker.mask_json(report.outputs),
        parameters=masker.mask_json(report.parameters),
        metrics=masker.mask_json(report.metrics),
        rendered=masker.mask_json(report.rendered),
        label=masker.mask_text(report.label),
    )
