"""Sends again what was sent and has not started: a message or a worker was lost on the way (correctness §2.1)."""

from __future__ import annotations

from collections.abc import Iterable

from piper.model.run import Identity

RESEND_SECONDS = 30.0
PERIOD_SECONDS = 5.0


class QueuedSweep:
    """Since when each execution has been seen queued, by the monotonic clock of this process."""

    def __init__(self) -> None:
        self._since: dict[Identity, float] = {}

    def sent(self, identities: Iterable[Identity], now: float) -> None:
        """These have just been sent, for the first time or again."""
        self._since |= dict.fromkeys(identities, now)

    def overdue(self, queued: Iterable[Identity], now: float) -> set[Identity]:
        """Those of all that are queued which have been so for RESEND_SECONDS; counted from now on again."""
        self._since = {identity: self._since.get(identity, now) for identity in queued}
        late = {identity for identity, since in self._since.items() if now - since >= RESEND_SECONDS}
        self.sent(late, now)
        return late
