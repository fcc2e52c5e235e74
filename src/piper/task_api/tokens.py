"""What proves that a call comes from the worker that an execution was given to (security.md §2 row 9).

A token is a keyed hash of the identity, so it needs no row: a new leader of the executors gives the same token to the
same execution, and it is worth nothing for any other. That the execution is still current is for the database to say.
"""

from __future__ import annotations

import base64
import hmac

from piper.model.run import Identity
from piper.secrets import Keys

_TOKEN_BYTES = 18  # 144 bits, 24 characters of base64 without padding


class Tokens:
    """Issues and checks tokens. After a change of the master key those of the older ones stay good."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys.derived("task tokens")

    def issue(self, identity: Identity) -> str:
        """The token of one execution."""
        return _token(self._keys[0], identity)

    def is_valid(self, identity: Identity, token: str) -> bool:
        """Whether `token` was issued for this execution."""
        given = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(_token(key, identity).encode(), given) for key in self._keys)


def _token(key: bytes, identity: Identity) -> str:
    message = b"%d.%d.%d" % (identity.instance, identity.try_number, identity.leg)
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")[:_TOKEN_BYTES]).decode()
