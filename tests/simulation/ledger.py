"""What user code has really done, whatever the database says."""

from __future__ import annotations

from dataclasses import dataclass, field

from piper.model.events import Succeeded, TaskEvent
from piper.model.run import Identity
from tests.simulation.monitor import Broken


@dataclass
class Ledger:
    """Begins and ends of user code, in order."""

    begun: dict[Identity, str] = field(default_factory=dict)
    running: dict[int, Identity] = field(default_factory=dict)
    changes: dict[Identity, int] = field(default_factory=dict)
    """How many events of assets an execution that succeeded has caused."""
    failures: dict[tuple[int, int], int] = field(default_factory=dict)

    def begin(self, identity: Identity, worker: str) -> None:
        """User code of an execution is entered. I6: once; I7: not beside another of its instance."""
        if identity in self.begun:
            raise Broken(f"{identity} began on {self.begun[identity]} and again on {worker} (I6)")
        if identity.instance in self.running:
            raise Broken(f"{identity} began on {worker} while {self.running[identity.instance]} runs (I7)")
        self.begun[identity] = worker
        self.running[identity.instance] = identity

    def note_changes(self, event: TaskEvent) -> None:
        """An execution says which assets it has changed."""
        if isinstance(event, Succeeded):
            self.changes[event.identity] = len(event.assets)

    def end(self, identity: Identity) -> None:
        """It has ended, in whatever way."""
        if self.running.get(identity.instance) == identity:
            del self.running[identity.instance]
