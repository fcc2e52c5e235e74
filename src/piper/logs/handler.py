"""How a task's own process logs: records go into its standard output's pipe, each line marked.

Apart from the rest of the package, since only processes that run user code import `logging` for it.
"""

from __future__ import annotations

import logging
import os
import sys

from piper.logs.lines import encode_record

_formatter = logging.Formatter()


class PipeHandler(logging.Handler):
    """Writes records to a file descriptor that a supervisor reads."""

    def __init__(self, descriptor: int = 1) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record after all that was printed before it."""
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
            # The bare formatter: message, traceback and stack; level and logger are in the prefix.
            data = encode_record(record.levelname, record.name, _formatter.format(record))
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            pass  # nobody reads any more; the task goes on
        except Exception:
            self.handleError(record)
