"""What triggers print and log, as lines for the logs of their tasks."""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO

from piper.logs.lines import encode_record
from piper.sdk.execution.masking import mask
from piper.triggerer.child.stepping import current

_formatter = logging.Formatter()


class TriggerHandler(logging.Handler):
    """Brings records of triggers into the logs of their tasks; others go to the service's."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = mask(_formatter.format(record))
            running = current.get()
            if running is None or running.reported:
                sys.__stderr__.write(f"{record.levelname} {record.name}: {text}\n")  # type: ignore[union-attr]
            else:
                running.say(encode_record(record.levelname, record.name, text))
        except Exception:
            self.handleError(record)


class TriggerStream(io.TextIOBase):
    """Stands for standard output and error: what a trigger prints goes into the log of its task."""

    encoding = "utf-8"

    def __init__(self, otherwise: TextIO) -> None:
        self._otherwise = otherwise

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        running = current.get()
        if running is None or running.reported:
            return self._otherwise.write(text)
        running.say(mask(text).encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        self._otherwise.flush()

    def fileno(self) -> int:
        return self._otherwise.fileno()


def take_output() -> None:
    """From now on triggers print and log into the logs of their tasks."""
    assert sys.__stdout__ is not None
    assert sys.__stderr__ is not None
    sys.stdout = TriggerStream(sys.__stdout__)
    sys.stderr = TriggerStream(sys.__stderr__)
    root = logging.getLogger()
    root.handlers[:] = [TriggerHandler()]
    root.setLevel(logging.INFO)
