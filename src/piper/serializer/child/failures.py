"""What to tell an author whose file raised: the message, the line that is theirs, their part of the traceback."""

from __future__ import annotations

import os
import traceback

from piper.model.errors import AuthorError
from piper.sdk.execution.masking import mask
from piper.serializer.protocol import Failed

_OURS = os.path.dirname(__file__) + os.sep
_ENVIRONMENT = os._Environ.__getitem__.__code__.co_filename
MOST_TEXT = 16 << 10
"""Characters of a message or a traceback."""


def describe_failure(error: BaseException, root: str) -> Failed:
    """An exception that came out of a file, as the report of its load. Never raises."""
    try:
        # The loader wraps what the file raised; what to show of the way to it is that of the original.
        origin = error.__cause__ if isinstance(error, AuthorError) and error.__cause__ is not None else error
        where, line = _place(error, root)
        message, trace = mask(_message(error, origin, root)), mask(_traceback(origin, root))
        return Failed(message[:MOST_TEXT], trace[-MOST_TEXT:], where, line)
    except Exception:  # the exception is user code too: its __str__ may do anything
        return Failed(f"{type(error).__name__}, which cannot be shown")


def _message(error: BaseException, origin: BaseException, root: str) -> str:
    message = str(error) if isinstance(error, AuthorError) else "".join(traceback.format_exception_only(error)).strip()
    if isinstance(origin, PermissionError) and not str(origin.filename or root).startswith(root):
        message += " (while it is loaded, a file may read its own bundle only: put it there, or name it in `readable`)"
    name = _missing_variable(origin)
    if name:
        message += (
            f" (while it is loaded, a file sees nothing of the environment but variables and connections: read {name} "
            f"in the task; or set AIRFLOW_VAR_{name.upper()}, and ask Variable.get({name.lower()!r}))"
        )
    return message.replace(root + "/", "")


def _missing_variable(origin: BaseException) -> str:
    """The variable of the environment that a file asked for in vain, if that is what it failed of."""
    if not isinstance(origin, KeyError) or not origin.args or not isinstance(origin.args[0], str):
        return ""
    frames = traceback.extract_tb(origin.__traceback__)
    return origin.args[0] if frames and frames[-1].filename == _ENVIRONMENT else ""


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
