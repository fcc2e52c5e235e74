"""What people are shown of an exception: its traceback without Piper's own frames, and its last line."""

from __future__ import annotations

import os
import traceback

from piper.sdk.execution.masking import mask

_PIPER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep

LONGEST_LINE = 1000
"""Characters of the line that is stored with an attempt; the log has the rest."""


def describe(error: BaseException) -> str:
    """The traceback as text. It begins at the user's own frame: how Piper came to call it is of no interest.

    An error that Piper itself raised for the author (a template names what is not there) is its message alone.
    """
    summary = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    _trim(summary)
    return mask("".join(summary.format()).rstrip())


def last_line(error: BaseException) -> str:
    """`TypeError: the message`, on one line, for lists of attempts."""
    name = type(error).__name__
    if isinstance(error, SystemExit):
        return f"SystemExit: the task called sys.exit({error.code!r})"
    text = " ".join(str(error).split())
    return mask(f"{name}: {text}" if text else name)[:LONGEST_LINE]


def _trim(summary: traceback.TracebackException) -> None:
    """Remove Piper's frames from an exception and from those that led to it."""
    seen: set[int] = set()
    waiting = [summary]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        each.stack[:] = [frame for frame in each.stack if not frame.filename.startswith(_PIPER)]
        waiting += [next_ for next_ in (each.__cause__, each.__context__) if next_ is not None]
        waiting += each.exceptions or []
