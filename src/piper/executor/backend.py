"""What an engine that runs tasks must do for the executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from piper.model.run import Identity
from piper.model.wire import Dispatch


class Backend(Protocol):
    """A place to which executions are sent: local workers, Celery, Kubernetes.

    To send twice must be harmless: the start handshake lets one in. To lose what was sent must be harmless too: it is
    sent again.
    """

    @property
    def capacity(self) -> int:
        """Executions that it may hold at once, waiting or running: no more are granted."""
        ...

    @property
    def arrivals(self) -> int:
        """Rises whenever a worker has come that may have missed what was sent before: it is sent again."""
        ...

    def send(self, dispatches: Sequence[Dispatch]) -> None:
        """Hand these over, in this order. Does not wait for anybody."""
        ...

    def cancel(self, identities: Sequence[Identity], reason: str) -> None:
        """End these if they are here. Does not wait for anybody."""
        ...
