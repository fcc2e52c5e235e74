"""An owner of workflows that applies just enough of a command to see that it did."""

from __future__ import annotations

from piper.model.backfill import BackfillState
from piper.model.events import BackfillCancelled, BackfillPauseChanged, MarkRun, PauseChanged
from piper.model.ids import SHARDS
from piper.service import Service, Signal
from piper.store.database import Database
from piper.store.events import StoredEvent, delete_events, pending_events
from piper.store.schema import backfill, run, workflow


class Owner(Service):
    """Consumes events, and remembers them."""

    def __init__(self, database: Database, signal: Signal) -> None:
        super().__init__("owner", signal)
        self._database = database
        self.applied: list[StoredEvent] = []

    def tick(self) -> float:
        with self._database.write() as connection:
            found = pending_events(connection, range(SHARDS), 100)
            for each in found:
                match each.event:
                    case PauseChanged(workflow_id, paused):
                        here = workflow.c.workflow_id == workflow_id
                        connection.execute(workflow.update().where(here).values(paused=paused))
                    case BackfillPauseChanged(number, paused):
                        connection.execute(backfill.update().where(backfill.c.id == number).values(paused=paused))
                    case BackfillCancelled(number):
                        values = {"state": BackfillState.CANCELLING}
                        connection.execute(backfill.update().where(backfill.c.id == number).values(**values))
                    case MarkRun(number, state, reason):
                        values = {"state": state, "reason": reason}
                        connection.execute(run.update().where(run.c.id == number).values(**values))
                    case _:
                        pass
            delete_events(connection, [each.id for each in found])
            self.applied += found  # before the commit, by which the test learns of it
        return 1.0
