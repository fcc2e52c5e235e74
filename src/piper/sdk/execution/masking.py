"""Secrets that must not be shown: in logs, in rendered fields, in error messages.

A secret is masked because it was registered (the password of a connection that was fetched, a variable whose
name says that it is secret, `mask_secret`) or because it stands under a sensitive name in a dict. Masking happens
twice: what the process composes itself, rendered fields and error messages, is masked here; what it writes to its
log, by whatever means, is masked by its supervisor, which is told of every secret before it can be written.

The registry is that of one execution: a warm process begins each with what its file registered, no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from piper.model import wire
from piper.sdk.execution.current import current_execution

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

MAX_DEPTH = 5
"""How deep `redact` looks into nested values; what lies deeper is shown masked as a whole string."""

_secrets: set[str] = set()
_of_the_file: set[str] = set()
"""Those registered outside of an execution: while the file was loaded, before its tasks' processes were forked."""
_pattern: re.Pattern[str] | None = None


def mask_secret(secret: Any, name: str | None = None) -> None:
    """Show `***` in place of this secret from now on, in everything this process writes.

    Arguments:
        secret: a string, an iterable of secrets, or a dict, of which only what is under sensitive names is secret.
        name: what it is called. With a name that is not sensitive nothing is registered.
    """
    if name is None or is_sensitive(name) or isinstance(secret, Mapping):
        _register(_strings(secret))


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


def begin_masking() -> None:
    """Forget the secrets of an earlier execution, and have those masked that the file registered when it was loaded."""
    if _secrets != _of_the_file:
        _secrets.clear()
        _secrets.update(_of_the_file)
        _compile()
    execution = current_execution()
    if execution is not None and _secrets:
        execution.channel.ask(wire.Mask(tuple(sorted(_secrets))))


def _strings(secret: Any) -> Iterator[str]:
    """The strings to mask in a value: of a dict those under sensitive names, of anything else all."""
    if isinstance(secret, str):
        yield secret.strip()
    elif isinstance(secret, Mapping):
        for key, value in secret.items():
            if is_sensitive(str(key)) or isinstance(value, Mapping):
                yield from _strings(value)
    elif isinstance(secret, Iterable) and not isinstance(secret, bytes):
        for item in secret:
            yield from _strings(item)


def _register(strings: Iterable[str]) -> None:
    new = {each for each in strings if len(each) >= wire.SHORTEST_SECRET} - _secrets
    if not new:
        return
    _secrets.update(new)
    _compile()
    execution = current_execution()
    if execution is None:
        _of_the_file.update(new)
    else:
        execution.channel.ask(wire.Mask(tuple(sorted(new))))


def _compile() -> None:
    global _pattern
    # Longest first, so that a secret which contains another is masked whole.
    longest_first = sorted(_secrets, key=len, reverse=True)
    _pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
