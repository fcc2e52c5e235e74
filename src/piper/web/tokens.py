"""The token of this installation: made at first start, read by the command line, checked on every call.

It stands for a principal with every right, as the file's owner has on this machine anyhow. Tokens of
persons, with scopes and expiry, come with users.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from piper.model.errors import InvalidSetting
from piper.web.policy import Principal

log = logging.getLogger(__name__)

LOCAL = Principal("local", None)
_SHORTEST = 32


def ensure_token(path: Path) -> str:
    """The token in the file, which is made, readable by its owner only, if there is none.

    Raises:
        InvalidSetting: the file holds something too short to be a secret.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_token(path)
    token = f"pip_local_{secrets.token_urlsafe(32)}"
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token


def authenticator(token: str) -> Callable[[str], Principal | None]:
    """What tells the principal of a bearer token, for the one token there is. Takes the same time for any."""
    expected = hashlib.sha256(token.encode()).digest()

    def authenticate(presented: str) -> Principal | None:
        given = hashlib.sha256(presented.encode()).digest()
        return LOCAL if hmac.compare_digest(given, expected) else None

    return authenticate


def _read_token(path: Path) -> str:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        log.warning("%s can be read by other users of this machine: chmod 600, and replace it", path)
    token = path.read_text().strip()
    if len(token) < _SHORTEST:
        raise InvalidSetting(f"{path} holds no token that is safe ({len(token)} characters): remove it and start again")
    return token
