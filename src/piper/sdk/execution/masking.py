"""Secrets that must not be shown: in logs, in rendered fields, in error messages.

A secret is masked because it was registered (the password of a connection that was fetched, a variable whose
name says that it is secret, `mask_secret`) or because it stands under a sensitive name in a dict. Masking happens
here, at the source: what leaves the task's process is already masked.

The registry is the process's: a task's process runs one task, and a warm one forgets with `forget_secrets`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

MASK = "***"

SENSITIVE_NAMES = frozenset(
    {
        "access_token",
        "api_key",
        "apikey",
        "authorization",
        "keyfile_dict",
        "passphrase",
        "passwd",
        "password",
        "private_key",
        "secret",
        "service_account",
        "token",
    }
)
"""A name is sensitive when it contains one of these, in any case."""

SHORTEST_SECRET = 4
"""Characters; masking shorter strings would make logs unreadable and hide nothing."""

MAX_DEPTH = 5
"""How deep `redact` looks into nested values; what lies deeper is shown masked as a whole string."""

_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None


def mask_secret(secret: Any, name: str | None = None) -> None:
    """Show `***` in place of this secret from now on, in everything this process writes.

    Arguments:
        secret: a string, or a dict or iterable of which each string is a secret; of a dict only the values
            under sensitive names.
        name: what it is called. With a name that is not sensitive nothing is registered.
    """
    if isinstance(secret, Mapping):
        for key, value in secret.items():
            if is_sensitive(str(key)) or not isinstance(value, str):
                mask_secret(value)
    elif name is not None and not is_sensitive(name):
        return
    elif isinstance(secret, str):
        _register(secret)
    elif isinstance(secret, Iterable):
        for item in secret:
            mask_secret(item)


def is_sensitive(name: str) -> bool:
    """Whether what goes by this name is a secret."""
    lowered = name.lower()
    return any(part in lowered for part in SENSITIVE_NAMES)


def mask(text: str) -> str:
    """The text with every registered secret replaced."""
    return text if _pattern is None else _pattern.sub(MASK, text)


def redact(value: Any, name: str | None = None, depth: int = 0) -> Any:
    """A JSON value with every registered secret, and everything under a sensitive name, replaced."""
    if name is not None and value and is_sensitive(name):
        return MASK
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, (dict, list, tuple)) and depth >= MAX_DEPTH:
        return mask(str(value))
    if isinstance(value, dict):
        return {key: redact(item, str(key), depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item, None, depth + 1) for item in value]
    return value


def forget_secrets() -> None:
    """Begin anew: the process goes on to another task."""
    global _pattern
    _secrets.clear()
    _pattern = None


def _register(secret: str) -> None:
    global _pattern
    secret = secret.strip()
    if len(secret) < SHORTEST_SECRET or secret in _secrets:
        return
    _secrets.add(secret)
    # Longest first, so that a secret which contains another is masked whole.
    _pattern = re.compile("|".join(re.escape(each) for each in sorted(_secrets, key=len, reverse=True)))


class MaskingFilter(logging.Filter):
    """Masks what is logged, arguments and traceback included. Belongs on handlers, not on loggers."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _pattern is None:
            return True
        record.msg = mask(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        return True


class MaskedStream:
    """A text stream that masks what is written to it: standard output and error of a task's process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
