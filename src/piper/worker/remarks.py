"""What the supervisor says to whoever reads its standard error, which may be nobody."""

from __future__ import annotations

import sys
from contextlib import suppress


def remark(text: str) -> None:
    """Print a line. A reader that has gone or a full disk must not end the worker, and all tasks with it."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
