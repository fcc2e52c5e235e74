"""How commands fail: what is printed, and with which code the process ends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import IntEnum

import click

from piper.model.errors import (
    AuthorError,
    CallerError,
    Conflict,
    Invalid,
    InvalidSetting,
    NotFound,
    PiperError,
    Refused,
    StoreUnavailable,
)

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160)) if chr(code) not in "\t\n"}


def harmless(text: str) -> str:
    """Text of anybody's as a terminal may have it: control characters are shown as what they are."""
    return text.translate(_CONTROL)


class Code(IntEnum):
    """Exit codes. Stable: scripts branch on them."""

    OK = 0
    FAILED = 1
    """The run failed, the file is not valid, the chain is broken; or Piper itself failed."""
    USAGE = 2
    """The command, an option, a value or a setting is wrong."""
    NOT_FOUND = 3
    CONFLICT = 4
    """It exists already, or is in a state that forbids this."""
    UNREACHABLE = 5
    """No instance answers, or it cannot serve at the moment."""
    REFUSED = 6
    """The token is not valid, or not allowed to do this."""
    TIMED_OUT = 7
    """It goes on, but has not ended within --timeout."""
    INTERRUPTED = 130


class Failure(click.ClickException):
    """A command has failed: the message says the value, whose fault it is, and what to do."""

    def __init__(self, message: str, code: Code = Code.FAILED, hints: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.hints = hints

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # a constant of the class in click
        """What the process ends with."""
        return int(self.code)

    def show(self, file: object = None) -> None:
        """Print to standard error."""
        # Said here too, since it is shown when the command, which says so for all others, has ended.
        plain = False if os.environ.get("NO_COLOR") else None
        click.secho("Error: ", fg="red", bold=True, nl=False, err=True, color=plain)
        click.echo(harmless(self.format_message()), err=True)
        for hint in self.hints:
            click.echo(f"       {harmless(hint)}", err=True)


def suggestion(names: Sequence[str]) -> list[str]:
    """The hint that offers names which may have been meant."""
    if not names:
        return []
    *others, last = [repr(name) for name in names]
    return [f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"]


_CODES: tuple[tuple[type[PiperError], Code], ...] = (
    (NotFound, Code.NOT_FOUND),
    (Conflict, Code.CONFLICT),
    (Refused, Code.REFUSED),
    (Invalid, Code.USAGE),
    (InvalidSetting, Code.USAGE),
    (CallerError, Code.USAGE),
    (StoreUnavailable, Code.UNREACHABLE),
)


def failure_of(error: PiperError) -> Failure:
    """How one of Piper's own errors, raised in this process, is shown."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.FAILED)
    message = str(error)
    if isinstance(error, AuthorError) and error.file is not None:
        message = f"{error.file}:{error.line or 1}: {message}"
    return Failure(message, code)
