"""What people are shown of an exception: its traceback without Piper's own frames, and its last line."""

from __future__ import annotations

import functools
import os
import sys
import traceback

from piper.sdk.execution.masking import mask
from piper.sdk.place import PIPER

MOST_OWN_FRAMES = 3

LONGEST_LINE = 1000
"""Characters of the line that is stored with an attempt; the log has the rest."""


def describe(error: BaseException) -> str:
    """The traceback as text, without Piper's frames: how Piper came to call user code is of no interest.

    An error that Piper raises itself is meant for the author, and then its message alone. Any other that has no frame
    but Piper's may be a fault of Piper's, and is shown with the innermost of these.
    """
    summary = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    if _is_raised(summary) or any(not frame.filename.startswith(PIPER) for frame in summary.stack):
        _trim(summary)
    else:
        summary.stack[:] = summary.stack[-MOST_OWN_FRAMES:]
    return mask("".join(summary.format()).rstrip())


def last_line(error: BaseException) -> str:
    """`TypeError: the message`, on one line, for lists of attempts."""
    name = type(error).__name__
    if isinstance(error, SystemExit):
        return f"SystemExit: the task called sys.exit({error.code!r})"
    text = " ".join(str(error).split())
    return mask(f"{name}: {text}" if text else name)[:LONGEST_LINE]


def _is_raised(summary: traceback.TracebackException) -> bool:
    """Whether a `raise` has made it, and not an expression that went wrong."""
    return not summary.stack or (summary.stack[-1].line or "").startswith("raise")


def _machinery() -> tuple[str, ...]:
    """Where code lies that only leads from Piper to user code and back: Piper's, Jinja's, cached properties."""
    jinja = getattr(sys.modules.get("jinja2"), "__file__", None)  # not imported for this: most tasks do without
    return (PIPER, functools.__file__, *([os.path.dirname(jinja) + os.sep] if jinja else []))


def _trim(summary: traceback.TracebackException) -> None:
    """Remove Piper's frames from an exception and from those that led to it."""
    machinery = _machinery()
    seen: set[int] = set()
    waiting = [summary]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        each.stack[:] = [frame for frame in each.stack if not frame.filename.startswith(machinery)]
        waiting += [next_ for next_ in (each.__cause__, each.__context__) if next_ is not None]
        waiting += each.exceptions or []
