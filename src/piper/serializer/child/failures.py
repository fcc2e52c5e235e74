"""What to tell an author whose file raised: the message, the line that is theirs, their part of the traceback."""

from __future__ import annotations

import os
import traceback

from piper.model.errors import AuthorError
from piper.serializer.protocol import Failed

_OURS = os.path.dirname(__file__) + os.sep
MOST_TEXT = 16 << 10
"""Characters of a message or a traceback."""


def describe_failure(error: BaseException, root: str) -> Failed:
    """An exception that came out of a file, as the report of its load. Never raises."""
    try:
        where, line = _place(error, root)
        return Failed(_message(error, root)[:MOST_TEXT], _traceback(error, root)[-MOST_TEXT:], where, line)
    except Exception:  # the exception is user code too: its __str__ may do anything
        return Failed(f"{type(error).__name__}, which cannot be shown")


def _message(error: BaseException, root: str) -> str:
    if isinstance(error, AuthorError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"the file ends the process while it is loaded ({_line_of(error)}): remove the call of sys.exit"
    message = _line_of(error).replace(root + "/", "")
    if isinstance(error, PermissionError) and not str(error.filename or root).startswith(root):
        message += " (while it is loaded, a file may read its own bundle only: put it there, or name it in `readable`)"
    return message


def _line_of(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return "".join(traceback.format_exception_only(error)).strip()


def _place(error: BaseException, root: str) -> tuple[str, int]:
    """The innermost line of the bundle that the exception passed; empty if it passed none."""
    if isinstance(error, AuthorError) and error.file:
        return error.file, error.line or 0
    if isinstance(error, SyntaxError) and _is_within(error.filename, root):
        return _relative(str(error.filename), root), error.lineno or 0
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_within(frame.filename, root):
            return _relative(frame.filename, root), frame.lineno or 0
    return "", 0


def _traceback(error: BaseException, root: str) -> str:
    """From the first line of the bundle on: how Piper came to it is of no interest."""
    shown = traceback.TracebackException.from_exception(error)
    frames = list(shown.stack)
    first = next((n for n, frame in enumerate(frames) if _is_within(frame.filename, root)), len(frames))
    shown.stack = traceback.StackSummary.from_list(f for f in frames[first:] if not f.filename.startswith(_OURS))
    return "".join(shown.format()).replace(root + "/", "")


def _is_within(file: str | None, root: str) -> bool:
    return file is not None and file.startswith(root + "/")


def _relative(file: str, root: str) -> str:
    return file.removeprefix(root + "/")
