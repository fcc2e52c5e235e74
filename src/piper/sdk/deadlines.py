"""Deadline alerts: what is called when a run is late. They are part of the spec; acting on them comes later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, NoReturn

from piper.model.spec import Json
from piper.sdk.arguments import moment
from piper.sdk.callbacks import AsyncCallback, SyncCallback


class BaseDeadlineReference:
    """The moment that a deadline counts from."""

    kind: ClassVar[str] = ""

    def as_data(self) -> dict[str, Json]:
        """What a server may know of it."""
        return {"reference": self.kind}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BaseDeadlineReference) and self.as_data() == other.as_data()

    def __hash__(self) -> int:
        return hash(tuple(self.as_data().items()))


class DagRunLogicalDateDeadline(BaseDeadlineReference):
    """From the run's logical date."""

    kind = "logical_date"


class DagRunQueuedAtDeadline(BaseDeadlineReference):
    """From the moment that the run was queued."""

    kind = "queued_at"


@dataclass(eq=False)
class FixedDatetimeDeadline(BaseDeadlineReference):
    """From a fixed moment."""

    at: datetime
    kind: ClassVar[str] = "fixed"

    def as_data(self) -> dict[str, Json]:
        """What a server may know of it."""
        return {"reference": self.kind, "at": moment(self.at).isoformat()}


@dataclass(eq=False)
class AverageRuntimeDeadline(BaseDeadlineReference):
    """From the moment at which an average run would have ended.

    Arguments:
        max_runs: over how many runs the average goes.
        min_runs: fewer than these give no deadline.
    """

    max_runs: int = 10
    min_runs: int | None = None
    kind: ClassVar[str] = "average_runtime"

    def __post_init__(self) -> None:
        if self.min_runs is None:
            self.min_runs = self.max_runs
        if self.min_runs < 1:
            raise ValueError("min_runs must be at least 1")

    def as_data(self) -> dict[str, Json]:
        """What a server may know of it."""
        return {"reference": self.kind, "max_runs": self.max_runs, "min_runs": self.min_runs}


class DeadlineReference:
    """The moments that a deadline can count from."""

    DAGRUN_LOGICAL_DATE = DagRunLogicalDateDeadline()
    DAGRUN_QUEUED_AT = DagRunQueuedAtDeadline()

    @staticmethod
    def FIXED_DATETIME(dt: datetime) -> FixedDatetimeDeadline:  # noqa: N802 - Airflow's name
        """A fixed moment."""
        return FixedDatetimeDeadline(dt)

    @staticmethod
    def AVERAGE_RUNTIME(max_runs: int = 0, min_runs: int | None = None) -> AverageRuntimeDeadline:  # noqa: N802
        """The end of an average run."""
        return AverageRuntimeDeadline(max_runs or 10, min_runs)


def deadline_reference(*_: Any) -> NoReturn:
    """Refused: a reference of one's own is code, which the scheduler never runs."""
    raise NotImplementedError(
        "piper.sdk has no custom deadline references yet; the nearest are DeadlineReference.DAGRUN_LOGICAL_DATE, "
        "DAGRUN_QUEUED_AT, FIXED_DATETIME(dt) and AVERAGE_RUNTIME()"
    )


class DeadlineAlert:
    """Call something when a run is not done by a moment.

    Arguments:
        reference: the moment to count from.
        interval: how long after that.
        callback: what is called.
        name: for people.
    """

    def __init__(
        self,
        reference: BaseDeadlineReference,
        interval: timedelta,
        callback: AsyncCallback | SyncCallback,
        name: str | None = None,
    ) -> None:
        if not isinstance(reference, BaseDeadlineReference):
            raise TypeError(f"reference must be one of DeadlineReference's, not {reference!r}")
        if not isinstance(interval, timedelta):
            raise TypeError(f"interval must be a timedelta, not {interval!r}")
        if not isinstance(callback, AsyncCallback | SyncCallback):
            raise ValueError(f"Callbacks of type {type(callback).__name__} are not currently supported")
        self.reference = reference
        self.interval = interval
        self.callback = callback
        self.name = name

    def as_data(self) -> dict[str, Json]:
        """What a server may know of it."""
        return {
            "name": self.name or "",
            **self.reference.as_data(),
            "interval": self.interval.total_seconds(),
            "callback": self.callback.as_data(),
        }
