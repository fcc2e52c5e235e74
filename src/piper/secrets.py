"""Keys of an installation, and the sealing of secrets at rest (security.md §2 row 14).

Envelope encryption. Each secret is encrypted with a data key of its own (AES-256-GCM), and the data key with the
master key, which lives in `PIPER_HOME/secret.key` and never in the database: a backup of the database alone is
useless. The context (table, id, team) is authenticated with the secret, so that a sealed value moved to another
row does not open there.

    sealed = version 1 · key id 8 · wrap nonce 12 · wrapped data key 48 · nonce 12 · ciphertext and tag

The file holds one key per line, base64, the current one first. To rotate, put a new key above the old one, rewrap
what is sealed (`piper db rewrap`; only the 48 bytes change), and remove the old line.

How it fails. A file that others may read, or that holds no key: `InvalidSetting`, and the process does not start.
A secret sealed with a key that is not in the file, or moved, or changed: `Unreadable`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from piper.model.errors import InvalidSetting, SystemFault

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_WRAPPED_BYTES = KEY_BYTES + 16


class Unreadable(SystemFault):
    """A sealed secret cannot be opened: its key is missing, or it was moved or altered."""


class Keys:
    """The master keys of an installation, the current one first."""

    def __init__(self, masters: Sequence[bytes]) -> None:
        if not masters or any(len(master) != KEY_BYTES for master in masters):
            raise InvalidSetting(f"secret.key needs one or more keys of {KEY_BYTES} bytes, base64, one per line")
        self._masters = tuple(masters)
        self._wrapping = {self._derived(master, "id")[:_ID_BYTES]: self._derived(master, "wrap") for master in masters}

    @classmethod
    def load(cls, path: Path) -> Keys:
        """The keys in the file at `path`; makes the file, with a new key, if it is not there.

        Raises:
            InvalidSetting: others than its owner may read it, or it holds no keys.
        """
        if not path.exists():
            _make_key_file(path)
        return cls(_keys_in(path))

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A 32-byte key for `purpose` from each master key, the current one first."""
        return tuple(self._derived(master, purpose) for master in self._masters)

    def seal(self, secret: bytes, context: bytes) -> bytes:
        """Encrypt `secret` so that it opens with the same `context` only (`context_of`)."""
        data_key = os.urandom(KEY_BYTES)
        nonce = os.urandom(_NONCE_BYTES)
        return self._wrap(data_key) + nonce + _aes(data_key).encrypt(nonce, secret, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The secret that was sealed with this context.

        Raises:
            Unreadable: its key is not among these, or it is not what `seal` made for this context.
        """
        from cryptography.exceptions import InvalidTag  # lazy: 40 ms that most processes never need

        header, nonce, ciphertext = _parts(sealed)
        try:
            return _aes(self._unwrap(header)).decrypt(nonce, ciphertext, context)
        except InvalidTag as error:
            raise Unreadable(
                "a secret does not open where it is stored: it was altered, or moved from another row or team; "
                "set it again"
            ) from error

    def rewrap(self, sealed: bytes) -> bytes:
        """The same secret under the current master key; its ciphertext and context stay as they are."""
        header, nonce, ciphertext = _parts(sealed)
        return self._wrap(self._unwrap(header)) + nonce + ciphertext

    def _wrap(self, data_key: bytes) -> bytes:
        identifier, wrapping = next(iter(self._wrapping.items()))
        nonce = os.urandom(_NONCE_BYTES)
        prefix = _VERSION + identifier
        return prefix + nonce + _aes(wrapping).encrypt(nonce, data_key, prefix)

    def _unwrap(self, header: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag  # lazy, as above

        prefix, wrapped = header[: 1 + _ID_BYTES], header[1 + _ID_BYTES :]
        wrapping = self._wrapping.get(prefix[1:])
        if wrapping is None:
            raise Unreadable(
                f"a secret is sealed with key {prefix[1:].hex()}, which is not in secret.key: "
                "put that key back below the current one"
            )
        try:
            return _aes(wrapping).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], prefix)
        except InvalidTag as error:
            raise Unreadable("a secret has been altered where it is stored; set it again") from error

    @staticmethod
    def _derived(master: bytes, purpose: str) -> bytes:
        return hmac.digest(master, b"piper " + purpose.encode(), hashlib.sha256)


def context_of(table: str, name: str, team: str) -> bytes:
    """The context of the secret of one row: unambiguous, whatever characters the parts have."""
    return msgspec.json.encode([table, name, team])


def _aes(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # lazy, as above

    return AESGCM(key)


def _parts(sealed: bytes) -> tuple[bytes, bytes, bytes]:
    header = 1 + _ID_BYTES + _NONCE_BYTES + _WRAPPED_BYTES
    if sealed[:1] != _VERSION or len(sealed) < header + _NONCE_BYTES + 16:
        raise Unreadable("a stored secret is not one that this version of Piper can open")
    return sealed[:header], sealed[header : header + _NONCE_BYTES], sealed[header + _NONCE_BYTES :]


def _make_key_file(path: Path) -> None:
    """Make the file whole or not at all; where two processes make it, the first wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".secret.key.")  # mkstemp's mode is 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


def _keys_in(path: Path) -> list[bytes]:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise InvalidSetting(f"{path} may be read by others (mode {mode:o}); run: chmod 600 {path}")
    try:
        return [base64.b64decode(line, validate=True) for line in path.read_bytes().split()]
    except binascii.Error as error:
        raise InvalidSetting(f"{path} holds a line that is not base64: {error}; restore it from your backup") from error
