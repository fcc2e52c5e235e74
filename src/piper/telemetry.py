"""What Piper tells about itself: its metrics, and how its services log.

Metrics (Prometheus, at `/metrics`) are a documented interface. Labels never name a workflow, a task or a
team: there would be no bound to their number, and whoever may read metrics may not read every team's names.

    name                                  type       labels                what
    piper_http_requests_total             counter    method, route, status requests answered
    piper_http_request_seconds            histogram  route                 time until the reply was sent
    piper_streams                         gauge                            live streams being followed
    piper_workflows                       gauge      state                 active, paused, stale
    piper_runs                            gauge      state                 unfinished runs
    piper_task_instances                  gauge      state                 scheduled, queued, running, deferred
    piper_events_pending                  gauge                            events that no owner has applied yet
    piper_event_oldest_seconds            gauge                            age of the oldest of them
    piper_import_errors                   gauge                            files that cannot be loaded
    piper_triggers                        gauge                            triggers that run, or have just fired
    piper_trigger_processes               gauge                            processes that they run in
    piper_trigger_fires_total             counter    outcome               fired, failed
    piper_trigger_process_ends_total      counter    reason                blocked, ended: with triggers in them
    piper_callback_failures_total         counter                          callbacks that failed, on this process's runs
    piper_service_up                      gauge      service               1 if the service's thread runs
    piper_service_failures                gauge      service               ticks in a row that failed
    piper_quarantined                     gauge      kind                  run, workflow, backfill, event: put aside

Those below `piper_streams` are read from the database when they are asked for (`piper.web.resources.installation`).
"""

from __future__ import annotations

import logging
import re
import sys
from types import TracebackType
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
"""Piper's own, so that what a library registers globally does not appear."""

HTTP_REQUESTS = Counter("piper_http_requests", "Requests answered.", ["method", "route", "status"], registry=REGISTRY)
HTTP_REQUEST_SECONDS = Histogram(
    "piper_http_request_seconds",
    "Time until the reply was sent.",
    ["route"],
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
CALLBACK_FAILURES = Counter(
    "piper_callback_failures", "Callbacks of workflows and tasks that failed on a worker.", registry=REGISTRY
)
TRIGGERS = Gauge("piper_triggers", "Triggers that run, or have just fired.", registry=REGISTRY)
TRIGGER_PROCESSES = Gauge("piper_trigger_processes", "Processes that triggers run in.", registry=REGISTRY)
TRIGGER_FIRES = Counter("piper_trigger_fires", "What triggers have said.", ["outcome"], registry=REGISTRY)
TRIGGER_PROCESS_ENDS = Counter(
    "piper_trigger_process_ends", "Processes that ended with triggers in them.", ["reason"], registry=REGISTRY
)
STREAMS = Gauge("piper_streams", "Live streams being followed.", registry=REGISTRY)

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, 0x85, 0x2028, 0x2029)}
del _CONTROL[ord("\t")]
_CONTROL_BUT_LINES = {code: shown for code, shown in _CONTROL.items() if code != ord("\n")}
_LIKE_A_RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\dT)", re.MULTILINE)

ExceptionInformation = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """One record, one line: what a caller put into a name cannot forge another record or drive a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name is logging's
        return super().formatMessage(record).translate(_CONTROL)

    def formatException(self, ei: ExceptionInformation) -> str:  # noqa: N802
        """A traceback has lines of its own; none of them, whatever the error says, is taken for a record."""
        shown = super().formatException(ei).translate(_CONTROL_BUT_LINES)
        return _LIKE_A_RECORD.sub("  ", shown)


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Send the services' log to standard error (or `stream`). Called once, by the process's start."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("alembic", "uvicorn.access", "httpx", "httpcore", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
